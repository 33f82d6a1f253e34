//! The provider: the fake gateway in a process of its own, which is this very program under another command.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use guiche_adapter_spark::fake::{FakeSettings, FakeSpark};
use guiche_app::system::SystemClock;
use serde_json::{Value, json};

/// What this program is called with to be the provider.
pub(crate) const COMMAND: &str = "provider";

/// Plays the gateway until standard input ends: whoever started it is gone then, however it went.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fake = FakeSpark::start(FakeSettings::default(), Arc::new(SystemClock)).await.unwrap();
        println!("{}", fake.url());
        let over = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        over.await.unwrap().unwrap();
    });
}

/// This program under another command.
pub(crate) fn played(command: &str) -> Command {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.arg(command);
    program
}

/// The running process.
pub(crate) struct Provider {
    child: Child,
    http: reqwest::Client,
    pub(crate) url: String,
}

impl Provider {
    pub(crate) fn start() -> Self {
        let mut child = played(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let http = guiche_app::web::client().no_proxy().build().unwrap();
        Self { child, http, url: line.trim().to_owned() }
    }

    /// Somebody pays the invoice. Paying twice is what no wallet does.
    pub(crate) async fn pay(&self, hash: &str) {
        let url = format!("{}/_fake/pay", self.url);
        let answer = self.http.post(url).json(&json!({ "invoice": hash })).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{hash}");
    }

    /// Every invoice by its payment hash, and whether it was paid.
    pub(crate) async fn invoices(&self) -> BTreeMap<String, bool> {
        let answer = self.http.get(format!("{}/_fake/state", self.url)).send().await.unwrap();
        let state: Value = answer.json().await.unwrap();
        let invoices = state["invoices"].as_array().unwrap().iter();
        invoices
            .map(|entry| (entry["payment_hash"].as_str().unwrap().to_owned(), !entry["paid_at"].is_null()))
            .collect()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
