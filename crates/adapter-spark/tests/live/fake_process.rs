//! The fake as a process of its own: steered over HTTP, and killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use guiche_adapter_spark::SparkLive;
use guiche_adapter_spark::fake::DEFAULT_KEY;
use guiche_kernel::testing::ManualClock;
use guiche_tickets::{InvoiceGateway as _, IssuedInvoice, NewInvoice, ProviderStatus};
use serde_json::{Value, json};

use crate::support::{outside, settings, told};

struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(ledger: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spark-fake"));
        let mut child = command.arg("--ledger").arg(ledger).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: line["url"].as_str().unwrap().to_owned() }
    }

    fn live(&self) -> Arc<SparkLive> {
        SparkLive::try_new(settings(&self.url, &[DEFAULT_KEY]), outside(Arc::default())).unwrap()
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        let client = reqwest::Client::builder().tls_backend_preconfigured(no_tls()).build().unwrap();
        client
            .post(format!("{}/_fake/{path}", self.url))
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }
}

/// This client only speaks to loopback; without a provider of cryptography in the process it must be told so.
fn no_tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request() -> NewInvoice {
    let clock = ManualClock::default();
    NewInvoice {
        key: uuid::Uuid::from_u128(1),
        amount: guiche_kernel::Sats::try_new(7).unwrap(),
        description: "Guichê".to_owned(),
        requested_at: guiche_kernel::Clock::now(&clock),
        lifetime: std::time::Duration::from_secs(900),
    }
}

async fn issue(process: &Process) -> IssuedInvoice {
    process.live().issue(request()).await.unwrap()
}

#[tokio::test]
async fn what_it_issued_and_what_was_paid_outlive_its_own_kill() {
    let place = tempfile::tempdir().unwrap();
    let ledger = place.path().join("ledger");
    let first = {
        let process = Process::start(&ledger);
        let issued = issue(&process).await;
        let paid = process
            .control("pay", json!({ "invoice": issued.id.as_str(), "paid_at": "2026-01-01T12:00:00Z" }))
            .await;
        let preimage: guiche_tickets::Preimage = paid["preimage"].as_str().unwrap().parse().unwrap();
        assert!(preimage.proves(&issued.payment_hash));
        issued
    };
    // What a kill in the middle of an append leaves.
    let mut text = std::fs::read(&ledger).unwrap();
    text.extend_from_slice(b"{\"id\":\"half");
    std::fs::write(&ledger, text).unwrap();
    let process = Process::start(&ledger);
    assert_eq!(issue(&process).await, first);
    let paid_at = Some(guiche_kernel::Clock::now(&ManualClock::default()));
    assert_eq!(process.live().status(&first.id).await.unwrap(), Some(ProviderStatus::Paid { paid_at }));
}

#[tokio::test]
async fn it_is_steered_from_outside() {
    let place = tempfile::tempdir().unwrap();
    let process = Process::start(&place.path().join("ledger"));
    process
        .control(
            "faults",
            json!({ "on": "issue", "fault": { "kind": "answer", "status": 400, "code": "no" } }),
        )
        .await;
    assert_eq!(told(&process.live().issue(request()).await.unwrap_err()).0, "rejected");
    let issued = issue(&process).await;
    process
        .control(
            "say",
            json!({ "invoice": issued.payment_hash.to_string(), "spark_status": "HTLC_RECEIVED" }),
        )
        .await;
    assert_eq!(process.live().status(&issued.id).await.unwrap(), Some(ProviderStatus::InFlight));
    let refused = process.control("faults", json!({ "on": "issue", "fault": { "kind": "moon" } })).await;
    assert!(refused["error"].as_str().unwrap().contains("moon"), "{refused}");
}
