//! What can go wrong, on demand.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Play;

/// What one call meets. Over HTTP: `{"kind": "delay", "millis": 5}`, `{"kind": "lose_answer"}` and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Fault {
    /// Everything is well, only late.
    Delay {
        /// By so many milliseconds.
        millis: u64,
    },
    /// This status instead, in the provider's form of an error.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The provider's machine code; without one the body is of whoever stands between.
        #[serde(default)]
        code: Option<String>,
        /// `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
        /// Whether it is done nevertheless.
        #[serde(default)]
        done: bool,
    },
    /// The connection ends before anything is done.
    HangUp,
    /// It is done, and the connection ends instead of an answer.
    LoseAnswer,
    /// It is done, and nothing is ever answered.
    Silence,
    /// It is done, and the answer is not a document.
    Garbage,
    /// It is done, and the answer is far too long.
    Oversized,
    /// It is done, and this is answered instead.
    Instead {
        /// The document.
        document: Value,
    },
}

impl Fault {
    /// That status before anything is done, with the provider's code.
    #[must_use]
    pub fn answer(status: u16, code: Option<&str>) -> Self {
        Self::Answer { status, code: code.map(str::to_owned), retry_after: None, done: false }
    }
}

/// Which calls meet a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The operation, or `*` for each.
    pub on: String,
    /// So many calls of it come through before.
    #[serde(default)]
    pub skip: u32,
    /// So many calls meet it then.
    #[serde(default = "once")]
    pub times: u32,
    /// The fault.
    pub fault: Fault,
}

const fn once() -> u32 {
    1
}

impl Rule {
    /// The next call of an operation.
    #[must_use]
    pub fn next(on: &str, fault: Fault) -> Self {
        Self { on: on.to_owned(), skip: 0, times: 1, fault }
    }

    /// Every call of an operation from now on.
    #[must_use]
    pub fn always(on: &str, fault: Fault) -> Self {
        Self { times: u32::MAX, ..Self::next(on, fault) }
    }
}

pub(super) fn check<P: Play>(rule: &Rule) -> io::Result<()> {
    if rule.on == "*" || P::OPERATIONS.contains(&rule.on.as_str()) {
        return Ok(());
    }
    let known = P::OPERATIONS.join(", ");
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{:?} is no operation; there are {known}", rule.on),
    ))
}

/// The rules, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Rule>);

impl Script {
    pub(super) fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    /// What a call of the operation meets: the first rule that has come to its turn.
    pub(super) fn next(&mut self, operation: &str) -> Option<Fault> {
        let mut met = None;
        for rule in self.0.iter_mut().filter(|rule| rule.on == "*" || rule.on == operation) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if met.is_none() && rule.times > 0 {
                rule.times -= 1;
                met = Some(rule.fault.clone());
            }
        }
        self.0.retain(|rule| rule.times > 0);
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_apply_to_the_calls_that_they_name() {
        let mut script = Script::default();
        script.add(Rule { skip: 1, times: 2, ..Rule::next("make", Fault::HangUp) });
        script.add(Rule::next("look", Fault::Garbage));
        script.add(Rule { skip: 4, ..Rule::next("*", Fault::Silence) });
        let met = ["make", "make", "look", "make", "make", "make"].map(|operation| script.next(operation));
        let [hang_up, garbage, silence] = [Fault::HangUp, Fault::Garbage, Fault::Silence].map(Some);
        assert_eq!(met, [None, hang_up.clone(), garbage, hang_up, silence, None]);
    }
}
