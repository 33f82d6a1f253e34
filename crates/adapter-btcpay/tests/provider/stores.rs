//! Stores and their nodes: what the contract does not say.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use guiche_adapter_btcpay::fake::DEFAULT_KEY;
use guiche_adapter_btcpay::{BtcPay, BtcPaySetupError};
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_lightning_setup::{FaultKind, Macaroon, NodeEndpoint, StoreHost as _, WebhookSecret};
use guiche_outbound::fake::{Asked, FakeServer, Fault, HangUp, Play, Reply, Rule};
use guiche_outbound::{AddressError, Loopback, Outside, TemplateError};
use serde_json::{Value, json};

use crate::support::{client, name, node, settings, world, world_with};

#[tokio::test]
async fn a_403_says_that_a_store_is_gone_to_a_key_that_may_change_all_and_to_no_other() {
    let world = world().await;
    let store = world.store(1).await;
    let play = world.fake.play();
    for limited in
        [&["btcpay.store.canviewinvoices"][..], &[], &["btcpay.store.canmodifystoresettings:other"]]
    {
        play.take_keys(&[DEFAULT_KEY], limited);
        let error = world.btcpay.store_exists(&store).await.unwrap_err();
        assert_eq!(error.to_string(), "store_host store_exists: refused, HTTP 403, missing-permission");
        for error in [
            world.btcpay.delete_store(&store).await.unwrap_err(),
            world.btcpay.disconnect_node(&store).await.unwrap_err(),
            world.btcpay.delete_webhook(&store, "webhook").await.unwrap_err(),
            world.btcpay.find_webhooks(&store, "https://pay.example.org").await.unwrap_err(),
            world.btcpay.find_stores(&name(1)).await.unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.fault.status), (FaultKind::Refused, Some(403)));
        }
    }
    play.take_keys(&[DEFAULT_KEY], &["unrestricted"]);
    assert_eq!(world.btcpay.store_exists(&store).await, Ok(true));
    assert_eq!(world.btcpay.store_exists("never-made").await, Ok(false));
    world.btcpay.delete_store(&store).await.unwrap();
    assert_eq!(
        world.btcpay.store_exists(&store).await,
        Ok(false),
        "an administrator still sees it, and it is not ours"
    );
    world.fake.fail(Rule::always("current_key", Fault::answer(500, None))).unwrap();
    let error = world.btcpay.store_exists("never-made").await.unwrap_err();
    assert_eq!((error.kind(), error.fault.operation.as_str()), (FaultKind::Unanswered, "store_exists"));
}

#[tokio::test]
async fn an_account_without_stores_may_be_told_that_it_may_not() {
    let world = world().await;
    world.fake.fail(Rule::next("list_stores", Fault::answer(403, Some("missing-permission")))).unwrap();
    assert!(world.btcpay.list_stores().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_made_by_an_unanswered_call_is_found() {
    let world = world().await;
    for fault in [
        Fault::LoseAnswer,
        Fault::Garbage,
        Fault::Answer { status: 504, code: None, retry_after: None, done: true },
    ] {
        world.fake.fail(Rule::next("create_store", fault.clone())).unwrap();
        assert!(world.btcpay.create_store(&name(1)).await.unwrap_err().effect_unknown());
        let [store] = world.btcpay.find_stores(&name(1)).await.unwrap().try_into().unwrap();
        world.fake.fail(Rule::next("register_webhook", fault)).unwrap();
        let (url, secret) = ("https://pay.example.org/hook", WebhookSecret::from_text("secret".into()));
        assert!(world.btcpay.register_webhook(&store, url, &secret).await.unwrap_err().effect_unknown());
        let [webhook] = world.btcpay.find_webhooks(&store, url).await.unwrap().try_into().unwrap();
        world.btcpay.delete_webhook(&store, &webhook).await.unwrap();
        world.fake.fail(Rule::next("delete_store", Fault::LoseAnswer)).unwrap();
        world.btcpay.delete_store(&store).await.unwrap();
    }
    assert_eq!((world.fake.calls("create_store"), world.fake.calls("register_webhook")), (3, 3));
    let left = world.fake.play().deleted().iter().map(|store| store.webhooks.len()).sum::<usize>();
    assert_eq!((world.fake.play().stores().len(), left), (0, 0));
}

#[tokio::test]
async fn the_connection_leads_to_the_node_with_its_macaroon_in_hex() {
    let world = world().await;
    let store = world.store(1).await;
    let (endpoint, macaroon) = node(1);
    world.btcpay.connect_node(&store, &endpoint, &macaroon).await.unwrap();
    let sent: Value = serde_json::from_str(&world.fake.seen().last().unwrap().body).unwrap();
    let expected = "type=lnd-rest;server=https://node-1.u.voltageapp.io:8080/;macaroon=0201036c6e64";
    assert_eq!(sent, json!({ "enabled": true, "config": { "connectionString": expected } }));
    for nowhere in ["", "a;b", "a=b;server=x", "10.0.0.1:1"] {
        let nowhere = NodeEndpoint(nowhere.to_owned());
        let error = world.btcpay.connect_node(&store, &nowhere, &macaroon).await.unwrap_err();
        assert_eq!(error.kind(), FaultKind::Internal);
    }
}

/// A node with a macaroon.
struct Node;

#[async_trait]
impl Play for Node {
    const OPERATIONS: &'static [&'static str] = &["getinfo"];

    fn operation(&self, asked: &Asked) -> Option<&'static str> {
        (asked.segments() == ["lnd", "node-1", "v1", "getinfo"]).then_some("getinfo")
    }

    fn admit(&self, _: &'static str, asked: &Asked) -> Result<(), Reply> {
        let fits = asked.header("grpc-metadata-macaroon") == Some("0201");
        if fits { Ok(()) } else { Err(Reply::document(500, &json!({ "code": 2 }))) }
    }

    async fn perform(&self, _: &'static str, _: &Asked) -> Result<Reply, HangUp> {
        Ok(Reply::ok(&json!({})))
    }

    fn trouble(&self, _: &'static str, _: &Asked, status: u16, _: Option<&str>) -> Reply {
        Reply::empty(status)
    }

    async fn control(&self, _: &str, _: &str, _: &Value) -> Option<io::Result<Value>> {
        None
    }

    fn ledger(&self) -> Value {
        json!({})
    }
}

#[tokio::test]
async fn a_store_reaches_a_node_that_answers_and_knows_the_macaroon() {
    let lnd = FakeServer::start(None, Node).await.unwrap();
    let world = world().await;
    let btcpay = client(&world.fake.url(), &[DEFAULT_KEY], world.clock.clone(), |settings| {
        settings.node_url = format!("{}/lnd/{{host}}", lnd.url());
    });
    let store = world.store(1).await;
    let connect = async |endpoint: &str, macaroon: &str| {
        let macaroon = Macaroon::from_hex(&macaroon.into()).unwrap();
        btcpay.connect_node(&store, &NodeEndpoint(endpoint.to_owned()), &macaroon).await.unwrap();
        btcpay.reaches_node(&store).await
    };
    assert_eq!(connect("node-1", "0202").await, Ok(false));
    assert_eq!(connect("node-2", "0201").await, Ok(false));
    assert_eq!(connect("node-1", "0201").await, Ok(true));
    drop(lnd);
    assert_eq!(btcpay.reaches_node(&store).await, Ok(false));
    let error = world.issue(&store).await.unwrap_err();
    assert_eq!(error.to_string(), "store_host issue: unavailable, HTTP 503, lightning-node-unavailable");
}

#[tokio::test]
async fn a_server_that_is_out_of_reach_itself_says_nothing_of_the_node() {
    let world = world().await;
    let store = world.connected(1).await;
    world.fake.fail(Rule::always("info", Fault::answer(503, None))).unwrap();
    let error = world.btcpay.reaches_node(&store).await.unwrap_err();
    assert_eq!((error.kind(), error.fault.status), (FaultKind::Unavailable, Some(503)));
}

#[tokio::test]
async fn a_key_is_replaced_without_a_gap() {
    let world = world_with(&["new-key", DEFAULT_KEY], |_| {}).await;
    world.store(1).await;
    world.store(2).await;
    let admitted: Vec<bool> = world.fake.seen().iter().map(|call| call.admitted).collect();
    assert_eq!(admitted, [false, true, true], "the one that works is remembered");
    world.fake.play().take_keys(&["newest-key"], &["unrestricted"]);
    let error = world.btcpay.list_stores().await.unwrap_err();
    assert_eq!((error.kind(), error.fault.status), (FaultKind::Refused, Some(401)));
    world.btcpay.replace_keys(vec!["newest-key".into()]).unwrap();
    assert_eq!(world.btcpay.list_stores().await.unwrap().len(), 2);
}

#[test]
fn without_tls_only_this_machine_is_called_and_only_where_that_is_allowed() {
    let refused = |url: &str, node_url: &str, loopback| {
        let mut settings = settings(url, &["key"]);
        (settings.node_url, settings.loopback) = (node_url.to_owned(), loopback);
        let clock = Arc::new(ManualClock::default());
        let randomness = Arc::new(SeededRandomness::new(1));
        BtcPay::try_new(settings, Outside { clock: clock.clone(), timer: clock, randomness }).unwrap_err()
    };
    let (node, plain) = ("https://{host}:8080", "http://{host}:8080");
    let address = BtcPaySetupError::Address(AddressError::Unprotected);
    assert_eq!(refused("http://pay.example.org", node, Loopback::PlainAllowed), address);
    assert_eq!(refused("http://127.0.0.1:1", node, Loopback::Refused), address);
    let node = BtcPaySetupError::NodeUrl(TemplateError::Address(AddressError::Unprotected));
    assert_eq!(refused("https://pay.example.org", plain, Loopback::PlainAllowed), node);
}
