//! A server that plays a provider, with faults on demand: what the fakes of all adapters have in common.
//!
//! A fake brings the words of its provider ([`Play`]); this module brings the sockets, the faults, the counting, a ledger
//! that outlives a kill ([`Ledger`]), and control from other processes. It listens on loopback addresses only, and is
//! steered by its handle or over HTTP below `/_fake`, which needs no key:
//!
//! | Call | |
//! |---|---|
//! | `POST /_fake/faults` | a [`Rule`]: `{"on": operation or "*", "skip": 0, "times": 1, "fault": {"kind": "lose_answer"}}` |
//! | `DELETE /_fake/faults` | takes back what no call has met yet |
//! | `GET /_fake/state` | `{"calls": how often what was called, "ledger": everything that exists}` |
//! | anything else | the fake's own: see there |

mod control;
mod ledger;
mod message;
mod program;
mod script;
mod server;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use ledger::Ledger;
pub use message::{Asked, HangUp, Reply};
pub use program::{Options, SystemClock, serve_until_interrupted};
pub use script::{Fault, Rule};

use script::Script;

/// The provider's part.
#[async_trait]
pub trait Play: Send + Sync + 'static {
    /// The operations on which faults can be scripted, and by which calls are counted.
    const OPERATIONS: &'static [&'static str];

    /// Which operation is asked for; `None` when the provider knows no such address.
    fn operation(&self, asked: &Asked) -> Option<&'static str>;

    /// Whether the caller may, or what it is told instead. Comes before every fault, as at a provider's gate.
    ///
    /// # Errors
    /// The provider's refusal.
    fn admit(&self, operation: &'static str, asked: &Asked) -> Result<(), Reply>;

    /// Does what is asked, with its effect on the ledger.
    ///
    /// # Errors
    /// The connection is to be ended without an answer.
    async fn perform(&self, operation: &'static str, asked: &Asked) -> Result<Reply, HangUp>;

    /// The provider's form of an error. Its message SHOULD repeat what the caller sent: nobody may keep it.
    fn trouble(&self, operation: &'static str, asked: &Asked, status: u16, code: Option<&str>) -> Reply;

    /// A call below `/_fake` of the fake's own; `None` when there is none such.
    async fn control(&self, method: &str, path: &str, body: &Value) -> Option<io::Result<Value>>;

    /// Everything that exists.
    fn ledger(&self) -> Value;
}

/// One call that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What was asked.
    pub operation: &'static str,
    /// Whether the caller may.
    pub admitted: bool,
    /// Its path as it came.
    pub path: String,
    /// Its body.
    pub body: String,
}

/// How many calls are remembered in full.
const REMEMBERED: usize = 10_000;

pub(crate) struct Stage<P> {
    play: P,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    script: Script,
    seen: Vec<Seen>,
    calls: BTreeMap<&'static str, u64>,
}

impl<P> Stage<P> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, seen: Seen) {
        *self.calls.entry(seen.operation).or_default() += 1;
        if self.seen.len() < REMEMBERED {
            self.seen.push(seen);
        }
    }
}

/// A running fake. It ends, with all its connections, when this is dropped.
pub struct FakeServer<P> {
    address: SocketAddr,
    stage: Arc<Stage<P>>,
    serving: JoinHandle<()>,
}

impl<P: Play> FakeServer<P> {
    /// Starts it: at that address, or a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the address cannot be had or is not a loopback one.
    pub async fn start(listen: Option<SocketAddr>, play: P) -> io::Result<Self> {
        let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        if !listen.ip().is_loopback() {
            return Err(io::Error::other(
                "a fake listens on loopback addresses only: whoever reaches it steers it",
            ));
        }
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stage = Arc::new(Stage { play, state: Mutex::default() });
        let serving = tokio::spawn(server::serve(listener, Arc::clone(&stage)));
        Ok(Self { address, stage, serving })
    }

    /// Its address, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The provider's part.
    #[must_use]
    pub fn play(&self) -> &P {
        &self.stage.play
    }

    /// Adds to what the next calls meet.
    ///
    /// # Errors
    /// When there is no such operation: a rule that never applies would make its test say nothing.
    pub fn fail(&self, rule: Rule) -> io::Result<()> {
        script::check::<P>(&rule)?;
        self.stage.state().script.add(rule);
        Ok(())
    }

    /// Takes back the faults that no call has met yet.
    pub fn heal(&self) {
        self.stage.state().script = Script::default();
    }

    /// How often it was called for that, refused calls included.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        self.stage.state().calls.get(operation).copied().unwrap_or_default()
    }

    /// The calls themselves, the first ten thousand.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.stage.state().seen.clone()
    }
}

impl<P> Drop for FakeServer<P> {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An HTTP client for what a fake itself calls on this machine: another fake, or the service under test.
///
/// # Errors
/// The library refuses.
pub fn local_client() -> io::Result<reqwest::Client> {
    let tls = crate::trust::nobody().map_err(io::Error::other)?;
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    builder.timeout(std::time::Duration::from_secs(5)).build().map_err(io::Error::other)
}
