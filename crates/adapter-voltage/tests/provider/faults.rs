//! What is made of each thing that Voltage or a node can do wrong, on each call: the kind says whether it had its effect.

use std::time::Duration;

use guiche_kernel::Clock as _;
use guiche_lightning_setup::testing::contract;
use guiche_lightning_setup::{
    FaultKind, HostError, Macaroon, NodeEndpoint, NodeHost as _, NodeWallet as _, Provider,
};
use guiche_outbound::fake::{Fault, Rule};
use guiche_outbound::{BreakerSettings, CircuitState};
use serde_json::json;

use crate::support::{World, name, password, world_with};
use guiche_adapter_voltage::fake::DEFAULT_KEY;

/// Our operations, each with the provider's.
const HOST: [(&str, &str); 5] = [
    ("create_node", "create_node"),
    ("find_nodes", "list_nodes"),
    ("list_nodes", "list_nodes"),
    ("node", "node"),
    ("delete_node", "delete_node"),
];
const NODE: [(&str, &str); 5] = [
    ("generate_seed", "genseed"),
    ("init_wallet", "initwallet"),
    ("is_serving", "state"),
    ("bake_receive_macaroon", "macaroon"),
    ("holdings", "channels"),
];

/// With two nodes: one that waits for its wallet, and one that serves. No number of failures opens the circuit.
struct Nodes {
    world: World,
    id: String,
    waiting: NodeEndpoint,
    serving: (NodeEndpoint, Macaroon),
}

async fn nodes() -> Nodes {
    let patient = BreakerSettings { failures: u32::MAX.try_into().unwrap(), ..BreakerSettings::default() };
    let world = world_with(&[DEFAULT_KEY], |settings| settings.breaker = patient).await;
    let (waiting, serving) = (world.waiting(1).await, world.serving(2).await);
    let id = world.fake.play().nodes()[0].node_id.clone();
    Nodes { world, id, waiting, serving }
}

impl Nodes {
    async fn call(&self, operation: &str) -> Result<(), HostError> {
        let voltage = &self.world.voltage;
        let (endpoint, admin) = &self.serving;
        match operation {
            "create_node" => voltage.create_node(&name(9), &contract::alias()).await.map(drop),
            "find_nodes" => voltage.find_nodes(&name(1)).await.map(drop),
            "list_nodes" => voltage.list_nodes().await.map(drop),
            "node" => voltage.node(&self.id).await.map(drop),
            "delete_node" => voltage.delete_node(&self.id).await,
            "generate_seed" => voltage.generate_seed(&self.waiting).await.map(drop),
            "init_wallet" => {
                let seed = "word ".repeat(24);
                let seed = guiche_lightning_setup::Seed::parse(&seed.into()).unwrap();
                voltage.init_wallet(&self.waiting, &seed, &password()).await.map(drop)
            }
            "is_serving" => voltage.is_serving(endpoint).await.map(drop),
            "bake_receive_macaroon" => voltage.bake_receive_macaroon(endpoint, admin).await.map(drop),
            "holdings" => voltage.holdings(endpoint, admin).await.map(drop),
            other => panic!("{other}"),
        }
    }

    async fn meets(&self, (operation, on): (&str, &str), fault: &Fault) -> HostError {
        self.world.fake.fail(Rule::always(on, fault.clone())).unwrap();
        let error = self.call(operation).await.expect_err(operation);
        self.world.fake.heal();
        error
    }
}

fn answer(status: u16) -> Fault {
    Fault::answer(status, None)
}

fn both() -> impl Iterator<Item = (Provider, (&'static str, &'static str))> {
    let host = HOST.into_iter().map(|call| (Provider::NodeHost, call));
    host.chain(NODE.into_iter().map(|call| (Provider::Node, call)))
}

#[tokio::test]
async fn each_failure_says_truly_whether_it_may_have_had_its_effect() {
    let nodes = nodes().await;
    for (fault, kind, status) in [
        (answer(400), FaultKind::Refused, Some(400)),
        (answer(403), FaultKind::Refused, Some(403)),
        (answer(404), FaultKind::Refused, Some(404)),
        (answer(409), FaultKind::Refused, Some(409)),
        (answer(429), FaultKind::Unavailable, Some(429)),
        (answer(503), FaultKind::Unavailable, Some(503)),
        (answer(408), FaultKind::Unanswered, Some(408)),
        (answer(500), FaultKind::Unanswered, Some(500)),
        (answer(502), FaultKind::Unanswered, Some(502)),
        (answer(504), FaultKind::Unanswered, Some(504)),
        (answer(302), FaultKind::Garbled, Some(302)),
        (Fault::HangUp, FaultKind::Unanswered, None),
        (Fault::Oversized, FaultKind::Garbled, Some(200)),
    ] {
        for (provider, call) in both() {
            // It takes long to send so much, and the others read in the same way.
            if fault == Fault::Oversized && !matches!(call.0, "create_node" | "node" | "holdings") {
                continue;
            }
            let error = nodes.meets(call, &fault).await;
            let found =
                (error.fault.provider, error.fault.operation.as_str(), error.kind(), error.fault.status);
            assert_eq!(found, (provider, call.0, kind, status), "{fault:?}");
            assert_eq!((error.fault.code, error.retry_after), (None, None), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_machine_code_is_kept_and_the_text_beside_it_is_not() {
    let nodes = nodes().await;
    let fault = Fault::answer(403, Some("not-yours"));
    for call in HOST {
        let error = nodes.meets(call, &fault).await;
        assert_eq!(error.to_string(), format!("node_host {}: refused, HTTP 403, not-yours", call.0));
    }
    for call in NODE {
        let error = nodes.meets(call, &fault).await;
        assert_eq!(error.to_string(), format!("node {}: refused, HTTP 403, UNKNOWN", call.0));
    }
}

#[tokio::test]
async fn how_long_to_wait_is_passed_on() {
    let nodes = nodes().await;
    for status in [429, 503] {
        let fault = Fault::Answer { status, code: None, retry_after: Some(90), done: false };
        for (_, call) in both() {
            let error = nodes.meets(call, &fault).await;
            assert_eq!(error.retry_after, Some(Duration::from_secs(90)), "{}", call.0);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_garbled() {
    let nodes = nodes().await;
    let instead = |document| Fault::Instead { document };
    let node = |endpoint: &str| instead(json!({ "status": "running", "api_endpoint": endpoint }));
    let row =
        |id: &str| instead(json!({ "nodes": [{ "node_id": id, "node_name": "x", "status": "running" }] }));
    for (call, fault) in [
        (HOST[0], Fault::Garbage),
        (HOST[0], instead(json!({}))),
        (HOST[0], instead(json!({ "node_id": "" }))),
        (HOST[0], instead(json!({ "node_id": "../7b12" }))),
        (HOST[0], instead(json!({ "node_id": "a".repeat(65) }))),
        (HOST[1], instead(json!([]))),
        (HOST[1], row("")),
        (HOST[2], row("a b")),
        (HOST[2], instead(json!({ "nodes": [{ "node_id": "a" }] }))),
        (HOST[3], Fault::Garbage),
        (HOST[3], instead(json!({ "status": null }))),
        (HOST[3], node("evil.example.org/path")),
        (HOST[3], node("user@evil.example.org")),
        (HOST[3], node("evil.example.org:80")),
        (NODE[0], instead(json!({ "cipher_seed_mnemonic": ["one", "two"] }))),
        (NODE[1], Fault::Garbage),
        (NODE[2], instead(json!({ "state": 4 }))),
        (NODE[3], instead(json!({ "macaroon": "AgEDbG5k" }))),
        (NODE[3], instead(json!({ "macaroon": "" }))),
        (NODE[4], instead(json!({ "channels": [{ "active": true, "remote_balance": "many" }] }))),
        (NODE[4], instead(json!({}))),
    ] {
        let error = nodes.meets(call, &fault).await;
        assert_eq!(
            (error.kind(), error.fault.status),
            (FaultKind::Garbled, Some(200)),
            "{} {fault:?}",
            call.0
        );
    }
}

#[tokio::test]
async fn only_what_changes_nothing_twice_is_repeated() {
    let nodes = nodes().await;
    for (call, on, times) in [
        ("create_node", "create_node", 1),
        ("init_wallet", "initwallet", 1),
        ("find_nodes", "list_nodes", 3),
        ("node", "node", 3),
        ("delete_node", "delete_node", 3),
        ("generate_seed", "genseed", 3),
        ("is_serving", "state", 3),
        ("bake_receive_macaroon", "macaroon", 3),
        ("holdings", "channels", 3),
    ] {
        for fault in [Fault::HangUp, Fault::answer(500, None), Fault::answer(503, None)] {
            let before = nodes.world.fake.calls(on);
            nodes.meets((call, on), &fault).await;
            assert_eq!(nodes.world.fake.calls(on) - before, times, "{call} {fault:?}");
        }
    }
}

#[tokio::test]
async fn what_an_earlier_attempt_may_have_done_is_not_denied() {
    let nodes = nodes().await;
    for (first, last, kind, status) in [
        (Fault::HangUp, answer(503), FaultKind::Unanswered, Some(503)),
        (Fault::HangUp, answer(403), FaultKind::Unanswered, Some(403)),
        (answer(502), answer(429), FaultKind::Unanswered, Some(429)),
        (answer(503), answer(403), FaultKind::Refused, Some(403)),
        (answer(429), answer(503), FaultKind::Unavailable, Some(503)),
        (answer(429), Fault::HangUp, FaultKind::Unanswered, None),
    ] {
        nodes.world.fake.fail(Rule::next("macaroon", first.clone())).unwrap();
        let error = nodes.meets(("bake_receive_macaroon", "macaroon"), &last).await;
        assert_eq!((error.kind(), error.fault.status), (kind, status), "{first:?} {last:?}");
    }
}

#[tokio::test]
async fn a_silent_provider_is_given_up_and_a_dead_one_had_no_effect() {
    let impatient = Duration::from_secs(1);
    let world = world_with(&[DEFAULT_KEY], |settings| settings.limits.attempt = impatient).await;
    world.fake.fail(Rule::next("create_node", Fault::Silence)).unwrap();
    let error = world.voltage.create_node(&name(1), &contract::alias()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect_unknown()), (FaultKind::Unanswered, true));
    assert_eq!(world.fake.play().nodes().len(), 1, "it was made all the same");

    let World { fake, voltage, clock } = world;
    drop(fake);
    let before = clock.now();
    let error = loop {
        let error = voltage.list_nodes().await.unwrap_err();
        // The connections that were open may still break first.
        if error.kind() == FaultKind::Unavailable || clock.now() > before + Duration::from_secs(60) {
            break error;
        }
    };
    assert_eq!((error.kind(), error.fault.status), (FaultKind::Unavailable, None));
}

#[tokio::test]
async fn an_open_circuit_says_when_to_come_back() {
    let world = world_with(&[DEFAULT_KEY], |_| {}).await;
    world.fake.fail(Rule::always("list_nodes", Fault::answer(500, None))).unwrap();
    for _ in 0..2 {
        world.voltage.list_nodes().await.unwrap_err();
    }
    assert_eq!(world.voltage.circuit(), CircuitState::Open);
    let before = world.fake.calls("create_node");
    let error = world.voltage.create_node(&name(1), &contract::alias()).await.unwrap_err();
    assert_eq!((error.kind(), error.fault.status), (FaultKind::Unavailable, None));
    let retry_after = error.retry_after.unwrap();
    assert!((Duration::from_secs(4)..=Duration::from_secs(5)).contains(&retry_after), "{retry_after:?}");
    assert_eq!(world.fake.calls("create_node"), before);
}
