//! The circuit in use.

use std::sync::Arc;
use std::time::Duration;

use guiche_outbound::{CircuitState, Fault};

use crate::server::{Reaction, Server, answer};
use crate::support::{FAILURES, PAUSE, World, world};

async fn opened(server: &Server) -> World {
    let world = world(server);
    for _ in 0..FAILURES {
        assert_eq!(world.client.circuit().state(), CircuitState::Closed);
        world.fault().await;
    }
    world
}

fn is_open(fault: &Fault) -> bool {
    matches!(fault, Fault::CircuitOpen { .. })
}

#[tokio::test]
async fn it_opens_fails_fast_probes_once_and_closes() {
    let server = Server::that([answer(503, "")]).await;
    let world = opened(&server).await;
    assert_eq!(server.count(), 4);
    assert_eq!(world.fault().await, Fault::CircuitOpen { retry_in: PAUSE });
    assert!(is_open(world.get().await.unwrap_err().fault()));
    assert_eq!(server.count(), 4, "no call was made");

    world.clock.advance(PAUSE);
    world.fault().await;
    assert_eq!(server.count(), 5, "one call finds out");
    assert_eq!(world.fault().await, Fault::CircuitOpen { retry_in: PAUSE * 2 });

    server.then([answer(200, "{}")]);
    world.clock.advance(PAUSE * 2);
    world.post().await.unwrap();
    world.post().await.unwrap();
    use CircuitState::{Closed, HalfOpen, Open};
    assert_eq!(*world.circuit.lock().unwrap(), [Open, HalfOpen, Open, HalfOpen, Closed]);
}

#[tokio::test]
async fn of_many_calls_at_once_one_is_the_probe() {
    let server = Server::that([Reaction::HangUp]).await;
    let world = Arc::new(opened(&server).await);
    server.then([Reaction::Silence]);
    world.clock.advance(PAUSE);
    let probe = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.fault().await }
    });
    while server.count() < 5 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        assert!(is_open(&world.fault().await));
    }
    assert_eq!(server.count(), 5);
    // Nobody waits for the probe any more: that says nothing, and the next call is the probe.
    probe.abort();
    assert!(probe.await.unwrap_err().is_cancelled());
    server.then([answer(200, "{}")]);
    world.post().await.unwrap();
    assert_eq!(world.client.circuit().state(), CircuitState::Closed);
}

#[tokio::test]
async fn a_repeated_call_stops_where_the_circuit_opens_and_tells_its_own_fault() {
    let server = Server::that([answer(503, "")]).await;
    let world = world(&server);
    let failing = Fault::Failing { status: 503, code: None };
    assert_eq!(world.get().await.unwrap_err().fault(), &failing);
    assert_eq!(server.count(), 3);
    assert_eq!(world.get().await.unwrap_err().fault(), &failing);
    assert_eq!(server.count(), 4, "the fourth opened it");
}

#[tokio::test]
async fn what_a_caller_can_bring_about_never_opens_it() {
    for status in [302, 400, 401, 403, 404, 409, 422, 429] {
        let server = Server::that([answer(status, "")]).await;
        let world = world(&server);
        for _ in 0..3 * FAILURES {
            world.fault().await;
        }
        assert_eq!(world.client.circuit().state(), CircuitState::Closed, "{status}");
    }
    let (server, waited) = (Server::that([Reaction::HangUp]).await, Duration::from_secs(3600));
    let world = opened(&server).await;
    server.then([answer(400, "")]);
    world.clock.advance(waited);
    world.fault().await;
    assert_eq!(world.client.circuit().state(), CircuitState::Closed, "a refusal is an answer");
}
