//! What was found, for people and for programs.

use std::fmt;

use serde::Serialize;
use serde_json::json;

/// How much one finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, and should be looked at.
    Warning,
    /// `serve` would not start, or not serve for long.
    Failure,
    /// Not looked at, because something that it needs has failed.
    Skipped,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        })
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    pub(super) level: Level,
    found: String,
    /// What to do about it, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

impl Finding {
    pub(super) const fn ok(check: &'static str, found: String) -> Self {
        Self { check, level: Level::Ok, found, cure: None }
    }

    pub(super) fn warning(check: &'static str, found: String, cure: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, found, cure: Some(cure.into()) }
    }

    pub(super) fn failure(check: &'static str, found: String, cure: impl Into<String>) -> Self {
        Self { check, level: Level::Failure, found, cure: Some(cure.into()) }
    }

    /// Whether it is of that check.
    pub(super) fn is(&self, check: &str) -> bool {
        self.check == check
    }

    pub(super) fn skipped(check: &'static str, needs: &str) -> Self {
        Self { check, level: Level::Skipped, found: format!("needs: {needs}"), cure: None }
    }
}

/// All findings, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    /// Of a configuration that is refused: nothing else can be looked at.
    pub(super) fn of_refused(lines: &[String]) -> Self {
        let failure = |line: &String| {
            Finding::failure("configuration", line.clone(), "put it right, and see `guiche check-config`")
        };
        let mut report = Self(lines.iter().map(failure).collect());
        for check in
            ["data-directory", "secrets", "listen-address", "metrics-address", "database", "payment-provider"]
        {
            report.add(Finding::skipped(check, "configuration"));
        }
        report
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(super) fn extend(&mut self, findings: Vec<Finding>) {
        self.0.extend(findings);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.count(Level::Failure) > 0
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }

    pub(super) fn as_text(&self) -> String {
        let mut text = String::new();
        for Finding { check, level, found, cure } in &self.0 {
            text.push_str(&format!("{level:<8} {check:<17} {found}\n"));
            if let Some(cure) = cure {
                text.push_str(&format!("{:<8} {:<17} -> {cure}\n", "", ""));
            }
        }
        let (failures, warnings) = (self.count(Level::Failure), self.count(Level::Warning));
        text.push_str(&format!("\n{failures} failures, {warnings} warnings\n"));
        text
    }

    pub(super) fn as_json(&self) -> Result<String, serde_json::Error> {
        let object = json!({"healthy": !self.has_failed(), "checks": self.0});
        Ok(format!("{}\n", serde_json::to_string_pretty(&object)?))
    }
}
