//! A server that plays Voltage, and every node that it makes: LND's interface is below `/lnd/<endpoint>` of the same
//! server. What exists lies in a file and outlives its own kill. Faults, counting and control are those of
//! [`guiche_outbound::fake`]; its own controls:
//!
//! | Call | |
//! |---|---|
//! | `POST /_fake/node` | `{"node": id, name, endpoint or alias, …}` with what is to change: a [`Change`] |
//! | `POST /_fake/keys` | `{"keys": […]}`: it takes these keys from now on and no others |
//! | `POST /_fake/order` | what [`VoltagePlay::order`] does: a node of somebody else's, `{"name": …}` |

mod host;
mod lnd;
mod made;
mod state;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use guiche_kernel::Clock;
use guiche_outbound::fake::{Asked, FakeServer, HangUp, Ledger, Play, Reply};
use serde::Deserialize;
use serde_json::{Value, json};

pub use state::{Baked, Change, Channel, Node, Purse, Wallet};

use state::World;

/// A running fake.
pub type FakeVoltage = FakeServer<VoltagePlay>;

/// The key that is taken when none was given.
pub const DEFAULT_KEY: &str = "voltage-fake-key";

/// How the fake starts.
#[derive(Debug, Default)]
pub struct FakeSettings {
    /// Where it listens; a free port of 127.0.0.1 when absent.
    pub listen: Option<SocketAddr>,
    /// The keys that it takes; [`DEFAULT_KEY`] when there are none.
    pub keys: Vec<String>,
    /// The directory of its ledger; in memory when absent.
    pub data: Option<PathBuf>,
    /// For how long a node is prepared, and for how long it starts once it has its wallet.
    pub slowness: Duration,
}

/// Starts it on the given clock, with what its ledger knows.
///
/// # Errors
/// When the address cannot be had or is not a loopback one, or the ledger cannot be used.
pub async fn start(settings: FakeSettings, clock: Arc<dyn Clock>) -> io::Result<FakeVoltage> {
    let FakeSettings { listen, mut keys, data, slowness } = settings;
    if keys.is_empty() {
        keys.push(DEFAULT_KEY.to_owned());
    }
    let world = Ledger::open(data.as_deref(), "voltage")?;
    FakeServer::start(listen, VoltagePlay { keys: Mutex::new(keys), clock, slowness, world }).await
}

/// Where the nodes of a fake at that address are, for [`VoltageSettings`](crate::VoltageSettings).
#[must_use]
pub fn node_url(fake: &str) -> String {
    format!("{fake}/lnd/{{host}}")
}

/// Voltage and its nodes.
pub struct VoltagePlay {
    keys: Mutex<Vec<String>>,
    clock: Arc<dyn Clock>,
    slowness: Duration,
    world: Ledger<World>,
}

impl VoltagePlay {
    /// From now on it takes these keys and no others.
    pub fn take_keys(&self, keys: &[&str]) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Every node that exists.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.world.read(|world| world.nodes.clone())
    }

    /// Changes a node: by its id, its name, its endpoint or its alias.
    ///
    /// # Errors
    /// When there is none such, or the ledger cannot be written.
    pub fn change(&self, node: &str, change: Change) -> io::Result<()> {
        let changed = self.world.change(|world| world.find(node).map(|node| node.apply(change)))?;
        changed.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such node"))
    }

    /// Orders a node as somebody else would who shares the account; returns its id.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn order(&self, name: &str) -> io::Result<String> {
        let now = self.clock.now();
        self.world.change(|world| world.order(name, json!({}), now, now + self.slowness))
    }

    fn takes(&self, key: &str) -> bool {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|known| known == key)
    }
}

#[async_trait]
impl Play for VoltagePlay {
    const OPERATIONS: &'static [&'static str] = &[
        "create_node",
        "list_nodes",
        "node",
        "delete_node",
        "genseed",
        "initwallet",
        "unlockwallet",
        "state",
        "macaroon",
        "getinfo",
        "balance_blockchain",
        "balance_channels",
        "channels",
        "channels_pending",
    ];

    fn operation(&self, asked: &Asked) -> Option<&'static str> {
        match (asked.method(), asked.segments().as_slice()) {
            ("GET", ["node"]) => Some("list_nodes"),
            ("POST", ["node"]) => Some("node"),
            ("POST", ["node", "create"]) => Some("create_node"),
            ("POST", ["node", "delete"]) => Some("delete_node"),
            (method, ["lnd", _, "v1", path @ ..]) => lnd::operation(method, path),
            _ => None,
        }
    }

    fn admit(&self, _: &'static str, asked: &Asked) -> Result<(), Reply> {
        // A node has its own gate: macaroons.
        let is_node = asked.segments().first() == Some(&"lnd");
        if is_node || asked.header("x-voltage-auth").is_some_and(|key| self.takes(key)) {
            return Ok(());
        }
        Err(Reply::document(401, &json!({ "message": "Unauthorized" })))
    }

    async fn perform(&self, operation: &'static str, asked: &Asked) -> Result<Reply, HangUp> {
        match asked.segments().as_slice() {
            ["lnd", endpoint, ..] => self.play_node(operation, endpoint, asked),
            _ => Ok(self.play_host(operation, asked)),
        }
    }

    fn trouble(&self, _: &'static str, asked: &Asked, status: u16, code: Option<&str>) -> Reply {
        // Each of them repeats what opens the account or the node.
        let secret =
            asked.header("x-voltage-auth").or_else(|| asked.header(lnd::MACAROON)).unwrap_or_default();
        let message = format!("VALIDATION ERROR: {secret}");
        match (code, asked.segments().first()) {
            (None, _) => Reply::text(status, format!("<html>not ours: {secret}</html>")),
            (Some(_), Some(&"lnd")) => lnd::no(status, &message),
            (Some(code), _) => Reply::document(status, &json!({ "code": code, "message": message })),
        }
    }

    async fn control(&self, method: &str, path: &str, body: &Value) -> Option<io::Result<Value>> {
        #[derive(Deserialize)]
        struct Of {
            node: String,
            #[serde(flatten)]
            change: Change,
        }
        #[derive(Deserialize)]
        struct Order {
            name: String,
        }
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<String>,
        }
        let body = body.clone();
        let invalid = io::Error::from;
        Some(match (method, path) {
            ("POST", "node") => serde_json::from_value(body)
                .map_err(invalid)
                .and_then(|Of { node, change }| self.change(&node, change).map(|()| json!({}))),
            ("POST", "order") => serde_json::from_value(body)
                .map_err(invalid)
                .and_then(|Order { name }| self.order(&name).map(|id| json!({ "node_id": id }))),
            ("POST", "keys") => serde_json::from_value(body).map_err(invalid).map(|Keys { keys }| {
                self.take_keys(&keys.iter().map(String::as_str).collect::<Vec<_>>());
                json!({})
            }),
            _ => return None,
        })
    }

    fn ledger(&self) -> Value {
        self.world.read(|world| json!(world))
    }
}
