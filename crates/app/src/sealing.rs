//! The vault of this process: the key ring of its configuration.

use std::sync::Arc;

use guiche_adapter_crypto::{KeyRing, SealingKey};
use guiche_kernel::{BoxError, Randomness, SealError, Sealed, SecretPlace, SecretVault};
use guiche_webhooks::WebhookError;
use secrecy::SecretSlice;

use crate::config::{Config, GeneratedSecrets, SealingKeys};

/// The id of the key that a development server makes for itself.
const GENERATED_KEY_ID: &str = "generated";

/// Makes the vault.
///
/// # Errors
/// When a generated key cannot be kept in the data directory.
pub fn vault(config: &Config, randomness: &Arc<dyn Randomness>) -> Result<Arc<dyn SecretVault>, BoxError> {
    let keys = match &config.sealing {
        SealingKeys::Absent => return Ok(Arc::new(NoKeys)),
        SealingKeys::Given(keys) => keys.clone(),
        SealingKeys::Generated => {
            let secrets = GeneratedSecrets::below(&config.data_dir);
            let secret = Arc::new(secrets.get_or_create("sealing", &**randomness)?);
            vec![SealingKey { id: GENERATED_KEY_ID.to_owned(), secret }]
        }
    };
    Ok(Arc::new(KeyRing::try_new(keys, Arc::clone(randomness))?))
}

/// A refusal of a secret with the setting that mends it.
#[must_use]
pub fn explained(refusal: WebhookError) -> BoxError {
    match &refusal {
        WebhookError::Secret(_, cause) => match cause {
            SealError::UnknownKey(_) | SealError::Refused(_) => {
                format!("{refusal} (SERVICE_ENCRYPTION_KEYS=id:key,id:key; the first seals, all open)").into()
            }
            SealError::Malformed | SealError::TooLong(_) => refusal.into(),
        },
        WebhookError::NotFound(_)
        | WebhookError::EventNotFound(_)
        | WebhookError::Disabled(_)
        | WebhookError::Invalid(_)
        | WebhookError::UrlRefused(_)
        | WebhookError::Store(_) => refusal.into(),
    }
}

/// Where no key was given: nothing opens, and whatever is sealed names the key that is missing.
#[derive(Debug, Clone, Copy)]
struct NoKeys;

impl SecretVault for NoKeys {
    fn seal(&self, _: SecretPlace, _: &SecretSlice<u8>) -> Result<Sealed, SealError> {
        Err(SealError::UnknownKey(String::new()))
    }

    fn open(&self, _: SecretPlace, sealed: &Sealed) -> Result<SecretSlice<u8>, SealError> {
        Err(sealed.key_id().map_or(SealError::Malformed, |key| SealError::UnknownKey(key.to_owned())))
    }

    fn primary_key_id(&self) -> &'static str {
        ""
    }

    fn key_ids(&self) -> Vec<&str> {
        Vec::new()
    }
}
