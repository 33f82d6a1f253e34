//! Ids, headers, methods, faults.

use std::time::Duration;

use guiche_app::http::{ServerSettings, Timeouts};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Setup, client, problem, server};

#[tokio::test]
async fn every_answer_has_a_request_id_and_safe_headers() {
    let server = server();
    for path in ["/livez", "/toys/ana", "/nowhere", "/api/v1/tickets"] {
        let response = server.get(path).await;
        let headers = response.headers();
        let id = headers["x-request-id"].to_str().unwrap();
        assert_eq!(id.len(), 36, "{path}");
        assert_eq!(&id[14..15], "7", "a UUIDv7");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
    }
    assert_eq!(
        server.get("/toys/cached").await.headers()["cache-control"],
        "max-age=60",
        "a handler may differ"
    );
}

#[tokio::test]
async fn a_harmless_request_id_is_kept_and_any_other_replaced() {
    let server = server();
    for (sent, kept) in
        [("abc-1_2.X", true), ("a b", false), ("<script>", false), (&"x".repeat(65), false), ("", false)]
    {
        let response =
            client().get(server.url("/toys/whoami")).header("x-request-id", sent).send().await.unwrap();
        let shown = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["request_id"], shown);
        assert_eq!(shown == sent, kept, "{sent}");
    }
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let server = server();
    for (method, path, allow) in [
        ("DELETE", "/api/v1/tickets", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/api/v1/tickets/0195f3a4-7c1e-7c3a-8d5e-0123456789ab", "GET, HEAD, OPTIONS"),
        ("GET", "/toys/account", "OPTIONS, PUT"),
        ("HEAD", "/toys/account", "OPTIONS, PUT"),
        ("PATCH", "/livez", "GET, HEAD, OPTIONS"),
        ("TRACE", "/livez", "GET, HEAD, OPTIONS"),
        ("BREW", "/livez", "GET, HEAD, OPTIONS"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = client().request(method.clone(), server.url(path)).send().await.unwrap();
        assert_eq!(response.headers()["allow"], allow, "{method} {path}");
        if method == Method::HEAD {
            assert_eq!(response.status(), 405);
            assert_eq!(response.bytes().await.unwrap().len(), 0);
        } else {
            problem(response, 405, "method_not_allowed").await;
        }
    }
}

#[tokio::test]
async fn head_and_options_come_with_get() {
    let server = server();
    let head = client().head(server.url("/toys/ana")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], "14", "the size of what GET would send");
    assert_eq!(head.bytes().await.unwrap().len(), 0);

    let stream =
        client().head(server.url("/toys/stream")).timeout(Duration::from_secs(10)).send().await.unwrap();
    assert_eq!(stream.status(), 200, "a stream without an end does not hold HEAD up");

    let options = client().request(Method::OPTIONS, server.url("/api/v1/tickets")).send().await.unwrap();
    assert_eq!(
        (options.status().as_u16(), options.headers()["allow"].to_str().unwrap()),
        (204, "GET, HEAD, OPTIONS, POST")
    );
    let own = client().request(Method::OPTIONS, server.url("/toys/preflight")).send().await.unwrap();
    assert_eq!(own.text().await.unwrap(), "own");
}

#[tokio::test]
async fn words_go_before_parameters() {
    let body: Value = server().get("/api/v1/tickets/summary").await.json().await.unwrap();
    assert_eq!(body, json!({ "summary": true }));
}

#[tokio::test]
async fn faults_are_opaque_and_the_server_lives_on() {
    let server = server();
    for path in ["/toys/panic", "/toys/secret", "/toys/foreign"] {
        let response =
            client().get(server.url(path)).header("x-request-id", "trace-me").send().await.unwrap();
        let document = problem(response, 500, "internal_error").await;
        assert_eq!(document["request_id"], "trace-me");
        assert!(!document.to_string().contains("hunter2"), "{document}");
    }
    assert_eq!(server.get("/livez").await.status(), 200);
}

#[tokio::test]
async fn a_handler_that_hangs_is_cut_off() {
    let timeouts = Timeouts { request: Duration::from_millis(50), ..Timeouts::default() };
    let server = Setup { timeouts, ..Setup::default() }.start();
    let response = server.get("/toys/hang").await;
    assert_eq!(response.headers()["retry-after"], "5");
    problem(response, 503, "timed_out").await;
}

#[tokio::test]
async fn forwarded_addresses_are_believed_from_proxies_only() {
    let stranger = server();
    let proxied = Setup { trusted: vec!["127.0.0.0/8"], ..Setup::default() }.start();
    for (server, expected) in [(&stranger, "127.0.0.1"), (&proxied, "198.51.100.7")] {
        let request =
            client().get(server.url("/toys/whoami")).header("x-forwarded-for", "6.6.6.6, 198.51.100.7");
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(body["client"], expected);
    }
}

#[tokio::test]
async fn stopping_ends_streams_and_lets_requests_finish() {
    let mut server = server();
    let idle = client();
    assert_eq!(
        idle.get(server.url("/livez")).send().await.unwrap().status(),
        200,
        "leaves a connection open"
    );
    let mut streaming = server.get("/toys/stream").await;
    assert_eq!(streaming.chunk().await.unwrap().unwrap(), "first\n");
    server.shutdown.begin();
    assert_eq!(server.get("/readyz").await.status(), 503);
    let stopping = tokio::spawn(server.server.take().unwrap().stop());
    assert_eq!(streaming.chunk().await.unwrap().unwrap(), "last\n");
    assert_eq!(streaming.chunk().await.unwrap(), None);
    let started = std::time::Instant::now();
    stopping.await.unwrap().unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "idle connections do not use up the drain: {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_head_that_does_not_arrive_is_not_waited_for() {
    let setup = Setup::default();
    let settings = ServerSettings { head_timeout: Duration::from_millis(100), ..setup.settings };
    let server = Setup { settings, ..setup }.start();
    assert_eq!(server.raw("GET /livez HTTP/1.1\r\nhost: x\r\n").await.status, 408);
}
