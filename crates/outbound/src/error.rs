//! What may be known about a call that failed.
//!
//! A provider's message and body can echo what it was sent, credentials included, so they are never kept: not here, not
//! in a source, not in the log. What is left says who, what, and how, and that is what an operator can act on.

use std::fmt;
use std::time::Duration;

/// A provider's own word for what went wrong: 1 to 64 letters, digits, `_`, `-` and `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorCode(String);

impl VendorCode {
    /// `None` for a text that is not of that form, e.g. because it is a sentence.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        fits.then(|| Self(text.to_owned()))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VendorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{provider}: {operation}: {fault}")]
pub struct ProviderError {
    provider: &'static str,
    operation: &'static str,
    fault: Fault,
    retry_after: Option<Duration>,
    earlier: Vec<Fault>,
}

impl ProviderError {
    /// A failure of that operation of the provider.
    #[must_use]
    pub const fn new(provider: &'static str, operation: &'static str, fault: Fault) -> Self {
        Self { provider, operation, fault, retry_after: None, earlier: Vec::new() }
    }

    pub(crate) const fn asking_for(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    pub(crate) fn after(mut self, earlier: Vec<Fault>) -> Self {
        self.earlier = earlier;
        self
    }

    /// Who.
    #[must_use]
    pub const fn provider(&self) -> &'static str {
        self.provider
    }

    /// What was asked.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// How it failed.
    #[must_use]
    pub const fn fault(&self) -> &Fault {
        &self.fault
    }

    /// How the attempts before failed, if the call was repeated: one of them may have done what the last one did not.
    #[must_use]
    pub fn earlier(&self) -> &[Fault] {
        &self.earlier
    }

    /// For how long the provider asks to be left alone (`Retry-After`), or the circuit does.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.fault {
            Fault::CircuitOpen { retry_in } => Some(retry_in),
            Fault::Unreachable
            | Fault::Untrusted
            | Fault::NoAnswer
            | Fault::Failing { .. }
            | Fault::Refused { .. }
            | Fault::KeysRefused
            | Fault::Unreadable { .. }
            | Fault::Unsendable => self.retry_after,
        }
    }
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No call was made: too many have failed lately.
    #[error("not called: the circuit is open for another {} ms", retry_in.as_millis())]
    CircuitOpen {
        /// When it is worth asking again.
        retry_in: Duration,
    },
    /// No connection: nothing was sent.
    #[error("cannot be reached")]
    Unreachable,
    /// Its certificate is not to be trusted: nothing was sent.
    #[error("its certificate is not trusted")]
    Untrusted,
    /// Not (or not wholly) answered, or not in time: what it did is unknown.
    #[error("no answer")]
    NoAnswer,
    /// It answered that it is in trouble, or too busy: what it did is unknown.
    #[error("failing: HTTP {status}{}", In(code.as_ref()))]
    Failing {
        /// The HTTP status.
        status: u16,
        /// Its word for it.
        code: Option<VendorCode>,
    },
    /// It answered, and refused.
    #[error("refused: HTTP {status}{}", In(code.as_ref()))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its word for it.
        code: Option<VendorCode>,
    },
    /// It knows none of the keys.
    #[error("every key was refused: HTTP 401")]
    KeysRefused,
    /// It answered something that cannot be understood, or too much of it.
    #[error("answered what cannot be understood: HTTP {status}")]
    Unreadable {
        /// The HTTP status.
        status: u16,
    },
    /// The call cannot be written down: a defect of ours, or an id that no path can hold.
    #[error("the call cannot be made")]
    Unsendable,
}

struct In<'a>(Option<&'a VendorCode>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |code| write!(f, " ({code})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_word_and_no_sentence() {
        for good in ["invoice_not_found", "SparkValidationError", "a.b-c", &"x".repeat(64)] {
            assert_eq!(VendorCode::parse(good).map(|code| code.to_string()).as_deref(), Some(good));
        }
        for bad in ["", "bad key: hunter2", "a\nb", "é", "a/b", &"x".repeat(65)] {
            assert_eq!(VendorCode::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_error_says_who_what_and_how() {
        let code = VendorCode::parse("amount_too_large");
        let error = ProviderError::new("spark", "issue", Fault::Refused { status: 400, code });
        assert_eq!(error.to_string(), "spark: issue: refused: HTTP 400 (amount_too_large)");
        let error = ProviderError::new("spark", "issue", Fault::Failing { status: 503, code: None });
        assert_eq!(error.to_string(), "spark: issue: failing: HTTP 503");
    }
}
