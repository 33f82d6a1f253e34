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

/// A moment after another, or the last one that can be written: a lifetime comes from the configuration, and however
/// long it is, adding it must not panic.
pub(crate) fn after(moment: Timestamp, lifetime: Duration) -> Timestamp {
    moment.saturating_add(lifetime.try_into().unwrap_or(time::Duration::MAX))
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
        let expires_at = after(issued_at, Duration::from_secs(ttl.as_secs()));
        Self { caller, token_id, issued_at, expires_at }
    }
}

#[cfg(test)]
mod tests {
    use guiche_kernel::Epoch;
    use guiche_kernel::testing::SeededRandomness;
    use time::macros::datetime;

    use super::*;

    fn token(seed: u64) -> RefreshToken {
        RefreshToken::generate(&SeededRandomness::new(seed))
    }

    #[test]
    fn a_token_is_a_prefix_and_32_random_bytes() {
        let token = token(1);
        let bytes = URL_SAFE_NO_PAD.decode(token.expose().strip_prefix("grt_").unwrap()).unwrap();
        let mut expected = [0; 32];
        SeededRandomness::new(1).fill(&mut expected);
        assert_eq!(bytes, expected);
        assert_eq!(token.expose().len(), 47);
    }

    #[test]
    fn a_token_survives_the_way_to_the_client_and_back() {
        let token = token(1);
        let shown = RefreshToken::parse(&token.expose().into()).unwrap();
        assert_eq!(shown.hash(), token.hash());
        assert_ne!(shown.hash(), self::token(2).hash());
    }

    #[test]
    fn what_was_never_made_here_is_refused_without_asking_storage() {
        let token = token(1);
        let text = token.expose();
        let encoded = text.strip_prefix("grt_").unwrap();
        for nonsense in [
            String::new(),
            "grt_".into(),
            encoded.into(),
            format!("GRT_{encoded}"),
            format!(" {text}"),
            format!("{text}\n"),
            format!("{text}A"),
            format!("{text}="),
            text[..46].into(),
            format!("{}+", &text[..46]),
            format!("{}ã", &text[..45]),
            // The last character carries four bits only; another spelling of them would be another hash.
            format!("{}_", &text[..46]),
            "grt_".repeat(100_000),
        ] {
            assert!(RefreshToken::parse(&nonsense.clone().into()).is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn the_hash_is_sha_256_of_the_whole_text() {
        let text = format!("grt_{}", "A".repeat(43));
        let hash = RefreshToken::parse(&text.into()).unwrap().hash();
        let hex: String = hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "d2e6edc17fb142fccf3dffda8b6003e4f9ab31ea159222673e1204c508f5a9ac");
        assert_eq!(TokenHash::from_bytes(*hash.as_bytes()), hash);
    }

    #[test]
    fn nothing_of_a_token_is_printed() {
        let token = token(1);
        assert_eq!(format!("{token:?} {:?}", token.hash()), "RefreshToken([REDACTED]) TokenHash([REDACTED])");
    }

    #[test]
    fn access_claims_are_in_whole_seconds() {
        let id = "01942138-0f80-7c3a-8d5e-0123456789ab";
        let caller = Caller { user_id: id.parse().unwrap(), epoch: Epoch::FIRST };
        let now = datetime!(2026-01-01 12:00:00.999999 UTC);
        let claims = AccessClaims::issue(caller, id.parse().unwrap(), now, Duration::from_millis(1_800_900));
        assert_eq!(claims.issued_at, datetime!(2026-01-01 12:00 UTC));
        assert_eq!(claims.expires_at, datetime!(2026-01-01 12:30 UTC));
    }
}
