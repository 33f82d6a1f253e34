//! A revoked token is refused at its next call, on every replica and every route, and that costs nothing: the check is
//! part of the round trip to the database that the call makes anyway.

use std::collections::BTreeMap;
use std::sync::Arc;

use guiche_app::system::SystemClock;
use serde_json::json;

use crate::client::Call;
use crate::contract;
use crate::support::{PASSWORD, TestApp, World, order, path_of, text};
use crate::wire::Wire;

/// A good call of each route that needs a login, on a ticket of the caller's.
pub(crate) fn calls<'a>(
    app: &'a TestApp,
    ticket: &'a serde_json::Value,
) -> BTreeMap<(String, String), Box<dyn Fn() -> Call + 'a>> {
    let mut calls: BTreeMap<(String, String), Box<dyn Fn() -> Call + 'a>> = BTreeMap::new();
    let mut add = |method: &str, pattern: &str, call: Box<dyn Fn() -> Call + 'a>| {
        calls.insert((method.to_owned(), pattern.to_owned()), call);
    };
    let passwords = json!({ "current_password": PASSWORD, "new_password": "a horse of yet another colour" });
    let proof = json!({ "preimage": "0".repeat(64) });
    add("GET", "/api/v1/auth/me", Box::new(|| app.get("/api/v1/auth/me")));
    add("PUT", "/api/v1/auth/password", Box::new(move || app.put("/api/v1/auth/password").body(&passwords)));
    add("GET", "/api/v1/tickets", Box::new(|| app.get("/api/v1/tickets")));
    add("POST", "/api/v1/tickets", Box::new(|| app.post("/api/v1/tickets").body(&order())));
    add("GET", "/api/v1/tickets/{id}", Box::new(|| app.get(&path_of(ticket, ""))));
    let path = path_of(ticket, "/events");
    add("GET", "/api/v1/tickets/{id}/events", Box::new(move || app.get(&path)));
    for action in ["confirm-payment", "invoice", "cancel"] {
        let path = path_of(ticket, &format!("/{action}"));
        add("POST", &format!("/api/v1/tickets/{{id}}/{action}"), Box::new(move || app.post(&path)));
    }
    let path = path_of(ticket, "/payment-proof");
    add("POST", "/api/v1/tickets/{id}/payment-proof", Box::new(move || app.post(&path).body(&proof)));
    let setup = "/api/v1/lightning/setup";
    add("GET", setup, Box::new(move || app.get(setup)));
    add("POST", setup, Box::new(move || app.post(setup).body(&json!({}))));
    add("DELETE", setup, Box::new(move || app.call("DELETE", setup)));
    add("POST", "/api/v1/lightning/setup/retry", Box::new(|| app.post("/api/v1/lightning/setup/retry")));
    add("GET", "/api/v1/lightning/setup/log", Box::new(|| app.get("/api/v1/lightning/setup/log")));
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_on_every_route_of_every_replica() {
    let world = World::new().await;
    let (app, replica) = (world.serve().await, world.serve().await);
    let user = app.user().await;
    let ticket = app.open(&user).await;
    let routes: Vec<_> = calls(&app, &ticket).into_keys().collect();
    let mut secured = contract::secured();
    secured.sort();
    assert_eq!(routes, secured, "a new route that needs a login belongs into this list");

    let body = json!({ "current_password": PASSWORD, "new_password": "a horse of another colour" });
    replica.put("/api/v1/auth/password").token(&user.token).body(&body).send().await.empty();
    let before = world.contents().await;
    for app in [&app, &replica] {
        for (route, call) in calls(app, &ticket) {
            for keyed in [false, true] {
                let call = call().token(&user.token);
                let answer = if keyed { call.key("k") } else { call }.send().await;
                assert_eq!(answer.status, 401, "{route:?}: {answer:?}");
                answer.problem(401, "unauthorized");
                let challenge = "Bearer realm=\"guiche\", error=\"invalid_token\"";
                assert_eq!(answer.header("www-authenticate"), Some(challenge));
            }
        }
    }
    assert_eq!(world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_costs_no_round_trip() {
    let world = World::new().await;
    let wire = Wire::tap(&world).await;
    let app = world.serve_with(&[("DATABASE_URL", &wire.url())], Arc::new(SystemClock)).await;
    let user = app.user().await;
    let ticket = app.open(&user).await;
    let reads = [
        "/api/v1/auth/me",
        "/api/v1/tickets",
        "/api/v1/tickets?status=pending&limit=5",
        &path_of(&ticket, ""),
    ];
    // The first call of a kind also prepares its statement.
    for path in reads {
        app.get(path).token(&user.token).send().await.json(200);
    }
    for path in reads {
        let before = wire.round_trips();
        app.get(path).token(&user.token).send().await.json(200);
        // The account and its address are two domains' business.
        let trips = if path == "/api/v1/auth/me" { 2 } else { 1 };
        assert_eq!(wire.round_trips() - before, trips, "{path}: identity, revocation and answer in one");
    }
    let open = async |user: &str| app.post("/api/v1/tickets").token(user).body(&order()).send().await;
    open(&user.token).await.json(201);
    let before = wire.round_trips();
    open(&user.token).await.json(201);
    assert_eq!(wire.round_trips() - before, 1, "the ticket with everything; the price is remembered");

    // What a revoked token costs: never more than the same call with a good one.
    let tokens = app.login(&user.email, PASSWORD).await.json(200);
    let other = text(&tokens, "access_token");
    let body = json!({ "current_password": PASSWORD, "new_password": "a horse of another colour" });
    app.put("/api/v1/auth/password").token(&other).body(&body).send().await.empty();
    for (_, call) in calls(&app, &ticket) {
        call().token(&user.token).send().await.problem(401, "unauthorized");
    }
    for (route, call) in calls(&app, &ticket) {
        let before = wire.round_trips();
        call().token(&user.token).send().await.problem(401, "unauthorized");
        assert_eq!(wire.round_trips() - before, 1, "{route:?}");
    }
    // A token that is forged does not get as far as the database.
    let (message, _) = user.token.rsplit_once('.').unwrap();
    let before = wire.round_trips();
    for (_, call) in calls(&app, &ticket) {
        call().token(&format!("{message}.AAAA")).send().await.problem(401, "unauthorized");
        call().send().await.problem(401, "unauthorized");
    }
    assert_eq!(wire.round_trips(), before);
}
