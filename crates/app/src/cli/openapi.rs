//! `guiche openapi`: the document that clients are generated from.

use super::failure::Failure;
use super::output::print;
use crate::http;

pub(super) fn run() -> Result<(), Failure> {
    Ok(print(&http::openapi::json())?)
}
