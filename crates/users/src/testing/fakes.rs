//! A hasher and a signer that cost nothing and protect nothing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guiche_kernel::{Caller, Clock, Epoch, Timestamp, UserId};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::{
    AccessClaims, HashingError, Password, PasswordHash, PasswordHasher, PresentedPassword, SigningError,
    TokenId, TokenRefusal, TokenSigner,
};

fn digest(parts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(parts.join("\n").as_bytes()))
}

/// Hashes in microseconds: a counter for salt, and one SHA-256.
#[derive(Debug, Default)]
pub struct FakeHasher {
    salts: AtomicU64,
}

#[async_trait]
impl PasswordHasher for FakeHasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashingError> {
        let salt = self.salts.fetch_add(1, Ordering::Relaxed).to_string();
        Ok(PasswordHash::new(format!("fake.{salt}.{}", digest(&[&salt, password.expose()]))))
    }

    async fn verify<'a>(
        &self,
        password: &PresentedPassword,
        hash: Option<&'a PasswordHash>,
    ) -> Result<bool, HashingError> {
        let Some(hash) = hash else { return Ok(false) };
        let mut parts = hash.expose().split('.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("fake"), Some(salt), Some(stored)) => Ok(digest(&[salt, password.expose()]) == stored),
            _ => Err(HashingError::Failed("not a hash of the fake hasher".into())),
        }
    }
}

/// Signs with a key that everybody can read here.
pub struct FakeSigner {
    clock: Arc<dyn Clock>,
}

impl FakeSigner {
    /// A signer whose tokens expire on this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl fmt::Debug for FakeSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeSigner")
    }
}

fn seal(claims: &str) -> String {
    digest(&["the fake signer's key", claims])
}

fn read(claims: &str) -> Option<AccessClaims> {
    let mut parts = claims.split('.');
    let user_id: UserId = parts.next()?.parse().ok()?;
    let epoch = Epoch::new(parts.next()?.parse().ok()?);
    let token_id: TokenId = parts.next()?.parse().ok()?;
    let issued_at = Timestamp::from_unix_timestamp(parts.next()?.parse().ok()?).ok()?;
    let expires_at = Timestamp::from_unix_timestamp(parts.next()?.parse().ok()?).ok()?;
    Some(AccessClaims { caller: Caller { user_id, epoch }, token_id, issued_at, expires_at })
}

impl TokenSigner for FakeSigner {
    fn sign(&self, claims: &AccessClaims) -> Result<SecretString, SigningError> {
        let AccessClaims { caller, token_id, issued_at, expires_at } = claims;
        let (iat, exp) = (issued_at.unix_timestamp(), expires_at.unix_timestamp());
        let claims = format!("{}.{}.{token_id}.{iat}.{exp}", caller.user_id, caller.epoch.get());
        Ok(format!("{claims}.{}", seal(&claims)).into())
    }

    fn verify(&self, token: &str) -> Result<AccessClaims, TokenRefusal> {
        let (claims, signature) = token.rsplit_once('.').ok_or(TokenRefusal::Malformed)?;
        let said = read(claims).ok_or(TokenRefusal::Malformed)?;
        if seal(claims) != signature {
            return Err(TokenRefusal::Untrusted);
        }
        if self.clock.now() >= said.expires_at { Err(TokenRefusal::Expired) } else { Ok(said) }
    }
}
