//! What the run over setups tells about itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use guiche_app::fail_points::{Part, Point};

use super::round::{Ended, Lived};

/// What happened at each point.
#[derive(Default)]
pub(crate) struct Tally {
    points: BTreeMap<Point, At>,
    rounds: usize,
    again: usize,
    retried: usize,
}

#[derive(Default)]
struct At {
    kills: usize,
    missed: usize,
    ended: BTreeMap<Ended, usize>,
}

impl Tally {
    pub(super) fn note(&mut self, point: Point, lived: &Lived) {
        self.rounds += 1;
        self.retried += usize::from(lived.ended != Ended::Complete);
        self.again += lived.kills.len().saturating_sub(1);
        let at = self.points.entry(point).or_default();
        at.missed += usize::from(lived.missed);
        *at.ended.entry(lived.ended).or_default() += 1;
        for point in &lived.kills {
            self.points.entry(*point).or_default().kills += 1;
        }
    }

    pub(super) fn kills_at(&self, point: Point) -> usize {
        self.points.get(&point).map_or(0, |at| at.kills)
    }

    pub(super) fn table(&self, took: Duration) -> String {
        let mut table = format!("{:<36} kills  missed", "point");
        for ended in Ended::ALL {
            write!(table, "  {}", ended.as_str()).unwrap();
        }
        for (point, at) in &self.points {
            write!(table, "\n{:<36} {:>5} {:>7}", point.to_string(), at.kills, at.missed).unwrap();
            for ended in Ended::ALL {
                let count = at.ended.get(&ended).copied().unwrap_or_default();
                write!(table, "  {count:>width$}", width = ended.as_str().len()).unwrap();
            }
        }
        let kills: usize = self.points.values().map(|at| at.kills).sum();
        write!(
            table,
            "\n{kills} kills at {} of {} points of setups ({} of them while a killed one was made up for), {} rounds, \
             {} that did not succeed at once and did with the same address then, {} s",
            self.points.values().filter(|at| at.kills > 0).count(),
            Point::of(Part::Setups).count(),
            self.again,
            self.rounds,
            self.retried,
            took.as_secs()
        )
        .unwrap();
        table
    }
}
