//! A fake gateway and a client of it, in a world where time and chance obey the test.

use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_spark::fake::{DEFAULT_KEY, FakeSettings, FakeSpark};
use guiche_adapter_spark::{LiveSettings, SparkLive};
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Clock, Sats};
use guiche_outbound::{Limits, Loopback, Outside};
use guiche_tickets::bolt11::{Expected, GuardRefusal, guard};
use guiche_tickets::{GatewayError, InvoiceGateway as _, IssuedInvoice, Network, NewInvoice, ProviderStatus};
use uuid::Uuid;

pub(crate) struct World {
    pub(crate) fake: FakeSpark,
    pub(crate) live: Arc<SparkLive>,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) async fn world() -> World {
    world_with(&[DEFAULT_KEY], |_| {}).await
}

pub(crate) async fn world_with(keys: &[&str], change: impl FnOnce(&mut LiveSettings)) -> World {
    let clock = Arc::new(ManualClock::default());
    let fake = FakeSpark::start(FakeSettings::default(), clock.clone()).await.unwrap();
    let mut settings = settings(&fake.url(), keys);
    change(&mut settings);
    let live = SparkLive::try_new(settings, outside(clock.clone())).unwrap();
    World { fake, live, clock }
}

pub(crate) fn settings(url: &str, keys: &[&str]) -> LiveSettings {
    let keys = keys.iter().map(|key| (*key).into()).collect();
    let mut settings = LiveSettings::new(url.parse().unwrap(), Loopback::PlainAllowed, keys);
    // Nothing in these tests is slow; a busy machine may be.
    settings.limits =
        Limits { connect: Duration::from_secs(20), attempt: Duration::from_secs(20), ..Limits::default() };
    settings
}

pub(crate) fn outside(clock: Arc<ManualClock>) -> Outside {
    Outside { clock: clock.clone(), timer: clock, randomness: Arc::new(SeededRandomness::new(1)) }
}

impl World {
    pub(crate) fn request(&self, key: u128) -> NewInvoice {
        NewInvoice {
            key: Uuid::from_u128(key),
            amount: Sats::try_new(50_000).unwrap(),
            description: "Guichê: renovação".to_owned(),
            requested_at: self.clock.now(),
            lifetime: Duration::from_secs(900),
        }
    }

    pub(crate) async fn issue(&self, key: u128) -> Result<IssuedInvoice, GatewayError> {
        self.live.issue(self.request(key)).await
    }

    pub(crate) async fn status(
        &self,
        issued: &IssuedInvoice,
    ) -> Result<Option<ProviderStatus>, GatewayError> {
        self.live.status(&issued.id).await
    }

    /// What the money path's guard says to an answer.
    pub(crate) fn guard(&self, request: &NewInvoice, issued: &IssuedInvoice) -> Result<(), GuardRefusal> {
        let expected = Expected {
            network: Network::Regtest,
            amount: request.amount,
            description: &request.description,
            payment_hash: issued.payment_hash,
            expires_at: request.requested_at + request.lifetime,
            now: self.clock.now(),
        };
        guard(&issued.bolt11, &expected).map(drop)
    }
}

/// The kind of a failure, and its cause as the log has it.
pub(crate) fn told(error: &GatewayError) -> (&'static str, String) {
    let kind = match error {
        GatewayError::Rejected(_) => "rejected",
        GatewayError::Unavailable(_) => "unavailable",
        GatewayError::Nonsense(_) => "nonsense",
    };
    (kind, std::error::Error::source(error).unwrap().to_string())
}
