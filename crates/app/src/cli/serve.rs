//! `guiche serve`: the server in the foreground.

use super::failure::Failure;
use super::runtime;
use super::settings::Given;
use crate::{logging, serve};

pub(super) fn run(given: &Given) -> Result<(), Failure> {
    let config = given.config()?;
    logging::start(&config.log)?;
    logging::log_panics();
    Ok(runtime()?.block_on(serve::serve(&config))?)
}
