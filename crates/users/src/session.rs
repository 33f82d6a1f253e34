//! Sessions: a family of refresh tokens, of which at most one can still be used, and the access tokens they yield.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guiche_kernel::{Caller, Randomness, Timestamp, UserId};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

guiche_kernel::id! {
    /// Identifies a session: the family of all refresh tokens that descend from one sign-in.
    pub struct FamilyId;
}

guiche_kernel::id! {
    /// Identifies one access token (`jti`), for logs and traces.
    pub struct TokenId;
}

/// A refresh token, as the client holds it: `grt_` and 32 random bytes in base64url. The prefix lets secret scanners
/// recognise one that was published by mistake. It is never stored; storage knows its [`TokenHash`].
#[derive(Clone)]
pub struct RefreshToken(SecretString);

/// The text cannot be one of our refresh tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token")]
pub struct MalformedRefreshToken;

impl RefreshToken {
    /// What every refresh token starts with.
    pub const PREFIX: &str = "grt_";

    const RANDOM_BYTES: usize = 32;
    const ENCODED_CHARS: usize = 43;

    /// A fresh token that nobody can guess.
    #[must_use]
    pub fn generate(randomness: &dyn Randomness) -> Self {
        let mut bytes = Zeroizing::new([0_u8; Self::RANDOM_BYTES]);
        randomness.fill(bytes.as_mut_slice());
        let mut text = String::with_capacity(Self::PREFIX.len() + Self::ENCODED_CHARS);
        text.push_str(Self::PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        Self(text.into())
    }

    /// A token that a client has shown; that it has the right form does not mean that it was ever issued.
    ///
    /// # Errors
    /// [`MalformedRefreshToken`] for what [`RefreshToken::generate`] can never have made, so that nonsense costs no
    /// question to storage.
    pub fn parse(text: &SecretString) -> Result<Self, MalformedRefreshToken> {
        let encoded = text.expose_secret().strip_prefix(Self::PREFIX).ok_or(MalformedRefreshToken)?;
        if encoded.len() != Self::ENCODED_CHARS {
            return Err(MalformedRefreshToken);
        }
        match URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new) {
            Ok(_) => Ok(Self(text.clone())),
            Err(_) => Err(MalformedRefreshToken),
        }
    }

    /// What storage knows of this token: SHA-256 of its text. A plain hash is enough for 256 random bits, which no
    /// dictionary contains.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.expose_secret().as_bytes()).into())
    }

    /// The token itself, for the answer to its owner and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken([REDACTED])")
    }
}

/// What storage keeps of a refresh token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// A hash as storage returned it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Redacted: with the hash of a live token, somebody who can write to storage could pass a token off as another's.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash([REDACTED])")
    }
}

/// A session about to be stored, with its first refresh token.
#[derive(Debug, Clone, Copy)]
pub struct NewSession {
    /// Identifies the session for as long as it lives.
    pub family_id: FamilyId,
    /// Of the first refresh token.
    pub token_hash: TokenHash,
    /// When the person signed in.
    pub issued_at: Timestamp,
    /// The first moment at which the first refresh token is no longer good; not after `ends_at`.
    pub expires_at: Timestamp,
    /// The first moment at which the session has ended, however often it was refreshed: no refresh token of the family
    /// is good at or after it.
    pub ends_at: Timestamp,
}

/// The refresh token that takes the place of a spent one, in the same family; issued at the moment of the rotation.
#[derive(Debug, Clone, Copy)]
pub struct NewRefreshToken {
    /// Of the new token.
    pub token_hash: TokenHash,
    /// The first moment at which it is no longer good; storage cuts it to the family's `ends_at`.
    pub expires_at: Timestamp,
}

/// What became of a refresh token that a client showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The token is spent, and its successor is stored.
    Rotated {
        /// Whose session it is, in the account's present epoch.
        caller: Caller,
        /// The session, the same as before.
        family_id: FamilyId,
        /// Until when the successor is good, after the cut to the family's `ends_at`.
        expires_at: Timestamp,
    },
    /// The token had been spent before: it or its successor was copied, and nobody can tell by whom. The whole family
    /// is revoked, and that is committed.
    Reused {
        /// Whose session it was.
        user_id: UserId,
        /// The session, which is over.
        family_id: FamilyId,
    },
    /// The token was never spent, but its family was revoked (sign-out, reuse of another token, password change).
    Revoked,
    /// The token was never spent, its family is alive, and its time has passed.
    Expired,
    /// No such token was ever stored, or it was forgotten after its family had ended.
    Unknown,
}

/// What an access token says. Times are whole seconds, because the claims of a JWT are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessClaims {
    /// Who calls (`sub`, `epoch`).
    pub caller: Caller,
    /// Identifies this token (`jti`).
    pub token_id: TokenId,
    /// When it was issued (`iat`).
    pub issued_at: Timestamp,
    /// The first moment at which it is no longer good (`exp`).
    pub expires_at: Timestamp,
}

impl AccessClaims {
    /// Claims that are good for `ttl` from `now` on, both cut to whole seconds.
    #[must_use]
    pub fn issue(caller: Caller, token_id: TokenId, now: Timestamp, ttl: Duration) -> Self {
        let issued_at = now.replace_nanosecond(0).unwrap_or(now);
        let expires_at = issued_at + Duration::from_secs(ttl.as_secs());
        Self { caller, token_id, issued_at, expires_at }
    }
}
