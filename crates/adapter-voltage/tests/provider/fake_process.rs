//! The fake as a process of its own: steered over HTTP, and killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use guiche_adapter_voltage::Voltage;
use guiche_adapter_voltage::fake::DEFAULT_KEY;
use guiche_lightning_setup::testing::contract;
use guiche_lightning_setup::{Holdings, NodeHost as _, NodeState, NodeWallet as _};
use guiche_outbound::fake::local_client;
use serde_json::{Value, json};

use crate::support::{client, name, password};

struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_voltage-fake"));
        let mut child = command.arg("--data").arg(data).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: line["url"].as_str().unwrap().to_owned() }
    }

    fn voltage(&self) -> Arc<Voltage> {
        client(&self.url, &[DEFAULT_KEY], Arc::default(), |_| {})
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        let call = local_client().unwrap().post(format!("{}/_fake/{path}", self.url));
        call.json(&body).send().await.unwrap().json().await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn endpoint(voltage: &Voltage, id: &str) -> guiche_lightning_setup::NodeEndpoint {
    let state = voltage.node(id).await.unwrap();
    let (NodeState::WaitingForWallet(endpoint) | NodeState::Running(endpoint)) = state else {
        panic!("{state:?}")
    };
    endpoint
}

#[tokio::test]
async fn what_exists_outlives_its_kill() {
    let place = tempfile::tempdir().unwrap();
    let (id, admin) = {
        let process = Process::start(place.path());
        let voltage = process.voltage();
        let id = voltage.create_node(&name(1), &contract::alias()).await.unwrap();
        let endpoint = endpoint(&voltage, &id).await;
        let seed = voltage.generate_seed(&endpoint).await.unwrap();
        let admin = voltage.init_wallet(&endpoint, &seed, &password()).await.unwrap();
        let funds = json!({ "node": id, "purse": { "on_chain_sats": 21_000 } });
        assert_eq!(process.control("node", funds).await, json!({}));
        (id, admin)
    };
    let process = Process::start(place.path());
    let voltage = process.voltage();
    assert_eq!(voltage.find_nodes(&name(1)).await.unwrap(), std::slice::from_ref(&id));
    let endpoint = endpoint(&voltage, &id).await;
    let held = Holdings { balance_sats: 21_000, ..Holdings::default() };
    assert_eq!(voltage.holdings(&endpoint, &admin).await, Ok(held));
}

#[tokio::test]
async fn it_is_steered_from_outside() {
    let place = tempfile::tempdir().unwrap();
    let process = Process::start(place.path());
    let voltage = process.voltage();
    let rule = json!({ "on": "create_node", "skip": 1, "fault": { "kind": "lose_answer" } });
    assert_eq!(process.control("faults", rule).await, json!({}));
    voltage.create_node(&name(1), &contract::alias()).await.unwrap();
    voltage.create_node(&name(2), &contract::alias()).await.unwrap_err();
    voltage.create_node(&name(3), &contract::alias()).await.unwrap();

    let url = format!("{}/_fake/state", process.url);
    let state: Value = local_client().unwrap().get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(state["calls"]["create_node"], 3);
    assert_eq!(state["ledger"]["nodes"].as_array().unwrap().len(), 3);
    for (path, body, part) in [
        ("faults", json!({ "on": "make_coffee", "fault": { "kind": "hang_up" } }), "make_coffee"),
        ("faults", json!({ "on": "node", "fault": { "kind": "moon" } }), "moon"),
        ("node", json!({ "node": "nobody" }), "no such node"),
        ("coffee", json!({}), "no such control"),
    ] {
        let refused = process.control(path, body).await;
        assert!(refused["error"].as_str().unwrap().contains(part), "{refused}");
    }
}
