//! What is measured. Each scenario is a module whose functions take the bench and return rows of the table, or figures
//! with a bound.
//!
//! To add one: a module, its name in [`NAMES`], and its line in [`run`].

mod accounts;
mod growth;
mod opening;
mod operations;
mod paying;
mod reading;
mod rotation;
mod starting;
mod storm;

use guiche_kernel::BoxError;

use crate::bench::Bench;
use crate::options::Options;
use crate::results::Results;

/// Those that are rows of the table.
const CALLS: [&str; 6] = ["operations", "login", "open", "get", "list", "confirm"];
/// All, in their order.
pub(crate) const NAMES: [&str; 11] = [
    "operations",
    "login",
    "open",
    "get",
    "list",
    "confirm",
    "memory",
    "storm",
    "growth",
    "rotation",
    "start",
];

/// How many measurements there will be; calls are measured at both numbers of connections.
pub(crate) fn steps(options: &Options) -> u64 {
    let repeat = u64::from(options.repeat());
    let of = |name: &&str| if CALLS.contains(name) { repeat * 2 } else { repeat };
    NAMES.iter().filter(|name| options.wants(name)).map(of).sum()
}

/// Runs what was asked for, in the order of the table.
pub(crate) async fn run(bench: &Bench<'_>, results: &mut Results) -> Result<(), BoxError> {
    for name in NAMES.iter().filter(|name| bench.options.wants(name)) {
        match *name {
            "operations" => results.add(operations::run(bench).await?),
            "login" => results.add(accounts::login(bench).await?),
            "open" => results.add(opening::run(bench).await?),
            "get" => results.add(reading::get(bench).await?),
            "list" => results.add(reading::list(bench).await?),
            "confirm" => {
                let rows = paying::confirm(bench, &mut results.notes).await?;
                results.add(rows);
            }
            "memory" => results.figures.push(starting::memory(bench)?),
            "storm" => results.figures.push(storm::run(bench)?),
            "growth" => results.figures.push(growth::run(bench).await?),
            "rotation" => results.figures.push(rotation::run(bench).await?),
            "start" => results.figures.extend(starting::run(bench)?),
            unknown => return Err(format!("there is no scenario {unknown}").into()),
        }
    }
    Ok(())
}
