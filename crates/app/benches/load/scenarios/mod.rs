//! What is measured. Each scenario is a module with a function that takes the bench and adds to the report.

mod accounts;
mod opening;
mod operations;
mod reading;

use guiche_kernel::BoxError;

use crate::bench::Bench;
use crate::report::Report;

/// Runs what was asked for, in the order of the table.
pub(crate) async fn run(bench: &Bench) -> Result<Report, BoxError> {
    let mut report = Report::default();
    let wants = |name| bench.options.wants(name);
    if wants("operations") {
        report.rows.extend(operations::run(bench).await?);
    }
    if wants("login") {
        report.rows.extend(accounts::login(bench).await?);
    }
    if wants("open") {
        report.rows.extend(opening::run(bench).await?);
    }
    if wants("get") {
        report.rows.extend(reading::get(bench).await?);
    }
    if wants("list") {
        report.rows.extend(reading::list(bench).await?);
    }
    Ok(report)
}
