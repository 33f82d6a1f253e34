//! What nobody should send, on every route that there is. The routes come from the table of the running server and their
//! fields from the OpenAPI document, so a new one cannot be forgotten.

mod heads;
mod scene;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Answer, faults};
use crate::support::TestApp;

use scene::{Route, Scene, Signed};

/// Stands in every hostile body, and in no answer.
const CANARY: &str = "canary-4f1d7c";

/// That the answer is the right refusal, and repeats nothing.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    answer.problem(status, code);
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    assert!(!text.contains(CANARY), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_json_object() {
    let scene = Scene::new().await;
    let before = scene.app.world.contents().await;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let in_a_field = |field: &str| format!("{{\"{field}\": {}}}", deep("[", "]"));
    for route in Route::all() {
        let field = &route.fields[0];
        let bodies: Vec<Vec<u8>> = vec![
            Vec::new(),
            b" ".to_vec(),
            b"{".to_vec(),
            b"}".to_vec(),
            b"{]".to_vec(),
            b"{} {}".to_vec(),
            b"{},".to_vec(),
            b"null".to_vec(),
            b"true".to_vec(),
            b"0".to_vec(),
            b"[]".to_vec(),
            b"[{}]".to_vec(),
            CANARY.as_bytes().to_vec(),
            format!("\"{CANARY}\"").into_bytes(),
            format!("[\"{CANARY}\", \"{CANARY}\"]").into_bytes(),
            format!("{{\"{field}\": {CANARY}}}").into_bytes(),
            format!("{{\"{field}\": \"{CANARY}}}").into_bytes(),
            format!("{{'{field}': '{CANARY}'}}").into_bytes(),
            format!("{{\"{field}\": \"{CANARY}\",}}").into_bytes(),
            format!("{{/* {CANARY} */}}").into_bytes(),
            format!("{{\"{field}\": NaN}}").into_bytes(),
            format!("{{\"{field}\": Infinity}}").into_bytes(),
            format!("{{\"{field}\": 1e999}}").into_bytes(),
            format!("{{\"{field}\": 01}}").into_bytes(),
            format!("{{\"{field}\": 0x10}}").into_bytes(),
            // A lone surrogate, both ways round, and bytes that are no text.
            format!("{{\"{field}\": \"{CANARY}\\ud800\"}}").into_bytes(),
            format!("{{\"{field}\": \"{CANARY}\\udc00\\ud800\"}}").into_bytes(),
            [format!("{{\"{field}\": \"").into_bytes(), vec![0xff, 0xfe], b"\"}".to_vec()].concat(),
            [format!("{{\"{field}\": \"").into_bytes(), vec![0xed, 0xa0, 0x80], b"\"}".to_vec()].concat(),
            [format!("{{\"{field}\": \"").into_bytes(), vec![0xc0, 0x80], b"\"}".to_vec()].concat(),
            [b"\xef\xbb\xbf".to_vec(), b"{}".to_vec()].concat(),
            // Control characters, NUL among them, bare and escaped.
            format!("{{\"{field}\": \"{CANARY}\n\"}}").into_bytes(),
            format!("{{\"{field}\": \"{CANARY}\0\"}}").into_bytes(),
            format!("{{\"{field}\": \"{CANARY}\\u0000\"}}").into_bytes(),
            format!("{{\"{CANARY}\\u0000\": 1}}").into_bytes(),
            format!("{{\"{field}\": {{\"a\": [\"{CANARY}\\u0000\"]}}}}").into_bytes(),
            b"\0".to_vec(),
            vec![0; 1000],
            // Nested without end, with and without an end.
            deep("[", "]").into_bytes(),
            "[".repeat(60_000).into_bytes(),
            "{\"a\":".repeat(10_000).into_bytes(),
            in_a_field(field).into_bytes(),
            // Keys that stand twice.
            format!("{{\"{field}\": \"{CANARY}\", \"{field}\": \"{CANARY}\"}}").into_bytes(),
            format!("{{\"{field}\": null, \"{field}\": null}}").into_bytes(),
            format!("{{\"{field}\": {{\"{CANARY}\": 1, \"{CANARY}\": 1}}}}").into_bytes(),
        ];
        for body in bodies {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            let answer = scene.call_with(&route, body).send().await;
            assert_eq!(answer.status, 400, "{} {shown}: {answer:?}", route.path);
            answer.problem(400, "malformed_request");
            // A pointer may hold a name that the client chose, but no answer holds a value.
            if !shown.contains(&format!("{{\"{CANARY}")) {
                refused(&answer, 400, "malformed_request");
            }
        }
    }
    assert_eq!(scene.app.world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_the_wrong_type_and_fields_that_do_not_exist() {
    let scene = Scene::new().await;
    let before = scene.app.world.contents().await;
    for route in Route::all() {
        let send = async |body: String| scene.call_with(&route, body).send().await;
        for field in &route.fields {
            let mut wrong = vec![
                json!([CANARY]).to_string(),
                "true".to_owned(),
                "1.5".to_owned(),
                "-1e300".to_owned(),
                "99999999999999999999999999".to_owned(),
            ];
            match field.as_str() {
                "form_data" | "data" => wrong.push(json!(CANARY).to_string()),
                "operation_id" => wrong.extend([
                    json!(CANARY).to_string(),
                    json!({ CANARY: 1 }).to_string(),
                    "2147483648".to_owned(),
                ]),
                _ => wrong.extend([json!({ CANARY: 1 }).to_string(), "1".to_owned()]),
            }
            for json in wrong {
                let answer = send(route.body(field, &json)).await;
                refused(&answer, 400, "malformed_request");
                if route.signed == Some(Signed::ByStore) {
                    continue;
                }
                let expected = (format!("/{field}"), "wrong_type".to_owned());
                assert_eq!(answer.faults(400, "malformed_request"), [expected], "{} {json}", route.path);
            }
        }
        for name in ["surprise", "id", "user_id", "epoch", "price_sats", "__proto__", "Email", "PASSWORD"] {
            let answer = send(json!({ name: CANARY }).to_string()).await;
            refused(&answer, 400, "malformed_request");
            if route.signed == Some(Signed::ByStore) {
                continue;
            }
            let pointer = format!("/{name}");
            assert_eq!(answer.faults(400, "malformed_request"), faults(&[(&pointer, "unknown_field")]));
        }
        if route.required.is_empty() || route.signed == Some(Signed::ByStore) {
            continue;
        }
        let nothing = send("{}".to_owned()).await;
        let document = nothing.problem(400, "missing_required_fields");
        let mut missing: Vec<&str> =
            document["missing"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
        missing.sort_unstable();
        let mut fields: Vec<&str> = route.required.iter().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(missing, fields, "{}", route.path);
    }
    assert_eq!(scene.app.world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large() {
    let scene = Scene::new().await;
    let before = scene.app.world.contents().await;
    for route in Route::all() {
        let field = &route.fields[0];
        let frame = format!("{{\"{field}\": \"\"}}").len();
        let body =
            |length: usize| format!("{{\"{field}\": \"{}\"}}", "a".repeat(length - frame)).into_bytes();
        let send = async |length: usize| scene.call_with(&route, body(length)).send().await;
        refused(&send(64 * 1024 + 1).await, 413, "payload_too_large");
        let most = send(64 * 1024).await;
        assert!(most.status < 500 && most.status != 413, "64 KiB are read: {most:?}");

        // Without a length, the end is not known before it is reached.
        let path = scene.path(&route.path);
        let mut raw = format!(
            "{} {path} HTTP/1.1\r\nhost: guiche\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n",
            route.method, scene.user.token
        )
        .into_bytes();
        for _ in 0..65 {
            raw.extend_from_slice(b"400\r\n");
            raw.extend_from_slice(&[b'['; 1024]);
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(b"0\r\n\r\n");
        let (status, document) = send_raw(&scene.app, &raw).await;
        assert_eq!((status, &document["code"]), (413, &json!("payload_too_large")), "{path}");
        assert_eq!(document["type"], "urn:guiche:problem:payload_too_large");
    }
    assert_eq!(scene.app.world.contents().await, before);
}

/// Sends bytes as they are; the answer is its status and its document.
async fn send_raw(app: &TestApp, request: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    // The server may answer, and hang up, before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let document: Value = serde_json::from_str(body).unwrap();
    assert!(
        head.contains(&format!("x-request-id: {}", document["request_id"].as_str().unwrap())),
        "{answer}"
    );
    (status, document)
}

#[tokio::test(flavor = "multi_thread")]
async fn media_types_that_are_not_json() {
    let scene = Scene::new().await;
    let before = scene.app.world.contents().await;
    for route in Route::all() {
        let body = || json!({ route.fields[0].clone(): CANARY }).to_string();
        for content_type in [
            "",
            "text/plain",
            "text/json",
            "application/xml",
            "multipart/form-data; boundary=x",
            "json",
            "*/*",
            "application/json; charset=latin1",
            "application/octet-stream",
            "application/jsonp",
        ] {
            let answer = scene.call(&route.method, &route.path).bytes(content_type, body()).send().await;
            assert_eq!(answer.status, 415, "{} {content_type:?}: {answer:?}", route.path);
            refused(&answer, 415, "unsupported_media_type");
        }
        let call = || scene.call(&route.method, &route.path);
        let zipped = call().header("content-encoding", "gzip").bytes("application/json", body()).send().await;
        refused(&zipped, 415, "unsupported_media_type");
        let twice =
            call().header("content-type", "text/plain").bytes("application/json", body()).send().await;
        refused(&twice, 415, "unsupported_media_type");
        if route.path != "/api/v1/auth/login" {
            let form = call().form(&[(route.fields[0].as_str(), CANARY)]).send().await;
            refused(&form, 415, "unsupported_media_type");
        }
    }
    assert_eq!(scene.app.world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_forms_that_are_none() {
    let scene = Scene::new().await;
    for body in [
        &b"username=canary-4f1d7c&username=b&password=c"[..],
        b"username=canary-4f1d7c&password=%",
        b"username=canary-4f1d7c&password=%zz",
        b"username=canary-4f1d7c&password=%ff",
        b"username=canary-4f1d7c&password=\xff",
        b"username=canary-4f1d7c%00&password=c",
        b"username=canary-4f1d7c&password=c&grant_type=refresh_token",
    ] {
        let call = scene.call("POST", "/api/v1/auth/login").bytes("application/x-www-form-urlencoded", body);
        refused(&call.send().await, 400, "malformed_request");
    }
    let long = format!("username=a&password={}", "a".repeat(64 * 1024));
    let call = scene.call("POST", "/api/v1/auth/login").bytes("application/x-www-form-urlencoded", long);
    refused(&call.send().await, 413, "payload_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_fit_no_number() {
    // Inside a form everything is a value of JSON, however large; the form's schema must see it as it is.
    let scene = Scene::new().await;
    let before = scene.app.world.contents().await;
    for number in [
        "1e308",
        "-1e308",
        "1e-400",
        "123456789012345678901234567890",
        "0.1",
        "-0",
        "-0.0",
        "9007199254740993",
        "18446744073709551615",
    ] {
        let body = format!(
            "{{\"operation_id\": 1, \"form_data\": {{\"cpf\": {number}, \"cnh_number\": \"02650306461\", \"cnh_mirror\": \"123456789\"}}}}"
        );
        for key in [None, Some("k")] {
            let call = scene.call("POST", "/api/v1/tickets").bytes("application/json", body.clone());
            let answer = match key {
                Some(key) => call.key(key).send().await,
                None => call.send().await,
            };
            assert_eq!(
                answer.faults(422, "invalid_fields"),
                faults(&[("/form_data/cpf", "invalid_type")]),
                "{number}"
            );
        }
    }
    assert_eq!(scene.app.world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_of_every_strange_text_are_kept_out_or_kept_whole() {
    let scene = Scene::new().await;
    let before = scene.app.world.contents().await;
    for text in [
        "\u{202e}",
        "\u{feff}",
        "\u{fffd}",
        "\u{10ffff}",
        "e\u{301}",
        "'; DROP TABLE tickets; --",
        "\\",
        "\u{1}",
        "\u{7f}",
        "{}",
        "$1",
        "%s",
    ] {
        for field in ["cpf", "cnh_number", "cnh_mirror"] {
            let mut body = crate::support::order();
            body["form_data"][field] = json!(text);
            let answer = scene.call("POST", "/api/v1/tickets").key("k").body(&body).send().await;
            let pointer = format!("/form_data/{field}");
            assert_eq!(
                answer.faults(422, "invalid_fields"),
                faults(&[(&pointer, "invalid_format")]),
                "{text:?}"
            );
        }
    }
    assert_eq!(scene.app.world.contents().await, before);
}
