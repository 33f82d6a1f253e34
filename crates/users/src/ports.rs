//! What the use cases need from outside: somewhere to keep accounts and sessions, a hasher of passwords, a signer of
//! access tokens.

use async_trait::async_trait;
use guiche_kernel::{Caller, Epoch, StoreError, Timestamp};
use secrecy::SecretString;

use crate::{
    AccessClaims, Account, Credentials, Email, HashingError, NewAccount, NewRefreshToken, NewSession,
    Password, PasswordHash, PresentedPassword, Rotation, SigningError, TokenHash, TokenRefusal,
};

/// Keeps accounts and sessions.
///
/// Every method is one transaction: all of it is done and durable when it returns `Ok`, and none of it when it returns
/// an error ([`StoreError::Unavailable`] excepted, after which the outcome is unknown). Methods that run at the same
/// time MUST end as if one had run after the other; the two races that matter are named where they occur.
///
/// A method that takes a [`Caller`] MUST see and change that account only, and MUST answer [`StoreError::Revoked`],
/// having changed nothing, when the account's present epoch is not the caller's or the account does not exist.
/// The methods without one run before the user is known, and reveal nothing but what they return.
///
/// Times come from the use case, never from storage's own clock, and are kept to the microsecond.
/// A session MAY be forgotten once its `ends_at` has passed; [`UserStore::rotate`] then says [`Rotation::Unknown`].
/// Before that a spent token MUST be remembered, or its reuse would go unnoticed.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Stores an account in [`Epoch::FIRST`].
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the e-mail address is taken in any spelling of its case, decided by a unique index
    /// on [`Email::key`] and not by looking first: of two registrations at once one MUST get it.
    async fn register(&self, account: &NewAccount) -> Result<(), StoreError>;

    /// What a sign-in under this address is checked against; compared by [`Email::key`]. `None`: nobody has registered
    /// it. The one question about an account that is answered before its owner is known.
    ///
    /// # Errors
    /// Only those of storage itself.
    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError>;

    /// The caller's account.
    ///
    /// # Errors
    /// [`StoreError::Revoked`] as for every method that takes a caller; there is no other way to be absent.
    async fn get(&self, caller: &Caller) -> Result<Account, StoreError>;

    /// What the caller's present password is checked against before it is changed.
    ///
    /// # Errors
    /// [`StoreError::Revoked`].
    async fn credentials(&self, caller: &Caller) -> Result<Credentials, StoreError>;

    /// Stores a session and its first refresh token.
    ///
    /// The race: a password change at the same time MUST NOT leave a session that was opened with the old password.
    /// Either the change comes first and this is refused, or it comes second and revokes this session.
    ///
    /// # Errors
    /// [`StoreError::Revoked`]; [`StoreError::Duplicate`] when the family or the token hash is known already.
    async fn open_session(&self, caller: &Caller, session: NewSession) -> Result<(), StoreError>;

    /// Spends the presented token and stores its successor, in the same family and never beyond the family's `ends_at`.
    ///
    /// Decided in this order: the token is not known ([`Rotation::Unknown`]); it was spent before
    /// ([`Rotation::Reused`], also when it has expired or its family is revoked already; the family MUST be revoked as
    /// of `now` in the same commit, with the newest token and everything else in it); its family is revoked
    /// ([`Rotation::Revoked`]); `now` is at or after its expiry ([`Rotation::Expired`], which changes nothing). These
    /// are answers, not errors, so that what they have to write is committed.
    ///
    /// The races: of two rotations of one token at the same time exactly one MUST rotate, and the other MUST be a reuse.
    /// A rotation at the same time as a revocation (sign-out, reuse, password change) MUST NOT leave a usable
    /// successor behind.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the successor's hash is known already; the presented token is then not spent.
    async fn rotate(
        &self,
        presented: &TokenHash,
        successor: NewRefreshToken,
        now: Timestamp,
    ) -> Result<Rotation, StoreError>;

    /// Revokes the family to which the token belongs, as of `now`, whether the token is fresh, spent or expired.
    /// Idempotent, and the same for a token that is not known.
    ///
    /// # Errors
    /// Only those of storage itself.
    async fn revoke_family_of(&self, token: &TokenHash, now: Timestamp) -> Result<(), StoreError>;

    /// Replaces the password hash, raises the epoch and revokes every session of the account, in one commit; returns the
    /// new epoch, which is [`Epoch::next`] of the caller's. Compare-and-set on the epoch: of two changes at once, one
    /// wins and the other is refused.
    ///
    /// # Errors
    /// [`StoreError::Revoked`].
    async fn change_password(
        &self,
        caller: &Caller,
        new_hash: &PasswordHash,
        now: Timestamp,
    ) -> Result<Epoch, StoreError>;
}

/// Turns passwords into hashes that cannot be turned back, slowly on purpose.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// A salted hash: two hashes of one password differ. MUST take in the whole password.
    ///
    /// # Errors
    /// [`HashingError::Busy`] rather than waiting without a bound when too many ask at once.
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashingError>;

    /// Whether the hash is of this password. `None` stands for an account that does not exist: the answer is then
    /// `false`, and it MUST take the same work and the same waiting as for a hash, or the time would tell who has an
    /// account. A password that no hash can be of (longer than [`Password::MAX_BYTES`], with a NUL) MUST be `false` after
    /// the same work too, and never be cut to one that fits.
    ///
    /// # Errors
    /// [`HashingError::Busy`] as for `hash`, with or without a hash to compare with.
    async fn verify<'a>(
        &self,
        password: &PresentedPassword,
        hash: Option<&'a PasswordHash>,
    ) -> Result<bool, HashingError>;
}

/// Signs access tokens and recognises its own.
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait TokenSigner: Send + Sync {
    /// A token that says this, signed with the present key. [`TokenSigner::verify`] MUST return equal claims, on every
    /// replica, until they expire.
    ///
    /// # Errors
    /// [`SigningError`], a defect.
    fn sign(&self, claims: &AccessClaims) -> Result<SecretString, SigningError>;

    /// What the token says, if it was signed by one of our keys, for us, and its time has come and not passed. MUST refuse
    /// anything else, whatever its length or content, without panicking; the token's own header MUST NOT choose the
    /// algorithm. It does not know whether the session was ended since: storage checks that by the epoch.
    ///
    /// # Errors
    /// [`TokenRefusal`].
    fn verify(&self, token: &str) -> Result<AccessClaims, TokenRefusal>;
}
