//! What is in storage whenever something outside is asked: the intent of its step, and what came of every call before it.

use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::testing::MemoryVault;
use guiche_kernel::{Clock as _, Limit, SealError, Sealed, SecretPlace, SecretVault};
use guiche_lightning_setup::{Setup, SetupStatus, SetupStore as _, Step, StepRecord, StepState};
use secrecy::SecretSlice;

use crate::world::{World, now};

/// The step for which a provider is asked that, while a setup is made.
fn step_of(operation: &str) -> Step {
    match operation {
        "create_node" | "find_nodes" => Step::NodeCreated,
        "node" | "generate_seed" => Step::SeedStored,
        "init_wallet" => Step::WalletInitialised,
        "is_serving" | "bake_receive_macaroon" => Step::MacaroonBaked,
        "create_store" | "find_stores" => Step::StoreCreated,
        "connect_node" | "reaches_node" => Step::NodeConnected,
        "register_webhook" | "find_webhooks" => Step::WebhookRegistered,
        other => panic!("no step asks for {other}"),
    }
}

/// From now on, whatever is asked while the only setup of this world is made, storage is looked into first.
pub(crate) fn watch(world: &World) {
    let store = world.store.clone();
    world.hosts.watch(move |operation| {
        let setups = now(store.list(None, Limit::default())).unwrap();
        for setup in setups.iter().filter(|setup| setup.status == SetupStatus::InProgress) {
            is_written(setup, operation);
        }
    });
}

fn is_written(setup: &Setup, operation: &str) {
    let under_way = step_of(operation);
    for step in Step::ALL {
        let record = setup.record(step);
        let is_as_it_should_be = match step.cmp(&under_way) {
            std::cmp::Ordering::Less => record.is_some_and(has_result),
            std::cmp::Ordering::Equal => record.is_some_and(|record| record.state == StepState::Intended),
            std::cmp::Ordering::Greater => record.is_none(),
        };
        assert!(is_as_it_should_be, "at {operation}, storage says of {step}: {record:?}");
    }
}

/// Whether everything is there that later steps, or whoever undoes this one, need of it.
fn has_result(record: &StepRecord) -> bool {
    let has_id = record.resource.is_some();
    let has_secret = record.sealed.is_some();
    record.state == StepState::Done
        && match record.step {
            Step::NodeCreated | Step::StoreCreated => has_id,
            Step::SeedStored | Step::WalletInitialised | Step::MacaroonBaked => has_secret,
            Step::NodeConnected => true,
            Step::WebhookRegistered => has_id && has_secret,
        }
}

#[test]
fn every_step_costs_one_write_and_the_end_another() {
    let mut world = World::new();
    watch(&world);
    world.begin(World::citizen(1), "swifteagle42");
    world.run();
    let setup = world.find(World::citizen(1));
    assert_eq!(setup.status, SetupStatus::FullyConfigured);
    assert!(setup.journal.iter().all(has_result), "the last result is written with the end: {setup:#?}");
    assert_eq!(world.store.journal_writes(), Step::ALL.len() + 1);
}

/// No saga leaves such a journal; whoever finds one all the same writes first.
#[test]
fn a_step_that_was_begun_too_early_does_not_go_before_the_result_of_the_one_before_it() {
    let mut world = World::new();
    world.begin(World::citizen(1), "swifteagle42");
    let (lease, setup) = now(world.store.claim_one(
        world.find(World::citizen(1)).id,
        world.clock.now(),
        world.clock.now() + Duration::from_secs(1),
    ))
    .unwrap()
    .unwrap();
    let (resource, sealed, tries, since) = (None, None, 0, world.clock.now());
    let early = StepRecord {
        attempt: setup.attempt,
        step: Step::SeedStored,
        state: StepState::Intended,
        resource,
        sealed,
        tries,
        since,
    };
    now(world.store.record(&lease, &[early], since)).unwrap();
    now(world.store.rest(&lease, since)).unwrap();
    let store = world.store.clone();
    world.hosts.watch(move |operation| {
        let setup = now(store.get(setup.id)).unwrap().unwrap();
        let is_made = setup.record(Step::NodeCreated).is_some_and(has_result);
        assert_eq!(is_made, operation != "create_node", "at {operation}: {setup:#?}");
    });
    world.run();
    assert_eq!(world.find(World::citizen(1)).status, SetupStatus::FullyConfigured);
}

/// A key ring that lost the key of what it sealed a moment ago.
#[derive(Debug, Default)]
struct LostKey(MemoryVault);

impl SecretVault for LostKey {
    fn seal(&self, place: SecretPlace, secret: &SecretSlice<u8>) -> Result<Sealed, SealError> {
        self.0.seal(place, secret)
    }

    fn open(&self, _: SecretPlace, _: &Sealed) -> Result<SecretSlice<u8>, SealError> {
        Err(SealError::Malformed)
    }

    fn primary_key_id(&self) -> &str {
        self.0.primary_key_id()
    }

    fn key_ids(&self) -> Vec<&str> {
        self.0.key_ids()
    }
}

/// Of the seed nothing is known but its seal, and that stays.
#[test]
fn the_last_result_is_written_before_everything_is_undone() {
    let mut world = World::with_vault(Arc::new(LostKey::default()));
    world.begin(World::citizen(1), "swifteagle42");
    world.run();
    let setup = world.find(World::citizen(1));
    assert_eq!(setup.status, SetupStatus::Failed);
    assert!(setup.record(Step::SeedStored).is_some_and(|seed| seed.sealed.is_some()), "{setup:#?}");
    assert_eq!(world.hosts.ledger(), []);
}
