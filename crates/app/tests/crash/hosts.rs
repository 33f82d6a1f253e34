//! Who runs nodes and stores: both fakes, each in a process of its own, which is the test's own program once more.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use guiche_adapter_btcpay::fake as btcpay;
use guiche_adapter_voltage::fake as voltage;
use guiche_app::system::SystemClock;
use serde_json::{Value, json};

/// What the program is called with to be who runs the nodes.
pub(crate) const NODES: &str = "voltage";
/// What the program is called with to be who runs the stores.
pub(crate) const STORES: &str = "btcpay";
/// What stands before the address that a process tells; a line of its own among whatever else the program says.
const LISTENING: &str = "listening on ";

/// Plays one of them until standard input ends: whoever started it is gone then, however it went.
pub(crate) fn play(which: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match which {
            NODES => {
                let fake = voltage::start(voltage::FakeSettings::default(), Arc::new(SystemClock)).await;
                play_at(&fake.as_ref().unwrap().url()).await;
            }
            STORES => {
                let fake = btcpay::start(btcpay::FakeSettings::default(), Arc::new(SystemClock)).await;
                play_at(&fake.as_ref().unwrap().url()).await;
            }
            _ => panic!("nobody plays {which:?}"),
        }
    });
}

async fn play_at(url: &str) {
    println!("\n{LISTENING}{url}");
    let over = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    over.await.unwrap().unwrap();
}

/// Both, running.
pub(crate) struct Hosts {
    pub(crate) nodes: Host,
    pub(crate) stores: Host,
}

/// One of them.
pub(crate) struct Host {
    child: Child,
    http: reqwest::Client,
    pub(crate) url: String,
}

impl Hosts {
    /// Starts both with the commands that play them.
    pub(crate) fn start(command: impl Fn(&str) -> Command) -> Self {
        Self { nodes: Host::start(command(NODES)), stores: Host::start(command(STORES)) }
    }

    /// What the program must be told to ask them.
    pub(crate) fn settings(&self) -> [(&'static str, String); 6] {
        [
            ("VOLTAGE_API_URL", self.nodes.url.clone()),
            ("VOLTAGE_API_KEY", voltage::DEFAULT_KEY.to_owned()),
            ("VOLTAGE_LND_URL", format!("{}/lnd/{{api_endpoint}}", self.nodes.url)),
            ("BTCPAY_URL", self.stores.url.clone()),
            ("BTCPAY_API_KEY", btcpay::DEFAULT_KEY.to_owned()),
            // Stores know this address for as long as they live, and no store tells anything here.
            ("PUBLIC_URL", "http://127.0.0.1:9".to_owned()),
        ]
    }

    /// Whatever was to go wrong and did not is called off.
    pub(crate) async fn heal(&self) {
        self.nodes.heal().await;
        self.stores.heal().await;
    }
}

impl Host {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.find_map(|line| line.unwrap().strip_prefix(LISTENING).map(str::to_owned));
        let http = guiche_app::web::client().no_proxy().build().unwrap();
        Self { child, http, url: url.unwrap() }
    }

    /// Everything that exists there.
    pub(crate) async fn ledger(&self) -> Value {
        let answer = self.http.get(format!("{}/_fake/state", self.url)).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["ledger"].take()
    }

    /// So many calls of an operation meet that fault.
    pub(crate) async fn fail(&self, operation: &str, times: u32, fault: Value) {
        let rule = json!({ "on": operation, "times": times, "fault": fault });
        let call = self.http.post(format!("{}/_fake/faults", self.url)).json(&rule);
        assert_eq!(call.send().await.unwrap().status().as_u16(), 200, "{operation}");
    }

    async fn heal(&self) {
        let call = self.http.delete(format!("{}/_fake/faults", self.url));
        assert_eq!(call.send().await.unwrap().status().as_u16(), 200);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
