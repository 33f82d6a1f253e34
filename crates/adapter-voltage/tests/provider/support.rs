//! A fake Voltage and a client of it, in a world where time and chance obey the test.

use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_voltage::fake::{self, DEFAULT_KEY, FakeSettings, FakeVoltage};
use guiche_adapter_voltage::{Network, NodeOrder, NodeType, Purchase, Voltage, VoltageSettings};
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_lightning_setup::testing::contract;
use guiche_lightning_setup::{
    Macaroon, NodeEndpoint, NodeHost as _, NodeState, NodeWallet as _, ResourceName, SetupId, WalletPassword,
};
use guiche_outbound::{Limits, Loopback, Outside};
use uuid::Uuid;

/// For how long a node is prepared, on the test's clock.
pub(crate) const SLOWNESS: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) fake: FakeVoltage,
    pub(crate) voltage: Arc<Voltage>,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) async fn world() -> World {
    world_with(&[DEFAULT_KEY], |_| {}).await
}

pub(crate) async fn world_with(keys: &[&str], change: impl FnOnce(&mut VoltageSettings)) -> World {
    let clock = Arc::new(ManualClock::default());
    let settings = FakeSettings { slowness: SLOWNESS, ..FakeSettings::default() };
    let fake = fake::start(settings, clock.clone()).await.unwrap();
    let voltage = client(&fake.url(), keys, clock.clone(), change);
    World { fake, voltage, clock }
}

pub(crate) fn client(
    url: &str,
    keys: &[&str],
    clock: Arc<ManualClock>,
    change: impl FnOnce(&mut VoltageSettings),
) -> Arc<Voltage> {
    let mut settings = settings(url, keys);
    change(&mut settings);
    let outside =
        Outside { clock: clock.clone(), timer: clock, randomness: Arc::new(SeededRandomness::new(1)) };
    Voltage::try_new(settings, outside).unwrap()
}

pub(crate) fn settings(url: &str, keys: &[&str]) -> VoltageSettings {
    let order = NodeOrder {
        network: Network::Testnet,
        node_type: NodeType::Lite,
        purchase: Purchase::OnDemand,
        whitelist: vec!["192.0.2.7".parse().unwrap()],
    };
    let keys = keys.iter().map(|key| (*key).into()).collect();
    let mut settings = VoltageSettings::new(url.parse().unwrap(), Loopback::PlainAllowed, keys, order);
    settings.node_url = fake::node_url(url);
    // Nothing in these tests is slow; a busy machine may be.
    let patience = Duration::from_secs(18);
    settings.limits = Limits { connect: patience, attempt: patience, ..settings.limits };
    settings
}

pub(crate) fn name(attempt: u32) -> ResourceName {
    ResourceName::of(SetupId::new(Uuid::from_u128(7)), attempt)
}

pub(crate) fn password() -> WalletPassword {
    WalletPassword::from_text("correct-horse-battery-staple-042".into())
}

impl World {
    pub(crate) async fn order(&self, attempt: u32) -> String {
        self.voltage.create_node(&name(attempt), &contract::alias()).await.unwrap()
    }

    /// A node that waits for its wallet.
    pub(crate) async fn waiting(&self, attempt: u32) -> NodeEndpoint {
        let id = self.order(attempt).await;
        self.clock.advance(SLOWNESS);
        let state = self.voltage.node(&id).await.unwrap();
        let NodeState::WaitingForWallet(endpoint) = state else { panic!("{state:?}") };
        endpoint
    }

    /// A node that serves, and what opens it.
    pub(crate) async fn serving(&self, attempt: u32) -> (NodeEndpoint, Macaroon) {
        let endpoint = self.waiting(attempt).await;
        let seed = self.voltage.generate_seed(&endpoint).await.unwrap();
        let admin = self.voltage.init_wallet(&endpoint, &seed, &password()).await.unwrap();
        self.clock.advance(SLOWNESS);
        (endpoint, admin)
    }
}
