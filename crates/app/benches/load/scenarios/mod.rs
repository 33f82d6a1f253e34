//! What is measured. Each scenario is a module whose functions take the bench and return rows of the table, or figures
//! with a bound.
//!
//! To add one: a module, its name in [`NAMES`], and its line in [`run`].

mod accounts;
mod claiming;
mod growth;
mod noticing;
mod opening;
mod operations;
mod paying;
mod reading;
mod replicas;
mod rotation;
mod setups;
mod starting;
mod storm;
mod watching;

use guiche_kernel::BoxError;

use crate::bench::Bench;
use crate::options::Options;
use crate::results::Results;

/// Those that are rows of the table.
const CALLS: [&str; 6] = ["operations", "login", "get", "list", "open", "confirm"];
/// Besides the calls, those that ask the one office; no other needs it.
const OF_THE_OFFICE: [&str; 2] = ["memory", "storm"];
/// All, in their order. Those that open tickets come after those that read: what was opened is watched for minutes, and the
/// watcher's work would be counted as theirs.
pub(crate) const NAMES: [&str; 16] = [
    "operations",
    "login",
    "get",
    "list",
    "open",
    "confirm",
    "memory",
    "storm",
    "growth",
    "rotation",
    "watch",
    "claim",
    "payments",
    "replicas",
    "setups",
    "start",
];

/// Measured once, however often others are: a hundred payments or setups and more are a repetition in themselves.
const ONCE: [&str; 2] = ["payments", "setups"];

/// How many measurements there will be; calls are measured at both numbers of connections.
pub(crate) fn steps(options: &Options) -> u64 {
    let repeat = u64::from(options.repeat());
    let of = |name: &&str| match *name {
        once if ONCE.contains(&once) => 1,
        call if CALLS.contains(&call) => repeat * 2,
        _ => repeat,
    };
    NAMES.iter().filter(|name| options.wants(name)).map(of).sum()
}

/// Runs what was asked for, in the order of the table.
pub(crate) async fn run(bench: &mut Bench<'_>, results: &mut Results) -> Result<(), BoxError> {
    let options = bench.options;
    for name in NAMES.iter().filter(|name| options.wants(name)) {
        if !CALLS.contains(name) && !OF_THE_OFFICE.contains(name) {
            bench.close()?;
        }
        match *name {
            "operations" => results.add(operations::run(bench).await?),
            "login" => results.add(accounts::login(bench).await?),
            "get" => results.add(reading::get(bench).await?),
            "list" => results.add(reading::list(bench).await?),
            "open" => results.add(opening::run(bench).await?),
            "confirm" => {
                let rows = paying::confirm(bench, &mut results.notes).await?;
                results.add(rows);
            }
            "memory" => results.figures.push(starting::memory(bench)?),
            "storm" => results.figures.push(storm::run(bench)?),
            "growth" => results.figures.push(growth::run(bench).await?),
            "rotation" => results.figures.extend(rotation::run(bench).await?),
            "watch" => results.figures.extend(watching::run(bench).await?),
            "claim" => results.figures.push(claiming::run(bench).await?),
            "payments" => results.figures.extend(noticing::run(bench).await?),
            "replicas" => results.figures.extend(replicas::run(bench).await?),
            "setups" => results.figures.extend(setups::run(bench).await?),
            "start" => results.figures.extend(starting::run(bench)?),
            unknown => return Err(format!("there is no scenario {unknown}").into()),
        }
        bench.world.clear_away(&bench.database).await?;
    }
    Ok(())
}
