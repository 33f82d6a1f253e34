//! A server that plays our Spark gateway: its contract word for word, invoices that are real, signed BOLT11 on regtest, and
//! faults on demand. It keeps what it issued in a file, so a test may kill it too.
//!
//! It is steered by this handle, or over HTTP below `/_fake` , which needs no key: it listens on
//! loopback addresses only. On its own: `cargo run -p guiche-adapter-spark --features fake --bin spark-fake`.
//!
//! | Call | |
//! |---|---|
//! | `POST /_fake/faults` | `{"on": "issue" or "status", "times": 1, "fault": …}`: adds to what the next calls meet |
//! | `DELETE /_fake/faults` | takes back what no call has met yet |
//! | `POST /_fake/pay` | `{"invoice": id or payment hash, "paid_at": RFC 3339 or absent for now}` → `{"preimage"}` |
//! | `POST /_fake/say` | `{"invoice", "spark_status"}`: Spark's own word for it from now on |
//! | `GET /_fake/state` | how often what was called, and every invoice |

mod bolt11;
mod book;
mod control;
mod faults;
mod server;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guiche_kernel::{Clock, Timestamp};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub use book::Entry;
pub use faults::{Fault, Operation};

use book::Book;
use faults::Script;

/// How the fake starts.
#[derive(Default)]
pub struct FakeSettings {
    /// Where it listens; port 0 of the loopback address when absent. Only loopback addresses are accepted.
    pub listen: Option<SocketAddr>,
    /// The keys that it takes; `spark-fake-key` when there are none.
    pub keys: Vec<String>,
    /// Where it keeps its invoices; in memory when absent.
    pub ledger: Option<PathBuf>,
    /// Its certificate and key; plain HTTP when absent.
    pub tls: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
}

/// The key that is taken when none was given.
pub const DEFAULT_KEY: &str = "spark-fake-key";

/// A running fake. It ends, with all its connections, when this is dropped.
pub struct FakeSpark {
    address: SocketAddr,
    is_encrypted: bool,
    world: Arc<World>,
    serving: JoinHandle<()>,
}

/// One call that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What was asked.
    pub operation: Operation,
    /// Whether its key was one of ours.
    pub authorized: bool,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
    /// Its path as it came, and its body.
    pub path: String,
    /// Its body.
    pub body: String,
}

/// How many calls are remembered in full.
const REMEMBERED: usize = 10_000;

struct World {
    keys: Mutex<Vec<String>>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    book: Book,
    script: Script,
    seen: Vec<Seen>,
    counts: [u64; 2],
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn takes(&self, key: &str) -> bool {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|known| known == key)
    }
}

impl State {
    fn note(&mut self, seen: Seen) {
        let [issues, statuses] = &mut self.counts;
        match seen.operation {
            Operation::Issue => *issues += 1,
            Operation::Status => *statuses += 1,
        }
        if self.seen.len() < REMEMBERED {
            self.seen.push(seen);
        }
    }
}

impl FakeSpark {
    /// Starts it on the given clock, with what its ledger knows.
    ///
    /// # Errors
    /// When the address cannot be had or is not a loopback one, or the ledger or the certificate cannot be used.
    pub async fn start(settings: FakeSettings, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let FakeSettings { listen, mut keys, ledger, tls } = settings;
        let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        if !listen.ip().is_loopback() {
            return Err(io::Error::other(
                "the fake listens on loopback addresses only: whoever reaches it can pay",
            ));
        }
        if keys.is_empty() {
            keys.push(DEFAULT_KEY.to_owned());
        }
        let is_encrypted = tls.is_some();
        let acceptor = tls.map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
        let state =
            State { book: Book::open(ledger)?, script: Script::default(), seen: Vec::new(), counts: [0; 2] };
        let world = Arc::new(World { keys: Mutex::new(keys), clock, state: Mutex::new(state) });
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(server::serve(listener, acceptor, Arc::clone(&world)));
        Ok(Self { address, is_encrypted, world, serving })
    }

    /// Its address, for `SPARK_API_URL`. With TLS its host is `localhost`, so that a certificate can name it.
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.address.port();
        if self.is_encrypted {
            format!("https://localhost:{port}")
        } else {
            format!("http://{}", self.address)
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// So many of the next calls meet this fault, after those that were told before.
    pub fn fail(&self, on: Operation, times: u32, fault: Fault) {
        self.world.state().script.add(on, times, fault);
    }

    /// Takes back the faults that no call has met yet.
    pub fn heal(&self) {
        self.world.state().script = Script::default();
    }

    /// From now on it takes these keys and no others.
    pub fn take_keys(&self, keys: &[&str]) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        *self.world.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Plays the payer: the invoice (by its id or payment hash) is paid from now on, at the given moment or now.
    ///
    /// # Errors
    /// When it is unknown, or the ledger cannot be written.
    pub fn pay(&self, invoice: &str, paid_at: Option<Timestamp>) -> io::Result<Entry> {
        control::pay(&self.world, invoice, paid_at)
    }

    /// From now on this is Spark's own word for the invoice.
    ///
    /// # Errors
    /// As [`pay`](Self::pay).
    pub fn say(&self, invoice: &str, spark_status: &str) -> io::Result<Entry> {
        self.world.state().book.change(invoice, spark_status, None)
    }

    /// How often it was called.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        let [issues, statuses] = self.world.state().counts;
        match operation {
            Operation::Issue => issues,
            Operation::Status => statuses,
        }
    }

    /// The calls themselves, the first ten thousand.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.world.state().seen.clone()
    }

    /// Everything that was ever issued.
    #[must_use]
    pub fn invoices(&self) -> Vec<Entry> {
        self.world.state().book.entries().cloned().collect()
    }
}

impl Drop for FakeSpark {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> io::Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
