//! Rate limits, as the configuration has them. The windows are an hour long, so that no test sees one move.

use std::sync::Arc;

use guiche_app::system::SystemClock;
use serde_json::json;

use crate::client::Answer;
use crate::support::{PASSWORD, TestApp, World};

async fn app(extra: &[(&str, &str)]) -> TestApp {
    World::new().await.serve_with(extra, Arc::new(SystemClock)).await
}

#[track_caller]
fn limited(answer: &Answer, policy: &str, retry_after: std::ops::RangeInclusive<u64>) {
    let document = answer.problem(429, "rate_limited");
    assert_eq!(document.as_object().unwrap().len(), 6);
    assert_eq!(answer.header("ratelimit-policy"), Some(policy));
    let name = policy.split(';').next().unwrap();
    assert!(answer.header("ratelimit").unwrap().starts_with(&format!("{name};r=0;t=")), "{answer:?}");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(retry_after.contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_a_quota_of_its_own() {
    let app = app(&[("RATE_LIMIT_ACCOUNT", "3/3600")]).await;
    let (ana, bob) = (app.user().await, app.user().await);
    for remaining in [2, 1, 0] {
        let answer = app.me(&ana.token).await;
        answer.json(200);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"account\";q=3;w=3600"));
        let state = format!("\"account\";r={remaining};t={}", (3 - remaining) * 1200);
        assert_eq!(answer.header("ratelimit"), Some(state.as_str()));
    }
    limited(&app.me(&ana.token).await, "\"account\";q=3;w=3600", 1100..=1200);
    // The account is refused, whatever it asks for and whatever it claims to be.
    let another = app.login(&ana.email, PASSWORD).await.json(200);
    let another = another["access_token"].as_str().unwrap();
    limited(&app.me(another).await, "\"account\";q=3;w=3600", 1100..=1200);
    let elsewhere =
        app.get("/api/v1/tickets").token(&ana.token).header("x-forwarded-for", "192.0.2.9").send().await;
    limited(&elsewhere, "\"account\";q=3;w=3600", 1100..=1200);
    // Others are not, and what needs no account has no such quota.
    app.me(&bob.token).await.json(200);
    let anybody = app.get("/api/v1/operations").send().await;
    anybody.json(200);
    assert_eq!(anybody.header("ratelimit-policy"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_does_not_spend_the_quota_of_anybody() {
    let app = app(&[("RATE_LIMIT_ACCOUNT", "2/3600")]).await;
    let user = app.user().await;
    let (message, _) = user.token.rsplit_once('.').unwrap();
    for _ in 0..5 {
        app.me(&format!("{message}.AAAA")).await.problem(401, "unauthorized");
    }
    app.me(&user.token).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_logins_are_limited_and_successes_are_not() {
    let app = app(&[("RATE_LIMIT_LOGIN", "3/3600")]).await;
    let user = app.user().await;
    for _ in 0..10 {
        app.login(&user.email, PASSWORD).await.json(200);
    }
    for _ in 0..3 {
        app.login(&user.email, "not the password").await.problem(401, "invalid_credentials");
    }
    // Now even the right password is not looked at, so nobody learns that it was right.
    limited(&app.login(&user.email, PASSWORD).await, "\"login-address\";q=3;w=3600", 1100..=1200);
    let form = [("username", user.email.as_str()), ("password", PASSWORD)];
    let by_form = app.post("/api/v1/auth/login").form(&form).send().await;
    limited(&by_form, "\"login-address\";q=3;w=3600", 1100..=1200);
    // Sessions that exist go on.
    app.me(&user.token).await.json(200);
    app.refresh(&user.refresh).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_protected_against_many_addresses() {
    let app = app(&[("RATE_LIMIT_LOGIN", "3/3600"), ("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let user = app.user().await;
    let login = async |email: &str, password: &str, address: &str| {
        let call = app.post("/api/v1/auth/login").header("x-forwarded-for", address);
        call.body(&json!({ "email": email, "password": password })).send().await
    };
    for (n, email) in [&user.email, &user.email.to_uppercase(), &user.email].into_iter().enumerate() {
        login(email, "not the password", &format!("192.0.2.{n}")).await.problem(401, "invalid_credentials");
    }
    limited(&login(&user.email, PASSWORD, "192.0.2.77").await, "\"login-account\";q=3;w=3600", 1100..=1200);
    login("bob@example.org", PASSWORD, "192.0.2.77").await.problem(401, "invalid_credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_the_present_password_are_failed_logins() {
    let app = app(&[("RATE_LIMIT_LOGIN", "3/3600")]).await;
    let user = app.user().await;
    let change = async |current: &str| {
        let body = json!({ "current_password": current, "new_password": "a horse of another colour" });
        app.put("/api/v1/auth/password").token(&user.token).body(&body).send().await
    };
    for _ in 0..3 {
        change("not the password").await.problem(401, "invalid_credentials");
    }
    limited(&change(PASSWORD).await, "\"login-address\";q=3;w=3600", 1100..=1200);
    app.me(&user.token).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_choose_its_address() {
    let app = app(&[("RATE_LIMIT_ADDRESS", "3/3600")]).await;
    for n in 0..3 {
        let forwarded = format!("192.0.2.{n}");
        let call = app.get("/api/v1/operations").header("x-forwarded-for", &forwarded);
        let answer = call
            .header("forwarded", &format!("for={forwarded}"))
            .header("x-real-ip", &forwarded)
            .send()
            .await;
        answer.json(200);
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"address\";r={};", 2 - n)));
    }
    let answer = app.get("/api/v1/operations").header("x-forwarded-for", "192.0.2.99").send().await;
    limited(&answer, "\"address\";q=3;w=3600", 1100..=1200);
    // A probe must not take the replica out.
    assert_eq!(app.get("/livez").send().await.status, 200);
    assert_eq!(app.get("/readyz").send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_names_the_client() {
    let app = app(&[("RATE_LIMIT_ADDRESS", "1/3600"), ("TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let from = async |list: &str| app.get("/api/v1/operations").header("x-forwarded-for", list).send().await;
    from("192.0.2.1").await.json(200);
    limited(&from("192.0.2.1").await, "\"address\";q=1;w=3600", 3500..=3600);
    // What the client itself wrote stands further left, and does not matter.
    limited(&from("192.0.2.200, 192.0.2.1").await, "\"address\";q=1;w=3600", 3500..=3600);
    from("192.0.2.1, 192.0.2.2").await.json(200);
}
