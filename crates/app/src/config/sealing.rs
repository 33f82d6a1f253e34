//! The keys under which secrets are sealed at rest.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use guiche_adapter_crypto::{KeyRing, SealingKey};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};

use super::keys::SINGLE_KEY_ID;
use super::problems::Problems;
use super::sources::Settings;
use crate::system::OsRandomness;

/// The keys of the ring.
#[derive(Debug, Clone)]
pub enum SealingKeys {
    /// Made on the first start, in the data directory; development only.
    Generated,
    /// None: nothing can be sealed, and nothing that was sealed be opened.
    Absent,
    /// Given; the first seals, all open. Never empty, and a valid ring.
    Given(Vec<SealingKey>),
}

const CURE: &str = "make one with: openssl rand -base64 32";

pub(super) fn sealing_keys(settings: &Settings, production: bool, problems: &mut Problems) -> SealingKeys {
    let fallback = if production { SealingKeys::Absent } else { SealingKeys::Generated };
    let single = settings.secret("SERVICE_ENCRYPTION_KEY");
    let (name, keys) = match (single, settings.secret("SERVICE_ENCRYPTION_KEYS")) {
        (Some(_), Some(_)) => {
            problems.refuse("SERVICE_ENCRYPTION_KEY and SERVICE_ENCRYPTION_KEYS are both set; set one");
            return fallback;
        }
        (None, None) => return fallback,
        (Some(single), None) => {
            let key = key(SINGLE_KEY_ID, single.expose_secret()).map(|key| vec![key]);
            ("SERVICE_ENCRYPTION_KEY", key.ok_or_else(|| format!("must be 32 bytes in base64; {CURE}")))
        }
        (None, Some(list)) => {
            let keys = parse_list(&list);
            let expected =
                || format!("must be a list like id:key,id:key, each key 32 bytes in base64; {CURE}");
            ("SERVICE_ENCRYPTION_KEYS", keys.ok_or_else(expected))
        }
    };
    let valid = keys.and_then(|keys| {
        let ring = KeyRing::try_new(keys.clone(), Arc::new(OsRandomness));
        ring.map(|_| keys).map_err(|reason| format!("is no key ring: {reason}"))
    });
    match valid {
        Ok(keys) => SealingKeys::Given(keys),
        Err(reason) => {
            problems.refuse(format!("{name} {reason}"));
            fallback
        }
    }
}

fn parse_list(list: &SecretString) -> Option<Vec<SealingKey>> {
    list.expose_secret()
        .split(',')
        .map(|item| item.trim().split_once(':').and_then(|(id, text)| key(id, text)))
        .collect()
}

fn key(id: &str, text: &str) -> Option<SealingKey> {
    let text = text.trim();
    let bytes = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()?;
    let secret = Arc::new(SecretBox::new(Box::new(<[u8; 32]>::try_from(bytes).ok()?)));
    Some(SealingKey { id: id.to_owned(), secret })
}
