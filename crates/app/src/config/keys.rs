//! The secrets that sign access tokens.

use std::collections::BTreeSet;

use guiche_adapter_crypto::TokenAlgorithm;
use secrecy::{ExposeSecret, SecretString};

use super::problems::Problems;
use super::sources::Settings;
use super::values::JwtAlgorithm;

/// The id of the one key that `JWT_SECRET_KEY` gives, so that a later `JWT_SECRET_KEYS` can name it.
pub const SINGLE_KEY_ID: &str = "default";

/// The signing keys.
#[derive(Debug, Clone)]
pub enum JwtKeys {
    /// Made on the first start, in the data directory; development only.
    Generated,
    /// Given; the first signs, all verify. Never empty.
    Given(Vec<JwtKey>),
}

/// A signing key and its name.
#[derive(Debug, Clone)]
pub struct JwtKey {
    /// The `kid` in the header of a token.
    pub id: String,
    /// The secret.
    pub secret: SecretString,
}

/// 64 letters: enough for every algorithm.
const CURE: &str = "make one with: openssl rand -base64 48";

/// What people leave in place of a secret, once separators are taken out.
const PLACEHOLDERS: [&str; 9] = [
    "changeme",
    "changethis",
    "changein",
    "yoursecret",
    "secretkey",
    "placeholder",
    "example",
    "insecure",
    "replaceme",
];

pub(super) fn jwt_keys(
    settings: &Settings,
    production: bool,
    algorithm: JwtAlgorithm,
    problems: &mut Problems,
) -> JwtKeys {
    let (single, list) = (settings.secret("JWT_SECRET_KEY"), settings.text("JWT_SECRET_KEYS"));
    let keys = match (single, list) {
        (Some(_), Some(_)) => {
            problems.refuse("JWT_SECRET_KEY and JWT_SECRET_KEYS are both set; set one");
            return JwtKeys::Generated;
        }
        (Some(secret), None) => vec![JwtKey { id: SINGLE_KEY_ID.to_owned(), secret }],
        (None, Some(list)) => match parse_list(list) {
            Ok(keys) => keys,
            Err(reason) => {
                problems.refuse(format!("JWT_SECRET_KEYS {reason}"));
                return JwtKeys::Generated;
            }
        },
        (None, None) => {
            if production {
                problems.refuse("JWT_SECRET_KEY is required in production");
            }
            return JwtKeys::Generated;
        }
    };
    let shortest = signer(algorithm).min_secret_bytes();
    for key in &keys {
        let secret = key.secret.expose_secret();
        let line = |weakness: &str| format!("the JWT secret key {:?} {weakness}; {CURE}", key.id);
        // The signer takes none that is shorter, whatever the environment.
        if secret.len() < shortest {
            problems.refuse(line(&format!("is shorter than {shortest} bytes")));
        } else if let Some(weakness) = weakness(secret) {
            if production { problems.refuse(line(weakness)) } else { problems.warn(line(weakness)) }
        }
    }
    JwtKeys::Given(keys)
}

fn parse_list(list: &str) -> Result<Vec<JwtKey>, String> {
    let expected = || "must be a list like id:secret,id:secret".to_owned();
    let mut seen = BTreeSet::new();
    let mut keys = Vec::new();
    for item in list.split(',') {
        let (id, secret) = item.trim().split_once(':').ok_or_else(expected)?;
        let id_is_fine = !id.is_empty()
            && id.len() <= 64
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !id_is_fine || secret.is_empty() {
            return Err(expected());
        }
        if !seen.insert(id) {
            return Err("names one id twice".to_owned());
        }
        keys.push(JwtKey { id: id.to_owned(), secret: secret.into() });
    }
    Ok(keys)
}

/// The signer's word for the algorithm, so that its demands are known before it is made.
fn signer(algorithm: JwtAlgorithm) -> TokenAlgorithm {
    match algorithm {
        JwtAlgorithm::Hs256 => TokenAlgorithm::Hs256,
    }
}

fn weakness(secret: &str) -> Option<&'static str> {
    let plain: String =
        secret.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if PLACEHOLDERS.iter().any(|placeholder| plain.contains(placeholder)) {
        return Some("looks like a placeholder");
    }
    let distinct: BTreeSet<u8> = secret.bytes().collect();
    (distinct.len() < 8).then_some("hardly varies")
}
