//! Voltage's part.

use guiche_kernel::Timestamp;
use guiche_outbound::fake::{Asked, Reply};
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{Node, VoltagePlay};

#[derive(Deserialize)]
struct Which {
    node_id: String,
}

/// Voltage's only way of saying no.
fn no(message: &str) -> Reply {
    Reply::document(400, &json!({ "message": message }))
}

impl VoltagePlay {
    pub(super) fn play_host(&self, operation: &'static str, asked: &Asked) -> Reply {
        match operation {
            "create_node" => self.create(asked),
            "list_nodes" => self.list(),
            "node" => self.one(asked),
            _ => self.delete(asked),
        }
    }

    fn create(&self, asked: &Asked) -> Reply {
        let Some(order) = asked.json::<Value>() else { return no("bad request body") };
        if let Some(wrong) = wrong_in(&order) {
            return no(&format!("VALIDATION ERROR: {wrong}"));
        }
        let text = |field: &str| order.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let now = self.clock.now();
        let (name, ready_at) = (text("name"), now + self.slowness);
        let made = self.world.change(|world| world.order(&name, order.clone(), now, ready_at));
        let Ok(node_id) = made else { return Reply::text(500, "the ledger cannot be written") };
        // Neither its status nor its address is said here.
        Reply::ok(&json!({
            "node_id": node_id,
            "owner_id": "9e94432b-963b-41da-96a6-8731a80c811eU",
            "network": text("network"),
            "created": moment(now),
            "purchased_type": text("purchased_type"),
            "type": text("type"),
            "user_ip": "127.0.0.1",
        }))
    }

    fn list(&self) -> Reply {
        let now = self.clock.now();
        let nodes: Vec<_> = self.nodes().iter().map(|node| summary(node, now)).collect();
        Reply::ok(&json!({ "nodes": nodes }))
    }

    fn one(&self, asked: &Asked) -> Reply {
        let Some(Which { node_id }) = asked.json() else { return no("bad request body") };
        let known = |node: &&Node| node.node_id == node_id;
        let Some(node) = self.world.read(|world| world.nodes.iter().find(known).cloned()) else {
            return no("node_id is invalid");
        };
        let mut document = summary(&node, self.clock.now());
        if let Some(fields) = document.as_object_mut() {
            fields.insert("command_history".into(), json!([]));
            fields.insert("macaroons".into(), json!([]));
            fields.insert("settings".into(), node.document.get("settings").cloned().unwrap_or(json!({})));
        }
        Reply::ok(&document)
    }

    fn delete(&self, asked: &Asked) -> Reply {
        let Some(Which { node_id }) = asked.json() else { return no("bad request body") };
        let deleted = self.world.change(|world| {
            let place = world.nodes.iter().position(|node| node.node_id == node_id)?;
            let node = world.nodes.remove(place);
            world.deleted.push(node.clone());
            Some(node)
        });
        match deleted {
            Err(_) => Reply::text(500, "the ledger cannot be written"),
            Ok(None) => no("node_id is not valid"),
            Ok(Some(mut node)) => {
                node.says = Some("deleted".to_owned());
                Reply::ok(&summary(&node, self.clock.now()))
            }
        }
    }
}

/// The first thing in an order that Voltage would not take.
fn wrong_in(order: &Value) -> Option<&'static str> {
    let one_of = |field: &str, words: &[&str]| {
        order.get(field).and_then(Value::as_str).is_some_and(|word| words.contains(&word))
    };
    let setting = |field: &str| order.pointer(&format!("/settings/{field}"));
    let name = order.get("name").and_then(Value::as_str).unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let alias = setting("alias").and_then(Value::as_str).unwrap_or_default();
    [
        ("network", one_of("network", &["mainnet", "testnet", "mutinynet"])),
        ("type", one_of("type", &["standard", "lite"])),
        ("purchased_type", one_of("purchased_type", &["trial", "paid", "ondemand"])),
        ("name", (1..=63).contains(&name.len()) && name.bytes().all(fits)),
        ("alias", (1..=32).contains(&alias.len())),
        ("color", setting("color").is_some_and(Value::is_string)),
        ("whitelist", setting("whitelist").is_some_and(Value::is_array)),
        (
            "settings",
            ["autopilot", "grpc", "rest", "keysend"]
                .iter()
                .all(|field| setting(field).is_some_and(Value::is_boolean)),
        ),
    ]
    .into_iter()
    .find_map(|(field, fine)| (!fine).then_some(field))
}

fn summary(node: &Node, now: Timestamp) -> Value {
    let ordered = |field: &str| node.document.get(field).cloned().unwrap_or(json!(""));
    json!({
        "node_id": node.node_id,
        "node_name": node.name,
        "status": node.status(now),
        "type": ordered("type"),
        "network": ordered("network"),
        "api_endpoint": node.endpoint,
        "created": moment(node.created),
        "expires": "never",
        "purchased_type": ordered("purchased_type"),
        "purchase_status": "active",
        "lnd_version": "0.18.5-beta",
        "volt_version": "v0.3.12",
        "update_available": false,
    })
}

fn moment(moment: Timestamp) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}
