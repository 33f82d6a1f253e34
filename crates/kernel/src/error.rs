//! What storage may answer besides the thing asked for, and the few kinds into which every refusal falls.

/// The source of an error that the caller cannot act on; kept for the log, never shown.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What a caller can do about a refusal. Each domain error maps to one of these; only the HTTP edge knows status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is understood and wrong: correct it.
    Invalid,
    /// The caller is not known, or no longer: sign in again.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// There is no such thing, or it is somebody else's.
    NotFound,
    /// The thing is in a state that does not allow this.
    Conflict,
    /// An outside service answered with a refusal or nonsense.
    BadGateway,
    /// Something needed is out of reach; the same request may succeed later.
    Unavailable,
    /// A defect of ours.
    Internal,
}

/// Why storage did not do what it was asked. There is one such type for every store, so that use cases over several
/// repositories need no conversions, and nothing of the database leaks: the text of a source is for the log only.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with the same unique value exists. Nothing was written, and the transaction can go on.
    #[error("already stored")]
    Duplicate,
    /// Another writer was first (a compare-and-set failed, a deadlock or serialisation failure); the caller may try again.
    #[error("changed by somebody else meanwhile")]
    Conflict,
    /// The caller's epoch is not the account's present one, or the account is gone.
    #[error("the caller's session has ended")]
    Revoked,
    /// Storage cannot be reached, is shutting down, or did not answer in time.
    #[error("storage is unavailable")]
    Unavailable(#[source] BoxError),
    /// What was read or about to be written breaks a rule of the schema: a defect, or a damaged row.
    #[error("storage is inconsistent")]
    Corrupt(#[source] BoxError),
}

impl StoreError {
    /// [`StoreError::Corrupt`] with a sentence about what was found; never put a person's data in it.
    #[must_use]
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into().into())
    }

    /// The kind of this refusal.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Duplicate | Self::Conflict => ErrorKind::Conflict,
            Self::Revoked => ErrorKind::Unauthenticated,
            Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Corrupt(_) => ErrorKind::Internal,
        }
    }
}
