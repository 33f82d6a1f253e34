//! The real program, killed at every named point of opening, settling, watching and delivering, and of setting up addresses,
//! again and again on one database, with the providers in processes of their own. After each kill it is started again, and the books must agree: every
//! acknowledged ticket exists, what the provider was paid is paid here, once, and every event is told under one id.
//!
//! `POINTS_SEED=<seed>` repeats the order of the points, the moments and the workload. Then mistakes that somebody could make
//! are planted one by one, and each must be noticed. docs/crash-testing.md tells more.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail and report like tests"
)]

#[expect(dead_code, reason = "shared with the other crash tests")]
#[path = "../crash/addresses.rs"]
mod addresses;
#[expect(dead_code, reason = "shared with the other crash tests")]
#[path = "../crash/books.rs"]
mod books;
#[expect(dead_code, reason = "shared with the other crash tests")]
#[path = "../crash/cluster.rs"]
mod cluster;
#[path = "../crash/hosts.rs"]
mod hosts;
#[expect(dead_code, reason = "shared with the other crash tests")]
#[path = "../crash/office.rs"]
mod office;
#[expect(dead_code, reason = "shared with the other crash tests")]
#[path = "../crash/process.rs"]
mod process;
#[expect(dead_code, reason = "shared with the other crash tests")]
#[path = "../crash/support.rs"]
mod support;

mod audit;
mod lab;
mod planted;
mod provider;
mod receiver;
mod report;
mod round;
mod setups;

use std::process::ExitCode;
use std::time::Instant;

use guiche_app::fail_points::{Part, Point};

use crate::lab::Lab;
use crate::report::Tally;
use crate::round::Round;
use crate::support::{Chance, any};

/// Kills at each point; `POINTS_KILLS` asks for another number, for a quick look or a long night.
const KILLS_A_POINT: usize = 7;
/// Fewer than this at any point, and a whole run has shown nothing about it.
const FEWEST_KILLS: usize = 5;
/// A line after so many rounds, for whoever watches.
const TOLD_EVERY: usize = 32;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(provider::COMMAND) => {
            provider::serve();
            return ExitCode::SUCCESS;
        }
        Some(which @ (hosts::NODES | hosts::STORES)) => {
            hosts::play(which);
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let given = std::env::var("POINTS_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or_else(any);
    println!("POINTS_SEED={seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let is_fine = runtime.block_on(async {
        let parts = parts();
        Lab::is_refused_in_production().await
            && (!parts.contains(&Part::Money) || kill_everywhere(seed).await)
            && (!parts.contains(&Part::Setups)
                || setups::kill_everywhere(seed, FEWEST_KILLS.min(kills_a_point())).await)
            && planted::all(seed, &parts).await
    });
    if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether nothing was ever lost, and every point was hit often enough.
async fn kill_everywhere(seed: u64) -> bool {
    let begun = Instant::now();
    let mut chance = Chance::of(seed);
    let mut lab = Lab::new(None).await;
    let mut tally = Tally::default();
    for (number, point) in shuffled(&mut chance).into_iter().enumerate() {
        let round = Round::new(number, point, &mut chance);
        match lab.live_through(&round, &mut chance).await {
            Ok(lived) => {
                tally.note(point, lived);
                if (number + 1).is_multiple_of(TOLD_EVERY) {
                    println!("{} rounds, {} s", number + 1, begun.elapsed().as_secs());
                }
            }
            Err(violation) => {
                println!("{}", tally.table(begun.elapsed()));
                println!("VIOLATION after a kill in {round}: {violation}\nrepeat it with POINTS_SEED={seed}");
                return false;
            }
        }
    }
    println!("{}", tally.table(begun.elapsed()));
    if let Err(violation) = lab.audit().await {
        println!("VIOLATION in one of the last rounds: {violation}\nrepeat it with POINTS_SEED={seed}");
        return false;
    }
    let fewest = FEWEST_KILLS.min(kills_a_point());
    let neglected = tally.neglected(fewest);
    if !neglected.is_empty() {
        println!("FAILED: killed fewer than {fewest} times at: {}", neglected.join(", "));
    }
    neglected.is_empty()
}

/// All of them; `POINTS_ONLY` names one, for whoever works on it.
fn parts() -> Vec<Part> {
    match std::env::var("POINTS_ONLY").as_deref() {
        Ok("money") => vec![Part::Money],
        Ok("setups") => vec![Part::Setups],
        Ok(other) => panic!("POINTS_ONLY must be money or setups, and is {other:?}"),
        Err(_) => vec![Part::Money, Part::Setups],
    }
}

fn kills_a_point() -> usize {
    std::env::var("POINTS_KILLS").map_or(KILLS_A_POINT, |kills| kills.parse().unwrap())
}

/// Every point so often, in an order of chance.
fn shuffled(chance: &mut Chance) -> Vec<Point> {
    let mut points: Vec<_> = Point::of(Part::Money).flat_map(|point| vec![point; kills_a_point()]).collect();
    for last in (1..points.len()).rev() {
        points.swap(last, chance.index(last + 1).unwrap());
    }
    points
}
