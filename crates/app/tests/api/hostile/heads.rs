//! Methods, paths, queries and heads that nobody should send, on every route that there is.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_a_path_does_not_have() {
    let scene = Scene::new().await;
    let before = scene.app.world.contents().await;
    let mut methods_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (method, path) in &scene.app.routes {
        methods_of.entry(path).or_default().push(method);
    }
    for (path, mut methods) in methods_of {
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        methods.sort_unstable();
        methods.dedup();
        let allow = methods.join(", ");
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW", "get"] {
            if methods.contains(&method) {
                continue;
            }
            let answer = scene.call(method, path).send().await;
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
            assert_eq!(answer.header("allow"), Some(allow.as_str()), "{method} {path}");
            // A HEAD has no body to look at.
            if method != "HEAD" {
                refused(&answer, 405, "method_not_allowed");
            }
        }
        let options = scene.call("OPTIONS", path).send().await;
        assert_eq!((options.status, options.bytes.len()), (204, 0), "{path}");
        assert_eq!(options.header("allow"), Some(allow.as_str()), "{path}");
    }
    assert_eq!(scene.app.world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_whose_ids_are_none() {
    let scene = Scene::new().await;
    let before = scene.app.world.contents().await;
    let long = "a".repeat(4000);
    let bad = [
        "0",
        "-1",
        "canary-4f1d7c",
        "%00",
        "%ff",
        "%c0%80",
        "%ed%a0%80",
        "a%00b",
        "%2e%2e%2f%2e%2e",
        "%0d%0aset-cookie:a=b",
        "';--",
        "%27%3b--",
        "{id}",
        "${jndi:x}",
        "%25s",
        "NaN",
        "null",
        "18446744073709551616",
        "1e3",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "01942138-0f80-7c3a-8d5e-0123456789ag",
        &long,
    ];
    // Wallets are told in their own way, and stores by their signature: see their own tests.
    let others = ["/docs/", "/webhooks/", "/lnurlp/", "/.well-known/"];
    let ours = |path: &str| path.contains('{') && !others.iter().any(|other| path.starts_with(other));
    let routes = scene.app.routes.iter().filter(|(_, path)| ours(path));
    let mut count = 0;
    for (method, pattern) in routes {
        count += 1;
        let (code, start) = match pattern.split('/').collect::<Vec<_>>()[..] {
            ["", "api", "v1", "tickets", ..] => ("ticket_not_found", pattern.find('{').unwrap()),
            ["", "api", "v1", "operations", ..] => ("operation_not_found", pattern.find('{').unwrap()),
            _ => ("not_found", pattern.find('{').unwrap()),
        };
        let end = pattern.find('}').unwrap() + 1;
        for id in bad {
            let path = format!("{}{id}{}", &pattern[..start], &pattern[end..]);
            let call = scene.app.call(method, &path).token(&scene.user.token);
            // What follows an id is read first where both are wrong; a good body leaves only the id.
            let call = if pattern.ends_with("/payment-proof") {
                call.body(&json!({ "preimage": "0".repeat(64) }))
            } else {
                call
            };
            let answer = call.send().await;
            assert_eq!(answer.status, 404, "{answer:?}");
            refused(&answer, 404, code);
        }
    }
    assert!(count >= 8, "{count}");
    let too_long = scene.call("GET", &format!("/api/v1/tickets/{}", "a".repeat(9000))).send().await;
    refused(&too_long, 414, "uri_too_long");
    assert_eq!(scene.app.world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_lead_nowhere() {
    let scene = Scene::new().await;
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/tickets",
        "/api/v1/tickets/",
        "/api/v1//tickets",
        "/API/V1/tickets",
        "/api/v1/auth",
        "/api/v1/auth/me/",
        "/api/v1/users",
        "/metrics",
        "/.env",
        "/canary-4f1d7c",
        "/api/v1/tickets%2f",
        "/dev/invoices",
        "/%00",
        "/%ff",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = scene.call(method, path).send().await;
            refused(&answer, 404, "not_found");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_nobody_can_read_break_nothing() {
    let scene = Scene::new().await;
    let before = scene.app.world.contents().await;
    // A stream has no end to wait for.
    let is_read = |(method, path): &&(String, String)| method == "GET" && !path.ends_with("/events");
    for (method, pattern) in scene.app.routes.iter().filter(is_read) {
        for query in [
            "?",
            "?&&&",
            "?canary-4f1d7c=1",
            "?%ff=%ff",
            "?a=%00",
            "?=",
            "?limit[]=1",
            "?a=b;c=d",
            "?%",
            "?%zz",
        ] {
            let answer = scene
                .app
                .call(method, &format!("{}{query}", scene.path(pattern)))
                .token(&scene.user.token)
                .send()
                .await;
            assert!(answer.status <= 400, "{answer:?}");
            if answer.status == 400 {
                answer.problem(400, "malformed_request");
            }
        }
    }
    assert_eq!(scene.app.world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_and_ids_that_are_no_ids() {
    let scene = Scene::new().await;
    for (method, pattern) in &scene.app.routes {
        let answer = scene.call(method, pattern).header("x-filler", &"a".repeat(17_000)).send().await;
        refused(&answer, 431, "headers_too_large");
    }
    for (given, kept) in
        [("my-id_1.2", true), ("", false), ("a b", false), ("a\tb", false), ("ção", false), ("<b>", false)]
    {
        let answer = scene.call("GET", "/api/v1/auth/me").header("x-request-id", given).send().await;
        assert_eq!(answer.header("x-request-id") == Some(given), kept, "{given}");
        answer.json(200);
    }
    let long = "a".repeat(65);
    let answer = scene.call("GET", "/api/v1/auth/me").header("x-request-id", &long).send().await;
    assert_ne!(answer.header("x-request-id"), Some(long.as_str()));
}
