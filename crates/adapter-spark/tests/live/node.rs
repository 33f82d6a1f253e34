//! The same promises, against the real gateway process (`deploy/spark-gateway`, on Node) with its played wallet. Without
//! Node or the gateway's packages these tests say so and pass; the gate installs both.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guiche_adapter_spark::SparkLive;
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Clock, Sats, Timestamp, truncate_to_micros};
use guiche_outbound::Outside;
use guiche_tickets::testing::contract::{self, GatewayFixture};
use guiche_tickets::{InvoiceGateway, InvoiceId, NewInvoice};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

use crate::support::settings;

const KEY: &str = "test-key-0123456789abcdef0123456789abcdef";
const MNEMONIC: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

/// The gateway goes by the real time, so here we do.
struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the process on the other side has no other")]
        let now = Timestamp::now_utc();
        truncate_to_micros(now)
    }
}

struct Gateway {
    live: Arc<SparkLive>,
    control: u16,
    _child: Child,
    _lines: Lines<BufReader<ChildStdout>>,
    _place: tempfile::TempDir,
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/spark-gateway")
}

/// Why the process cannot run here.
fn missing() -> Option<&'static str> {
    let node = std::process::Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if !home().join("src/server.js").exists() {
        Some("deploy/spark-gateway is not there")
    } else if !home().join("node_modules/bolt11").exists() {
        Some("its packages are not installed: npm ci in deploy/spark-gateway")
    } else if !node.is_ok_and(|status| status.success()) {
        Some("there is no node")
    } else {
        None
    }
}

async fn gateway() -> Option<Gateway> {
    if let Some(reason) = missing() {
        println!("skipped, the real gateway was not asked: {reason}");
        return None;
    }
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new("node");
    command.arg(home().join("src/server.js")).current_dir(place.path()).env_clear();
    command.envs([("NODE_ENV", "test"), ("LISTEN_ADDR", "127.0.0.1:0"), ("SPARK_NETWORK", "REGTEST")]);
    command.envs([("SPARK_MNEMONIC", MNEMONIC), ("SPARK_API_KEYS", KEY), ("SPARK_WATCH_SECONDS", "3600")]);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("SPARK_DATA_DIR", place.path().join("data"));
    command.env("SPARK_ACCOUNT_MODULE", home().join("test/fake/account.js"));
    command.env("FAKE_SPARK_FILE", place.path().join("spark.json"));
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut wanted = VecDeque::from(["fake_spark", "listening", "wallet.ready"]);
    let (mut control, mut port) = (0, 0);
    while !wanted.is_empty() {
        let line = lines.next_line().await.unwrap().expect("it ended before it was ready");
        let line: Value = serde_json::from_str(&line).unwrap();
        let number = line["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
        match line["event"].as_str() {
            Some("fake_spark") => control = number,
            Some("listening") => port = number,
            _ => {}
        }
        wanted.retain(|event| line["event"] != *event);
    }
    let clock = Arc::new(RealClock);
    let outside = Outside {
        clock,
        timer: Arc::new(ManualClock::default()),
        randomness: Arc::new(SeededRandomness::new(1)),
    };
    let live = SparkLive::try_new(settings(&format!("http://127.0.0.1:{port}"), &[KEY]), outside).unwrap();
    Some(Gateway { live, control, _child: child, _lines: lines, _place: place })
}

#[async_trait]
impl GatewayFixture for Gateway {
    fn gateway(&self) -> Arc<dyn InvoiceGateway> {
        self.live.clone()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(RealClock)
    }

    async fn pay(&self, id: &InvoiceId) {
        let body = json!({ "id": id.as_str() }).to_string();
        let head = format!(
            "POST /pay HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.control)).await.unwrap();
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

macro_rules! against_node {
    ($($case:ident),+ $(,)?) => {
        const CASES: &[&str] = &[$(stringify!($case)),+];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(gateway) = gateway().await {
                    contract::$case(&gateway).await;
                }
            }
        )+
    };
}

against_node!(
    what_is_issued_passes_the_guard,
    one_key_gives_one_invoice,
    keys_do_not_share_invoices,
    a_new_invoice_is_unpaid,
    a_paid_invoice_says_so_for_ever,
    a_foreign_invoice_is_unknown,
    a_description_of_639_bytes_fits,
);

#[tokio::test]
async fn a_request_that_is_taken_up_late_finds_its_invoice() {
    let Some(gateway) = gateway().await else { return };
    let asked = |requested_at| NewInvoice {
        key: uuid::Uuid::from_u128(1),
        amount: Sats::try_new(50_000).unwrap(),
        description: "Guichê".to_owned(),
        requested_at,
        lifetime: Duration::from_secs(900),
    };
    let now = RealClock.now();
    let first = gateway.live.issue(asked(now)).await.unwrap();
    // The same request, as it looks 40 s later: it asks for the rest of the time, and the gateway refuses the second document.
    let late = gateway.live.issue(asked(now - Duration::from_secs(40))).await.unwrap();
    assert_eq!(late, first);
}

#[test]
fn no_promise_is_left_out() {
    assert_eq!(CASES, contract::GATEWAY_CASES);
}
