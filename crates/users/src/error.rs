//! Why a use case refused, in words that a caller can act on.

use guiche_kernel::{BoxError, ErrorKind, StoreError, UserId};

use crate::FamilyId;

/// A field of the request that is present and wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where it stands in the request, as a JSON Pointer: `/email`, `/password`, `/new_password`.
    pub pointer: &'static str,
    /// Stable, for programs: `invalid_email`, or one of [`PasswordFlaw::code`](crate::PasswordFlaw::code).
    pub code: &'static str,
    /// A sentence for people. It never repeats what was sent.
    pub detail: String,
}

/// Why a refresh token was refused; for the log, because the client only learns that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// Not of the form of our tokens.
    Malformed,
    /// Never issued, or long forgotten.
    Unknown,
    /// Its time has passed.
    Expired,
    /// Its session was ended.
    Revoked,
    /// It had been spent before; its session is revoked now. Somebody holds a copy: worth an operator's look.
    Reused {
        /// Whose session it was.
        user_id: UserId,
        /// The session.
        family_id: FamilyId,
    },
}

/// Why an access token was refused. A client may be told, since each reason is visible in the token it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// Not a token of ours by its form: too long, not a JWT, a claim missing or of the wrong type.
    #[error("the access token is malformed")]
    Malformed,
    /// Signed with another key or algorithm, forged, or meant for somebody else (issuer, audience).
    #[error("the access token is not to be trusted")]
    Untrusted,
    /// Its time has passed: refresh.
    #[error("the access token has expired")]
    Expired,
    /// Issued in the future, beyond what clocks differ by.
    #[error("the access token is not valid yet")]
    NotYetValid,
}

/// Why hashing or comparing a password was not done.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Too many others wait for a processor; the same request may succeed in a few seconds.
    #[error("too many passwords are being checked at the moment")]
    Busy,
    /// A defect: a damaged hash, an invalid setting, a task that died.
    #[error("hashing failed")]
    Failed(#[source] BoxError),
}

/// Signing an access token failed, which is always a defect.
#[derive(Debug, thiserror::Error)]
#[error("signing failed")]
pub struct SigningError(#[source] pub BoxError);

/// Why a use case about accounts and sessions refused.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Fields that are present and wrong; every one of them, so that a form can show them at once.
    #[error("some fields are not valid")]
    InvalidFields(Vec<FieldError>),
    /// Somebody has registered this e-mail address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// No such account, or not its password; deliberately the same.
    #[error("wrong e-mail address or password")]
    InvalidCredentials,
    /// The refresh token is of no use any more.
    #[error("the refresh token is not valid")]
    InvalidRefreshToken(RefreshRefusal),
    /// The access token is of no use.
    #[error("{0}")]
    InvalidAccessToken(TokenRefusal),
    /// The access token was good, but everything issued in its epoch was revoked by a password change.
    #[error("the session has ended")]
    SessionEnded,
    /// More passwords wait to be checked than can be; try again in a few seconds.
    #[error("too many sign-ins at the moment")]
    Busy,
    /// Storage failed.
    #[error("storage failed")]
    Store(#[source] StoreError),
    /// A password could not be hashed or compared: a defect.
    #[error("hashing failed")]
    Hashing(#[source] BoxError),
    /// An access token could not be signed: a defect.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl UserError {
    /// What the caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidFields(_) => ErrorKind::Invalid,
            Self::EmailTaken => ErrorKind::Conflict,
            Self::InvalidCredentials
            | Self::InvalidRefreshToken(_)
            | Self::InvalidAccessToken(_)
            | Self::SessionEnded => ErrorKind::Unauthenticated,
            Self::Busy => ErrorKind::Unavailable,
            Self::Store(error) => error.kind(),
            Self::Hashing(_) | Self::Signing(_) => ErrorKind::Internal,
        }
    }
}

impl From<StoreError> for UserError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Revoked => Self::SessionEnded,
            StoreError::Duplicate
            | StoreError::Conflict
            | StoreError::Unavailable(_)
            | StoreError::Corrupt(_) => Self::Store(error),
        }
    }
}

impl From<HashingError> for UserError {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Self::Busy,
            HashingError::Failed(source) => Self::Hashing(source),
        }
    }
}

impl From<TokenRefusal> for UserError {
    fn from(refusal: TokenRefusal) -> Self {
        Self::InvalidAccessToken(refusal)
    }
}

impl From<RefreshRefusal> for UserError {
    fn from(refusal: RefreshRefusal) -> Self {
        Self::InvalidRefreshToken(refusal)
    }
}
