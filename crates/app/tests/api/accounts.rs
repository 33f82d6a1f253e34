//! Registration, sign-in, and what an account says of itself.

use serde_json::json;

use crate::client::faults;
use crate::support::{PASSWORD, TestApp, noon};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_and_shows_itself() {
    let app = TestApp::start().await;
    let answer = app.register("Ana.Lima@Example.org", PASSWORD).await;
    let registered = answer.json(201);
    let id = registered["id"].as_str().unwrap();
    let uuid: uuid::Uuid = id.parse().unwrap();
    assert_eq!((uuid.get_version_num(), uuid.to_string().as_str()), (7, id));
    assert_eq!(
        registered,
        json!({ "id": id, "email": "Ana.Lima@Example.org", "created_at": noon(0) }),
        "as typed, and nothing else"
    );

    app.world.advance(60);
    let tokens = app.login("ana.lima@EXAMPLE.ORG", PASSWORD).await.json(200);
    let me = app.me(tokens["access_token"].as_str().unwrap()).await.json(200);
    let expected = json!({
        "id": id, "email": "Ana.Lima@Example.org", "created_at": noon(0), "lightning_address": null,
    });
    assert_eq!(me, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_is_taken_in_any_case() {
    let app = TestApp::start().await;
    app.register("ana@example.org", PASSWORD).await.json(201);
    for email in ["ana@example.org", "Ana@example.org", "ANA@EXAMPLE.ORG"] {
        app.register(email, "another good password").await.problem(409, "email_taken");
    }
    assert_eq!(app.world.count("users").await, 1);
    app.login("ana@example.org", PASSWORD).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_registrations_at_once_make_one_account() {
    let app = TestApp::start().await;
    let all = (0..20).map(|n| {
        let email = if n % 2 == 0 { "ana@example.org" } else { "Ana@Example.Org" };
        app.register(email, PASSWORD)
    });
    let answers = futures::future::join_all(all).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 19));
    for answer in refused {
        answer.problem(409, "email_taken");
    }
    assert_eq!(app.world.count("users").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_field_is_named() {
    let app = TestApp::start().await;
    let good = "ana@example.org";
    for (email, password, expected) in [
        ("ana", PASSWORD, &[("/email", "invalid_email")][..]),
        ("", PASSWORD, &[("/email", "invalid_email")]),
        (" ana@example.org", PASSWORD, &[("/email", "invalid_email")]),
        ("ana@example.org\n", PASSWORD, &[("/email", "invalid_email")]),
        ("ana@localhost", PASSWORD, &[("/email", "invalid_email")]),
        ("ána@example.org", PASSWORD, &[("/email", "invalid_email")]),
        (good, "", &[("/password", "too_short")]),
        (good, "Zq4!xkW9p", &[("/password", "too_short")]),
        (good, "password123", &[("/password", "too_common")]),
        (good, "aaaaaaaaaaaa", &[("/password", "too_common")]),
        (good, "ANA@example.org", &[("/password", "is_the_email")]),
        ("ana", "short", &[("/email", "invalid_email"), ("/password", "too_short")]),
    ] {
        let answer = app.register(email, password).await;
        assert_eq!(answer.faults(422, "invalid_fields"), faults(expected), "{email:?} {password:?}");
    }
    let long = format!("{}@example.org", "a".repeat(250));
    let answer = app.register(&long, PASSWORD).await;
    assert_eq!(answer.faults(422, "invalid_fields"), faults(&[("/email", "invalid_email")]));
    assert_eq!(app.world.count("users").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_fields_come_before_wrong_ones() {
    let app = TestApp::start().await;
    for (body, missing) in [
        (json!({}), json!(["email", "password"])),
        (json!({ "email": null, "password": null }), json!(["email", "password"])),
        (json!({ "email": "wrong" }), json!(["password"])),
        (json!({ "email": null, "password": "short" }), json!(["email"])),
    ] {
        let answer = app.post("/api/v1/auth/register").body(&body).send().await;
        assert_eq!(answer.problem(400, "missing_required_fields")["missing"], missing, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_measured_in_bytes_and_never_cut() {
    let app = TestApp::start().await;
    let ascii: String = ('0'..='z').cycle().take(73).collect();
    let multibyte = "çãé€".repeat(8);
    assert_eq!(multibyte.len(), 72);
    let too_long = format!("{multibyte}a");
    for (n, longest, longer) in [(0, &ascii[..72], &ascii[..]), (1, &multibyte, &too_long)] {
        let email = format!("long{n}@example.org");
        assert_eq!(
            app.register(&email, longer).await.faults(422, "invalid_fields"),
            faults(&[("/password", "too_long")])
        );
        app.register(&email, longest).await.json(201);
        app.login(&email, longest).await.json(200);
        app.login(&email, longer).await.problem(401, "invalid_credentials");
    }
    let (ten, nine) = ("çãéõü", "çãéõu");
    assert_eq!((ten.len(), nine.len()), (10, 9));
    assert_eq!(
        app.register("short@example.org", nine).await.faults(422, "invalid_fields"),
        faults(&[("/password", "too_short")])
    );
    app.register("short@example.org", ten).await.json(201);
    app.login("short@example.org", ten).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_by_form_and_by_json_is_the_same() {
    let app = TestApp::start().await;
    app.register("ana@example.org", PASSWORD).await.json(201);
    let login = || app.post("/api/v1/auth/login");
    let form = [("username", "ANA@example.org"), ("password", PASSWORD)];
    let with_grant = [("grant_type", "password"), ("scope", ""), form[0], form[1]];
    for answer in [
        login().body(&json!({ "email": "Ana@Example.org", "password": PASSWORD })).send().await,
        login().form(&form).send().await,
        login().form(&with_grant).send().await,
    ] {
        let tokens = answer.json(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let (access, refresh) = (tokens["access_token"].clone(), tokens["refresh_token"].clone());
        assert!(access.as_str().unwrap().split('.').count() == 3 && refresh.is_string(), "{tokens}");
        let expected = json!({
            "access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": 1800,
        });
        assert_eq!(tokens, expected);
        app.me(tokens["access_token"].as_str().unwrap()).await.json(200);
    }
    let other = [("grant_type", "client_credentials"), form[0], form[1]];
    let answer = login().form(&other).send().await;
    assert_eq!(answer.faults(400, "malformed_request"), faults(&[("/grant_type", "unknown_value")]));
    let missing = login().form(&form[..1]).send().await.problem(400, "missing_required_fields");
    assert_eq!(missing["missing"], json!(["password"]));
    let missing = login().body(&json!({ "password": "x" })).send().await;
    assert_eq!(missing.problem(400, "missing_required_fields")["missing"], json!(["email"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_email_and_a_wrong_password_get_the_same_bytes() {
    let app = TestApp::start().await;
    app.register("ana@example.org", PASSWORD).await.json(201);
    let mut answers = Vec::new();
    for (email, password) in [
        ("ana@example.org", "not the password"),
        ("bob@example.org", PASSWORD),
        ("no e-mail at all", PASSWORD),
        ("", ""),
        ("ana@example.org", "x"),
    ] {
        let body = json!({ "email": email, "password": password });
        let form = [("username", email), ("password", password)];
        // With an id of the client's own, nothing may differ but the date.
        let call = || app.post("/api/v1/auth/login").header("x-request-id", "the-same");
        for answer in [call().body(&body).send().await, call().form(&form).send().await] {
            let document = answer.problem(401, "invalid_credentials");
            assert_eq!(document.as_object().unwrap().len(), 6, "{document}");
            let mut headers = answer.headers.clone();
            headers.remove("date");
            answers.push((answer.bytes, headers));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}
