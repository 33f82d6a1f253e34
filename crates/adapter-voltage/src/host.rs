//! Voltage's own interface: the flat routes of its Cloud API.

use async_trait::async_trait;
use guiche_lightning_setup::{
    HostError, LightningAddress, Listed, NodeEndpoint, NodeHost, NodeState, Provider, ResourceName,
};
use guiche_outbound::{Answer, Call};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Voltage;
use crate::failed::{failed, in_time};

/// A list names every node of the account; so many bytes are some ten thousand of them.
const LONGEST_LIST: usize = 8 * 1024 * 1024;
/// What other nodes see has at most so many bytes (BOLT 7).
const LONGEST_ALIAS: usize = 32;
const COLOR: &str = "#EF820D";

/// Voltage's errors have no machine code today; should they get one, it is kept.
pub(crate) fn error_code(document: &Value) -> Option<&str> {
    document.get("code")?.as_str()
}

#[derive(Deserialize)]
struct Created {
    node_id: String,
}

#[derive(Deserialize)]
struct Node {
    status: String,
    #[serde(default)]
    api_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Nodes {
    nodes: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    node_id: String,
    node_name: String,
    #[serde(default)]
    status: String,
}

impl Voltage {
    async fn host(&self, call: Call<'_>) -> Result<Answer, HostError> {
        self.client.send(&call).await.map_err(|error| failed(Provider::NodeHost, &error))
    }

    /// Every node that still exists.
    async fn rows(&self, operation: &'static str) -> Result<Vec<Row>, HostError> {
        let answer = self.host(Call::get(operation, &["node"]).up_to(LONGEST_LIST)).await?;
        let Nodes { mut nodes } = answer.json().map_err(|error| failed(Provider::NodeHost, &error))?;
        // A row that names nothing could be the one that is looked for.
        if !nodes.iter().all(|row| is_id(&row.node_id)) {
            return Err(garbled(&answer));
        }
        nodes.retain(|row| row.status != "deleted");
        Ok(nodes)
    }

    /// What a refusal of a call for one node means. There is no word of Voltage's for "unknown": it says 400 to whatever it
    /// does not like. The list knows.
    async fn gone(&self, operation: &'static str, id: &str, refusal: HostError) -> Result<(), HostError> {
        if !matches!(refusal.fault.status, Some(400 | 404)) {
            return Err(refusal);
        }
        let is_there = self.rows(operation).await?.iter().any(|row| row.node_id == id);
        if is_there { Err(refusal) } else { Ok(()) }
    }

    async fn ask(&self, id: &str) -> Result<NodeState, HostError> {
        let call = Call::post("node", &["node"]).json(json!({ "node_id": id })).repeatable();
        let answer = match self.host(call).await {
            Ok(answer) => answer,
            Err(refusal) => return self.gone("node", id, refusal).await.map(|()| NodeState::Gone),
        };
        let node = answer.json().map_err(|error| failed(Provider::NodeHost, &error))?;
        self.understand(node).ok_or_else(|| garbled(&answer))
    }

    /// `None` for an endpoint that is no host name: such a node must not be called.
    fn understand(&self, node: Node) -> Option<NodeState> {
        let known: fn(NodeEndpoint) -> NodeState = match node.status.as_str() {
            "stopped" => return Some(NodeState::Stopped),
            "deleted" => return Some(NodeState::Gone),
            "waiting_init" => NodeState::WaitingForWallet,
            "waiting_unlock" => NodeState::Locked,
            "running" => NodeState::Running,
            _ => return Some(NodeState::Preparing),
        };
        // An endpoint that is not known yet will be.
        let Some(endpoint) = node.api_endpoint.filter(|endpoint| !endpoint.is_empty()) else {
            return Some(NodeState::Preparing);
        };
        self.node_url.fill(&endpoint)?;
        Some(known(NodeEndpoint(endpoint)))
    }
}

#[async_trait]
impl NodeHost for Voltage {
    async fn create_node(&self, name: &ResourceName, alias: &LightningAddress) -> Result<String, HostError> {
        let order = &self.order;
        let mut alias = alias.to_string();
        // A Lightning address is ASCII.
        alias.truncate(LONGEST_ALIAS);
        let call = Call::post("create_node", &["node", "create"]).json(json!({
            "network": order.network.as_str(),
            "type": order.node_type.as_str(),
            "purchased_type": order.purchase.as_str(),
            "name": name.as_str(),
            "settings": {
                "alias": alias,
                "autopilot": false,
                "color": COLOR,
                "grpc": true,
                "rest": true,
                "keysend": true,
                "whitelist": order.whitelist,
            },
        }));
        let answer = self.host(call).await?;
        let Created { node_id } = answer.json().map_err(|error| failed(Provider::NodeHost, &error))?;
        if is_id(&node_id) { Ok(node_id) } else { Err(garbled(&answer)) }
    }

    async fn find_nodes(&self, name: &ResourceName) -> Result<Vec<String>, HostError> {
        let rows = self.rows("find_nodes").await?.into_iter();
        Ok(rows.filter(|row| row.node_name == name.as_str()).map(|row| row.node_id).collect())
    }

    async fn list_nodes(&self) -> Result<Vec<Listed>, HostError> {
        let rows = self.rows("list_nodes").await?.into_iter();
        Ok(rows.map(|row| Listed { id: row.node_id, name: row.node_name }).collect())
    }

    async fn node(&self, id: &str) -> Result<NodeState, HostError> {
        in_time(Provider::NodeHost, "node", self.ask(id)).await
    }

    async fn delete_node(&self, id: &str) -> Result<(), HostError> {
        let delete = async {
            let call = Call::post("delete_node", &["node", "delete"]);
            match self.host(call.json(json!({ "node_id": id })).repeatable()).await {
                Ok(_) => Ok(()),
                Err(refusal) => self.gone("delete_node", id, refusal).await,
            }
        };
        in_time(Provider::NodeHost, "delete_node", delete).await
    }
}

/// An id that can be kept and asked for again.
fn is_id(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(fine)
}

fn garbled(answer: &Answer) -> HostError {
    failed(Provider::NodeHost, &answer.unreadable())
}
