//! What was found.

use std::fmt;

use guiche_kernel::{BoxError, Timestamp};
use serde::Serialize;

use crate::bench::Pair;
use crate::machine::Machine;
use crate::wrk::Seen;

/// Processor time of one request, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    pub(crate) service_us: f64,
    pub(crate) database_us: f64,
    /// Of the load tool, which works on the same cores.
    pub(crate) load_us: f64,
}

/// A call at a number of connections.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) call: &'static str,
    pub(crate) connections: usize,
    /// Answers in a second, refusals not counted.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Of the service, after the load.
    pub(crate) resident_mb: f64,
    pub(crate) cost: Cost,
    pub(crate) limit: &'static str,
    pub(crate) limit_rate: f64,
    /// Of the limit.
    pub(crate) share: f64,
    /// The share that is to be reached.
    pub(crate) goal: Option<f64>,
    /// Answers with a status above 399.
    pub(crate) refused: f64,
    /// Connections that failed, and answers that did not come.
    pub(crate) broken: f64,
}

impl Row {
    /// Medians over the repetitions; the share is the median of the ratios, each of two neighbours in time.
    pub(crate) fn of(
        pair: &Pair<'_>,
        connections: usize,
        measured: &[(Seen, Cost)],
        limits: &[f64],
        resident_mb: f64,
    ) -> Self {
        let over = |value: fn(&(Seen, Cost)) -> f64| median(measured.iter().map(value));
        Self {
            call: pair.call,
            connections,
            rate: over(|(seen, _)| seen.rate()),
            p50_ms: over(|(seen, _)| seen.p50_us) / 1e3,
            p99_ms: over(|(seen, _)| seen.p99_us) / 1e3,
            resident_mb,
            cost: Cost {
                service_us: over(|(_, cost)| cost.service_us),
                database_us: over(|(_, cost)| cost.database_us),
                load_us: over(|(_, cost)| cost.load_us),
            },
            limit: pair.limit,
            limit_rate: median(limits.iter().copied()),
            share: median(measured.iter().zip(limits).map(|((seen, _), limit)| seen.rate() / limit)),
            goal: pair.goal.filter(|(_, at)| at.contains(&connections)).map(|(share, _)| share),
            refused: measured.iter().map(|(seen, _)| seen.refused).sum(),
            broken: measured.iter().map(|(seen, _)| seen.broken).sum(),
        }
    }

    /// Whether the goal was reached, where there is one.
    pub(crate) fn reached(&self) -> Option<bool> {
        self.goal.map(|goal| self.share >= goal)
    }
}

/// One number with a bound.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) value: f64,
    /// What the number counts: `times`, `MB`, `s`.
    pub(crate) unit: &'static str,
    #[serde(flatten)]
    pub(crate) bound: Bound,
    /// How it came about.
    pub(crate) detail: String,
}

/// On which side of it a number should lie.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    /// Whether the bound is kept.
    pub(crate) fn reached(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.value <= most,
            Bound::AtLeast(least) => self.value >= least,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
        }
    }
}

/// A run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Results {
    /// The day and the moment, UTC.
    pub(crate) at: String,
    pub(crate) command: String,
    pub(crate) machine: Machine,
    /// What shapes the numbers: settings, durations, repetitions.
    pub(crate) conditions: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
    /// What a reader must know about single numbers.
    pub(crate) notes: Vec<String>,
}

impl Results {
    /// Nothing found yet.
    pub(crate) fn begun(at: Timestamp, machine: Machine, conditions: Vec<String>) -> Result<Self, BoxError> {
        let shape = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
        let arguments: Vec<String> =
            std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
        let command = format!("just bench {}", arguments.join(" ")).trim_end().to_owned();
        let at = at.format(shape)?;
        let (rows, figures, notes) = Default::default();
        Ok(Self { at, command, machine, conditions, rows, figures, notes })
    }

    /// Adds rows, and a note where answers were none.
    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        for row in &rows {
            let Row { call, connections, refused, broken, .. } = row;
            if *refused > 0.0 {
                self.notes.push(format!(
                    "{call}, {connections} connections: {refused:.0} requests were refused and are part of no rate, but of \
                     the latencies and of the cost."
                ));
            }
            if *broken > 0.0 {
                self.notes
                    .push(format!("{call}, {connections} connections: {broken:.0} answers did not come."));
            }
        }
        self.rows.extend(rows);
    }
}

/// The value that so many percent of all are not above.
pub(crate) fn percentile(values: impl IntoIterator<Item = f64>, percent: usize) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// The middle value; of an even number, the mean of the two in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    let lower = values.len().saturating_sub(1) / 2;
    match (values.get(lower), values.get(upper)) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        (Some(_) | None, Some(_) | None) => f64::NAN,
    }
}
