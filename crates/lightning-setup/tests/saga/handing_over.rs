//! Runners that end in good order: nobody waits for their leases.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};

use guiche_kernel::Clock as _;
use guiche_lightning_setup::testing::Trouble;
use guiche_lightning_setup::{Driven, Policy, SetupStatus};

use crate::world::{World, now};

/// Works on the only setup that there is, with a new runner for every step; how many there were.
fn relay(world: &World) -> (SetupStatus, usize) {
    for runners in 1..100 {
        let claimed = now(world.setups.claim(NonZeroU16::MAX)).unwrap();
        let [(lease, setup)] = claimed.try_into().expect("it is due, and nobody holds it");
        let has_worked = AtomicBool::new(false);
        let ends = || has_worked.swap(true, Ordering::Relaxed);
        match now(world.setups.drive_unless(lease, setup, ends)).unwrap() {
            Driven::Resting(until) => world.clock.set(until),
            Driven::Ended(status) => return (status, runners),
            Driven::Lost => panic!("somebody else works on it"),
        }
    }
    panic!("no end");
}

#[test]
fn each_step_is_made_by_another_runner_without_a_pause_between_them() {
    let world = World::new();
    world.begin(World::citizen(1), "swifteagle42");
    let begun = world.clock.now();
    let (status, runners) = relay(&world);
    assert_eq!(status, SetupStatus::FullyConfigured);
    assert!(runners >= 7, "seven steps, and only {runners} runners");
    assert!(world.clock.now() < begun + Policy::default().lease / 10, "somebody waited for a lease");
    assert_eq!(world.hosts.ledger().len(), 3, "a node, a store and a webhook, each once");
}

#[test]
fn the_same_while_everything_is_undone() {
    let world = World::new();
    world.hosts.plan("register_webhook", 1, Trouble::Refused);
    world.begin(World::citizen(1), "swifteagle42");
    let begun = world.clock.now();
    let (status, runners) = relay(&world);
    assert_eq!(status, SetupStatus::Failed);
    assert!(runners >= 12, "seven steps there and six back, and only {runners} runners");
    assert!(world.clock.now() < begun + Policy::default().lease / 10, "somebody waited for a lease");
    assert_eq!(world.hosts.ledger(), []);
}

#[test]
fn who_has_to_end_before_the_first_step_asks_nobody() {
    let world = World::new();
    world.begin(World::citizen(1), "swifteagle42");
    let [(lease, setup)] = now(world.setups.claim(NonZeroU16::MAX)).unwrap().try_into().unwrap();
    let driven = now(world.setups.drive_unless(lease, setup, || true)).unwrap();
    assert_eq!(driven, Driven::Resting(world.clock.now()));
    assert_eq!(world.hosts.calls(), Vec::<&str>::new());
    assert_eq!(now(world.setups.claim(NonZeroU16::MAX)).unwrap().len(), 1);
}
