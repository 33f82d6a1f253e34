//! Every answer, held against the OpenAPI document: its status must be described for the route, and its body must be
//! what the description says.

use std::collections::HashMap;
use std::sync::LazyLock;

use guiche_app::http::openapi;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::client::Answer;

/// What any request may be told before a route has seen it; not described for each route.
const OF_THE_BOUNDARY: [u16; 4] = [405, 408, 414, 431];

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(openapi::document()).unwrap());

/// By method, pattern, status and media type.
type Bodies = HashMap<(String, String, u16, String), Validator>;

static BODIES: LazyLock<Bodies> = LazyLock::new(|| {
    let mut bodies = Bodies::new();
    for (method, path, operation) in operations() {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            for (media_type, content) in answer["content"].as_object().into_iter().flatten() {
                let mut schema = content["schema"].clone();
                // References name places in the document, so its components come along.
                schema["components"] = DOCUMENT["components"].clone();
                let validator = jsonschema::draft202012::new(&schema).unwrap();
                let key = (method.clone(), path.clone(), status.parse().unwrap(), media_type.clone());
                bodies.insert(key, validator);
            }
        }
    }
    bodies
});

/// Method, pattern and description of every documented route.
pub(crate) fn operations() -> Vec<(String, String, Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().clone();
        let path = path.clone();
        methods.into_iter().map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    };
    paths.iter().flat_map(of_path).collect()
}

/// The documented routes that need a login.
pub(crate) fn secured() -> Vec<(String, String)> {
    let needs_login = |operation: &Value| {
        let ways = operation["security"].as_array();
        ways.is_some_and(|ways| ways.iter().any(|way| way.get("bearer").is_some()))
    };
    operations()
        .into_iter()
        .filter(|(_, _, operation)| needs_login(operation))
        .map(|(method, path, _)| (method, path))
        .collect()
}

/// The pattern of a documented route.
fn pattern_of(method: &str, path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap();
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |pattern: &str| {
        let wanted: Vec<&str> = pattern.split('/').collect();
        wanted.len() == segments.len()
            && wanted.iter().zip(&segments).all(|(wanted, found)| wanted.starts_with('{') || wanted == found)
    };
    let all = operations();
    let found = all.iter().find(|(documented, pattern, _)| documented == method && fits(pattern));
    found.map(|(_, pattern, _)| pattern.clone())
}

#[track_caller]
pub(crate) fn check(method: &str, path: &str, answer: &Answer) {
    let Some(pattern) = pattern_of(method, path) else { return };
    if OF_THE_BOUNDARY.contains(&answer.status) {
        return;
    }
    let status = answer.status.to_string();
    let described = &DOCUMENT["paths"][&pattern][method.to_lowercase()]["responses"][&status];
    assert!(described.is_object(), "{method} {pattern} does not describe {status}: {answer:?}");
    let media_type = answer.header("content-type").unwrap_or_default().to_owned();
    if described.get("content").is_none() {
        assert!(answer.bytes.is_empty(), "{method} {pattern} describes no body for {status}: {answer:?}");
        return;
    }
    let key = (method.to_owned(), pattern, answer.status, media_type);
    let validator = BODIES.get(&key).unwrap_or_else(|| panic!("{key:?} is not described: {answer:?}"));
    let wrong: Vec<String> = validator.iter_errors(&answer.value()).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{key:?}: {wrong:?}: {answer:?}");
}

#[test]
fn the_check_would_notice() {
    let key = ("GET".into(), "/api/v1/auth/me".into(), 200, "application/json".into());
    let me = json!({
        "id": "01942138-0f80-7c3a-8d5e-0123456789ab", "email": "a@b.c", "created_at": "2026-01-01T12:00:00Z",
        "lightning_address": null,
    });
    let validator = &BODIES[&key];
    assert!(validator.is_valid(&me));
    for (name, wrong) in [("id", json!(1)), ("email", json!(null)), ("lightning_address", json!(7))] {
        let mut other = me.clone();
        other[name] = wrong;
        assert!(!validator.is_valid(&other), "{other}");
    }
    let mut shorter = me;
    shorter.as_object_mut().unwrap().remove("created_at");
    assert!(!validator.is_valid(&shorter));
}
