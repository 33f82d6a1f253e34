//! The API's description, as it is served and as it is committed.

use guiche_app::http::openapi;
use serde_json::{Value, json};

use crate::contract;
use crate::support::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn the_served_document_is_the_committed_one() {
    let app = TestApp::start().await;
    let answer = app.get("/openapi.json").send().await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let served = String::from_utf8(answer.bytes).unwrap();
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let committed = std::fs::read_to_string(committed).unwrap();
    assert!(served == committed, "docs/openapi.json is out of date: run `just openapi`");
    assert_eq!(served, openapi::json());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_is_served_is_described() {
    let app = TestApp::start().await;
    let described: Vec<(String, String)> =
        contract::operations().into_iter().map(|(method, path, _)| (method, path)).collect();
    let mut bare: Vec<_> =
        app.routes.iter().filter(|route| !described.contains(route)).map(|(_, path)| path).collect();
    bare.sort();
    assert_eq!(
        bare,
        [
            "/.well-known/lnurlp/{name}",
            "/docs",
            "/docs/{file:.*}",
            "/lnurlp/verify/callback",
            "/lnurlp/verify/callback",
            "/lnurlp/verify/{payment_hash}",
            "/lnurlp/{name}/callback",
            "/openapi.json"
        ],
        "only the description itself, and what browsers ask before they ask, is not described"
    );
    for route in &described {
        assert!(app.routes.contains(route), "{route:?} is described and not served");
    }
}

#[test]
fn what_a_route_can_refuse_is_described() {
    for (method, path, operation) in contract::operations() {
        let statuses: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
        let describes = |status: &str| statuses.iter().any(|known| *known == status);
        if operation["security"].is_array() {
            assert!(describes("401"), "{method} {path}");
        }
        if operation["requestBody"].is_object() {
            for status in ["400", "413", "415"] {
                assert!(describes(status), "{method} {path} {status}");
            }
        }
        // A preference may be ignored, and is never refused.
        let has = |place: &str| {
            let parameters = operation["parameters"].as_array();
            let mut parameters =
                parameters.into_iter().flatten().filter(|parameter| parameter["name"] != "Prefer");
            parameters.any(|parameter| parameter["in"] == place)
        };
        if has("path") {
            assert!(describes("404"), "{method} {path}");
        }
        // Wallets are told under 200.
        if (has("query") || has("header")) && !path.starts_with("/lnurlp/") {
            assert!(describes("400"), "{method} {path}");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let media_types: Vec<&String> =
                answer["content"].as_object().map(|content| content.keys().collect()).unwrap_or_default();
            let problem = status.starts_with('4') || (status.starts_with('5') && !path.ends_with("/readyz"));
            if problem {
                assert_eq!(media_types, ["application/problem+json"], "{method} {path} {status}");
            }
        }
    }
}

#[test]
fn no_description_is_ambiguous_about_money_or_time() {
    let schemas = contract::DOCUMENT["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        for (property, description) in schema["properties"].as_object().into_iter().flatten() {
            if property.ends_with("_sats") {
                let kinds = [json!("integer"), json!(["integer", "null"])];
                assert!(kinds.contains(&description["type"]), "{name}.{property}");
            }
            if property.ends_with("_at") {
                assert_eq!(description["format"], Value::from("date-time"), "{name}.{property}");
            }
        }
    }
}
