//! What only we may know of a node and a store, and the sealed documents that keep it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_kernel::{Randomness, SecretPlace, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// The service under whose key everything here is sealed.
pub const SERVICE: &str = "lightning";

/// Where the journal's secrets belong.
#[must_use]
pub const fn journal_place(owner: UserId) -> SecretPlace {
    SecretPlace { service: SERVICE, column: "lightning_setup_steps.sealed", owner: owner.as_uuid() }
}

/// Where the sealed [`NodeConfig`] belongs.
#[must_use]
pub const fn node_place(owner: UserId) -> SecretPlace {
    SecretPlace {
        service: SERVICE,
        column: "lightning_addresses.encrypted_voltage_config",
        owner: owner.as_uuid(),
    }
}

/// Where the sealed [`StoreConfig`] belongs.
#[must_use]
pub const fn store_place(owner: UserId) -> SecretPlace {
    SecretPlace {
        service: SERVICE,
        column: "lightning_addresses.encrypted_btcpay_config",
        owner: owner.as_uuid(),
    }
}

/// A macaroon in lower-case hex, as LND's header and BTCPay's connection string want it. It does not print.
#[derive(Debug, Clone)]
pub struct Macaroon(SecretString);

/// This is no macaroon. What was found is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a macaroon")]
pub struct InvalidMacaroon;

impl Macaroon {
    /// The longest that is taken, in bytes.
    const LONGEST: usize = 4096;

    /// As `initwallet` answers it: base64.
    ///
    /// # Errors
    /// [`InvalidMacaroon`].
    pub fn from_base64(text: &SecretString) -> Result<Self, InvalidMacaroon> {
        Self::from_bytes(&STANDARD.decode(text.expose_secret()).map_err(|_| InvalidMacaroon)?)
    }

    /// As baking answers it, and as it is kept: hex.
    ///
    /// # Errors
    /// [`InvalidMacaroon`].
    pub fn from_hex(text: &SecretString) -> Result<Self, InvalidMacaroon> {
        Self::from_bytes(&hex::decode(text.expose_secret()).map_err(|_| InvalidMacaroon)?)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidMacaroon> {
        if (1..=Self::LONGEST).contains(&bytes.len()) {
            Ok(Self(hex::encode(bytes).into()))
        } else {
            Err(InvalidMacaroon)
        }
    }

    /// The hex digits.
    #[must_use]
    pub const fn hex(&self) -> &SecretString {
        &self.0
    }
}

/// A node's 24 words. They do not print.
#[derive(Debug, Clone)]
pub struct Seed(SecretString);

/// These are no 24 words. What was found is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a seed of 24 words")]
pub struct InvalidSeed;

impl Seed {
    /// How many words LND's seeds have.
    const WORDS: usize = 24;

    /// Reads 24 words, separated by spaces.
    ///
    /// # Errors
    /// [`InvalidSeed`].
    pub fn parse(text: &SecretString) -> Result<Self, InvalidSeed> {
        let words: Vec<&str> = text.expose_secret().split_whitespace().collect();
        let word = |word: &&str| {
            (1..=16).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
        };
        if words.len() == Self::WORDS && words.iter().all(word) {
            Ok(Self(words.join(" ").into()))
        } else {
            Err(InvalidSeed)
        }
    }

    /// The words, separated by single spaces.
    #[must_use]
    pub const fn words(&self) -> &SecretString {
        &self.0
    }
}

/// A node's wallet password: 32 characters of base64url by chance. It does not print.
#[derive(Debug, Clone)]
pub struct WalletPassword(SecretString);

impl WalletPassword {
    /// A new one.
    #[must_use]
    pub fn generate(randomness: &dyn Randomness) -> Self {
        Self(random_text(randomness))
    }

    /// As it was kept.
    #[must_use]
    pub const fn from_text(text: SecretString) -> Self {
        Self(text)
    }

    /// The text. LND wants its bytes in base64.
    #[must_use]
    pub const fn text(&self) -> &SecretString {
        &self.0
    }
}

/// The secret with which a store signs what it tells us. It does not print.
#[derive(Debug, Clone)]
pub struct WebhookSecret(SecretString);

impl WebhookSecret {
    /// A new one.
    #[must_use]
    pub fn generate(randomness: &dyn Randomness) -> Self {
        Self(random_text(randomness))
    }

    /// As it was kept.
    #[must_use]
    pub const fn from_text(text: SecretString) -> Self {
        Self(text)
    }

    /// The text, whose UTF-8 bytes are the key.
    #[must_use]
    pub const fn text(&self) -> &SecretString {
        &self.0
    }
}

/// 24 bytes of chance as text.
fn random_text(randomness: &dyn Randomness) -> SecretString {
    let mut bytes = [0; 24];
    randomness.fill(&mut bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes).into()
}

/// The host of a node's own API. Not secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeEndpoint(pub String);

/// What is known of a node. Sealed as a whole.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Where its own API is.
    pub endpoint: NodeEndpoint,
    /// The words that bring its money back, also when the node is gone.
    pub seed: Seed,
    /// What unlocks its wallet after a restart.
    pub password: WalletPassword,
    /// May do everything.
    pub admin: Macaroon,
    /// May receive; what the store was given.
    pub receive: Macaroon,
}

/// What is known of a store. Sealed as a whole.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The webhook's id at the store host.
    pub webhook_id: String,
    /// What it signs with.
    pub webhook_secret: WebhookSecret,
}
