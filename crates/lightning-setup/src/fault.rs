//! What went wrong outside, without a word of the vendor's: their texts can echo credentials.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Who runs the nodes.
    NodeHost,
    /// A node itself.
    Node,
    /// Who runs the stores.
    StoreHost,
    /// Ourselves.
    Ours,
}

impl Provider {
    /// Its name, in metrics and in the audit trail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeHost => "node_host",
            Self::Node => "node",
            Self::StoreHost => "store_host",
            Self::Ours => "ours",
        }
    }
}

/// What kind of failure it was: what may be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// It was understood and refused. It had no effect, and asking again brings the same.
    Refused,
    /// It never arrived, or was turned away unread (no connection, an open breaker, 429, 503). It had no effect.
    Unavailable,
    /// It may have arrived, and no answer came back (a timeout, a connection that broke, a 500): the effect is unknown.
    Unanswered,
    /// An answer came that cannot be understood: the effect is unknown.
    Garbled,
    /// What was made did not become ready in time.
    NotReady,
    /// Our own: a secret that does not open, a record that contradicts itself.
    Internal,
}

impl FaultKind {
    /// Its name, in metrics and in the audit trail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Unanswered => "unanswered",
            Self::Garbled => "garbled",
            Self::NotReady => "not_ready",
            Self::Internal => "internal",
        }
    }
}

/// The longest machine code that is kept.
const LONGEST_CODE: usize = 64;

/// A vendor's machine code: letters, digits, `-` and `_`, at most 64. Anything else is a text, and texts are not kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VendorCode(String);

impl VendorCode {
    /// Takes a code; `None` when it is none.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(fine)).then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for VendorCode {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("not a machine code")
    }
}

impl From<VendorCode> for String {
    fn from(code: VendorCode) -> Self {
        code.0
    }
}

/// A failure of a call outside, as it is kept and told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SetupFault {
    /// Who was asked.
    pub provider: Provider,
    /// For what, in our own words: `create_node`.
    pub operation: String,
    /// What came of it.
    pub kind: FaultKind,
    /// The HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The vendor's machine code, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<VendorCode>,
}

impl SetupFault {
    /// Whether the same request may succeed later without anybody doing anything about it.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self.kind, FaultKind::Unavailable | FaultKind::Unanswered | FaultKind::NotReady)
    }

    /// A failure of our own.
    #[must_use]
    pub fn internal(operation: &str) -> Self {
        Self {
            provider: Provider::Ours,
            operation: operation.to_owned(),
            kind: FaultKind::Internal,
            status: None,
            code: None,
        }
    }
}

impl fmt::Display for SetupFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.provider.as_str(), self.operation, self.kind.as_str())?;
        if let Some(status) = self.status {
            write!(f, ", HTTP {status}")?;
        }
        if let Some(code) = &self.code {
            write!(f, ", {}", code.as_str())?;
        }
        Ok(())
    }
}

/// Why a call outside brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct HostError {
    /// What is kept of it.
    pub fault: SetupFault,
    /// How long the provider asks us to wait.
    pub retry_after: Option<Duration>,
}

impl HostError {
    /// A failure without an answer.
    #[must_use]
    pub fn new(provider: Provider, operation: &'static str, kind: FaultKind) -> Self {
        let fault = SetupFault { provider, operation: operation.to_owned(), kind, status: None, code: None };
        Self { fault, retry_after: None }
    }

    /// With what the answer said.
    #[must_use]
    pub fn answered(mut self, status: u16, code: Option<VendorCode>, retry_after: Option<Duration>) -> Self {
        self.fault.status = Some(status);
        self.fault.code = code;
        self.retry_after = retry_after;
        self
    }

    /// What may be done about it.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        self.fault.kind
    }

    /// Whether the call may have had its effect.
    #[must_use]
    pub const fn effect_unknown(&self) -> bool {
        matches!(self.fault.kind, FaultKind::Unanswered | FaultKind::Garbled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_happened_and_keeps_no_text_of_the_vendor() {
        let error = HostError::new(Provider::StoreHost, "create_store", FaultKind::Refused).answered(
            403,
            VendorCode::new("missing-permission"),
            None,
        );
        assert_eq!(error.to_string(), "store_host create_store: refused, HTTP 403, missing-permission");
        for text in ["", "has spaces", "token abc", "é", &"x".repeat(65)] {
            assert_eq!(VendorCode::new(text), None, "{text}");
        }
    }

    #[test]
    fn a_fault_reads_back_from_json() {
        let fault = SetupFault::internal("open");
        let json = serde_json::to_string(&fault).unwrap();
        assert_eq!(json, r#"{"provider":"ours","operation":"open","kind":"internal"}"#);
        assert_eq!(serde_json::from_str::<SetupFault>(&json).unwrap(), fault);
    }
}
