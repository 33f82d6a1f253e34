//! What is said, and how answers are understood.

use std::time::Duration;

use guiche_adapter_webhooks::SenderSettings;
use guiche_webhooks::{Answer, EventSender as _, SendError, SignedHeaders, TOLERANCE, verify};

use crate::receiver::{NOW, Receiver, answer, request, secret, sender};

const URL: &str = "https://hooks.example";

async fn told(head: &str) -> Result<Answer, SendError> {
    let receiver = Receiver::encrypted("127.0.0.1:0", answer(head)).await;
    sender(receiver.settings()).send(request(&format!("{URL}:{}/", receiver.port))).await
}

#[tokio::test]
async fn a_receiver_gets_what_was_signed() {
    let receiver = Receiver::encrypted("127.0.0.1:0", answer("204 No Content")).await;
    let url = format!("{URL}:{}/hook?x=1", receiver.port);
    let outcome = sender(receiver.settings()).send(request(&url)).await;
    assert_eq!(outcome, Ok(Answer { status: 204, retry_after: None }));
    let heard = receiver.heard();
    assert_eq!(heard.len(), 1);
    let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let value = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        value.unwrap_or_else(|| panic!("{name}: {head}")).to_owned()
    };
    assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{head}");
    assert_eq!(header("content-type"), "application/json");
    assert!(header("user-agent").starts_with("guiche/"));
    let headers = SignedHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    assert_eq!(verify([&secret()], &headers, body.as_bytes(), NOW, TOLERANCE), Ok(()));
    for unwanted in ["cookie", "authorization", "referer", "accept-encoding"] {
        assert!(!head.to_lowercase().contains(&format!("\n{unwanted}:")), "{unwanted}: {head}");
    }
}

#[tokio::test]
async fn every_status_is_passed_on_with_what_it_asks_for() {
    assert_eq!(told("500 Oops").await, Ok(Answer { status: 500, retry_after: None }));
    let asked = Some("120".to_owned());
    assert_eq!(told("503 Later\r\nRetry-After: 120").await, Ok(Answer { status: 503, retry_after: asked }));
    assert_eq!(told("429 Slow\r\nretry-after: \u{e9}").await, Ok(Answer { status: 429, retry_after: None }));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nobody_goes_there() {
    let inside = Receiver::plain(answer("200 OK")).await;
    for status in ["301", "302", "303", "307", "308"] {
        let head = format!("{status} There\r\nlocation: http://127.0.0.1:{}/secrets", inside.port);
        let number = status.parse().unwrap();
        assert_eq!(told(&head).await, Ok(Answer { status: number, retry_after: None }));
    }
    assert!(inside.heard().is_empty());
}

#[tokio::test]
async fn a_body_without_end_keeps_nobody_waiting() {
    let endless = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nand so on".to_vec();
    let receiver = Receiver::encrypted("127.0.0.1:0", endless).await;
    let outcome = sender(receiver.settings()).send(request(&format!("{URL}:{}/", receiver.port))).await;
    assert_eq!(outcome, Ok(Answer { status: 200, retry_after: None }));
}

#[tokio::test]
async fn who_does_not_answer_answers_nonsense_or_is_not_there() {
    let soon = Duration::from_millis(300);
    let flood = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".repeat(200_000)].concat();
    for (said, expected) in [
        (Vec::new(), SendError::TimedOut),
        (b"HTTP/1.1 200 OK\r\nx: y\r\n".to_vec(), SendError::TimedOut),
        (b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), SendError::Broken),
        (flood, SendError::Broken),
    ] {
        let receiver = Receiver::encrypted("127.0.0.1:0", said).await;
        let settings = SenderSettings { timeout: soon, ..receiver.settings() };
        let outcome = sender(settings).send(request(&format!("{URL}:{}/", receiver.port))).await;
        assert_eq!(outcome, Err(expected));
    }
    let nobody = Receiver::encrypted("127.0.0.1:0", Vec::new()).await;
    let outcome = sender(nobody.settings()).send(request("https://hooks.example:1/")).await;
    assert_eq!(outcome, Err(SendError::Unreachable));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_believed() {
    let receiver = Receiver::encrypted("127.0.0.1:0", answer("200 OK")).await;
    let url = format!("{URL}:{}/", receiver.port);
    let distrustful = SenderSettings { extra_roots: Vec::new(), ..receiver.settings() };
    assert_eq!(sender(distrustful).send(request(&url)).await, Err(SendError::Unreachable));
    let other_name = format!("https://other.example:{}/", receiver.port);
    assert_eq!(sender(receiver.settings()).send(request(&other_name)).await, Err(SendError::Unreachable));
    assert!(receiver.heard().is_empty());
}
