//! A fake BTCPay Server and a client of it, in a world where time and chance obey the test.

use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_btcpay::fake::{self, DEFAULT_KEY, FakeBtcPay, FakeSettings};
use guiche_adapter_btcpay::{BtcPay, BtcPaySettings};
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_lightning_setup::{
    HostError, HostInvoice, Macaroon, NewAddressInvoice, NodeEndpoint, ReceiveGateway as _, ResourceName,
    SetupId, StoreHost as _,
};
use guiche_outbound::{Limits, Loopback, Outside};
use uuid::Uuid;

pub(crate) struct World {
    pub(crate) fake: FakeBtcPay,
    pub(crate) btcpay: Arc<BtcPay>,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) async fn world() -> World {
    world_with(&[DEFAULT_KEY], |_| {}).await
}

pub(crate) async fn world_with(keys: &[&str], change: impl FnOnce(&mut BtcPaySettings)) -> World {
    let clock = Arc::new(ManualClock::default());
    let fake = fake::start(FakeSettings::default(), clock.clone()).await.unwrap();
    let btcpay = client(&fake.url(), keys, clock.clone(), change);
    World { fake, btcpay, clock }
}

pub(crate) fn client(
    url: &str,
    keys: &[&str],
    clock: Arc<ManualClock>,
    change: impl FnOnce(&mut BtcPaySettings),
) -> Arc<BtcPay> {
    let mut settings = settings(url, keys);
    change(&mut settings);
    let outside =
        Outside { clock: clock.clone(), timer: clock, randomness: Arc::new(SeededRandomness::new(1)) };
    BtcPay::try_new(settings, outside).unwrap()
}

pub(crate) fn settings(url: &str, keys: &[&str]) -> BtcPaySettings {
    let keys = keys.iter().map(|key| (*key).into()).collect();
    let mut settings = BtcPaySettings::new(url.parse().unwrap(), Loopback::PlainAllowed, keys);
    // Nothing in these tests is slow; a busy machine may be.
    let patience = Duration::from_secs(18);
    settings.limits = Limits { connect: patience, attempt: patience, ..settings.limits };
    settings
}

pub(crate) fn name(attempt: u32) -> ResourceName {
    ResourceName::of(SetupId::new(Uuid::from_u128(7)), attempt)
}

/// A node that nobody asks anything: it is not on this machine.
pub(crate) fn node(number: u32) -> (NodeEndpoint, Macaroon) {
    let macaroon = Macaroon::from_hex(&"0201036c6e64".into()).unwrap();
    (NodeEndpoint(format!("node-{number}.u.voltageapp.io")), macaroon)
}

impl World {
    pub(crate) async fn store(&self, attempt: u32) -> String {
        self.btcpay.create_store(&name(attempt)).await.unwrap()
    }

    pub(crate) async fn connected(&self, attempt: u32) -> String {
        let (store, (endpoint, macaroon)) = (self.store(attempt).await, node(attempt));
        self.btcpay.connect_node(&store, &endpoint, &macaroon).await.unwrap();
        store
    }

    pub(crate) async fn issue(&self, store: &str) -> Result<HostInvoice, HostError> {
        let metadata = r#"[["text/plain","Guichê"]]"#.to_owned();
        self.btcpay.issue(store, &NewAddressInvoice { amount_msat: 21_000, metadata, expiry_secs: 600 }).await
    }
}
