//! The secrets that sign access tokens.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};

use super::problems::Problems;
use super::sources::Settings;

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

/// HMAC-SHA-256 is only as strong as its key is long (RFC 7518 §3.2).
const MINIMUM_BYTES: usize = 32;

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

pub(super) fn jwt_keys(settings: &Settings, production: bool, problems: &mut Problems) -> JwtKeys {
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
    for key in &keys {
        if let Some(weakness) = weakness(key.secret.expose_secret()) {
            let line = format!("the JWT secret key {:?} {weakness}", key.id);
            if production { problems.refuse(line) } else { problems.warn(line) }
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

fn weakness(secret: &str) -> Option<String> {
    let plain: String =
        secret.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if PLACEHOLDERS.iter().any(|placeholder| plain.contains(placeholder)) {
        return Some("looks like a placeholder; make one with: openssl rand -base64 48".to_owned());
    }
    if secret.len() < MINIMUM_BYTES {
        return Some(format!("is shorter than {MINIMUM_BYTES} bytes"));
    }
    let distinct: BTreeSet<u8> = secret.bytes().collect();
    (distinct.len() < 8).then(|| "hardly varies; make one with: openssl rand -base64 48".to_owned())
}
