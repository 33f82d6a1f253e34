//! What goes wrong at a provider, and what people are told of it.

use guiche_outbound::fake::{Fault, Rule};
use serde_json::{Value, json};

use super::SETUP;
use crate::support::{PASSWORD, TestApp, User, text};

/// Asks, and works in the hands of the test until the answer is there.
pub(super) async fn ask_and_work(app: &TestApp, user: &User, path: &str) -> crate::client::Answer {
    let call = app.post(path).token(&user.token).header("prefer", "wait=25");
    let call = if path == SETUP { call.body(&json!({ "lightning_address": "ana" })) } else { call };
    let asking = call.send();
    let working = async {
        // Until the request has begun the setup there is nothing to work on.
        while app.standing(user).await["status"] == "not_configured" {}
        loop {
            app.work_off().await;
            // Not for longer than it takes: a token is good for half an hour.
            if ["in_progress", "rolling_back"].contains(&text(&app.standing(user).await, "status").as_str()) {
                app.world.advance(5);
            }
        }
    };
    tokio::select! {
        answer = asking => answer,
        () = working => unreachable!("it works for ever"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_fails_the_setup_and_another_attempt_works() {
    for (provider, operation) in [
        ("voltage", "create_node"),
        ("voltage", "initwallet"),
        ("btcpay", "create_store"),
        ("btcpay", "register_webhook"),
    ] {
        let app = TestApp::start().await;
        let user = app.user().await;
        let rule = Rule::next(operation, Fault::answer(422, Some("canary-code")));
        if provider == "voltage" {
            app.voltage().fail(rule).unwrap();
        } else {
            app.btcpay().fail(rule).unwrap();
        }
        let answer = ask_and_work(&app, &user, SETUP).await;
        let problem = answer.problem(502, "setup_failed");
        assert_eq!(problem["can_retry"], true, "{operation}");
        let standing = app.standing(&user).await;
        assert_eq!(
            (&standing["status"], &standing["can_retry"]),
            (&json!("failed"), &json!(true)),
            "{operation}"
        );
        assert_eq!(standing["error"]["code"], "setup_failed", "{standing}");
        assert_eq!(
            (&standing["has_voltage_node"], &standing["has_btcpay_store"]),
            (&json!(false), &json!(false))
        );
        assert_eq!(
            (app.voltage().play().nodes().len(), app.btcpay().play().stores().len()),
            (0, 0),
            "{operation}"
        );
        let log = app.get(&format!("{SETUP}/log")).token(&user.token).send().await;
        let told = String::from_utf8([log.bytes.clone(), answer.bytes].concat()).unwrap();
        assert!(!told.contains("canary") && !told.contains("422"), "{told}");
        let log = log.json(200);
        assert_eq!(text(&log["entries"][0], "operation"), "setup_failed", "{log}");

        let answer = ask_and_work(&app, &user, &format!("{SETUP}/retry")).await;
        let done = answer.json(201);
        assert_eq!((&done["attempts"], &done["error"]), (&json!(2), &Value::Null), "{operation}");
        assert_eq!(
            (app.voltage().play().nodes().len(), app.btcpay().play().stores().len()),
            (1, 1),
            "{operation}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_told_as_such() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.voltage().fail(Rule::always("create_node", Fault::answer(503, None))).unwrap();
    let answer = ask_and_work(&app, &user, SETUP).await;
    assert_eq!(answer.problem(503, "setup_provider_unavailable")["can_retry"], true);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(app.standing(&user).await["error"]["provider"], "node_host");
    let ready = app.get("/readyz").send().await;
    assert_eq!((ready.status, &ready.value()["checks"]["node_host"]["status"]), (200, &json!("degraded")));

    app.voltage().heal();
    app.world.advance(120);
    ask_and_work(&app, &user, SETUP).await.json(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_make_nothing_twice() {
    for (provider, operation) in
        [("voltage", "create_node"), ("btcpay", "create_store"), ("btcpay", "register_webhook")]
    {
        let app = TestApp::start().await;
        let user = app.user().await;
        let rule = Rule::next(operation, Fault::LoseAnswer);
        if provider == "voltage" {
            app.voltage().fail(rule).unwrap();
        } else {
            app.btcpay().fail(rule).unwrap();
        }
        ask_and_work(&app, &user, SETUP).await.json(201);
        let stores = app.btcpay().play().stores();
        let made = (app.voltage().play().nodes().len(), stores.len(), stores[0].webhooks.len());
        assert_eq!(made, (1, 1, 1), "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_setup_fails_no_registration() {
    let mut app = TestApp::start().await;
    app.start_installer();
    app.voltage().fail(Rule::always("create_node", Fault::answer(400, None))).unwrap();
    let body = json!({ "email": "ana@example.org", "password": PASSWORD, "lightning_address": "ana" });
    let call = app.post("/api/v1/auth/register").header("prefer", "wait=20").body(&body);
    let registered = call.send().await.json(201);
    let failed = json!({ "status": "failed", "can_retry": true, "code": "setup_failed" });
    assert_eq!(registered["lightning_setup"], failed);
    app.login("ana@example.org", PASSWORD).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_needs_attention_and_can_be_torn_down_later() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.btcpay().fail(Rule::next("create_store", Fault::answer(422, None))).unwrap();
    app.voltage().fail(Rule::always("delete_node", Fault::answer(503, None))).unwrap();
    app.ask(&user, &json!({ "lightning_address": "ana" }), 0).await.json(202);
    let standing = app.work_to_the_end(&user).await;
    assert_eq!((&standing["status"], &standing["can_retry"]), (&json!("needs_attention"), &json!(true)));
    assert_eq!(standing["has_voltage_node"], true, "{standing}");
    app.voltage().heal();
    app.world.advance(600);
    app.call("DELETE", SETUP).token(&user.token).send().await.json(202);
    assert_eq!(app.work_to_the_end(&user).await["status"], "not_configured");
    assert_eq!(app.voltage().play().nodes().len(), 0);
}
