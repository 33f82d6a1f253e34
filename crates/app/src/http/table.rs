//! The route table: every route of the service, in one place.

use super::routes::RouteTable;
use super::{docs, probes};

/// All routes. Each documented one also stands in the list of paths in `openapi.rs`.
#[must_use]
pub fn routes() -> RouteTable {
    RouteTable::new()
        .get("/livez", probes::livez)
        .get("/readyz", probes::readyz)
        .get("/openapi.json", docs::openapi_json)
        .undocumented()
        .get("/docs", docs::docs_folder)
        .undocumented()
        .get("/docs/{file:.*}", docs::docs)
        .undocumented()
}
