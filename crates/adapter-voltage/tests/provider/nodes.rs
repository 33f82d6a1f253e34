//! Ordering, finding and deleting nodes: what the contract does not say.

use guiche_adapter_voltage::fake::Change;
use guiche_lightning_setup::testing::contract;
use guiche_lightning_setup::{FaultKind, NodeHost as _, NodeState};
use guiche_outbound::fake::{Fault, Rule};
use serde_json::{Value, json};

use crate::support::{name, world};

#[tokio::test]
async fn the_order_says_what_the_settings_say() {
    let world = world().await;
    world.order(1).await;
    let sent: Value = serde_json::from_str(&world.fake.seen()[0].body).unwrap();
    let expected = json!({
        "network": "testnet",
        "type": "lite",
        "purchased_type": "ondemand",
        "name": name(1).as_str(),
        "settings": {
            "alias": "a".repeat(32),
            "autopilot": false,
            "color": "#EF820D",
            "grpc": true,
            "rest": true,
            "keysend": true,
            "whitelist": ["192.0.2.7"],
        },
    });
    assert_eq!(sent, expected, "an alias has at most 32 bytes");
}

#[tokio::test]
async fn an_unanswered_order_is_found_by_its_name() {
    let world = world().await;
    for fault in [
        Fault::LoseAnswer,
        Fault::Garbage,
        Fault::Answer { status: 502, code: None, retry_after: None, done: true },
    ] {
        world.fake.fail(Rule::next("create_node", fault)).unwrap();
        let error = world.voltage.create_node(&name(1), &contract::alias()).await.unwrap_err();
        assert!(error.effect_unknown(), "{error}");
        let [found] = world.voltage.find_nodes(&name(1)).await.unwrap().try_into().unwrap();
        world.voltage.delete_node(&found).await.unwrap();
    }
    assert_eq!(world.fake.calls("create_node"), 3);
    assert!(world.fake.play().nodes().is_empty());
}

#[tokio::test]
async fn voltages_words_are_understood_and_new_ones_are_on_their_way() {
    let world = world().await;
    let id = world.order(1).await;
    let endpoint = world.fake.play().nodes()[0].endpoint.clone();
    let endpoint = guiche_lightning_setup::NodeEndpoint(endpoint);
    for (says, expected) in [
        ("provisioning", NodeState::Preparing),
        ("starting", NodeState::Preparing),
        ("restarting", NodeState::Preparing),
        ("stopping", NodeState::Preparing),
        ("daydreaming", NodeState::Preparing),
        ("waiting_init", NodeState::WaitingForWallet(endpoint.clone())),
        ("waiting_unlock", NodeState::Locked(endpoint.clone())),
        ("running", NodeState::Running(endpoint.clone())),
        ("stopped", NodeState::Stopped),
        ("deleted", NodeState::Gone),
    ] {
        let change = Change { says: Some(says.to_owned()), ..Change::default() };
        world.fake.play().change(&id, change).unwrap();
        assert_eq!(world.voltage.node(&id).await, Ok(expected), "{says}");
    }
    assert!(world.voltage.find_nodes(&name(1)).await.unwrap().is_empty(), "what is deleted does not exist");
    for nowhere in
        [json!({ "status": "waiting_init" }), json!({ "status": "waiting_init", "api_endpoint": "" })]
    {
        world.fake.fail(Rule::next("node", Fault::Instead { document: nowhere })).unwrap();
        assert_eq!(world.voltage.node(&id).await, Ok(NodeState::Preparing), "its address is not known yet");
    }
}

#[tokio::test]
async fn a_refused_deletion_is_none_while_the_list_has_the_node() {
    let world = world().await;
    let id = world.order(1).await;
    world.fake.fail(Rule::always("delete_node", Fault::answer(400, None))).unwrap();
    let error = world.voltage.delete_node(&id).await.unwrap_err();
    assert_eq!((error.kind(), error.fault.status), (FaultKind::Refused, Some(400)));
    world.fake.fail(Rule::always("list_nodes", Fault::answer(500, None))).unwrap();
    let error = world.voltage.delete_node(&id).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Unanswered, "nothing is known without the list");
    assert_eq!(error.fault.operation, "delete_node");
}

#[tokio::test]
async fn a_deletion_whose_answer_is_lost_is_made_again() {
    let world = world().await;
    let id = world.order(1).await;
    world.fake.fail(Rule::next("delete_node", Fault::LoseAnswer)).unwrap();
    world.voltage.delete_node(&id).await.unwrap();
    assert!(world.fake.play().nodes().is_empty());
}
