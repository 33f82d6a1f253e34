//! What nobody should send, and the exact answer to it.

use std::time::Duration;

use guiche_app::http::Timeouts;
use serde_json::{Value, json};

use crate::support::{Setup, client, problem, server};

async fn post_bytes(url: String, content_type: &str, body: Vec<u8>) -> reqwest::Response {
    client().post(url).header("content-type", content_type).body(body).send().await.unwrap()
}

#[tokio::test]
async fn a_good_request_for_comparison() {
    let server = server();
    let request = client().post(server.url("/api/v1/tickets")).header("idempotency-key", "\"k\"");
    let response = request.json(&json!({ "operation_id": 1, "form_data": {} })).send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "operation": 1, "key": "k" }));
}

#[tokio::test]
async fn bodies_that_are_not_what_they_should_be() {
    let server = server();
    let json = "application/json";
    for (content_type, body, pointer) in [
        (json, b"".to_vec(), None),
        (json, b"{".to_vec(), None),
        (json, b"hunter2".to_vec(), None),
        (json, b"{\"form_data\": {\"a\": \"\xff\"}}".to_vec(), None),
        (json, b"{\"form_data\": {\"a\": \"\\ud800\"}}".to_vec(), None),
        (json, b"\xef\xbb\xbf{}".to_vec(), None),
        (json, b"[\"hunter2\"]".to_vec(), Some(("", "wrong_type"))),
        (json, b"{\"operation_id\": \"hunter2\"}".to_vec(), Some(("/operation_id", "wrong_type"))),
        (json, b"{\"operation_id\": 1, \"operation_id\": 2}".to_vec(), Some(("", "duplicate_key"))),
        (json, b"{\"form_data\": {\"a\": \"x\\u0000\"}}".to_vec(), Some(("/form_data/a", "nul_character"))),
        (json, b"{\"price_sats\": 1}".to_vec(), Some(("/price_sats", "unknown_field"))),
        ("application/json; charset=utf-8", b"[]".to_vec(), Some(("", "wrong_type"))),
        ("application/merge-patch+json", b"[]".to_vec(), Some(("", "wrong_type"))),
    ] {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let response = post_bytes(server.url("/api/v1/tickets"), content_type, body).await;
        let document = problem(response, 400, "malformed_request").await;
        let found = document
            .pointer("/errors/0")
            .map(|error| (error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap()));
        assert_eq!(found, pointer, "{shown}: {document}");
        assert!(!document.to_string().contains("hunter2"), "{document}");
    }
}

#[tokio::test]
async fn nesting_without_end() {
    let server = server();
    for depth in [1_000, 10_000, 30_000] {
        let body = format!("{{\"form_data\": {{\"a\": {}{}}}}}", "[".repeat(depth), "]".repeat(depth));
        let response = post_bytes(server.url("/api/v1/tickets"), "application/json", body.into_bytes()).await;
        let document = problem(response, 400, "malformed_request").await;
        assert_eq!(document["detail"], "The body is nested too deeply.");
    }
}

#[tokio::test]
async fn what_is_missing_comes_before_what_is_wrong() {
    let server = server();
    for (body, missing) in [
        (json!({}), json!(["operation_id", "form_data"])),
        (json!({ "operation_id": null, "form_data": { "cpf": "1" } }), json!(["operation_id"])),
        (json!({ "operation_id": 0 }), json!(["form_data"])),
    ] {
        let document =
            problem(server.post("/api/v1/tickets", &body).await, 400, "missing_required_fields").await;
        assert_eq!(document["missing"], missing);
    }
    let body = json!({ "operation_id": 0, "form_data": { "cpf": "" } });
    let document = problem(server.post("/api/v1/tickets", &body).await, 422, "invalid_fields").await;
    assert_eq!(
        document["errors"][0],
        json!({ "pointer": "/form_data/cpf", "code": "invalid_check_digits", "detail": "No." })
    );
}

#[tokio::test]
async fn media_types_that_are_not_json() {
    let server = server();
    for content_type in
        ["text/plain", "application/xml", "application/x-www-form-urlencoded", "json", "", "text/json"]
    {
        let response = post_bytes(server.url("/api/v1/tickets"), content_type, b"{}".to_vec()).await;
        problem(response, 415, "unsupported_media_type").await;
    }
    let response =
        post_bytes(server.url("/api/v1/tickets"), "application/json; charset=latin1", b"{}".to_vec()).await;
    problem(response, 415, "unsupported_media_type").await;
    let none = client().post(server.url("/api/v1/tickets")).body("{}").send().await.unwrap();
    problem(none, 415, "unsupported_media_type").await;
    let request = client().post(server.url("/api/v1/tickets")).header("content-type", "application/json");
    let compressed = request.header("content-encoding", "gzip").body("{}").send().await.unwrap();
    problem(compressed, 415, "unsupported_media_type").await;
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let server = server();
    let body_of = |size: usize| format!("{{\"operation_id\":1,\"form_data\":{{}}}}{}", " ".repeat(size - 34));
    let fits =
        post_bytes(server.url("/api/v1/tickets"), "application/json", body_of(65_536).into_bytes()).await;
    assert_eq!(fits.status(), 201);
    let head =
        "POST /api/v1/tickets HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
    for body in [
        format!("content-length: 65537\r\n\r\n{}", body_of(65_537)),
        "content-length: 10000000000\r\n\r\n{".to_owned(),
        format!("transfer-encoding: chunked\r\n\r\n10001\r\n{}\r\n0\r\n\r\n", body_of(65_537)),
    ] {
        let document = server.raw(format!("{head}{body}")).await.problem(413, "payload_too_large");
        assert_eq!(document["detail"], "At most 65536 bytes.");
    }
}

#[tokio::test]
async fn bodies_that_break_off_or_never_come() {
    let timeouts = Timeouts { body: Duration::from_millis(50), ..Timeouts::default() };
    let server = Setup { timeouts, ..Setup::default() }.start();
    let head =
        "POST /api/v1/tickets HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
    server.raw(format!("{head}content-length: 100\r\n\r\n{{")).await.problem(408, "request_timeout");
    server
        .raw(format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n"))
        .await
        .problem(400, "malformed_request");
}

#[tokio::test]
async fn paths_that_name_nothing() {
    let server = server();
    for (path, code) in [
        ("/", "not_found"),
        ("//", "not_found"),
        ("//api/v1/tickets", "not_found"),
        ("/api/v1/tickets/", "not_found"),
        ("/api/v1//tickets", "not_found"),
        ("/api/v1/../../etc/passwd", "not_found"),
        ("/api/v1/tickets/not-an-id", "ticket_not_found"),
        ("/api/v1/tickets/%FF", "ticket_not_found"),
        ("/api/v1/tickets/%00", "ticket_not_found"),
        ("/api/v1/tickets/%", "ticket_not_found"),
        ("/toys/%FF", "not_found"),
        ("/toys/a%00b", "not_found"),
        ("/toys/%2e%2e%2f", "ok"),
        ("/toys/%C3%A3", "ok"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = server.raw(request).await;
        if code == "ok" {
            assert_eq!(answer.status, 200, "{path}");
        } else {
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
            answer.problem(404, code);
        }
    }
}

#[tokio::test]
async fn queries_that_make_no_sense() {
    let server = server();
    for query in [
        "limit=x",
        "limit=5&limit=5",
        "limit=%FF",
        "lim=5",
        "limit=-1",
        "limit=99999999999999999999",
        "limit=%00",
    ] {
        problem(server.get(&format!("/api/v1/tickets?{query}")).await, 400, "malformed_request").await;
    }
    assert_eq!(server.get("/api/v1/tickets?limit=5").await.status(), 200);
    assert_eq!(server.get("/api/v1/tickets?").await.status(), 200);
}

#[tokio::test]
async fn addresses_and_headers_without_end() {
    let server = server();
    problem(server.get(&format!("/toys/{}", "a".repeat(9_000))).await, 414, "uri_too_long").await;
    problem(server.get(&format!("/api/v1/tickets?limit={}", "1".repeat(9_000))).await, 414, "uri_too_long")
        .await;
    for (name, size) in [("x-large", 20_000), ("cookie", 60_000)] {
        let response =
            client().get(server.url("/livez")).header(name, "x".repeat(size)).send().await.unwrap();
        problem(response, 431, "headers_too_large").await;
    }
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let answer = server.raw(format!("GET /livez HTTP/1.1\r\nhost: x\r\n{many}\r\n")).await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let answer = server
        .raw(format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-huge: {}\r\n\r\n", "x".repeat(500_000)))
        .await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(server.get("/livez").await.status(), 200);
}

#[tokio::test]
async fn idempotency_keys() {
    let server = server();
    let body = json!({ "operation_id": 1, "form_data": {} });
    let with = |key: Vec<u8>| {
        let key = reqwest::header::HeaderValue::from_bytes(&key).unwrap();
        client().post(server.url("/api/v1/tickets")).header("idempotency-key", key).json(&body).send()
    };
    for (key, expected) in [("abc", "abc"), ("\"abc\"", "abc"), ("\"a\\\"b\"", "a\"b")] {
        let response = with(key.as_bytes().to_vec()).await.unwrap();
        assert_eq!(response.json::<Value>().await.unwrap()["key"], expected);
    }
    for key in [
        vec![b'x'; 256],
        b"\"abc".to_vec(),
        b"a\tb".to_vec(),
        "é".as_bytes().to_vec(),
        b"\xff".to_vec(),
        b"".to_vec(),
    ] {
        problem(with(key).await.unwrap(), 400, "invalid_idempotency_key").await;
    }
    let twice = client()
        .post(server.url("/api/v1/tickets"))
        .header("idempotency-key", "a")
        .header("idempotency-key", "a");
    problem(twice.json(&body).send().await.unwrap(), 400, "invalid_idempotency_key").await;
}

#[tokio::test]
async fn logins_by_form_and_by_json() {
    let server = server();
    let form =
        client().post(server.url("/toys/login")).form(&[("username", "ana@example.org"), ("password", "x")]);
    assert_eq!(form.send().await.unwrap().json::<Value>().await.unwrap()["email"], "ana@example.org");
    let json = server.post("/toys/login", &json!({ "email": "ana@example.org", "password": "x" })).await;
    assert_eq!(json.json::<Value>().await.unwrap()["email"], "ana@example.org");
    let document =
        problem(server.post("/toys/login", &json!({ "email": "" })).await, 400, "missing_required_fields")
            .await;
    assert_eq!(document["missing"], json!(["password"]));
    problem(
        post_bytes(server.url("/toys/login"), "text/plain", b"x".to_vec()).await,
        415,
        "unsupported_media_type",
    )
    .await;
}

#[tokio::test]
async fn bytes_that_are_no_request_at_all() {
    let server = server();
    for request in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /api/v1/tickets HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = server.raw(request).await;
        assert!((400..500).contains(&answer.status), "{}: {answer:?}", String::from_utf8_lossy(request));
    }
    assert_eq!(server.get("/livez").await.status(), 200);
}
