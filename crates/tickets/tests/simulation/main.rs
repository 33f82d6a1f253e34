//! A simulator on virtual time: citizens, payers, watchers, a provider that fails, and processes that die at any moment,
//! interleaved by a seed. Whatever happened, once the provider is back and the schedule has run its course, every payment
//! is on its ticket, once. `SIMULATION_SEEDS=100000` runs more; `SIMULATION_SEED=7` one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::future_not_send,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod books;
mod faulty;
mod office;

use std::collections::BTreeMap;

use faulty::Bug;
use office::Office;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Lives one seed; what is wrong in the end, if anything.
async fn live(seed: u64, bug: Option<Bug>) -> (Vec<String>, BTreeMap<&'static str, u32>) {
    let mut office = Office::new(seed, bug);
    for _ in 0..250 {
        office.step().await;
    }
    office.heal().await;
    (books::wrong(&office).await, office.happened)
}

#[tokio::test]
async fn no_order_of_crashes_and_failures_loses_or_doubles_a_payment() {
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(1500),
    };
    let mut happened = BTreeMap::<&str, u32>::new();
    let count = seeds.clone().count();
    for seed in seeds {
        let (wrong, events) = live(seed, None).await;
        assert!(wrong.is_empty(), "SIMULATION_SEED={seed}: {wrong:#?}");
        for (event, times) in events {
            *happened.entry(event).or_default() += times;
        }
    }
    println!("{count} seeds: {happened:#?}");
    if count > 100 {
        let rare: Vec<_> = office::EVENTS.iter().filter(|event| !happened.contains_key(*event)).collect();
        assert!(rare.is_empty(), "these never happened, so nothing is known about them: {rare:?}");
    }
}

/// A simulator that cannot fail proves nothing: each of these mistakes must be found.
#[tokio::test]
async fn planted_mistakes_are_found() {
    for bug in Bug::ALL {
        let mut found = None;
        for seed in 0..1500 {
            let (wrong, _) = live(seed, Some(*bug)).await;
            if let Some(wrong) = wrong.into_iter().next() {
                found = Some((seed, wrong));
                break;
            }
        }
        let (seed, wrong) = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        println!("{bug:?}: seed {seed}: {wrong}");
    }
}
