//! Keys are replaced without a gap: the next one is tried when the provider refuses the first.

use guiche_outbound::{Fault, Limits};

use crate::server::{Server, answer};
use crate::support::world_with;

fn key_of(request: &str) -> &str {
    request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap()
}

#[tokio::test]
async fn the_next_key_is_tried_and_the_one_that_works_is_remembered() {
    let ok = answer(200, "{}");
    let server = Server::that([answer(401, ""), answer(401, ""), ok.clone()]).await;
    let world = world_with(&server, &["one", "two", "three"], Limits::default());
    world.post().await.unwrap();
    world.post().await.unwrap();
    let requests = server.requests();
    let keys: Vec<_> = requests.iter().map(|request| key_of(request)).collect();
    assert_eq!(keys, ["one", "two", "three", "three"], "a refused writing had no effect, so it goes on");
    server.then([answer(401, ""), ok]);
    world.post().await.unwrap();
    let requests = server.requests();
    assert_eq!((key_of(&requests[4]), key_of(&requests[5])), ("three", "one"), "it goes around");
}

#[tokio::test]
async fn when_none_is_left_each_was_asked_once_and_the_circuit_stays_closed() {
    let server = Server::that([answer(401, r#"{"error":{"code":"unauthorized"}}"#)]).await;
    let world = world_with(&server, &["one", "two"], Limits::default());
    for round in 1..=10 {
        assert_eq!(world.get().await.unwrap_err().fault(), &Fault::KeysRefused);
        assert_eq!(server.count(), round * 2);
    }
    assert!(world.circuit.lock().unwrap().is_empty());
}

#[tokio::test]
async fn another_key_is_not_tried_for_any_other_refusal() {
    let server = Server::that([answer(403, "")]).await;
    let world = world_with(&server, &["one", "two"], Limits::default());
    assert_eq!(world.fault().await, Fault::Refused { status: 403, code: None });
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn other_keys_are_used_from_the_next_call_on() {
    let ok = answer(200, "{}");
    let server = Server::that([answer(401, ""), ok.clone(), ok]).await;
    let world = world_with(&server, &["one", "two"], Limits::default());
    world.post().await.unwrap();
    assert!(world.client.replace_keys(vec![]).is_err());
    world.post().await.unwrap();
    world.client.replace_keys(vec!["three".into(), "one".into()]).unwrap();
    world.post().await.unwrap();
    let requests = server.requests();
    let keys: Vec<_> = requests.iter().map(|request| key_of(request)).collect();
    assert_eq!(keys, ["one", "two", "two", "three"], "a list that cannot be used changes nothing");
}
