//! Setups of Lightning addresses, killed at every point of being made and undone, with who runs nodes and stores in processes
//! of their own. However it goes, an attempt ends; then the books are compared, and the same address works at last.

mod round;
mod tally;

use std::time::Instant;

use guiche_app::fail_points::{Part, Point};

use crate::TOLD_EVERY;
use crate::lab::Lab;
use crate::support::Chance;

pub(crate) use self::round::SetupRound;
pub(crate) use self::tally::Tally;

/// A point at which so many rounds were lived through without so many kills is not reached.
const ROUNDS_A_KILL: usize = 3;

/// Whether nothing was made twice or left behind, and every point was hit so often.
pub(crate) async fn kill_everywhere(seed: u64, kills: usize) -> bool {
    let begun = Instant::now();
    let mut chance = Chance::of(seed);
    let mut lab = Lab::new(None).await;
    let mut tally = Tally::default();
    let mut number = 0;
    for _ in 0..kills * ROUNDS_A_KILL {
        let neglected: Vec<_> =
            Point::of(Part::Setups).filter(|point| tally.kills_at(*point) < kills).collect();
        if neglected.is_empty() {
            break;
        }
        for point in shuffled(neglected, &mut chance) {
            // Further kills of other rounds may have been here meanwhile.
            if tally.kills_at(point) >= kills {
                continue;
            }
            let round = SetupRound::new(number, point, &mut chance);
            number += 1;
            match lab.live_through_setup(&round, &tally).await {
                Ok(lived) => {
                    tally.note(point, &lived);
                    if number.is_multiple_of(TOLD_EVERY) {
                        println!("{number} rounds of setups, {} s", begun.elapsed().as_secs());
                    }
                }
                Err(violation) => {
                    println!("{}", tally.table(begun.elapsed()));
                    println!(
                        "VIOLATION after a kill in {round}: {violation}\nrepeat it with POINTS_SEED={seed}"
                    );
                    return false;
                }
            }
        }
    }
    println!("{}", tally.table(begun.elapsed()));
    let neglected = Point::of(Part::Setups).filter(|point| tally.kills_at(*point) < kills);
    let neglected: Vec<_> = neglected.map(|point| point.to_string()).collect();
    if !neglected.is_empty() {
        println!("FAILED: killed fewer than {kills} times at: {}", neglected.join(", "));
    }
    neglected.is_empty()
}

fn shuffled(mut points: Vec<Point>, chance: &mut Chance) -> Vec<Point> {
    for last in (1..points.len()).rev() {
        points.swap(last, chance.index(last + 1).unwrap());
    }
    points
}
