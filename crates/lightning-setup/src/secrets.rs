//! What only we may know of a node and a store, and the sealed documents that keep it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_kernel::{Randomness, SecretPlace, UserId};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
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

/// A sealed document that cannot be understood: it was never one of ours. What was found is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed document cannot be understood")]
pub struct InvalidDocument;

/// What is sealed, as JSON. Each has a field of its own, so that none is taken for another.
pub(crate) mod document {
    use secrecy::ExposeSecret as _;

    use super::{
        Deserialize, InvalidDocument, Macaroon, NodeConfig, NodeEndpoint, SecretSlice, SecretString, Seed,
        Serialize, StoreConfig, WalletPassword, WebhookSecret,
    };

    /// A document that can be sealed and read back.
    pub(crate) trait Document: Sized {
        /// As bytes to be sealed.
        fn to_bytes(&self) -> SecretSlice<u8>;
        /// As it was opened.
        fn from_bytes(bytes: &SecretSlice<u8>) -> Result<Self, InvalidDocument>;
    }

    /// What the journal keeps of [`Step::SeedStored`](crate::Step::SeedStored).
    #[derive(Debug, Clone)]
    pub(crate) struct Wallet {
        pub(crate) endpoint: NodeEndpoint,
        pub(crate) seed: Seed,
        pub(crate) password: WalletPassword,
    }

    fn bytes<T: Serialize>(document: &T) -> SecretSlice<u8> {
        // Structs of strings: serialising them cannot fail.
        serde_json::to_vec(document).unwrap_or_default().into()
    }

    fn read<'a, T: Deserialize<'a>>(bytes: &'a SecretSlice<u8>) -> Result<T, InvalidDocument> {
        serde_json::from_slice(bytes.expose_secret()).map_err(|_| InvalidDocument)
    }

    macro_rules! json {
        ($name:ident { $($field:ident),* }) => {
            #[derive(Serialize)]
            struct Written<'a> { $($field: &'a str),* }
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Read { $($field: SecretString),* }
        };
    }

    impl Document for Wallet {
        fn to_bytes(&self) -> SecretSlice<u8> {
            json!(Wallet { endpoint, seed, password });
            bytes(&Written {
                endpoint: &self.endpoint.0,
                seed: self.seed.words().expose_secret(),
                password: self.password.text().expose_secret(),
            })
        }

        fn from_bytes(bytes: &SecretSlice<u8>) -> Result<Self, InvalidDocument> {
            json!(Wallet { endpoint, seed, password });
            let found: Read = read(bytes)?;
            Ok(Self {
                endpoint: NodeEndpoint(found.endpoint.expose_secret().to_owned()),
                seed: Seed::parse(&found.seed).map_err(|_| InvalidDocument)?,
                password: WalletPassword::from_text(found.password),
            })
        }
    }

    impl Document for Macaroon {
        fn to_bytes(&self) -> SecretSlice<u8> {
            json!(Macaroon { macaroon });
            bytes(&Written { macaroon: self.hex().expose_secret() })
        }

        fn from_bytes(bytes: &SecretSlice<u8>) -> Result<Self, InvalidDocument> {
            json!(Macaroon { macaroon });
            let found: Read = read(bytes)?;
            Self::from_hex(&found.macaroon).map_err(|_| InvalidDocument)
        }
    }

    impl Document for WebhookSecret {
        fn to_bytes(&self) -> SecretSlice<u8> {
            json!(WebhookSecret { webhook_secret });
            bytes(&Written { webhook_secret: self.text().expose_secret() })
        }

        fn from_bytes(bytes: &SecretSlice<u8>) -> Result<Self, InvalidDocument> {
            json!(WebhookSecret { webhook_secret });
            let found: Read = read(bytes)?;
            Ok(Self::from_text(found.webhook_secret))
        }
    }

    impl Document for NodeConfig {
        fn to_bytes(&self) -> SecretSlice<u8> {
            json!(NodeConfig { endpoint, seed, password, admin_macaroon, macaroon });
            bytes(&Written {
                endpoint: &self.endpoint.0,
                seed: self.seed.words().expose_secret(),
                password: self.password.text().expose_secret(),
                admin_macaroon: self.admin.hex().expose_secret(),
                macaroon: self.receive.hex().expose_secret(),
            })
        }

        fn from_bytes(bytes: &SecretSlice<u8>) -> Result<Self, InvalidDocument> {
            json!(NodeConfig { endpoint, seed, password, admin_macaroon, macaroon });
            let found: Read = read(bytes)?;
            let macaroon = |text: &SecretString| Macaroon::from_hex(text).map_err(|_| InvalidDocument);
            Ok(Self {
                endpoint: NodeEndpoint(found.endpoint.expose_secret().to_owned()),
                seed: Seed::parse(&found.seed).map_err(|_| InvalidDocument)?,
                password: WalletPassword::from_text(found.password),
                admin: macaroon(&found.admin_macaroon)?,
                receive: macaroon(&found.macaroon)?,
            })
        }
    }

    impl Document for StoreConfig {
        fn to_bytes(&self) -> SecretSlice<u8> {
            json!(StoreConfig { webhook_id, webhook_secret });
            bytes(&Written {
                webhook_id: &self.webhook_id,
                webhook_secret: self.webhook_secret.text().expose_secret(),
            })
        }

        fn from_bytes(bytes: &SecretSlice<u8>) -> Result<Self, InvalidDocument> {
            json!(StoreConfig { webhook_id, webhook_secret });
            let found: Read = read(bytes)?;
            Ok(Self {
                webhook_id: found.webhook_id.expose_secret().to_owned(),
                webhook_secret: WebhookSecret::from_text(found.webhook_secret),
            })
        }
    }
}
