//! What the run tells about itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use guiche_app::fail_points::{Part, Point};

use crate::round::Lived;

/// What happened at each point.
#[derive(Default)]
pub(crate) struct Tally {
    points: BTreeMap<Point, At>,
    again: usize,
}

#[derive(Default)]
struct At {
    kills: usize,
    missed: usize,
    acknowledged: usize,
    doubtful: usize,
}

impl Tally {
    pub(crate) fn note(&mut self, point: Point, lived: Lived) {
        let at = self.points.entry(point).or_default();
        at.kills += usize::from(lived.hit);
        at.missed += usize::from(!lived.hit);
        at.acknowledged += lived.acknowledged;
        at.doubtful += lived.doubtful;
        self.again += usize::from(lived.killed_again);
    }

    /// The points at which too few kills say anything.
    pub(crate) fn neglected(&self, fewest: usize) -> Vec<String> {
        let kills = |point: &Point| self.points.get(point).map_or(0, |at| at.kills);
        Point::of(Part::Money).filter(|point| kills(point) < fewest).map(|point| point.to_string()).collect()
    }

    pub(crate) fn table(&self, took: Duration) -> String {
        let mut table = format!("{:<28} kills  missed  acknowledged  unanswered\n", "point");
        for (point, at) in &self.points {
            let At { kills, missed, acknowledged, doubtful } = at;
            let name = point.to_string();
            writeln!(table, "{name:<28} {kills:>5} {missed:>7} {acknowledged:>13} {doubtful:>11}").unwrap();
        }
        let kills: usize = self.points.values().map(|at| at.kills).sum();
        let tickets: usize = self.points.values().map(|at| at.acknowledged + at.doubtful).sum();
        write!(
            table,
            "{kills} kills at {} of {} points and {} more after the start, {tickets} tickets, {} s",
            self.points.values().filter(|at| at.kills > 0).count(),
            Point::of(Part::Money).count(),
            self.again,
            took.as_secs()
        )
        .unwrap();
        table
    }
}
