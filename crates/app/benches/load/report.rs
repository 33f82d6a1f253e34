//! What was found, as a table and as JSON.

use std::fmt::Write as _;

use guiche_kernel::BoxError;
use serde::Serialize;

use crate::bench::Pair;
use crate::options::Options;
use crate::wrk::Seen;

/// Processor time of one request, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    pub(crate) service_us: f64,
    pub(crate) database_us: f64,
    /// Of the load tool, on the same cores.
    pub(crate) load_us: f64,
}

/// A call at a number of connections.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) call: &'static str,
    pub(crate) connections: usize,
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) resident_mb: f64,
    pub(crate) cost: Cost,
    pub(crate) limit: &'static str,
    pub(crate) limit_rate: f64,
    pub(crate) share: f64,
    /// The share that is to be reached.
    pub(crate) goal: Option<f64>,
    /// Answers that were none: statuses above 399, broken connections. Part of no rate.
    pub(crate) refused: f64,
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
}

/// A run.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Prints it, and writes it where it was asked for.
    pub(crate) fn publish(&self, options: &Options) -> Result<(), BoxError> {
        crate::say(&self.table()?)?;
        if let Some(file) = &options.json {
            std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?;
        }
        Ok(())
    }

    fn table(&self) -> Result<String, BoxError> {
        let mut table = String::new();
        writeln!(
            table,
            "{:<16}{:>5}{:>9}{:>9}{:>9}{:>7}{:>9}{:>7}{:>6}  {:<16}{:>8}{:>6}",
            "call",
            "conn",
            "req/s",
            "p50 ms",
            "p99 ms",
            "MB",
            "guiche",
            "pg",
            "wrk",
            "limit",
            "limit/s",
            "share"
        )?;
        for row in &self.rows {
            writeln!(
                table,
                "{:<16}{:>5}{:>9.0}{:>9.2}{:>9.2}{:>7.1}{:>9.0}{:>7.0}{:>6.0}  {:<16}{:>8.0}{:>5.0}%{}",
                row.call,
                row.connections,
                row.rate,
                row.p50_ms,
                row.p99_ms,
                row.resident_mb,
                row.cost.service_us,
                row.cost.database_us,
                row.cost.load_us,
                row.limit,
                row.limit_rate,
                row.share * 100.0,
                if row.refused + row.broken > 0.0 { " !" } else { "" },
            )?;
        }
        Ok(table)
    }
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
