//! Secrets at rest, as a port: what storage keeps is sealed, and only whoever holds the key ring can open it.

use std::fmt;

use secrecy::SecretSlice;
use uuid::Uuid;

/// Where a sealed value belongs. A value that was sealed for one place opens in no other, so that nobody who can write to
/// the database can swap the secrets of two owners, or have a secret shown where something public is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretPlace {
    /// Who uses the secret, e.g. `webhooks`. Each service has a key of its own.
    pub service: &'static str,
    /// Table and column, e.g. `webhook_endpoints.secret`.
    pub column: &'static str,
    /// The row, or the person, that it belongs to.
    pub owner: Uuid,
}

/// A sealed value as text, fit for a column: `v1.<key id>.<nonce>.<ciphertext>`. Not secret, but nobody's business: it
/// prints its key only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed(String);

impl Sealed {
    /// The version of the format that is written.
    pub const VERSION: &'static str = "v1";

    /// Text that was read from storage. Whether it is a sealed value shows when it is opened.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text to store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the key that it was sealed under; `None` when this is no sealed value.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        let mut parts = self.0.split('.');
        if parts.next() != Some(Self::VERSION) {
            return None;
        }
        parts.next().filter(|id| !id.is_empty())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(under {:?})", self.key_id())
    }
}

/// Why a value was not sealed, or not opened. None of these carries anything of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key it was sealed under is not in the ring.
    #[error("it is sealed under the key {0:?}, which is not in the key ring: add that key")]
    UnknownKey(String),
    /// The ring has a key of that name, and it does not open the value.
    #[error(
        "it does not open with the key {0:?}: that is another key of the same name, or the value was changed or moved"
    )]
    Refused(String),
    /// This was never a sealed value.
    #[error("it is not a sealed value")]
    Malformed,
    /// Longer than what may be sealed.
    #[error("it has {0} bytes, more than may be sealed")]
    TooLong(usize),
}

/// Seals and opens secrets.
///
/// Whatever is sealed MUST be authenticated together with its place; opening MUST return the very bytes that were sealed
/// there, or an error, and never anything else. Two seals of one secret MUST differ.
pub trait SecretVault: Send + Sync {
    /// Seals a secret of at most 64 KiB under the primary key.
    ///
    /// # Errors
    /// [`SealError::TooLong`].
    fn seal(&self, place: SecretPlace, secret: &SecretSlice<u8>) -> Result<Sealed, SealError>;

    /// Opens what was sealed for that place, under whichever key of the ring.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`], [`SealError::Refused`], [`SealError::Malformed`].
    fn open(&self, place: SecretPlace, sealed: &Sealed) -> Result<SecretSlice<u8>, SealError>;

    /// The id of the key under which new values are sealed.
    fn primary_key_id(&self) -> &str;

    /// The ids of all keys that open values, the primary first.
    fn key_ids(&self) -> Vec<&str>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_tells_its_key_and_prints_nothing_else() {
        let sealed = Sealed::from_text("v1.2026-01.bm9uY2U.c2VjcmV0");
        assert_eq!(sealed.key_id(), Some("2026-01"));
        assert_eq!(format!("{sealed:?}"), "Sealed(under Some(\"2026-01\"))");
        for foreign in ["", "v1", "v1.", "v1..x.y", "v2.key.x.y", "plain text"] {
            assert_eq!(Sealed::from_text(foreign).key_id(), None, "{foreign}");
        }
    }
}
