//! `guiche migrate`: brings the database to this version, as the owner of its tables.

use super::failure::Failure;
use super::runtime;
use super::settings::Given;
use crate::{database, logging};

pub(super) fn run(given: &Given) -> Result<(), Failure> {
    let config = given.as_owner()?;
    logging::start(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(runtime()?.block_on(database::bring_up_to_date(&config))?)
}
