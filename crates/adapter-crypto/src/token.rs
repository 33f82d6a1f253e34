//! Access tokens as JWTs, signed with HMAC.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::{Caller, Clock, Epoch, Timestamp, UserId};
use guiche_users::{AccessClaims, SigningError, TokenId, TokenRefusal, TokenSigner};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind as JwtErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::hmac;

/// How tokens are signed. There are only algorithms with a shared secret, because nobody but us checks our tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256.
    #[default]
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

/// Not one of the names `HS256`, `HS384`, `HS512`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the algorithm of access tokens must be HS256, HS384 or HS512")]
pub struct UnknownAlgorithm;

impl FromStr for TokenAlgorithm {
    type Err = UnknownAlgorithm;
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        match name {
            "HS256" => Ok(Self::Hs256),
            "HS384" => Ok(Self::Hs384),
            "HS512" => Ok(Self::Hs512),
            _ => Err(UnknownAlgorithm),
        }
    }
}

impl TokenAlgorithm {
    const fn jwt(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Hs384 => Algorithm::HS384,
            Self::Hs512 => Algorithm::HS512,
        }
    }

    /// The shortest secret in bytes: the length of the hash (RFC 7518 §3.2).
    #[must_use]
    pub const fn min_secret_bytes(self) -> usize {
        match self {
            Self::Hs256 => 32,
            Self::Hs384 => 48,
            Self::Hs512 => 64,
        }
    }
}

/// What tokens say about themselves, and must say to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSettings {
    /// Who issues them (`iss`).
    pub issuer: String,
    /// For whom they are (`aud`); another service with the same keys must have another audience.
    pub audience: String,
    /// The one algorithm that is accepted, whatever a token's header says.
    pub algorithm: TokenAlgorithm,
}

/// A signing key and its public name.
#[derive(Debug, Clone)]
pub struct JwtKey {
    /// Stands in every token signed with the key (`kid`): 1 to 64 letters, digits, `-`, `_` or `.`; not secret.
    pub id: String,
    /// At least [`TokenAlgorithm::min_secret_bytes`] long, random, and used for nothing else.
    pub secret: SecretString,
}

/// Why a list of keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// There is none.
    #[error("there must be at least one key for access tokens")]
    None,
    /// A name that cannot be a `kid`.
    #[error("the id of a key for access tokens must be 1 to 64 letters, digits, '-', '_' or '.'")]
    Id,
    /// Two keys of one name.
    #[error("the id {0:?} of a key for access tokens occurs twice")]
    Twice(String),
    /// A secret that is easier to guess than the signature itself.
    #[error("the secret of key {id:?} for access tokens needs at least {min_bytes} bytes")]
    Short {
        /// The key's name.
        id: String,
        /// How many bytes the algorithm needs.
        min_bytes: usize,
    },
}

/// Signs access tokens with the first of its keys, and accepts those signed with any of them.
///
/// To replace a key without signing anybody out: put the new one second on every replica, then first, and remove the old
/// one when the lifetime of an access token has passed.
pub struct JwtSigner {
    settings: JwtSettings,
    primary: Header,
    signing: EncodingKey,
    verifying: HashMap<String, (Header, DecodingKey)>,
    validation: Validation,
    clock: Arc<dyn Clock>,
}

/// The claims as they stand in the token.
#[derive(Serialize, Deserialize)]
struct Claims<'a> {
    iss: Cow<'a, str>,
    aud: Cow<'a, str>,
    sub: UserId,
    iat: i64,
    exp: i64,
    jti: TokenId,
    epoch: i32,
}

impl JwtSigner {
    /// How far in the future a token may have been issued: what the clocks of two replicas may differ by.
    pub const IAT_LEEWAY: Duration = Duration::from_secs(60);

    /// The longest text that is looked at; ours are below 1000 bytes.
    pub const MAX_TOKEN_BYTES: usize = 4096;

    /// A signer with these keys, of which the first signs.
    ///
    /// # Errors
    /// [`InvalidKeys`], in words for whoever configures the server; secrets do not occur in them.
    pub fn try_new(
        settings: JwtSettings,
        keys: &[JwtKey],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidKeys> {
        hmac::install();
        let first = keys.first().ok_or(InvalidKeys::None)?;
        let algorithm = settings.algorithm;
        let mut verifying = HashMap::with_capacity(keys.len());
        for key in keys {
            check(key, algorithm)?;
            let known =
                (header(key, algorithm), DecodingKey::from_secret(key.secret.expose_secret().as_bytes()));
            if verifying.insert(key.id.clone(), known).is_some() {
                return Err(InvalidKeys::Twice(key.id.clone()));
            }
        }
        let mut validation = Validation::new(algorithm.jwt());
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The library would ask the system's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let signing = EncodingKey::from_secret(first.secret.expose_secret().as_bytes());
        Ok(Self { primary: header(first, algorithm), signing, verifying, validation, settings, clock })
    }

    fn decode(&self, token: &str) -> Result<Claims<'static>, TokenRefusal> {
        if token.len() > Self::MAX_TOKEN_BYTES {
            return Err(TokenRefusal::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenRefusal::Malformed)?;
        let key = header.kid.as_ref().and_then(|kid| self.verifying.get(kid));
        // A header that differs in anything from the one we write (another algorithm, another type, `crit`, a key of
        // its own) is not ours, and nothing in it is obeyed.
        let (_, key) = key.filter(|(ours, _)| *ours == header).ok_or(TokenRefusal::Untrusted)?;
        jsonwebtoken::decode(token, key, &self.validation)
            .map(|data| data.claims)
            .map_err(|error| refusal(&error))
    }
}

fn check(key: &JwtKey, algorithm: TokenAlgorithm) -> Result<(), InvalidKeys> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if key.id.is_empty() || key.id.len() > 64 || !key.id.bytes().all(is_name) {
        return Err(InvalidKeys::Id);
    }
    let min_bytes = algorithm.min_secret_bytes();
    if key.secret.expose_secret().len() < min_bytes {
        return Err(InvalidKeys::Short { id: key.id.clone(), min_bytes });
    }
    Ok(())
}

fn header(key: &JwtKey, algorithm: TokenAlgorithm) -> Header {
    Header { kid: Some(key.id.clone()), ..Header::new(algorithm.jwt()) }
}

fn refusal(error: &JwtError) -> TokenRefusal {
    let untrusted = matches!(
        error.kind(),
        JwtErrorKind::InvalidSignature
            | JwtErrorKind::InvalidAlgorithm
            | JwtErrorKind::InvalidKeyFormat
            | JwtErrorKind::InvalidIssuer
            | JwtErrorKind::InvalidAudience
    );
    if untrusted { TokenRefusal::Untrusted } else { TokenRefusal::Malformed }
}

impl TokenSigner for JwtSigner {
    fn sign(&self, claims: &AccessClaims) -> Result<SecretString, SigningError> {
        let claims = Claims {
            iss: Cow::Borrowed(&self.settings.issuer),
            aud: Cow::Borrowed(&self.settings.audience),
            sub: claims.caller.user_id,
            iat: claims.issued_at.unix_timestamp(),
            exp: claims.expires_at.unix_timestamp(),
            jti: claims.token_id,
            epoch: claims.caller.epoch.get(),
        };
        let token = jsonwebtoken::encode(&self.primary, &claims, &self.signing);
        Ok(token.map_err(|error| SigningError(error.into()))?.into())
    }

    fn verify(&self, token: &str) -> Result<AccessClaims, TokenRefusal> {
        let claims = self.decode(token)?;
        let moment = |seconds| Timestamp::from_unix_timestamp(seconds).map_err(|_| TokenRefusal::Malformed);
        let (issued_at, expires_at) = (moment(claims.iat)?, moment(claims.exp)?);
        let now = self.clock.now();
        if now >= expires_at {
            Err(TokenRefusal::Expired)
        } else if issued_at > now + Self::IAT_LEEWAY {
            Err(TokenRefusal::NotYetValid)
        } else {
            let caller = Caller { user_id: claims.sub, epoch: Epoch::new(claims.epoch) };
            Ok(AccessClaims { caller, token_id: claims.jti, issued_at, expires_at })
        }
    }
}

impl fmt::Debug for JwtSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSigner").field("settings", &self.settings).finish_non_exhaustive()
    }
}
