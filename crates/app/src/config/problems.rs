//! What is wrong with a configuration: all of it at once, a line each, so that an operator needs one attempt.

use std::fmt;

/// The refusals and warnings found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    refusals: Vec<String>,
    warnings: Vec<String>,
}

impl Problems {
    pub(super) fn refuse(&mut self, line: impl Into<String>) {
        self.refusals.push(line.into());
    }

    pub(super) fn warn(&mut self, line: impl Into<String>) {
        self.warnings.push(line.into());
    }

    /// The value and the warnings, if nothing was refused.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<(T, Vec<String>), ConfigError> {
        match value {
            Some(value) if self.refusals.is_empty() => Ok((value, self.warnings)),
            _ => Err(ConfigError(self.refusals)),
        }
    }
}

/// A configuration that must not run; one line for each reason. No line ever quotes a value.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// A refusal for a single reason.
    #[must_use]
    pub fn new(line: impl Into<String>) -> Self {
        Self(vec![line.into()])
    }

    /// The reasons.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
