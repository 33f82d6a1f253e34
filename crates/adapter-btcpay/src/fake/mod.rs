//! A server that plays BTCPay Server 2.x: stores, connections, webhooks, and invoices that are real, signed BOLT11 on
//! regtest. What exists lies in a file and outlives its own kill. Faults, counting and control are those of
//! [`guiche_outbound::fake`]; its own controls:
//!
//! | Call | |
//! |---|---|
//! | `POST /_fake/pay` | `{"invoice": id, "paid_at": RFC 3339; the present moment when absent}` → `{"preimage"}` |
//! | `POST /_fake/deliver` | a [`Delivering`] → `[{"webhook", "delivery_id", "status"}]` |
//! | `POST /_fake/store` | `{"store": id or name, "reaches": false}`: its node is out of reach; `null` takes that back |
//! | `POST /_fake/receivable` | `{"store": id or name, "sats": 50000}`: so much could it receive; `null` takes that back |
//! | `POST /_fake/create` | `{"name": …}`: a store that somebody else makes who shares the account |
//! | `POST /_fake/keys` | `{"keys": […], "permissions": […]}`: it takes these keys and no others, and they may that |
//!
//! Whether a store reaches its node, and how much that could receive, it finds out as the real one does, by asking with the
//! macaroon of the connection, where the connection leads to this machine; any other node is believed to be there, and does
//! not say.

mod bolt11;
mod deliver;
mod lightning;
mod routes;
mod state;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use guiche_kernel::{Clock, Timestamp};
use guiche_outbound::fake::{Asked, FakeServer, HangUp, Ledger, Play, Reply, local_client};
use serde::Deserialize;
use serde_json::{Value, json};

pub use deliver::{Delivered, Delivering};
pub use state::{Invoice, Store, Webhook};

use state::World;

/// A running fake.
pub type FakeBtcPay = FakeServer<BtcPayPlay>;

/// The key that is taken when none was given.
pub const DEFAULT_KEY: &str = "btcpay-fake-key";

/// How the fake starts.
#[derive(Debug, Default)]
pub struct FakeSettings {
    /// Where it listens; a free port of 127.0.0.1 when absent.
    pub listen: Option<SocketAddr>,
    /// The keys that it takes; [`DEFAULT_KEY`] when there are none.
    pub keys: Vec<String>,
    /// The directory of its ledger; in memory when absent.
    pub data: Option<PathBuf>,
}

/// Starts it on the given clock, with what its ledger knows.
///
/// # Errors
/// When the address cannot be had or is not a loopback one, or the ledger cannot be used.
pub async fn start(settings: FakeSettings, clock: Arc<dyn Clock>) -> io::Result<FakeBtcPay> {
    let FakeSettings { listen, mut keys, data } = settings;
    if keys.is_empty() {
        keys.push(DEFAULT_KEY.to_owned());
    }
    let gate = Mutex::new(Gate { keys, permissions: vec![MODIFY_STORES.to_owned()] });
    let (world, http) = (Ledger::open(data.as_deref(), "btcpay")?, local_client()?);
    FakeServer::start(listen, BtcPayPlay { gate, clock, world, http }).await
}

const MODIFY_STORES: &str = "btcpay.store.canmodifystoresettings";

/// The server.
pub struct BtcPayPlay {
    gate: Mutex<Gate>,
    clock: Arc<dyn Clock>,
    world: Ledger<World>,
    http: reqwest::Client,
}

struct Gate {
    keys: Vec<String>,
    permissions: Vec<String>,
}

impl BtcPayPlay {
    /// From now on it takes these keys and no others, and they may that.
    pub fn take_keys(&self, keys: &[&str], permissions: &[&str]) {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        *self.gate() = Gate { keys: owned(keys), permissions: owned(permissions) };
    }

    /// Every store that exists.
    #[must_use]
    pub fn stores(&self) -> Vec<Store> {
        self.world.read(|world| world.stores.clone())
    }

    /// The stores that were deleted, with whatever was still in them then.
    #[must_use]
    pub fn deleted(&self) -> Vec<Store> {
        self.world.read(|world| world.deleted.clone())
    }

    /// Makes a store as somebody else would who shares the account; returns its id.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn create(&self, name: &str) -> io::Result<String> {
        self.world.change(|world| world.create(name))
    }

    /// Says whether a store (by its id or name) reaches its node; `None`: what is true.
    ///
    /// # Errors
    /// When there is none such, or the ledger cannot be written.
    pub fn let_reach(&self, store: &str, reaches: Option<bool>) -> io::Result<()> {
        let found = self.world.change(|world| world.find(store).map(|store| store.reaches = reaches))?;
        found.ok_or_else(|| not_found("no such store"))
    }

    /// Says how much a store's node (by the store's id or name) could receive, in satoshis; `None`: what is true.
    ///
    /// # Errors
    /// When there is none such, or the ledger cannot be written.
    pub fn let_receive(&self, store: &str, sats: Option<u64>) -> io::Result<()> {
        let found = self.world.change(|world| world.find(store).map(|store| store.receivable_sats = sats))?;
        found.ok_or_else(|| not_found("no such store"))
    }

    /// Plays the payer: the invoice is paid from now on, at the given moment or now. Returns the preimage.
    ///
    /// # Errors
    /// When it is unknown, or the ledger cannot be written.
    pub fn pay(&self, invoice: &str, paid_at: Option<Timestamp>) -> io::Result<String> {
        let paid_at = paid_at.unwrap_or_else(|| self.clock.now());
        let paid = self.world.change(|world| {
            let invoice = world.invoice(invoice)?;
            invoice.paid_at.get_or_insert(paid_at);
            Some(invoice.preimage.clone())
        })?;
        paid.ok_or_else(|| not_found("no such invoice"))
    }

    fn store(&self, id: &str) -> Option<Store> {
        self.world.read(|world| world.stores.iter().find(|store| store.id == id).cloned())
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, text)
}

#[async_trait]
impl Play for BtcPayPlay {
    const OPERATIONS: &'static [&'static str] = &[
        "current_key",
        "create_store",
        "list_stores",
        "store",
        "delete_store",
        "connect_node",
        "disconnect_node",
        "info",
        "balance",
        "register_webhook",
        "list_webhooks",
        "delete_webhook",
        "issue",
        "invoice",
    ];

    fn operation(&self, asked: &Asked) -> Option<&'static str> {
        let segments = asked.segments();
        let ["api", "v1", path @ ..] = segments.as_slice() else { return None };
        match (asked.method(), path) {
            ("GET", ["api-keys", "current"]) => Some("current_key"),
            ("POST", ["stores"]) => Some("create_store"),
            ("GET", ["stores"]) => Some("list_stores"),
            ("GET", ["stores", _]) => Some("store"),
            ("DELETE", ["stores", _]) => Some("delete_store"),
            ("PUT", ["stores", _, "payment-methods", "BTC-LN"]) => Some("connect_node"),
            ("DELETE", ["stores", _, "payment-methods", "BTC-LN"]) => Some("disconnect_node"),
            ("GET", ["stores", _, "lightning", "BTC", "info"]) => Some("info"),
            ("GET", ["stores", _, "lightning", "BTC", "balance"]) => Some("balance"),
            ("POST", ["stores", _, "webhooks"]) => Some("register_webhook"),
            ("GET", ["stores", _, "webhooks"]) => Some("list_webhooks"),
            ("DELETE", ["stores", _, "webhooks", _]) => Some("delete_webhook"),
            ("POST", ["stores", _, "lightning", "BTC", "invoices"]) => Some("issue"),
            ("GET", ["stores", _, "lightning", "BTC", "invoices", _]) => Some("invoice"),
            _ => None,
        }
    }

    fn admit(&self, operation: &'static str, asked: &Asked) -> Result<(), Reply> {
        let gate = self.gate();
        let shown = asked.header("authorization").and_then(|value| value.strip_prefix("token "));
        if !shown.is_some_and(|shown| gate.keys.iter().any(|key| key == shown)) {
            return Err(routes::no(401, "unauthenticated", "Authentication is required"));
        }
        let may =
            ["unrestricted", MODIFY_STORES].iter().any(|word| gate.permissions.iter().any(|may| may == word));
        if may || operation == "current_key" { Ok(()) } else { Err(routes::missing_permission()) }
    }

    async fn perform(&self, operation: &'static str, asked: &Asked) -> Result<Reply, HangUp> {
        Ok(match operation {
            "info" => self.play_info(asked).await,
            "balance" => self.play_balance(asked).await,
            "issue" => self.play_issue(asked).await,
            "invoice" => self.play_invoice(asked),
            _ => self.play_stores(operation, asked),
        })
    }

    fn trouble(&self, _: &'static str, asked: &Asked, status: u16, code: Option<&str>) -> Reply {
        // It repeats what opens the account, and what was sent.
        let secret = asked.header("authorization").unwrap_or_default();
        let sent = asked.json::<Value>().unwrap_or_default();
        match code {
            Some(code) => routes::no(status, code, &format!("refused: {secret} {sent}")),
            None => Reply::text(status, format!("<html>not ours: {secret} {sent}</html>")),
        }
    }

    async fn control(&self, method: &str, path: &str, body: &Value) -> Option<io::Result<Value>> {
        if method != "POST" {
            return None;
        }
        Some(match path {
            "pay" => read(body).and_then(|Pay { invoice, paid_at }| {
                self.pay(&invoice, paid_at).map(|preimage| json!({ "preimage": preimage }))
            }),
            "deliver" => match read::<Delivering>(body) {
                Ok(delivering) => self.deliver(&delivering).await.map(|delivered| json!(delivered)),
                Err(error) => Err(error),
            },
            "store" => read(body)
                .and_then(|Reach { store, reaches }| self.let_reach(&store, reaches).map(|()| json!({}))),
            "receivable" => read(body)
                .and_then(|Receivable { store, sats }| self.let_receive(&store, sats).map(|()| json!({}))),
            "create" => {
                read(body).and_then(|Create { name }| self.create(&name).map(|id| json!({ "id": id })))
            }
            "keys" => read(body).map(|Keys { keys, permissions }| {
                *self.gate() = Gate { keys, permissions };
                json!({})
            }),
            _ => return None,
        })
    }

    fn ledger(&self) -> Value {
        self.world.read(|world| json!(world))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    invoice: String,
    #[serde(default, with = "time::serde::rfc3339::option")]
    paid_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reach {
    store: String,
    reaches: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receivable {
    store: String,
    sats: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    keys: Vec<String>,
    permissions: Vec<String>,
}

fn read<T: for<'de> Deserialize<'de>>(body: &Value) -> io::Result<T> {
    Ok(T::deserialize(body)?)
}
