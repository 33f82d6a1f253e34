//! What every host of nodes promises.

use super::{NEVER_GIVEN, NodeHostFixture, alias, name};
use crate::NodeState;

async fn order(fixture: &impl NodeHostFixture, setup: u128, attempt: u32) -> String {
    fixture.host().create_node(&name(setup, attempt), &alias()).await.expect("ordered")
}

/// A name that begins as another does is another name.
pub async fn an_ordered_node_is_found_by_exactly_its_name(fixture: &impl NodeHostFixture) {
    let host = fixture.host();
    let first = order(fixture, 1, 1).await;
    let eleventh = order(fixture, 1, 11).await;
    assert_eq!(host.find_nodes(&name(1, 1)).await.expect("asked"), [first]);
    assert_eq!(host.find_nodes(&name(1, 11)).await.expect("asked"), [eleventh]);
    assert!(host.find_nodes(&name(1, 2)).await.expect("asked").is_empty());
}

/// Ordering is not idempotent. Whoever does not know what became of an order must find all that came of it; a host may
/// also refuse a name that is taken, and then there is one.
pub async fn every_node_of_a_name_is_found(fixture: &impl NodeHostFixture) {
    let host = fixture.host();
    let mut ordered = vec![order(fixture, 1, 1).await];
    ordered.extend(host.create_node(&name(1, 1), &alias()).await.ok());
    let mut found = host.find_nodes(&name(1, 1)).await.expect("asked");
    ordered.sort();
    found.sort();
    assert_eq!(found, ordered);
}

/// And says where.
pub async fn an_ordered_node_comes_to_wait_for_its_wallet(fixture: &impl NodeHostFixture) {
    let id = order(fixture, 1, 1).await;
    fixture.settle().await;
    let state = fixture.host().node(&id).await.expect("asked");
    let NodeState::WaitingForWallet(endpoint) = state else { panic!("{state:?}") };
    assert!(!endpoint.0.is_empty());
}

/// Others' nodes too, so that nothing of ours is overlooked; only what has one of our names is ever touched.
pub async fn the_list_has_every_node_and_tells_ours_apart(fixture: &impl NodeHostFixture) {
    let ours = order(fixture, 1, 1).await;
    let foreign = fixture.foreign_node("my-own-node").await;
    let mut listed: Vec<_> = fixture
        .host()
        .list_nodes()
        .await
        .expect("listed")
        .into_iter()
        .map(|listed| (listed.our_name(), listed.id))
        .collect();
    listed.sort();
    assert_eq!(listed, [(None, foreign), (Some(name(1, 1)), ours)]);
}

/// Also for an id that no host gives.
pub async fn a_node_that_was_never_ordered_is_gone(fixture: &impl NodeHostFixture) {
    for id in NEVER_GIVEN {
        assert_eq!(fixture.host().node(id).await, Ok(NodeState::Gone), "{id}");
        fixture.host().delete_node(id).await.expect("gone already");
    }
}

/// Deleted once or twice.
pub async fn a_deleted_node_is_gone_for_every_question(fixture: &impl NodeHostFixture) {
    let host = fixture.host();
    let id = order(fixture, 1, 1).await;
    for _ in 0..2 {
        host.delete_node(&id).await.expect("deleted");
        fixture.settle().await;
        assert_eq!(host.node(&id).await, Ok(NodeState::Gone));
        assert!(host.find_nodes(&name(1, 1)).await.expect("asked").is_empty());
        assert!(host.list_nodes().await.expect("listed").is_empty());
    }
}

/// The others stay.
pub async fn deleting_takes_one_node_only(fixture: &impl NodeHostFixture) {
    let host = fixture.host();
    let (first, second) = (order(fixture, 1, 1).await, order(fixture, 2, 1).await);
    host.delete_node(&first).await.expect("deleted");
    assert_eq!(host.find_nodes(&name(2, 1)).await.expect("asked"), [second]);
}
