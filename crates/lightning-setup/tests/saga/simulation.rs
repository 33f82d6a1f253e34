//! Hundreds of lives: three citizens, two names, every trouble by chance, runners that die, and people who cannot wait.

use futures::FutureExt as _;
use guiche_kernel::Randomness as _;
use guiche_kernel::testing::SeededRandomness;
use guiche_lightning_setup::{SetupStatus, SetupStore as _};

use crate::world::{World, now};

const SEEDS: u64 = 500;
const ROUNDS: usize = 4;

/// One life; returns how often a runner was killed.
fn live(seed: u64) -> usize {
    let mut world = World::new();
    let chance = SeededRandomness::new(seed);
    let draw = |below: u8| {
        let mut byte = [0];
        chance.fill(&mut byte);
        byte[0] % below
    };
    world.hosts.stir(seed, 40);
    for _ in 0..ROUNDS {
        for citizen in 1..=3 {
            let who = World::citizen(citizen);
            let name = if draw(2) == 0 { "swifteagle42" } else { "calmotter7" };
            match draw(4) {
                0 => drop(world.setups.remove(who).now_or_never()),
                1 => drop(world.setups.retry(who).now_or_never()),
                _ => {
                    let address = world.setups.parse(name).unwrap();
                    drop(world.setups.begin(who, Some(address)).now_or_never());
                }
            }
        }
        world.run();
        world.check_all(seed);
    }
    // Once the troubles are over, whoever wants an address of their own gets one.
    world.hosts.heal();
    for citizen in 1..=3 {
        let who = World::citizen(citizen);
        if now(world.setups.find(who))
            .unwrap()
            .is_none_or(|setup| setup.status != SetupStatus::FullyConfigured)
        {
            world.begin(who, &format!("ownname{citizen}"));
            world.run();
        }
        let setup = world.find(who);
        assert_eq!(setup.status, SetupStatus::FullyConfigured, "seed {seed}: {setup:#?}");
    }
    world.check_all(seed);
    let active = now(world.store.count()).unwrap();
    assert_eq!(active.iter().find(|it| it.0 == SetupStatus::FullyConfigured).unwrap().1, 3, "one each");
    world.kills
}

#[test]
fn whatever_happens_the_database_says_what_exists() {
    let kills: usize = (0..SEEDS).map(live).sum();
    println!("{SEEDS} lives, {kills} kills");
    assert!(kills > 500, "the troubles have become rare: {kills}");
}
