//! The database against the providers, and what operators do about a difference.

use futures::FutureExt as _;
use guiche_kernel::Limit;
use guiche_lightning_setup::drift::{Finding, Kind, Known};
use guiche_lightning_setup::testing::Trouble;
use guiche_lightning_setup::{
    AuditTrail as _, DriftError, Holdings, KeptWallet, ResourceName, Services, SetupId, SetupStatus,
};
use secrecy::ExposeSecret as _;

use crate::world::{World, now};

fn complete() -> World {
    let mut world = World::new();
    world.begin(World::citizen(1), "swifteagle42");
    world.run();
    world
}

fn survey(world: &World) -> Vec<Finding> {
    now(world.setups.survey()).unwrap()
}

fn remedies(world: &World) -> Vec<String> {
    survey(world).iter().filter_map(Finding::remedy).collect()
}

#[test]
fn a_complete_setup_and_what_is_none_of_ours_need_nothing() {
    let world = complete();
    assert_eq!(survey(&world), []);
    world.hosts.add_foreign("somebody-elses");
    assert!(
        survey(&world)
            .iter()
            .all(|finding| matches!(finding, Finding::Foreign { .. }) && !finding.is_trouble())
    );
    assert_eq!(remedies(&world), Vec::<String>::new());
}

#[test]
fn what_is_under_way_is_left_alone() {
    let mut world = World::new();
    world.hosts.plan("create_store", 1, Trouble::KilledAfter);
    world.begin(World::citizen(1), "swifteagle42");
    world.run_once();
    assert_eq!(world.hosts.ledger().len(), 2, "a node, and a store that nobody heard of");
    assert_eq!(survey(&world), []);
}

#[test]
fn what_vanished_is_missing() {
    let world = complete();
    let setup = world.find(World::citizen(1));
    let services = setup.services.unwrap();
    world.hosts.vanish(&services.store_id);
    let missing = Finding::Missing { kind: Kind::Store, id: services.store_id, setup: setup.id };
    assert_eq!(survey(&world), [missing]);
    assert_eq!(remedies(&world), Vec::<String>::new(), "no command promises what it cannot do");
    assert!(matches!(now(world.setups.repair(setup.id, true)), Err(DriftError::NothingFound)));
}

#[test]
fn what_vanished_does_not_stand_in_the_way_of_a_removal() {
    let vanished: [fn(&Services) -> Vec<&String>; 3] = [
        |services| vec![&services.node_id],
        |services| vec![&services.store_id],
        |services| vec![&services.node_id, &services.store_id],
    ];
    for vanished in vanished {
        let mut world = complete();
        let citizen = World::citizen(1);
        let services = world.find(citizen).services.unwrap();
        vanished(&services).into_iter().for_each(|id| world.hosts.vanish(id));
        now(world.setups.remove(citizen)).unwrap();
        world.run();
        assert_eq!(world.find(citizen).status, SetupStatus::Removed);
        assert_eq!((world.hosts.ledger(), survey(&world)), (vec![], vec![]));
    }
}

#[test]
fn the_seed_comes_back_with_the_key_ring_also_when_its_node_is_gone() {
    let mut world = complete();
    let citizen = World::citizen(1);
    let (setup, node) = (world.find(citizen).id, world.find(citizen).services.unwrap().node_id);
    let words = |world: &World| -> Vec<String> {
        let kept = now(world.setups.wallets(setup)).unwrap();
        let words = |wallet: KeptWallet| {
            assert_eq!((wallet.attempt, wallet.node.as_deref()), (1, Some(node.as_str())));
            wallet.secrets.unwrap().seed.words().expose_secret().to_owned()
        };
        kept.into_iter().map(words).collect()
    };
    let before = words(&world);
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].split(' ').count(), 24);
    now(world.setups.remove(citizen)).unwrap();
    world.run();
    assert_eq!(words(&world), before);
    let log = now(world.setups.log(citizen, None, Limit::default())).unwrap();
    assert_eq!(
        log.iter().filter(|row| row.operation == "seed_shown").count(),
        2,
        "each time is told to its person"
    );
    let nobody = SetupId::new(uuid::Uuid::from_u128(77));
    assert!(matches!(now(world.setups.wallets(nobody)), Err(DriftError::UnknownSetup(it)) if it == nobody));
}

#[test]
fn what_has_our_name_and_serves_nobody_is_adopted_and_destroyed() {
    let world = complete();
    let setup = world.find(World::citizen(1));
    let name = ResourceName::of(setup.id, 9);
    world.hosts.add_foreign(name.as_str());
    let found = survey(&world);
    let known = |finding: &Finding| {
        let Finding::Orphan { known, origin, .. } = finding else { panic!("{finding:?}") };
        assert_eq!(*origin, (setup.id, 9));
        *known
    };
    assert_eq!(found.iter().map(known).collect::<Vec<_>>(), [Known::SetupOnly, Known::SetupOnly]);
    for remedy in remedies(&world) {
        assert!(remedy.starts_with("guiche lightning adopt --"), "{remedy}");
    }
    for (kind, id) in orphans(&found) {
        assert_eq!(now(world.setups.adopt(kind, &id)).unwrap(), setup.id);
        assert!(matches!(now(world.setups.adopt(kind, &id)), Err(DriftError::AlreadyKnown(..))));
    }
    let found = survey(&world);
    assert_eq!(found.iter().map(known).collect::<Vec<_>>(), [Known::Orphaned, Known::Orphaned]);
    for (kind, id) in orphans(&found) {
        now(world.setups.destroy(kind, &id, false)).unwrap();
        assert!(matches!(now(world.setups.destroy(kind, &id, false)), Err(DriftError::NoOrphan(..))));
    }
    assert_eq!(survey(&world), []);
    assert_eq!(world.hosts.ledger().len(), 3, "what serves the address is untouched");
}

#[test]
fn what_no_setup_ordered_can_only_be_destroyed() {
    let world = complete();
    let nobody = SetupId::new(uuid::Uuid::from_u128(77));
    world.hosts.add_foreign(ResourceName::of(nobody, 1).as_str());
    for (kind, id) in orphans(&survey(&world)) {
        assert!(
            matches!(now(world.setups.adopt(kind, &id)), Err(DriftError::UnknownSetup(it)) if it == nobody)
        );
        now(world.setups.destroy(kind, &id, false)).unwrap();
    }
    assert_eq!(survey(&world), []);
    let trail = now(world.store.rows(None, Limit::default())).unwrap();
    let nobodys = trail.iter().filter(|entry| entry.row.user_id.is_none());
    let told: Vec<_> = nobodys.map(|entry| (entry.row.setup, entry.row.operation.as_str())).collect();
    assert_eq!(told, [(nobody, "node_destruction_begun"), (nobody, "store_destruction_begun")]);
}

#[test]
fn nothing_is_destroyed_that_the_audit_trail_does_not_know_of() {
    let world = complete();
    let nobody = SetupId::new(uuid::Uuid::from_u128(77));
    world.hosts.add_foreign(ResourceName::of(nobody, 1).as_str());
    for (kind, id) in orphans(&survey(&world)) {
        let call = if kind == Kind::Node { "delete_node" } else { "delete_store" };
        world.hosts.plan(call, 1, Trouble::KilledAfter);
        assert!(world.setups.destroy(kind, &id, false).now_or_never().is_none(), "killed in the middle");
        let trail = now(world.store.rows(None, Limit::default())).unwrap();
        assert_eq!(trail.last().unwrap().row.operation, kind.destruction());
    }
    assert_eq!(survey(&world), [], "both are gone");
}

#[test]
fn nothing_that_serves_somebody_is_destroyed() {
    let world = complete();
    let services = world.find(World::citizen(1)).services.unwrap();
    for (kind, id) in [(Kind::Node, &services.node_id), (Kind::Store, &services.store_id)] {
        assert!(matches!(now(world.setups.destroy(kind, id, true)), Err(DriftError::NoOrphan(..))));
    }
    assert_eq!(world.hosts.ledger().len(), 3);
}

#[test]
fn a_node_with_funds_outlives_its_setup_until_somebody_has_the_seed() {
    let mut world = complete();
    let citizen = World::citizen(1);
    let node = world.find(citizen).services.unwrap().node_id;
    // The money comes in between the person's question and the deed.
    now(world.setups.remove(citizen)).unwrap();
    world.hosts.endow(&node, Holdings { balance_sats: 1, ..Holdings::default() });
    world.run();
    let setup = world.find(citizen);
    assert_eq!(setup.status, SetupStatus::NeedsAttention);
    assert_eq!(setup.fault.unwrap().operation, "node_has_funds");
    assert_eq!(remedies(&world), [format!("guiche lightning destroy --node {node}")]);
    for trouble in [None, Some(Trouble::LostBefore)] {
        let calls = world.hosts.calls().iter().filter(|call| **call == "holdings").count();
        if let Some(trouble) = trouble {
            world.hosts.plan("holdings", calls + 1, trouble);
        }
        assert!(matches!(
            now(world.setups.destroy(Kind::Node, &node, false)),
            Err(DriftError::NodeHasFunds(_))
        ));
    }
    now(world.setups.destroy(Kind::Node, &node, true)).unwrap();
    assert_eq!(world.hosts.ledger(), []);
    assert_eq!(survey(&world), []);
    assert_eq!(world.find(citizen).status, SetupStatus::Removed);
}

fn orphans(found: &[Finding]) -> Vec<(Kind, String)> {
    let orphan = |finding: &Finding| {
        let Finding::Orphan { kind, id, .. } = finding else { return None };
        Some((*kind, id.clone()))
    };
    found.iter().filter_map(orphan).collect()
}
