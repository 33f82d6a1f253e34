//! Sealing: XChaCha20-Poly1305 under a key ring, with a key of its own for each service.
//!
//! The text is `v1.<key id>.<nonce>.<ciphertext and tag>`, the last two in unpadded base64url. The key of a service is
//! HKDF-SHA-256 (RFC 5869) of the ring's key. The associated data are version, key id, service, column and owner, each
//! with its length before it, so that no two places can read the same.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use guiche_kernel::{Randomness, SealError, Sealed, SecretPlace, SecretVault};
use hkdf::Hkdf;
use secrecy::{ExposeSecret as _, SecretBox, SecretSlice};
use sha2::Sha256;
use zeroize::Zeroizing;

/// 24 bytes: so long that random ones do not repeat, however much is sealed.
const NONCE_BYTES: usize = 24;
const LONGEST_SECRET: usize = 64 * 1024;
const LONGEST_ID: usize = 64;
/// What the derived keys are for; another use of the ring's keys would say something else.
const PURPOSE: &[u8] = b"guiche sealing v1";

/// A key of the ring and its name.
#[derive(Clone)]
pub struct SealingKey {
    /// Names the key in every value that is sealed under it: at most 64 of `a-z A-Z 0-9 _ -`.
    pub id: String,
    /// The key itself.
    pub secret: Arc<SecretBox<[u8; 32]>>,
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({:?})", self.id)
    }
}

/// Why there is no ring of such keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRing {
    /// Nothing could be sealed.
    #[error("there is no key")]
    Empty,
    /// A dot, say, would end the id within a sealed value.
    #[error("the key id {0:?} is not 1 to 64 letters, digits, '-' or '_'")]
    Id(String),
    /// Which of the two would open a value?
    #[error("two keys have the id {0:?}")]
    Twice(String),
    /// Two names for one key would make a rotation that changes nothing.
    #[error("the keys {0:?} and {1:?} are the same")]
    Same(String, String),
    /// Nobody chose that at random.
    #[error("the key {0:?} is one byte repeated")]
    Weak(String),
}

/// The key ring: the first key seals, all of them open.
pub struct KeyRing {
    /// Never empty.
    keys: Vec<SealingKey>,
    primary: SealingKey,
    randomness: Arc<dyn Randomness>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.key_ids()).finish()
    }
}

impl KeyRing {
    /// A ring of these keys, the first of which is the primary.
    ///
    /// # Errors
    /// [`InvalidRing`] names the key that cannot be used, and why.
    pub fn try_new(keys: Vec<SealingKey>, randomness: Arc<dyn Randomness>) -> Result<Self, InvalidRing> {
        let mut ids = BTreeSet::new();
        for (position, key) in keys.iter().enumerate() {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if key.id.is_empty() || key.id.len() > LONGEST_ID || !key.id.bytes().all(allowed) {
                return Err(InvalidRing::Id(key.id.clone()));
            }
            if !ids.insert(key.id.as_str()) {
                return Err(InvalidRing::Twice(key.id.clone()));
            }
            let bytes = key.secret.expose_secret();
            if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
                return Err(InvalidRing::Weak(key.id.clone()));
            }
            let earlier = keys.iter().take(position);
            if let Some(same) = earlier.into_iter().find(|other| other.secret.expose_secret() == bytes) {
                return Err(InvalidRing::Same(same.id.clone(), key.id.clone()));
            }
        }
        let primary = keys.first().cloned().ok_or(InvalidRing::Empty)?;
        Ok(Self { keys, primary, randomness })
    }

    fn cipher(key: &SealingKey, service: &str) -> Result<XChaCha20Poly1305, SealError> {
        let mut derived = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, key.secret.expose_secret())
            .expand_multi_info(&[PURPOSE, &[0], service.as_bytes()], &mut *derived)
            // HKDF refuses only lengths beyond 255 hashes.
            .map_err(|_| SealError::Refused(key.id.clone()))?;
        Ok(XChaCha20Poly1305::new(&Key::from(*derived)))
    }
}

impl SecretVault for KeyRing {
    fn seal(&self, place: SecretPlace, secret: &SecretSlice<u8>) -> Result<Sealed, SealError> {
        let msg = secret.expose_secret();
        if msg.len() > LONGEST_SECRET {
            return Err(SealError::TooLong(msg.len()));
        }
        let key = &self.primary;
        let mut nonce = [0; NONCE_BYTES];
        self.randomness.fill(&mut nonce);
        let aad = associated_data(key, place);
        let ciphertext = Self::cipher(key, place.service)?
            .encrypt(&XNonce::from(nonce), Payload { msg, aad: &aad })
            // It refuses only what is far longer than ours may be.
            .map_err(|_| SealError::TooLong(msg.len()))?;
        let (nonce, ciphertext) = (URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(ciphertext));
        Ok(Sealed::from_text(format!("{}.{}.{nonce}.{ciphertext}", Sealed::VERSION, key.id)))
    }

    fn open(&self, place: SecretPlace, sealed: &Sealed) -> Result<SecretSlice<u8>, SealError> {
        let id = sealed.key_id().ok_or(SealError::Malformed)?;
        let mut parts = sealed.as_str().split('.').skip(2);
        let (Some(nonce), Some(ciphertext), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SealError::Malformed);
        };
        let decoded = |text| URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Malformed);
        let nonce: [u8; NONCE_BYTES] = decoded(nonce)?.try_into().map_err(|_| SealError::Malformed)?;
        let ciphertext = decoded(ciphertext)?;
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let aad = associated_data(key, place);
        Self::cipher(key, place.service)?
            .decrypt(&XNonce::from(nonce), Payload { msg: &ciphertext, aad: &aad })
            .map(Into::into)
            .map_err(|_| SealError::Refused(id.to_owned()))
    }

    fn primary_key_id(&self) -> &str {
        &self.primary.id
    }

    fn key_ids(&self) -> Vec<&str> {
        self.keys.iter().map(|key| key.id.as_str()).collect()
    }
}

/// What is authenticated beside the secret, in a form that reads in one way only.
fn associated_data(key: &SealingKey, place: SecretPlace) -> Vec<u8> {
    let owner = place.owner.as_bytes();
    let parts: [&[u8]; 5] = [
        Sealed::VERSION.as_bytes(),
        key.id.as_bytes(),
        place.service.as_bytes(),
        place.column.as_bytes(),
        owner,
    ];
    let mut data = Vec::with_capacity(128);
    for part in parts {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(part);
    }
    data
}
