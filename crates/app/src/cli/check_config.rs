//! `guiche check-config`: what is in effect, without its secrets.

use super::failure::Failure;
use super::output::print;
use super::settings::Given;

pub(super) fn run(given: &Given) -> Result<(), Failure> {
    let config = given.config()?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(print(&config.to_redacted_toml())?)
}
