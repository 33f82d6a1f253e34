//! What is repeated, how often, and after which pauses.

use std::time::Duration;

use guiche_kernel::Clock as _;
use guiche_outbound::{Call, Fault, Limits};
use serde_json::json;

use crate::server::{Reaction, Server, answer, answer_with};
use crate::support::{document, world, world_with};

#[tokio::test]
async fn only_what_may_be_repeated_is() {
    for trouble in [answer(500, ""), answer(503, ""), answer(429, ""), answer(408, ""), Reaction::HangUp] {
        let server = Server::that([trouble.clone()]).await;
        let fault = world(&server).fault().await;
        assert_eq!(server.count(), 1, "{trouble:?}: a writing is made once");
        let server = Server::that([trouble.clone()]).await;
        assert_eq!(world(&server).get().await.unwrap_err().fault(), &fault);
        assert_eq!(server.count(), 3, "{trouble:?}: a reading is repeated");
    }
    for answered in [answer(400, ""), answer(401, ""), answer(404, ""), answer(302, ""), Reaction::Flood] {
        let server = Server::that([answered.clone()]).await;
        world(&server).get().await.unwrap_err();
        assert_eq!(server.count(), 1, "{answered:?}: that will not change");
    }
}

#[tokio::test]
async fn a_named_writing_is_repeated_under_its_name() {
    let server = Server::that([Reaction::HangUp, answer(503, ""), answer(201, r#"{"made":1}"#)]).await;
    let call = Call::post("make", &["v1"]).idempotency_key(&"name-1").json(json!({ "size": 1 }));
    let answer = world(&server).client.send(&call).await.unwrap();
    assert_eq!((answer.status().as_u16(), document(&answer)), (201, json!({ "made": 1 })));
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[0].contains("idempotency-key: name-1\r\n"), "{}", requests[0]);
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
}

#[tokio::test]
async fn pauses_are_short_unless_the_provider_asks_for_longer_ones() {
    for (header, at_least, at_most, tries) in [
        ("x: y", 0, 600, 3),
        ("retry-after: 2", 4000, 4600, 3),
        ("retry-after: 3", 0, 0, 1),
        ("retry-after: soon", 0, 600, 3),
    ] {
        let server = Server::that([answer_with(503, header, "")]).await;
        let world = world(&server);
        let before = world.clock.now();
        world.get().await.unwrap_err();
        let waited = (world.clock.now() - before).whole_milliseconds();
        assert!((at_least..=at_most).contains(&waited), "{header}: {waited} ms");
        assert_eq!(server.count(), tries, "{header}");
    }
}

#[tokio::test]
async fn no_pause_outlives_the_time_for_the_whole() {
    let limits = Limits { total: Duration::from_secs(3), ..Limits::default() };
    let server = Server::that([answer_with(503, "retry-after: 2", "")]).await;
    let world = world_with(&server, &["key"], limits);
    let before = world.clock.now();
    assert_eq!(world.get().await.unwrap_err().fault(), &Fault::Failing { status: 503, code: None });
    assert_eq!(server.count(), 2, "the second pause would end after the time");
    assert!(world.clock.now() - before < limits.total);
}
