//! A client in a world where time and chance obey the test; only the sockets are real.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_outbound::{
    Address, Answer, BreakerSettings, Call, CircuitState, Client, Credential, Fault, KeyList, Limits,
    Loopback, Outside, ProviderError, RetryPolicy, Settings,
};
use serde_json::{Value, json};

use crate::server::Server;

/// So many failures open the circuit.
pub(crate) const FAILURES: u32 = 4;
/// For so long at first.
pub(crate) const PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct World {
    pub(crate) client: Arc<Client>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) circuit: Arc<Mutex<Vec<CircuitState>>>,
}

pub(crate) fn world(server: &Server) -> World {
    world_with(server, &["first-key"], Limits { attempt: Duration::from_secs(20), ..Limits::default() })
}

/// As [`world`], for what is never answered.
pub(crate) fn impatient(server: &Server) -> World {
    world_with(server, &["first-key"], Limits { attempt: Duration::from_millis(300), ..Limits::default() })
}

pub(crate) fn world_with(server: &Server, keys: &[&str], limits: Limits) -> World {
    let clock = Arc::new(ManualClock::default());
    let circuit = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&circuit);
    let url = format!("http://{}/api", server.address).parse().unwrap();
    let keys = keys.iter().map(|key| (*key).into()).collect();
    let settings = Settings {
        provider: "toy",
        address: Address::try_new(url, Loopback::PlainAllowed).unwrap(),
        keys: KeyList::try_new("TOY_KEY", Credential::bearer(), keys).unwrap(),
        limits,
        retry: RetryPolicy::default(),
        breaker: BreakerSettings {
            failures: NonZeroU32::new(FAILURES).unwrap(),
            first_pause: PAUSE,
            longest_pause: PAUSE * 4,
        },
        error_code: |document| document.pointer("/error/code")?.as_str(),
        extra_roots: Vec::new(),
        on_circuit: Some(Arc::new(move |state| told.lock().unwrap().push(state))),
    };
    let randomness = Arc::new(SeededRandomness::new(1));
    let outside = Outside { clock: clock.clone(), timer: clock.clone(), randomness };
    World { client: Arc::new(Client::try_new(settings, outside).unwrap()), clock, circuit }
}

impl World {
    /// A reading.
    pub(crate) async fn get(&self) -> Result<Answer, ProviderError> {
        self.client.send(&Call::get("look", &["v1", "things", "a:b"])).await
    }

    /// A writing that must not be repeated.
    pub(crate) async fn post(&self) -> Result<Answer, ProviderError> {
        self.client.send(&Call::post("make", &["v1", "things"]).json(json!({ "size": 1 }))).await
    }

    /// How a writing failed.
    pub(crate) async fn fault(&self) -> Fault {
        self.post().await.unwrap_err().fault().clone()
    }
}

pub(crate) fn document(answer: &Answer) -> Value {
    answer.json().unwrap()
}
