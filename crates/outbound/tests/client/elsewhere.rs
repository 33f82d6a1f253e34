//! One customer's own server, the secrets that a call brings along, and what an error tells beside its fault.

use std::time::Duration;

use guiche_outbound::{Address, Call, CircuitState, Client, Fault, HeaderName, Limits, Loopback};
use secrecy::SecretString;
use serde_json::json;

use crate::server::{Reaction, Server, answer, answer_with};
use crate::support::{FAILURES, World, world, world_with};

const MACAROON: HeaderName = HeaderName::from_static("x-macaroon");

fn there(server: &Server) -> Address {
    let url = format!("http://{}/node", server.address).parse().unwrap();
    Address::try_new(url, Loopback::PlainAllowed).unwrap()
}

fn secret() -> SecretString {
    "hunter2hunter2hunter2".into()
}

#[tokio::test]
async fn another_server_gets_no_key_and_has_a_circuit_to_itself() {
    let (home, away) = (Server::that([answer(200, "{}")]).await, Server::that([answer(500, "{}")]).await);
    let world = world(&home);
    let elsewhere = world.client.elsewhere(there(&away));
    let call = Call::post("make", &["v1"]).secret_header(MACAROON, &secret());
    for _ in 0..FAILURES {
        elsewhere.send(&call).await.unwrap_err();
    }
    let request = away.requests()[0].clone();
    assert!(request.starts_with("POST /node/v1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("x-macaroon: hunter2hunter2hunter2\r\n"), "{request}");
    assert!(!request.contains("authorization"), "{request}");

    assert_eq!(elsewhere.circuit().state(), CircuitState::Open);
    assert_eq!(world.client.circuit().state(), CircuitState::Closed);
    assert!(world.circuit.lock().unwrap().is_empty(), "nobody is told of one customer's");
    world.get().await.unwrap();
    assert_eq!(world.client.elsewhere(there(&away)).circuit().state(), CircuitState::Closed);
}

#[tokio::test]
async fn a_server_without_keys_that_wants_one_says_so_for_itself() {
    let away = Server::that([answer(401, "{}")]).await;
    let elsewhere = world(&away).client.elsewhere(there(&away));
    let error = elsewhere.send(&Call::get("look", &["v1"])).await.unwrap_err();
    assert_eq!((error.fault(), away.requests().len()), (&Fault::KeysRefused, 1));
}

#[tokio::test]
async fn what_a_call_holds_is_neither_printed_nor_kept_as_a_code() {
    let echo = |code: &str| answer(400, &json!({ "error": { "code": code } }).to_string());
    let codes = ["hunter2hunter2hunter2", "bad-hunter2hunter2hunter2", "hunter2hunter2", "bad-hunter"];
    let server = Server::that(codes.map(echo)).await;
    let world = world(&server);
    let call =
        Call::post("make", &["v1"]).holding(&secret()).json(json!({ "password": "hunter2hunter2hunter2" }));
    for expected in [None, None, None, Some("bad-hunter")] {
        let error = world.client.send(&call).await.unwrap_err();
        let Fault::Refused { status: 400, code } = error.fault() else { panic!("{error}") };
        assert_eq!(code.as_ref().map(|code| code.as_str()), expected);
    }
    let header = Call::get("look", &["v1"]).secret_header(MACAROON, &secret());
    let printed = format!("{call:?} {header:?}");
    assert!(printed.contains("make") && !printed.contains("hunter2"), "{printed}");
}

#[tokio::test]
async fn a_list_may_be_longer_than_other_answers() {
    let long = format!("\"{}\"", "x".repeat(198));
    let server = Server::that([answer(200, &long)]).await;
    let world = world_with(&server, &["key"], Limits { body_bytes: 100, ..Limits::default() });
    let call = |bytes| Call::get("list", &["v1"]).up_to(bytes);
    assert_eq!(send(&world.client, &call(200)).await, None);
    assert_eq!(send(&world.client, &call(199)).await, Some(Fault::Unreadable { status: 200 }));
    assert_eq!(
        send(&world.client, &Call::get("list", &["v1"])).await,
        Some(Fault::Unreadable { status: 200 })
    );
}

async fn send(client: &Client, call: &Call<'_>) -> Option<Fault> {
    client.send(call).await.err().map(|error| error.fault().clone())
}

#[tokio::test]
async fn an_error_tells_what_the_attempts_before_met_and_how_long_to_wait() {
    let busy = answer_with(429, "retry-after: 90", "{}");
    let World { client, .. } = world(&Server::that([Reaction::HangUp, answer(502, "{}"), busy]).await);
    let error = client.send(&Call::get("look", &["v1"])).await.unwrap_err();
    let failing = |status| Fault::Failing { status, code: None };
    assert_eq!((error.fault(), error.retry_after()), (&failing(429), Some(Duration::from_secs(90))));
    assert_eq!(error.earlier(), [Fault::NoAnswer, failing(502)]);
}
