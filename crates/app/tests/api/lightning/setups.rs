//! An address from nothing to its end.

use std::sync::Arc;

use guiche_app::config::{Config, LightningSetup};
use guiche_app::system::SystemClock;
use serde_json::{Value, json};

use super::SETUP;
use crate::client::faults;
use crate::contract;
use crate::support::{PASSWORD, TestApp, World, text};

#[tokio::test(flavor = "multi_thread")]
async fn one_request_gives_an_address_with_everything_behind_it() {
    let mut app = TestApp::start().await;
    app.start_installer();
    let user = app.user().await;
    let before = app.standing(&user).await;
    assert_eq!((&before["status"], &before["lightning_address"]), (&json!("not_configured"), &Value::Null));

    let answer = app.ask(&user, &json!({ "lightning_address": "SwiftEagle42" }), 20).await;
    let done = answer.json(201);
    assert_eq!(answer.header("location"), Some(SETUP));
    assert_eq!(answer.header("preference-applied"), Some("wait=20"));
    let expected = json!({
        "status": "fully_configured", "lightning_address": "swifteagle42@guiche.test",
        "has_lightning_address": true, "has_btcpay_store": true, "has_voltage_node": true,
        "can_receive": false, "inbound_capacity_sats": 0, "can_retry": false, "attempts": 1, "error": null,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&done[name], value, "{name}");
    }
    let steps = done["steps"].as_array().unwrap();
    assert!(
        steps.len() == 7 && steps.iter().all(|step| step["state"] == "done" && step["at"].is_string()),
        "{done}"
    );
    assert_eq!(app.standing(&user).await, done);
    let me = app.me(&user.token).await.json(200);
    assert_eq!(me["lightning_address"], "swifteagle42@guiche.test");
    assert_eq!((app.voltage().play().nodes().len(), app.btcpay().play().stores().len()), (1, 1));

    let log = app.get(&format!("{SETUP}/log")).token(&user.token).send().await.json(200);
    let told: Vec<String> =
        log["entries"].as_array().unwrap().iter().map(|entry| text(entry, "operation")).collect();
    assert_eq!(told, ["setup_completed", "setup_begun"]);
    app.ask(&user, &json!({}), 0).await.problem(409, "setup_already_complete");
    app.post(&format!("{SETUP}/retry"))
        .token(&user.token)
        .send()
        .await
        .problem(409, "setup_already_complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_we_may_know_is_sealed_in_every_row_and_in_no_answer() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let address = app.set_up(&user, "sealed").await;
    let node = app.voltage().play().nodes().remove(0);
    let wallet = node.wallet.unwrap();
    let mut secrets = vec![wallet.seed, wallet.password, wallet.admin, address.secret];
    secrets.extend(wallet.baked.into_iter().map(|baked| baked.macaroon));
    assert_eq!(secrets.len(), 5);

    let superuser = app.world.database.raw(&app.world.database.superuser_url()).await;
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let mut stored = String::new();
    for row in superuser.query(tables, &[]).await.unwrap() {
        let rows =
            format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM \"{}\" t", row.get::<_, String>(0));
        stored.push_str(&superuser.query_one(&rows, &[]).await.unwrap().get::<_, String>(0));
    }
    assert!(stored.contains("sealed@guiche.test") && stored.contains("v1.generated."), "it is looked at");
    let mut told = String::new();
    for path in [SETUP, &format!("{SETUP}/log"), "/.well-known/lnurlp/sealed", "/readyz", "/api/v1/auth/me"] {
        let answer = app.get(path).token(&user.token).send().await;
        told.push_str(&String::from_utf8(answer.bytes).unwrap());
    }
    for secret in secrets {
        for spelling in [secret.clone(), secret.replace(' ', ","), secret.to_uppercase()] {
            assert!(
                !stored.contains(&spelling) && !told.contains(&spelling),
                "a secret of {} bytes",
                secret.len()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_wait_is_told_where_to_look() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let answer =
        app.post(SETUP).token(&user.token).header("prefer", "respond-async").body(&json!({})).send().await;
    let begun = answer.json(202);
    assert_eq!((&begun["status"], answer.header("location")), (&json!("in_progress"), Some(SETUP)));
    assert_eq!(answer.header("preference-applied"), Some("wait=0"));
    assert!(begun["steps"].as_array().unwrap().iter().all(|step| step["state"] == "pending"), "{begun}");
    app.ask(&user, &json!({}), 0).await.problem(409, "setup_in_progress");
    app.post(&format!("{SETUP}/retry")).token(&user.token).send().await.problem(409, "setup_in_progress");
    app.call("DELETE", SETUP).token(&user.token).send().await.problem(409, "setup_in_progress");
    let done = app.work_to_the_end(&user).await;
    let name = text(&done, "lightning_address");
    assert!(name.ends_with("@guiche.test") && name.len() > 15, "a generated one: {name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_may_come_with_the_registration_and_never_costs_the_account() {
    let mut app = TestApp::start().await;
    app.start_installer();
    let register = async |email: &str, address: &str| {
        let body = json!({ "email": email, "password": PASSWORD, "lightning_address": address });
        app.post("/api/v1/auth/register").header("prefer", "wait=20").body(&body).send().await
    };
    let ana = register("ana@example.org", "ana").await.json(201);
    assert_eq!(ana["lightning_setup"], json!({ "status": "fully_configured", "can_retry": false }));
    let bob = register("bob@example.org", "ana").await.json(201);
    let refused = json!({ "status": "not_configured", "can_retry": true, "code": "address_taken" });
    assert_eq!(bob["lightning_setup"], refused);
    for (wanted, code) in
        [("a", "invalid_length"), ("a b", "invalid_format"), ("ana@elsewhere.test", "unknown_domain")]
    {
        let answer = register("eve@example.org", wanted).await;
        assert_eq!(answer.faults(422, "invalid_fields"), faults(&[("/lightning_address", code)]), "{wanted}");
    }
    app.login("eve@example.org", PASSWORD).await.problem(401, "invalid_credentials");
    let tokens = app.login("bob@example.org", PASSWORD).await.json(200);
    assert_eq!(app.me(&text(&tokens, "access_token")).await.json(200)["lightning_address"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_torn_down_when_nothing_would_be_lost() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let remove = async || app.call("DELETE", SETUP).token(&user.token).send().await;
    remove().await.problem(404, "setup_not_found");
    app.post(&format!("{SETUP}/retry")).token(&user.token).send().await.problem(404, "setup_not_found");
    app.set_up(&user, "gone").await;

    let (voltage, btcpay) = (app.voltage(), app.btcpay());
    let node = voltage.play().nodes().remove(0).node_id;
    let change = |json: Value| voltage.play().change(&node, serde_json::from_value(json).unwrap()).unwrap();
    change(json!({ "purse": { "on_chain_sats": 1 } }));
    remove().await.problem(409, "node_has_funds");
    change(json!({ "purse": { "on_chain_sats": 0 }, "answers": false }));
    remove().await.problem(409, "node_has_funds");
    assert_eq!(app.standing(&user).await["can_receive"], Value::Null, "it does not say");
    change(json!({ "answers": true }));
    assert_eq!(remove().await.json(202)["status"], "rolling_back");
    let standing = app.work_to_the_end(&user).await;
    assert_eq!((&standing["status"], &standing["steps"]), (&json!("not_configured"), &json!([])));
    assert_eq!((voltage.play().nodes().len(), btcpay.play().stores().len()), (0, 0));
    remove().await.problem(404, "setup_not_found");
    let lnurl = app.get("/.well-known/lnurlp/gone").send().await.value();
    assert_eq!(lnurl["status"], "ERROR");
}

/// As in production without `VOLTAGE_…` and `BTCPAY_…`.
#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_off_there_is_no_such_thing() {
    let off = |config: &mut Config| config.lightning = LightningSetup::Off;
    let app = World::new().await.serve_changed(&[], Arc::new(SystemClock), off).await;
    let user = app.user().await;
    let setups: Vec<_> =
        contract::operations().into_iter().filter(|(_, path, _)| path.starts_with(SETUP)).collect();
    assert_eq!(setups.len(), 5);
    for (method, path, _) in setups {
        let call = app.call(&method, &path).token(&user.token);
        let call = if method == "POST" && path == SETUP { call.body(&json!({})) } else { call };
        call.send().await.problem(404, "not_found");
    }
    for path in ["/.well-known/lnurlp/ana", "/lnurlp/ana/callback", "/webhooks/btcpay/x"] {
        app.get(path).send().await.problem(404, "not_found");
    }
    assert_eq!(app.me(&user.token).await.json(200)["lightning_address"], Value::Null);
    let body = json!({ "email": "ana@example.org", "password": PASSWORD, "lightning_address": "ana" });
    let refused = app.post("/api/v1/auth/register").body(&body).send().await;
    assert_eq!(refused.faults(422, "invalid_fields"), faults(&[("/lightning_address", "not_available")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_began_another_one_ends() {
    let world = World::new().await;
    let first = world.serve().await;
    let user = first.user().await;
    first.ask(&user, &json!({ "lightning_address": "shared" }), 0).await.json(202);
    let second = world.serve().await;
    second.work_off().await;
    assert_eq!(first.standing(&user).await["status"], "fully_configured");
    first.stop().await;
    // The providers are played by the second process from now on, and know everything.
    let app = world.serve().await;
    assert_eq!(app.standing(&user).await["lightning_address"], "shared@guiche.test");
}
