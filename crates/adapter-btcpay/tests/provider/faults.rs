//! What is made of each thing that the server can do wrong, on each call: the kind says whether it had its effect.

use std::time::Duration;

use guiche_adapter_btcpay::fake::DEFAULT_KEY;
use guiche_lightning_setup::{
    FaultKind, HostError, Provider, ReceiveGateway as _, SetupFault, StoreHost as _, WebhookSecret,
};
use guiche_outbound::fake::{Fault, Rule};
use guiche_outbound::{BreakerSettings, CircuitState};
use serde_json::json;

use crate::support::{World, name, node, world_with};

/// Our operations, each with the server's, and how often it is tried.
const CALLS: [(&str, &str, u64); 14] = [
    ("create_store", "create_store", 1),
    ("find_stores", "list_stores", 3),
    ("list_stores", "list_stores", 3),
    ("store_exists", "store", 3),
    ("connect_node", "connect_node", 3),
    ("reaches_node", "info", 3),
    ("disconnect_node", "disconnect_node", 3),
    ("register_webhook", "register_webhook", 1),
    ("find_webhooks", "list_webhooks", 3),
    ("delete_webhook", "delete_webhook", 3),
    ("delete_store", "delete_store", 3),
    ("issue", "issue", 1),
    ("invoice", "invoice", 3),
    ("receivable_sats", "balance", 3),
];

/// With a store that has a node. No number of failures opens the circuit.
struct Stores {
    world: World,
    store: String,
}

async fn stores() -> Stores {
    let patient = BreakerSettings { failures: u32::MAX.try_into().unwrap(), ..BreakerSettings::default() };
    let world = world_with(&[DEFAULT_KEY], |settings| settings.breaker = patient).await;
    let store = world.connected(1).await;
    Stores { world, store }
}

impl Stores {
    async fn call(&self, operation: &str) -> Result<(), HostError> {
        let (btcpay, store, url) = (&self.world.btcpay, self.store.as_str(), "https://pay.example.org/hook");
        match operation {
            "create_store" => btcpay.create_store(&name(9)).await.map(drop),
            "find_stores" => btcpay.find_stores(&name(1)).await.map(drop),
            "list_stores" => btcpay.list_stores().await.map(drop),
            "store_exists" => btcpay.store_exists(store).await.map(drop),
            "connect_node" => btcpay.connect_node(store, &node(1).0, &node(1).1).await,
            "reaches_node" => btcpay.reaches_node(store).await.map(drop),
            "disconnect_node" => btcpay.disconnect_node(store).await,
            "register_webhook" => {
                let secret = WebhookSecret::from_text("s".repeat(32).into());
                btcpay.register_webhook(store, url, &secret).await.map(drop)
            }
            "find_webhooks" => btcpay.find_webhooks(store, url).await.map(drop),
            "delete_webhook" => btcpay.delete_webhook(store, "webhook").await,
            "delete_store" => btcpay.delete_store(store).await,
            "issue" => self.world.issue(store).await.map(drop),
            "receivable_sats" => btcpay.receivable_sats(store).await.map(drop),
            "invoice" => btcpay.invoice(store, "invoice").await.map(drop),
            other => panic!("{other}"),
        }
    }

    async fn meets(&self, operation: &str, on: &str, fault: &Fault) -> HostError {
        self.world.fake.fail(Rule::always(on, fault.clone())).unwrap();
        let error = self.call(operation).await.expect_err(operation);
        self.world.fake.heal();
        error
    }
}

fn answer(status: u16) -> Fault {
    Fault::answer(status, None)
}

#[tokio::test]
async fn each_failure_says_truly_whether_it_may_have_had_its_effect() {
    let stores = stores().await;
    for (fault, kind, status) in [
        (answer(400), FaultKind::Refused, Some(400)),
        (answer(403), FaultKind::Refused, Some(403)),
        (answer(404), FaultKind::Refused, Some(404)),
        (answer(410), FaultKind::Refused, Some(410)),
        (answer(422), FaultKind::Refused, Some(422)),
        (answer(429), FaultKind::Unavailable, Some(429)),
        (answer(503), FaultKind::Unavailable, Some(503)),
        (answer(408), FaultKind::Unanswered, Some(408)),
        (answer(500), FaultKind::Unanswered, Some(500)),
        (answer(502), FaultKind::Unanswered, Some(502)),
        (answer(504), FaultKind::Unanswered, Some(504)),
        (answer(307), FaultKind::Garbled, Some(307)),
        (Fault::HangUp, FaultKind::Unanswered, None),
        (Fault::LoseAnswer, FaultKind::Unanswered, None),
    ] {
        for (operation, on, times) in CALLS {
            // Lost answers have effects; these are looked at elsewhere.
            if fault == Fault::LoseAnswer && operation == "delete_store" {
                continue;
            }
            let before = stores.world.fake.calls(on);
            let error = stores.meets(operation, on, &fault).await;
            let SetupFault { provider, operation: told, status: found, .. } = &error.fault;
            assert_eq!(
                (provider, told.as_str(), found),
                (&Provider::StoreHost, operation, &status),
                "{fault:?}"
            );
            assert_eq!(error.kind(), kind, "{operation} {fault:?}");
            assert_eq!((&error.fault.code, error.retry_after), (&None, None), "{fault:?}");
            let is_refusal = matches!(kind, FaultKind::Refused | FaultKind::Garbled);
            let expected = if is_refusal { 1 } else { times };
            assert_eq!(stores.world.fake.calls(on) - before, expected, "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_machine_code_and_a_pause_are_passed_on_and_the_text_beside_them_is_not() {
    let stores = stores().await;
    let limit = Fault::answer(403, Some("store-limit-reached"));
    let busy =
        Fault::Answer { status: 429, code: Some("slow-down".to_owned()), retry_after: Some(90), done: false };
    for (operation, on, _) in CALLS {
        let error = stores.meets(operation, on, &limit).await;
        assert_eq!(
            error.to_string(),
            format!("store_host {operation}: refused, HTTP 403, store-limit-reached")
        );
        let error = stores.meets(operation, on, &busy).await;
        assert_eq!(error.to_string(), format!("store_host {operation}: unavailable, HTTP 429, slow-down"));
        assert_eq!(error.retry_after, Some(Duration::from_secs(90)));
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_garbled() {
    let stores = stores().await;
    let instead = |document| Fault::Instead { document };
    let invoice = |id: &str, bolt11: &str| instead(json!({ "id": id, "status": "Unpaid", "BOLT11": bolt11 }));
    for (operation, on, fault) in [
        ("create_store", "create_store", Fault::Garbage),
        ("create_store", "create_store", Fault::Oversized),
        ("create_store", "create_store", instead(json!({}))),
        ("create_store", "create_store", instead(json!({ "id": "../x" }))),
        ("find_stores", "list_stores", instead(json!({}))),
        ("list_stores", "list_stores", instead(json!([{ "id": "" }]))),
        ("register_webhook", "register_webhook", Fault::Garbage),
        ("register_webhook", "register_webhook", instead(json!({ "id": null }))),
        ("find_webhooks", "list_webhooks", instead(json!([{ "url": "https://pay.example.org/hook" }]))),
        ("find_webhooks", "list_webhooks", instead(json!([{ "id": "a/b" }]))),
        ("issue", "issue", Fault::Garbage),
        ("issue", "issue", invoice("", "lnbcrt1")),
        ("issue", "issue", invoice("a", "")),
        ("issue", "issue", invoice("a", "lnbcrt1 <script>")),
        ("issue", "issue", invoice("a", &"l".repeat(9000))),
        ("receivable_sats", "balance", Fault::Garbage),
        ("receivable_sats", "balance", instead(json!({ "offchain": { "remote": "much" } }))),
        ("receivable_sats", "balance", instead(json!({ "offchain": { "remote": 7 } }))),
        ("invoice", "invoice", Fault::Garbage),
        ("invoice", "invoice", invoice("another", "lnbcrt1")),
    ] {
        // Nothing of these is there to be found; they are answered all the same.
        let error = stores.meets(operation, on, &fault).await;
        assert_eq!(
            (error.kind(), error.fault.status),
            (FaultKind::Garbled, Some(200)),
            "{operation} {fault:?}"
        );
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up_and_an_open_circuit_says_when_to_come_back() {
    let impatient = Duration::from_secs(1);
    let world = world_with(&[DEFAULT_KEY], |settings| settings.limits.attempt = impatient).await;
    world.fake.fail(Rule::next("create_store", Fault::Silence)).unwrap();
    let error = world.btcpay.create_store(&name(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.fault.status), (FaultKind::Unanswered, None));
    assert_eq!(world.fake.play().stores().len(), 1, "it was made all the same");

    world.fake.fail(Rule::always("list_stores", answer(500))).unwrap();
    for _ in 0..2 {
        world.btcpay.list_stores().await.unwrap_err();
    }
    assert_eq!(world.btcpay.circuit(), CircuitState::Open);
    let error = world.btcpay.create_store(&name(2)).await.unwrap_err();
    assert_eq!((error.kind(), error.fault.status), (FaultKind::Unavailable, None));
    assert!(error.retry_after.is_some());
    assert_eq!(world.fake.calls("create_store"), 1);
}
