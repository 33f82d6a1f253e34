//! What exists.

use guiche_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct World {
    /// The stores that exist, in the order in which they were made.
    pub(super) stores: Vec<Store>,
    /// Those that were deleted, as they were then: what was left in them is not gone at the real server either.
    pub(super) deleted: Vec<Store>,
    /// How many things were ever made: what makes each of them different.
    pub(super) made: u64,
}

impl World {
    /// An id like the server's own: letters and digits.
    pub(super) fn next_id(&mut self, purpose: &str) -> String {
        self.made += 1;
        hex::encode(digest(purpose, &self.made.to_string())).chars().take(44).collect()
    }

    /// Adds a store and returns its id. Names need not differ.
    pub(super) fn create(&mut self, name: &str) -> String {
        let id = self.next_id("store");
        self.stores.push(Store { id: id.clone(), name: name.to_owned(), ..Store::default() });
        id
    }

    /// By its id or its name.
    pub(super) fn find(&mut self, store: &str) -> Option<&mut Store> {
        self.stores.iter_mut().find(|known| known.id == store || known.name == store)
    }

    /// An invoice of any store that exists.
    pub(super) fn invoice(&mut self, id: &str) -> Option<&mut Invoice> {
        self.stores.iter_mut().flat_map(|store| &mut store.invoices).find(|invoice| invoice.id == id)
    }
}

/// A store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Store {
    /// The server's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How its node is found, macaroon included.
    pub connection: Option<Connection>,
    /// Whether the node is in reach, instead of the truth.
    pub reaches: Option<bool>,
    /// How much the node could receive, in satoshis, instead of the truth.
    #[serde(default)]
    pub receivable_sats: Option<u64>,
    /// Who is told of its invoices.
    pub webhooks: Vec<Webhook>,
    /// Its invoices.
    pub invoices: Vec<Invoice>,
}

/// How a node is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The address of LND.
    pub server: String,
    /// In hex.
    pub macaroon: String,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The server's id.
    pub id: String,
    /// Where it leads.
    pub url: String,
    /// What it signs with.
    pub secret: String,
    /// What it tells of; everything when there are none.
    pub events: Vec<String>,
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// The payment hash, as with LND.
    pub id: String,
    /// The invoice.
    pub bolt11: String,
    /// How much, in millisatoshis.
    pub amount_msat: u64,
    /// What the payer gets.
    pub preimage: String,
    /// When it runs out.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: Timestamp,
    /// When it was paid.
    #[serde(with = "time::serde::rfc3339::option")]
    pub paid_at: Option<Timestamp>,
}

pub(super) fn digest(purpose: &str, text: &str) -> [u8; 32] {
    Sha256::digest(format!("guiche btcpay fake\0{purpose}\0{text}")).into()
}

impl Connection {
    /// Reads a connection string as the server does: `type=lnd-rest;server=…;macaroon=<hex>`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut pairs = Vec::new();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or("not key=value")?;
            pairs.push((key.to_ascii_lowercase(), value));
        }
        let get = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
        let known = ["type", "server", "macaroon", "allowinsecure", "certthumbprint"];
        if pairs.iter().any(|(key, _)| !known.contains(&key.as_str())) {
            return Err("unknown key");
        }
        if get("type") != Some("lnd-rest") {
            return Err("type is not lnd-rest");
        }
        let server: url::Url =
            get("server").ok_or("server is missing")?.parse().map_err(|_| "server is no URI")?;
        let insecure = server.scheme() == "http" && get("allowinsecure") == Some("true");
        if server.scheme() != "https" && !insecure {
            return Err("the server is insecure");
        }
        let macaroon = get("macaroon").unwrap_or_default();
        if macaroon.is_empty() || hex::decode(macaroon).is_err() {
            return Err("macaroon is not hex");
        }
        Ok(Self { server: server.to_string(), macaroon: macaroon.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;

    #[test]
    fn a_connection_string_is_read_strictly() {
        let good = "type=lnd-rest;server=https://n.example.org:8080/;macaroon=0201";
        let read = Connection::parse(good).unwrap();
        assert_eq!((read.server.as_str(), read.macaroon.as_str()), ("https://n.example.org:8080/", "0201"));
        assert!(
            Connection::parse("type=lnd-rest;server=http://127.0.0.1/;macaroon=02;allowinsecure=true")
                .is_ok()
        );
        for bad in [
            "",
            "type=clightning;server=https://n/;macaroon=02",
            "type=lnd-rest;macaroon=02",
            "type=lnd-rest;server=n:8080;macaroon=02",
            "type=lnd-rest;server=http://127.0.0.1/;macaroon=02",
            "type=lnd-rest;server=https://n/",
            "type=lnd-rest;server=https://n/;macaroon=AgEDbG5k",
            "type=lnd-rest;server=https://n/;macaroon=02;macaroonfilepath=/etc/passwd",
        ] {
            assert!(Connection::parse(bad).is_err(), "{bad}");
        }
    }
}
