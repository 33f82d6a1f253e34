//! What every host of stores promises.

use super::{NEVER_GIVEN, StoreHostFixture, name};
use crate::WebhookSecret;

const OURS: &str = "https://pay.example.org/hooks/btcpay/1";

async fn make(fixture: &impl StoreHostFixture, setup: u128, attempt: u32) -> String {
    fixture.stores().create_store(&name(setup, attempt)).await.expect("made")
}

async fn register(fixture: &impl StoreHostFixture, store: &str, url: &str) -> String {
    let secret = WebhookSecret::from_text("a-secret-of-our-own".into());
    fixture.stores().register_webhook(store, url, &secret).await.expect("registered")
}

/// A name that begins as another does is another name.
pub async fn a_store_is_found_by_exactly_its_name(fixture: &impl StoreHostFixture) {
    let stores = fixture.stores();
    let (first, eleventh) = (make(fixture, 1, 1).await, make(fixture, 1, 11).await);
    assert_eq!(stores.find_stores(&name(1, 1)).await.expect("asked"), [first]);
    assert_eq!(stores.find_stores(&name(1, 11)).await.expect("asked"), [eleventh]);
    assert!(stores.find_stores(&name(1, 2)).await.expect("asked").is_empty());
}

/// Making one is not idempotent: whoever does not know what became of it must find all that came of it.
pub async fn every_store_of_a_name_is_found(fixture: &impl StoreHostFixture) {
    let stores = fixture.stores();
    let mut made = vec![make(fixture, 1, 1).await];
    made.extend(stores.create_store(&name(1, 1)).await.ok());
    let mut found = stores.find_stores(&name(1, 1)).await.expect("asked");
    made.sort();
    found.sort();
    assert_eq!(found, made);
}

/// Others' stores too, so that nothing of ours is overlooked; only what has one of our names is ever touched.
pub async fn the_list_has_every_store_and_tells_ours_apart(fixture: &impl StoreHostFixture) {
    assert!(fixture.stores().list_stores().await.expect("listed").is_empty());
    let ours = make(fixture, 1, 1).await;
    let foreign = fixture.foreign_store("My own shop").await;
    let listed = fixture.stores().list_stores().await.expect("listed");
    let mut listed: Vec<_> = listed.into_iter().map(|listed| (listed.our_name(), listed.id)).collect();
    listed.sort();
    assert_eq!(listed, [(None, foreign), (Some(name(1, 1)), ours)]);
}

/// Also for an id that no host gives: to undo it is to find it undone.
pub async fn a_store_that_was_never_made_is_gone(fixture: &impl StoreHostFixture) {
    for id in NEVER_GIVEN {
        is_gone(fixture, id, "0123456789").await;
    }
}

/// Deleted once or twice, and its webhooks with it.
pub async fn a_deleted_store_is_gone_for_every_question(fixture: &impl StoreHostFixture) {
    let id = make(fixture, 1, 1).await;
    let webhook = register(fixture, &id, OURS).await;
    assert_eq!(fixture.stores().store_exists(&id).await, Ok(true));
    for _ in 0..2 {
        fixture.stores().delete_store(&id).await.expect("deleted");
        is_gone(fixture, &id, &webhook).await;
        assert!(fixture.stores().find_stores(&name(1, 1)).await.expect("asked").is_empty());
        assert!(fixture.stores().list_stores().await.expect("listed").is_empty());
    }
}

async fn is_gone(fixture: &impl StoreHostFixture, id: &str, webhook: &str) {
    let stores = fixture.stores();
    assert_eq!(stores.store_exists(id).await, Ok(false), "{id}");
    assert_eq!(stores.find_webhooks(id, OURS).await, Ok(Vec::new()), "{id}");
    stores.delete_webhook(id, webhook).await.expect("gone already");
    stores.disconnect_node(id).await.expect("gone already");
    stores.delete_store(id).await.expect("gone already");
}

/// Connecting and disconnecting twice is harmless. Connecting proves nothing: asking does.
pub async fn a_store_reaches_the_node_that_it_is_connected_to(fixture: &impl StoreHostFixture) {
    let (stores, id) = (fixture.stores(), make(fixture, 1, 1).await);
    let (endpoint, macaroon) = fixture.node().await;
    for _ in 0..2 {
        stores.connect_node(&id, &endpoint, &macaroon).await.expect("connected");
        assert_eq!(stores.reaches_node(&id).await, Ok(true));
    }
    fixture.take_down(&endpoint).await;
    stores.connect_node(&id, &endpoint, &macaroon).await.expect("connected all the same");
    assert_eq!(stores.reaches_node(&id).await, Ok(false));
    for _ in 0..2 {
        stores.disconnect_node(&id).await.expect("disconnected");
    }
    assert_eq!(stores.reaches_node(&id).await, Ok(false));
    assert_eq!(stores.store_exists(&id).await, Ok(true));
}

/// Nor does it reach another store's.
pub async fn a_store_without_a_node_reaches_none(fixture: &impl StoreHostFixture) {
    let (stores, first, second) = (fixture.stores(), make(fixture, 1, 1).await, make(fixture, 2, 1).await);
    let (endpoint, macaroon) = fixture.node().await;
    stores.connect_node(&first, &endpoint, &macaroon).await.expect("connected");
    assert_eq!(stores.reaches_node(&second).await, Ok(false));
}

/// Registering is not idempotent: all are found, and none of another address or store.
pub async fn a_webhook_is_found_by_exactly_its_address(fixture: &impl StoreHostFixture) {
    let (stores, id, other) = (fixture.stores(), make(fixture, 1, 1).await, make(fixture, 2, 1).await);
    assert_eq!(stores.find_webhooks(&id, OURS).await, Ok(Vec::new()));
    let mut registered = vec![register(fixture, &id, OURS).await, register(fixture, &id, OURS).await];
    register(fixture, &id, &format!("{OURS}1")).await;
    register(fixture, &other, OURS).await;
    let mut found = stores.find_webhooks(&id, OURS).await.expect("asked");
    registered.sort();
    found.sort();
    assert_eq!(found, registered);
}

/// Deleted once or twice; the others stay.
pub async fn a_deleted_webhook_is_gone(fixture: &impl StoreHostFixture) {
    let (stores, id) = (fixture.stores(), make(fixture, 1, 1).await);
    let (first, second) = (register(fixture, &id, OURS).await, register(fixture, &id, OURS).await);
    for _ in 0..2 {
        stores.delete_webhook(&id, &first).await.expect("deleted");
        assert_eq!(stores.find_webhooks(&id, OURS).await.as_deref(), Ok([second.clone()].as_slice()));
    }
}
