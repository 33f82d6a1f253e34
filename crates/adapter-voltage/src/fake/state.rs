//! What exists.

use guiche_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::made;

/// Everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct World {
    /// The nodes that exist, in the order in which they were made.
    pub(super) nodes: Vec<Node>,
    /// Those that were deleted, as they were then.
    pub(super) deleted: Vec<Node>,
    /// How many things were ever made: what makes each of them different.
    pub(super) made: u64,
}

impl World {
    pub(super) fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// By its id, its name, its endpoint or its alias.
    pub(super) fn find(&mut self, name: &str) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.is(name))
    }

    /// A world of which only that node is left, for whoever looks: of thousands no copy is made.
    pub(super) fn with_only(&self, name: &str) -> Self {
        let nodes = self.nodes.iter().filter(|node| node.is(name)).take(1).cloned().collect();
        Self { nodes, deleted: Vec::new(), made: self.made }
    }

    /// Adds a node and returns its id. The same name may be ordered twice: whoever orders must not rely on being refused.
    pub(super) fn order(
        &mut self,
        name: &str,
        document: Value,
        now: Timestamp,
        ready_at: Timestamp,
    ) -> String {
        let number = self.next();
        let is_taken = self.nodes.iter().any(|node| node.name == name);
        let label = if is_taken { format!("{name}-again-{number}") } else { name.to_owned() };
        let label = label.to_lowercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let node_id = made::node_id(number);
        self.nodes.push(Node {
            node_id: node_id.clone(),
            name: name.to_owned(),
            endpoint: format!("{label}.u.voltageapp.io"),
            document,
            created: now,
            ready_at,
            wallet: None,
            answers: true,
            says: None,
            purse: Purse::default(),
        });
        node_id
    }
}

/// A node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// Voltage's id.
    pub node_id: String,
    /// The name that it was ordered under.
    pub name: String,
    /// The host of its own interface.
    pub endpoint: String,
    /// The order.
    pub document: Value,
    /// When it was ordered.
    #[serde(with = "time::serde::rfc3339")]
    pub created: Timestamp,
    /// When it waits for its wallet.
    #[serde(with = "time::serde::rfc3339")]
    pub ready_at: Timestamp,
    /// Its wallet.
    pub wallet: Option<Wallet>,
    /// Whether its own interface answers.
    pub answers: bool,
    /// What Voltage says of it instead of the truth.
    pub says: Option<String>,
    /// What it holds.
    pub purse: Purse,
}

/// A wallet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wallet {
    /// Its 24 words.
    pub seed: String,
    /// Its password.
    pub password: String,
    /// In hex.
    pub admin: String,
    /// The others.
    pub baked: Vec<Baked>,
    /// From when on the node serves.
    #[serde(with = "time::serde::rfc3339")]
    pub serves_at: Timestamp,
    /// After a restart.
    pub is_locked: bool,
}

/// A macaroon.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Baked {
    /// In hex.
    pub macaroon: String,
    /// What it may: `entity:action`.
    pub permissions: Vec<String>,
}

/// What a node holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Purse {
    /// On chain, in satoshis.
    pub on_chain_sats: u64,
    /// Open channels.
    pub channels: Vec<Channel>,
    /// Channels that are being opened.
    pub opening: u32,
    /// What channels that are being closed will give back, in satoshis.
    pub limbo_sats: u64,
}

/// An open channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// On our side, in satoshis.
    pub local_sats: u64,
    /// On the other side, in satoshis, of which it must keep 1000.
    pub remote_sats: u64,
}

/// What is to change; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Change {
    /// Whether its own interface answers; calls of one that does not are ended.
    pub answers: Option<bool>,
    /// What Voltage says of it instead of the truth; the empty text takes that back.
    pub says: Option<String>,
    /// Whether its wallet is locked, as after a restart.
    pub locked: Option<bool>,
    /// What it holds.
    pub purse: Option<Purse>,
}

impl Node {
    /// Whether that is its id, its name, its endpoint or its alias.
    fn is(&self, name: &str) -> bool {
        let alias = || self.document.pointer("/settings/alias").and_then(Value::as_str);
        [&*self.node_id, &self.name, &self.endpoint].contains(&name) || alias() == Some(name)
    }

    pub(super) fn apply(&mut self, change: Change) {
        let Change { answers, says, locked, purse } = change;
        self.answers = answers.unwrap_or(self.answers);
        if let Some(says) = says {
            self.says = Some(says).filter(|says| !says.is_empty());
        }
        if let (Some(locked), Some(wallet)) = (locked, &mut self.wallet) {
            wallet.is_locked = locked;
        }
        if let Some(purse) = purse {
            self.purse = purse;
        }
    }

    /// Voltage's word for how it stands.
    pub(super) fn status(&self, now: Timestamp) -> &str {
        match (&self.says, &self.wallet) {
            (Some(says), _) => says,
            (None, None) if now < self.ready_at => "provisioning",
            (None, None) => "waiting_init",
            (None, Some(wallet)) if wallet.is_locked => "waiting_unlock",
            (None, Some(wallet)) if now < wallet.serves_at => "starting",
            (None, Some(_)) => "running",
        }
    }
}
