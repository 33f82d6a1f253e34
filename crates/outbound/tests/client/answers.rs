//! What goes out, and what is believed of what comes back.

use std::time::Duration;

use guiche_outbound::{Call, Fault, Limits, StatusCode};
use serde_json::{Value, json};

use crate::server::{Reaction, Server, answer, answer_with};
use crate::support::{document, impatient, world, world_with};

const SILENT: Fault = Fault::NoAnswer;

fn refused(status: u16) -> Fault {
    Fault::Refused { status, code: None }
}

#[tokio::test]
async fn a_call_says_what_it_must_and_nothing_else() {
    let server = Server::that([answer(200, r#"{"thing":1}"#)]).await;
    let world = world(&server);
    assert_eq!(document(&world.get().await.unwrap()), json!({ "thing": 1 }));
    world.post().await.unwrap();
    let requests = server.requests();
    let (get, get_body) = requests[0].split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = get.lines().collect();
    assert_eq!(lines.remove(0), "GET /api/v1/things/a%3Ab HTTP/1.1");
    lines.sort_unstable();
    let (agent, host) =
        (concat!("user-agent: guiche/", env!("CARGO_PKG_VERSION")), format!("host: {}", server.address));
    assert_eq!(lines, ["accept: application/json", "authorization: Bearer first-key", &host, agent]);
    assert_eq!(get_body, "");
    assert!(requests[1].starts_with("POST /api/v1/things HTTP/1.1\r\n"), "{}", requests[1]);
    assert!(requests[1].contains("content-type: application/json\r\n"), "{}", requests[1]);
    assert!(requests[1].ends_with("\r\n\r\n{\"size\":1}"), "{}", requests[1]);
}

#[tokio::test]
async fn what_is_no_document_cannot_be_understood() {
    for body in ["", "<html>", "{\"thing\":", "\u{0}"] {
        let server = Server::that([answer(200, body)]).await;
        let error = world(&server).post().await.unwrap().json::<Value>().unwrap_err();
        assert_eq!(error.fault(), &Fault::Unreadable { status: 200 }, "{body:?}");
    }
    // Whoever packs an answer that nobody wanted packed gets it back unopened.
    let server = Server::that([answer_with(200, "content-encoding: gzip", "\u{1f}not opened")]).await;
    world(&server).post().await.unwrap().json::<Value>().unwrap_err();
}

#[tokio::test]
async fn an_answer_is_read_up_to_the_limit_and_no_further() {
    let limits = Limits { body_bytes: 100, ..Limits::default() };
    let exact = format!("\"{}\"", "x".repeat(98));
    let server =
        Server::that([answer(200, &exact), answer(200, &format!("{exact} ")), Reaction::Flood]).await;
    let world = world_with(&server, &["key"], limits);
    assert_eq!(document(&world.post().await.unwrap()).as_str().unwrap().len(), 98);
    assert_eq!(world.fault().await, Fault::Unreadable { status: 200 });
    // It would never end; that it is given up is the proof that nobody reads on.
    assert_eq!(world.fault().await, Fault::Unreadable { status: 200 });
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"a\"";
    let script = [
        Reaction::HangUp,
        Reaction::Raw(cut.into()),
        Reaction::Raw("HTTP/1.1 200".into()),
        Reaction::Raw("nonsense\r\n\r\n".into()),
    ];
    for reaction in script {
        let server = Server::that([reaction.clone()]).await;
        assert_eq!(world(&server).fault().await, SILENT, "{reaction:?}");
        assert_eq!(server.count(), 1, "{reaction:?}");
    }
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    for reaction in [Reaction::Silence, Reaction::Drip] {
        let server = Server::that([reaction.clone()]).await;
        let waited = tokio::time::timeout(Duration::from_secs(30), impatient(&server).fault()).await;
        assert_eq!(waited, Ok(SILENT), "{reaction:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_from_no_answer() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = Server::that([answer(200, "")]).await;
    server.address = free.local_addr().unwrap();
    drop(free);
    assert_eq!(world(&server).fault().await, Fault::Unreachable);
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let elsewhere = Server::that([answer(200, "{}")]).await;
    let location = format!("location: http://{}/v1/things", elsewhere.address);
    for status in [301, 302, 303, 307, 308] {
        let server = Server::that([answer_with(status, &location, "")]).await;
        assert_eq!(world(&server).fault().await, refused(status));
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn of_an_error_only_a_code_is_kept() {
    let long = format!(r#"{{"error":{{"code":"x"}},"pad":"{}"}}"#, "x".repeat(20_000));
    for (body, kept) in [
        (r#"{"error":{"code":"too_small","message":"hunter2"}}"#, Some("too_small")),
        (r#"{"error":{"code":"your key hunter2"}}"#, None),
        (r#"{"error":{"code":"first-key"}}"#, None),
        (r#"{"error":{"code":"key.first-key"}}"#, None),
        (r#"{"error":{"code":7}}"#, None),
        (r#"{"code":"elsewhere"}"#, None),
        ("hunter2", None),
        ("", None),
        (&long, None),
    ] {
        let server = Server::that([answer(400, body)]).await;
        let error = world(&server).post().await.unwrap_err();
        let Fault::Refused { status: 400, code } = error.fault() else { panic!("{error}") };
        assert_eq!(code.as_ref().map(ToString::to_string).as_deref(), kept, "{body}");
        let printed = format!("{error} {error:?}");
        assert!(!printed.contains("hunter2") && !printed.contains("first-key"), "{printed}");
    }
}

#[tokio::test]
async fn a_status_of_500_is_a_refusal_only_where_that_was_said_and_with_a_reason() {
    let call = Call::post("make", &["v1"]).refused_by(StatusCode::BAD_GATEWAY);
    let reason = r#"{"error":{"code":"not_today"}}"#;
    for (status, body, is_refusal) in
        [(502, reason, true), (502, "", false), (503, reason, false), (500, reason, false)]
    {
        let server = Server::that([answer(status, body)]).await;
        let error = world(&server).client.send(&call).await.unwrap_err();
        assert_eq!(matches!(error.fault(), Fault::Refused { .. }), is_refusal, "{status} {body}: {error}");
        assert_eq!(matches!(error.fault(), Fault::Failing { .. }), !is_refusal, "{status} {body}: {error}");
    }
}

#[tokio::test]
async fn what_no_path_or_header_can_hold_is_not_sent() {
    let server = Server::that([answer(200, "{}")]).await;
    let world = world(&server);
    for call in [
        Call::get("look", &["v1", ".."]),
        Call::get("look", &["v1", ""]),
        Call::post("make", &["v1"]).idempotency_key(&"line\nbreak"),
    ] {
        assert_eq!(world.client.send(&call).await.unwrap_err().fault(), &Fault::Unsendable);
    }
    assert_eq!(server.count(), 0);
}
