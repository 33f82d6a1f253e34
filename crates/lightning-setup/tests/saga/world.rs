//! A world in which a setup is driven to its end, whatever happens on the way: virtual time, providers and storage in
//! memory, and a runner that is replaced when it is killed.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use guiche_kernel::testing::{ManualClock, MemoryVault, SeededRandomness};
use guiche_kernel::{Caller, Clock as _, Epoch, Limit, SecretVault, UserId};
use guiche_lightning_setup::testing::{MemoryHosts, MemorySetupStore};
use guiche_lightning_setup::{
    AddressDomain, Driven, Policy, ResourceName, Setup, SetupPlace, SetupPorts, SetupStatus, SetupStore as _,
    Setups, Step, StepState,
};
use time::macros::datetime;
use uuid::Uuid;

/// More turns than any setup takes.
const TURNS: usize = 400;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) hosts: MemoryHosts,
    pub(crate) store: MemorySetupStore,
    pub(crate) setups: Setups,
    pub(crate) kills: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_vault(Arc::new(MemoryVault::default()))
    }

    pub(crate) fn with_vault(vault: Arc<dyn SecretVault>) -> Self {
        let clock = Arc::new(ManualClock::at(datetime!(2026-11-22 12:00 UTC)));
        let hosts = MemoryHosts::new(Arc::<ManualClock>::clone(&clock));
        let store = MemorySetupStore::new();
        store.add_account(Self::citizen(1).user_id);
        store.add_account(Self::citizen(2).user_id);
        store.add_account(Self::citizen(3).user_id);
        let ports = SetupPorts {
            store: Arc::new(store.clone()),
            nodes: Arc::new(hosts.clone()),
            wallets: Arc::new(hosts.clone()),
            stores: Arc::new(hosts.clone()),
            vault,
            clock: Arc::<ManualClock>::clone(&clock),
            randomness: Arc::new(SeededRandomness::new(7)),
        };
        let place = SetupPlace {
            domains: vec![AddressDomain::parse("guiche.test").unwrap()],
            public_url: "https://guiche.test".to_owned(),
        };
        Self { clock, hosts, store, setups: Setups::new(ports, Policy::default(), place), kills: 0 }
    }

    pub(crate) fn citizen(number: u128) -> Caller {
        Caller { user_id: UserId::new(Uuid::from_u128(number)), epoch: Epoch::FIRST }
    }

    pub(crate) fn begin(&self, who: Caller, name: &str) -> Setup {
        let address = self.setups.parse(name).unwrap();
        now(self.setups.begin(who, Some(address))).unwrap()
    }

    pub(crate) fn find(&self, who: Caller) -> Setup {
        now(self.setups.find(who)).unwrap().unwrap()
    }

    /// Drives everything that is due, advancing time, until nothing is left to do.
    pub(crate) fn run(&mut self) {
        for _ in 0..TURNS {
            let claimed = now(self.setups.claim(NonZeroU16::MAX)).unwrap();
            let mut wake_at = None;
            for (lease, setup) in claimed {
                match self.setups.drive(lease, setup).now_or_never() {
                    // The runner is dead: its lease runs out.
                    None => self.kills += 1,
                    Some(Ok(Driven::Resting(at))) => {
                        wake_at = Some(wake_at.map_or(at, |other| at.min(other)));
                    }
                    Some(Ok(Driven::Ended(_) | Driven::Lost)) => {}
                    Some(Err(error)) => panic!("{error:?}"),
                }
            }
            if !self.anything_runs() {
                return;
            }
            match wake_at {
                Some(at) => self.clock.set(at.max(self.clock.now() + Duration::from_millis(1))),
                None => self.clock.advance(Policy::default().lease),
            }
        }
        panic!("no end after {TURNS} turns");
    }

    /// Drives what is due, once, and lets whoever is killed stay dead.
    pub(crate) fn run_once(&mut self) {
        for (lease, setup) in now(self.setups.claim(NonZeroU16::MAX)).unwrap() {
            if let Some(Ok(Driven::Resting(at))) = self.setups.drive(lease, setup).now_or_never() {
                self.clock.set(at);
                return self.run_once();
            }
        }
    }

    fn anything_runs(&self) -> bool {
        now(self.store.count()).unwrap().iter().any(|(status, count)| status.is_running() && *count > 0)
    }

    /// What must hold of one person's setup that came to its end, and of the providers, when there is only that one.
    pub(crate) fn check(&mut self, who: Caller) -> SetupStatus {
        self.check_all(0);
        let setup = self.find(who);
        assert_eq!(
            setup.status == SetupStatus::Failed,
            setup.fault.is_some() && setup.orphans().count() == 0,
            "{setup:#?}"
        );
        setup.status
    }

    /// What must hold once nothing runs: whatever exists outside is somebody's active service or a known orphan, every
    /// active service exists, and nobody has more than one.
    pub(crate) fn check_all(&mut self, seed: u64) {
        // Whatever an unanswered call may still do, it has done now.
        self.clock.advance(Duration::from_secs(3_600));
        let setups = now(self.store.list(None, Limit::default())).unwrap();
        let mut known = BTreeSet::new();
        for setup in &setups {
            assert!(!setup.status.is_running(), "seed {seed}: no end: {setup:#?}");
            assert!(
                !setup.journal.iter().any(|it| it.state == StepState::Undoing),
                "seed {seed}: {setup:#?}"
            );
            if setup.status == SetupStatus::FullyConfigured {
                let services = setup.services.as_ref().unwrap();
                assert!(services.node_config.is_some() && services.store_config.is_some());
                let name = ResourceName::of(setup.id, setup.attempt).to_string();
                let webhook = setup.record(Step::WebhookRegistered).unwrap().resource.clone().unwrap();
                known.insert(("node", services.node_id.clone(), name.clone()));
                known.insert(("store", services.store_id.clone(), name.clone()));
                known.insert(("webhook", webhook, name));
            }
        }
        let ledger: BTreeSet<_> = self.hosts.ledger().into_iter().collect();
        let missing: Vec<_> = known.difference(&ledger).collect();
        assert!(missing.is_empty(), "seed {seed}: {missing:?} should exist: {setups:#?}");
        for left in ledger.difference(&known) {
            assert!(
                setups.iter().any(|setup| is_orphan(setup, left)),
                "seed {seed}: {left:?} is left: {setups:#?}"
            );
        }
        let needy = setups.iter().filter(|it| it.status == SetupStatus::NeedsAttention);
        assert!(needy.into_iter().all(|it| it.orphans().next().is_some()), "seed {seed}");
    }
}

/// Whether the journal says of something outside that it may be there.
fn is_orphan(setup: &Setup, (kind, id, name): &(&str, String, String)) -> bool {
    setup.orphans().any(|orphan| {
        let covers = match orphan.step {
            Step::NodeCreated => *kind == "node",
            // A webhook goes with its store.
            Step::StoreCreated => *kind == "store" || *kind == "webhook",
            Step::WebhookRegistered => *kind == "webhook",
            Step::SeedStored | Step::WalletInitialised | Step::MacaroonBaked | Step::NodeConnected => false,
        };
        let same = orphan.resource.as_ref().is_none_or(|known| known == id || *kind == "webhook");
        covers && same && *name == ResourceName::of(setup.id, orphan.attempt).to_string()
    })
}

/// The answer of something that never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing in memory waits")
}
