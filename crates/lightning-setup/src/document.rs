//! What is sealed: JSON objects of texts, one shape for each kind, so that none is taken for another.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use crate::{Macaroon, NodeConfig, NodeEndpoint, Seed, StoreConfig, WalletPassword, WebhookSecret};

/// A sealed document that cannot be understood: it was never one of ours. What was found is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed document cannot be understood")]
pub struct InvalidDocument;

/// The texts of a document that was opened, to be taken out one by one.
pub(crate) struct Fields(BTreeMap<String, SecretString>);

impl Fields {
    fn take(&mut self, name: &str) -> Result<SecretString, InvalidDocument> {
        self.0.remove(name).ok_or(InvalidDocument)
    }

    fn public(&mut self, name: &str) -> Result<String, InvalidDocument> {
        Ok(self.take(name)?.expose_secret().to_owned())
    }

    fn macaroon(&mut self, name: &str) -> Result<Macaroon, InvalidDocument> {
        Macaroon::from_hex(&self.take(name)?).map_err(|_| InvalidDocument)
    }

    fn seed(&mut self) -> Result<Seed, InvalidDocument> {
        Seed::parse(&self.take("seed")?).map_err(|_| InvalidDocument)
    }
}

/// A document that can be sealed and read back.
pub(crate) trait Document: Sized {
    /// Its texts, by name.
    fn fields(&self) -> BTreeMap<&'static str, &str>;

    /// From its texts.
    fn from_fields(fields: &mut Fields) -> Result<Self, InvalidDocument>;

    /// As bytes to be sealed.
    fn to_bytes(&self) -> SecretSlice<u8> {
        // A map of texts: serialising it cannot fail.
        serde_json::to_vec(&self.fields()).unwrap_or_default().into()
    }

    /// As it was opened. A text that is missing, or one too many, makes it another kind of document.
    fn from_bytes(bytes: &SecretSlice<u8>) -> Result<Self, InvalidDocument> {
        let read = serde_json::from_slice(bytes.expose_secret()).map_err(|_| InvalidDocument)?;
        let mut fields = Fields(read);
        let document = Self::from_fields(&mut fields)?;
        if fields.0.is_empty() { Ok(document) } else { Err(InvalidDocument) }
    }
}

/// What the journal keeps of [`Step::SeedStored`](crate::Step::SeedStored).
#[derive(Debug, Clone)]
pub(crate) struct Wallet {
    pub(crate) endpoint: NodeEndpoint,
    pub(crate) seed: Seed,
    pub(crate) password: WalletPassword,
}

impl Document for Wallet {
    fn fields(&self) -> BTreeMap<&'static str, &str> {
        BTreeMap::from([
            ("endpoint", &*self.endpoint.0),
            ("seed", self.seed.words().expose_secret()),
            ("password", self.password.text().expose_secret()),
        ])
    }

    fn from_fields(fields: &mut Fields) -> Result<Self, InvalidDocument> {
        Ok(Self {
            endpoint: NodeEndpoint(fields.public("endpoint")?),
            seed: fields.seed()?,
            password: WalletPassword::from_text(fields.take("password")?),
        })
    }
}

impl Document for Macaroon {
    fn fields(&self) -> BTreeMap<&'static str, &str> {
        BTreeMap::from([("macaroon", self.hex().expose_secret())])
    }

    fn from_fields(fields: &mut Fields) -> Result<Self, InvalidDocument> {
        fields.macaroon("macaroon")
    }
}

impl Document for WebhookSecret {
    fn fields(&self) -> BTreeMap<&'static str, &str> {
        BTreeMap::from([("webhook_secret", self.text().expose_secret())])
    }

    fn from_fields(fields: &mut Fields) -> Result<Self, InvalidDocument> {
        Ok(Self::from_text(fields.take("webhook_secret")?))
    }
}

impl Document for NodeConfig {
    fn fields(&self) -> BTreeMap<&'static str, &str> {
        BTreeMap::from([
            ("endpoint", &*self.endpoint.0),
            ("seed", self.seed.words().expose_secret()),
            ("password", self.password.text().expose_secret()),
            ("admin_macaroon", self.admin.hex().expose_secret()),
            ("macaroon", self.receive.hex().expose_secret()),
        ])
    }

    fn from_fields(fields: &mut Fields) -> Result<Self, InvalidDocument> {
        Ok(Self {
            endpoint: NodeEndpoint(fields.public("endpoint")?),
            seed: fields.seed()?,
            password: WalletPassword::from_text(fields.take("password")?),
            admin: fields.macaroon("admin_macaroon")?,
            receive: fields.macaroon("macaroon")?,
        })
    }
}

impl Document for StoreConfig {
    fn fields(&self) -> BTreeMap<&'static str, &str> {
        BTreeMap::from([
            ("webhook_id", &*self.webhook_id),
            ("webhook_secret", self.webhook_secret.text().expose_secret()),
        ])
    }

    fn from_fields(fields: &mut Fields) -> Result<Self, InvalidDocument> {
        Ok(Self {
            webhook_id: fields.public("webhook_id")?,
            webhook_secret: WebhookSecret::from_text(fields.take("webhook_secret")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet() -> Wallet {
        Wallet {
            endpoint: NodeEndpoint("node.test".to_owned()),
            seed: Seed::parse(&vec!["abandon"; 24].join(" ").into()).unwrap(),
            password: WalletPassword::from_text("pass word".to_owned().into()),
        }
    }

    #[test]
    fn a_document_reads_back() {
        let read = Wallet::from_bytes(&wallet().to_bytes()).unwrap();
        assert_eq!(read.fields(), wallet().fields());
    }

    #[test]
    fn one_kind_is_not_taken_for_another() {
        let macaroon = Macaroon::from_hex(&"0201".to_owned().into()).unwrap();
        assert!(Wallet::from_bytes(&macaroon.to_bytes()).is_err());
        assert!(Macaroon::from_bytes(&wallet().to_bytes()).is_err());
        assert!(NodeConfig::from_bytes(&wallet().to_bytes()).is_err());
        let more = br#"{"macaroon":"0201","more":"x"}"#.to_vec();
        assert!(Macaroon::from_bytes(&more.into()).is_err());
        assert!(Macaroon::from_bytes(&b"never sealed".to_vec().into()).is_err());
    }
}
