//! The fake as a process of its own: steered over HTTP, and killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use guiche_adapter_btcpay::BtcPay;
use guiche_adapter_btcpay::fake::DEFAULT_KEY;
use guiche_lightning_setup::{NewAddressInvoice, ReceiveGateway as _, StoreHost as _};
use guiche_outbound::fake::local_client;
use serde_json::{Value, json};

use crate::support::{client, name, node};

struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_btcpay-fake"));
        let mut child = command.arg("--data").arg(data).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: line["url"].as_str().unwrap().to_owned() }
    }

    fn btcpay(&self) -> Arc<BtcPay> {
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

#[tokio::test]
async fn what_exists_outlives_its_kill_and_is_steered_from_outside() {
    let place = tempfile::tempdir().unwrap();
    let (store, invoice, preimage) = {
        let process = Process::start(place.path());
        let btcpay = process.btcpay();
        let store = btcpay.create_store(&name(1)).await.unwrap();
        btcpay.connect_node(&store, &node(1).0, &node(1).1).await.unwrap();
        let new = NewAddressInvoice { amount_msat: 1_000, metadata: "[]".to_owned(), expiry_secs: 600 };
        let invoice = btcpay.issue(&store, &new).await.unwrap().id;
        let paid =
            process.control("pay", json!({ "invoice": invoice, "paid_at": "2026-01-01T11:00:00Z" })).await;
        (store, invoice, paid["preimage"].as_str().unwrap().to_owned())
    };
    let process = Process::start(place.path());
    let btcpay = process.btcpay();
    assert_eq!(btcpay.find_stores(&name(1)).await.unwrap(), std::slice::from_ref(&store));
    assert_eq!(btcpay.reaches_node(&store).await, Ok(true));
    let found = btcpay.invoice(&store, &invoice).await.unwrap().unwrap();
    assert_eq!(found.paid_at.unwrap(), time::macros::datetime!(2026-01-01 11:00 UTC));
    assert_eq!(found.preimage, Some(preimage));

    process.control("store", json!({ "store": store, "reaches": false })).await;
    assert_eq!(btcpay.reaches_node(&store).await, Ok(false));
    for (path, body, part) in [
        ("faults", json!({ "on": "make_coffee", "fault": { "kind": "hang_up" } }), "make_coffee"),
        ("pay", json!({ "invoice": "00" }), "no such invoice"),
        ("deliver", json!({ "invoice": "00", "type": "InvoiceSettled" }), "no such invoice"),
        ("coffee", json!({}), "no such control"),
    ] {
        let refused = process.control(path, body).await;
        assert!(refused["error"].as_str().unwrap().contains(part), "{refused}");
    }
    let url = format!("{}/_fake/state", process.url);
    let state: Value = local_client().unwrap().get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(state["ledger"]["stores"].as_array().unwrap().len(), 1);
}
