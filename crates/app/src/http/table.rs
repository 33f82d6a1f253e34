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

#[cfg(test)]
mod tests {
    #[test]
    fn no_route_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for (method, path) in super::routes().all() {
            assert!(
                seen.insert((method.clone(), path)),
                "{method} {path}: the second would never be reached"
            );
        }
    }
}
