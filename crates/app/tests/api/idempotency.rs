//! Once per key, whatever is repeated, lost or raced.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::Answer;
use crate::support::{TestApp, User, World, form, order, path_of, text};

async fn post(app: &TestApp, user: &User, key: &str, body: &Value) -> Answer {
    app.post("/api/v1/tickets").token(&user.token).key(key).body(body).send().await
}

/// The raw body, for white space and the order of members.
async fn post_text(app: &TestApp, user: &User, key: &str, body: &str) -> Answer {
    app.post("/api/v1/tickets").token(&user.token).key(key).bytes("application/json", body).send().await
}

#[track_caller]
fn same(one: &Answer, two: &Answer) {
    assert_eq!((one.status, two.status), (201, 201), "{one:?} {two:?}");
    assert_eq!(String::from_utf8_lossy(&one.bytes), String::from_utf8_lossy(&two.bytes));
    assert_eq!(one.header("location"), two.header("location"));
    assert_eq!(one.header("content-type"), two.header("content-type"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_gets_the_same_bytes() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let first = post(&app, &user, "key-1", &order()).await;
    first.json(201);
    app.world.advance(60);
    same(&first, &post(&app, &user, "key-1", &order()).await);
    same(&first, &post(&app, &user, "\"key-1\"", &order()).await);
    // Neither its end by time, nor by payment, changes what was answered.
    app.pay(&first.value(), "").await.json(200);
    app.act(&user, &first.value(), "confirm-payment").await.json(200);
    app.world.advance(86_000);
    let renewed = app.login(&user.email, crate::support::PASSWORD).await.json(200);
    let user = User { token: text(&renewed, "access_token"), ..user };
    same(&first, &post(&app, &user, "key-1", &order()).await);
    assert_eq!(app.world.count("tickets").await, 1);
    assert_eq!(app.world.count("invoices").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn white_space_and_the_order_of_members_do_not_make_another_request() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let first = post_text(
        &app,
        &user,
        "k",
        r#"{"operation_id":1,"form_data":{"cpf":"52998224725","cnh_number":"02650306461","cnh_mirror":"123456789"}}"#,
    )
    .await;
    for text in [
        "{ \"form_data\" : { \"cnh_mirror\":\"123456789\",\n \"cpf\": \"52998224725\", \"cnh_number\": \"02650306461\" },\t\"operation_id\": 1 }\n",
        r#"{"operation_id":1,"form_data":{"c\u0070f":"\u00352998224725","cnh_number":"02650306461","cnh_mirror":"123456789"}}"#,
    ] {
        same(&first, &post_text(&app, &user, "k", text).await);
    }
    assert_eq!(app.world.count("tickets").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_another_body_is_refused() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let first = post(&app, &user, "k", &order()).await;
    let mut other = order();
    other["form_data"]["cnh_mirror"] = json!("987654321");
    for body in [
        other,
        json!({ "operation_id": 2, "form_data": form() }),
        json!({ "operation_id": 1, "form_data": {} }),
    ] {
        post(&app, &user, "k", &body).await.problem(422, "idempotency_key_reused");
    }
    same(&first, &post(&app, &user, "k", &order()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_of_somebody_else_is_another_key() {
    let app = TestApp::start().await;
    let (ana, bob) = (app.user().await, app.user().await);
    let (of_ana, of_bob) = (post(&app, &ana, "k", &order()).await, post(&app, &bob, "k", &order()).await);
    let (of_ana, of_bob) = (of_ana.json(201), of_bob.json(201));
    assert_ne!(of_ana["ticket_id"], of_bob["ticket_id"]);
    app.get(&path_of(&of_ana, "")).token(&bob.token).send().await.problem(404, "ticket_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_leaves_its_key_free() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let mut wrong = order();
    wrong["form_data"]["cpf"] = json!("1");
    post(&app, &user, "k", &wrong).await.problem(422, "invalid_fields");
    post(&app, &user, "k", &json!({ "operation_id": 1, "form_data": {} }))
        .await
        .problem(400, "missing_required_fields");
    post(&app, &user, "k", &json!({ "operation_id": 7, "form_data": form() }))
        .await
        .problem(404, "operation_not_found");
    post(&app, &user, "k", &json!([])).await.problem(400, "malformed_request");
    assert_eq!(app.world.count("idempotency_claims").await, 0);
    let first = post(&app, &user, "k", &order()).await;
    same(&first, &post(&app, &user, "k", &order()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_open_one_ticket() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let answers =
        futures::future::join_all((0..50).map(|_| async { post(&app, &user, "\"once\"", &order()).await }))
            .await;
    for answer in &answers {
        same(&answers[0], answer);
    }
    let list = app.get("/api/v1/tickets").token(&user.token).send().await.json(200);
    assert_eq!((list["total"].clone(), list["tickets"].as_array().unwrap().len()), (json!(1), 1));
    let ticket = app.ticket(&user, &answers[0].value()).await;
    assert_eq!(ticket["invoices"].as_array().unwrap().len(), 1);
    for table in ["tickets", "invoices", "outbox", "idempotency_claims"] {
        assert_eq!(app.world.count(table).await, 1, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_on_two_replicas_open_one_ticket() {
    let app = TestApp::start().await;
    let replica = app.world.serve().await;
    let user = app.user().await;
    let both = [&app, &replica];
    let calls = (0..50).map(|n| {
        let (app, user) = (both[n % 2], &user);
        async move { post(app, user, "once", &order()).await }
    });
    let answers = futures::future::join_all(calls).await;
    for answer in &answers {
        same(&answers[0], answer);
    }
    assert_eq!((app.world.count("tickets").await, app.world.count("invoices").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_outlives_the_server() {
    let world = World::new().await;
    let app = world.serve().await;
    let user = app.user().await;
    let first = post(&app, &user, "k", &order()).await;
    app.stop().await;
    let app = world.serve().await;
    same(&first, &post(&app, &user, "k", &order()).await);
    assert_eq!(world.count("invoices").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_too_long_for_the_first_one_is_told_when_to_come_back() {
    let world = World::new().await;
    // This clock goes on by itself when somebody waits on it.
    let app = world.serve_with(&[], Arc::<guiche_kernel::testing::ManualClock>::clone(&world.clock)).await;
    let user = app.user().await;
    // A first request that never ends; its lease is a minute long.
    let claim = |fingerprint: &str| {
        format!(
            "INSERT INTO idempotency_claims VALUES ('{}', 'tickets.open', 'k', {fingerprint}, gen_random_uuid(), \
             '2026-01-01 12:00:00Z', '2026-01-01 12:01:00Z', '2026-01-01 12:00:00Z')",
            user.id
        )
    };
    // The fingerprint of the very same request, which only the server can make.
    let first = post(&app, &user, "other", &order()).await;
    first.json(201);
    world.execute(&claim("(SELECT fingerprint FROM idempotency_claims WHERE key = 'other')")).await;
    let answer = post(&app, &user, "k", &order()).await;
    answer.problem(409, "idempotency_key_in_use");
    assert_eq!(answer.header("retry-after"), Some("2"));
    assert!(
        guiche_kernel::Clock::now(&*world.clock).unix_timestamp() >= crate::support::NOON + 10,
        "it waited 10 s"
    );
    // When the lease has run out, somebody else does the work.
    world.advance(60);
    let second = post(&app, &user, "k", &order()).await;
    assert_ne!(second.json(201)["ticket_id"], first.value()["ticket_id"]);
    same(&second, &post(&app, &user, "k", &order()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_have_bounds() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let (longest, too_long) = ("k".repeat(255), "k".repeat(256));
    let first = post(&app, &user, &longest, &order()).await;
    same(&first, &post(&app, &user, &format!("\"{longest}\""), &order()).await);
    let quoted_too_long = format!("\"{too_long}\"");
    for key in [&too_long, &quoted_too_long, "", "\"\"", "\"open", "\"a\"b", "a\tb", "chávez", "\"a\", \"b\""]
    {
        post(&app, &user, key, &order()).await.problem(400, "invalid_idempotency_key");
    }
    let twice = app.post("/api/v1/tickets").token(&user.token).key("a").key("b").body(&order()).send().await;
    twice.problem(400, "invalid_idempotency_key");
    assert_eq!(app.world.count("tickets").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_kept_for_a_day() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let first = post(&app, &user, "k", &order()).await;
    let renew = async || {
        let tokens = app.login(&user.email, crate::support::PASSWORD).await.json(200);
        User {
            token: text(&tokens, "access_token"),
            id: user.id.clone(),
            email: user.email.clone(),
            refresh: String::new(),
        }
    };
    app.world.advance(86_400);
    app.prune().await;
    same(&first, &post(&app, &renew().await, "k", &order()).await);
    app.world.advance(90_001);
    app.prune().await;
    let second = post(&app, &renew().await, "k", &order()).await.json(201);
    assert_ne!(second["ticket_id"], first.value()["ticket_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_cannot_replay() {
    let app = TestApp::start().await;
    let user = app.user().await;
    post(&app, &user, "k", &order()).await.json(201);
    let body =
        json!({ "current_password": crate::support::PASSWORD, "new_password": "a horse of another colour" });
    app.put("/api/v1/auth/password").token(&user.token).body(&body).send().await.empty();
    post(&app, &user, "k", &order()).await.problem(401, "unauthorized");
    post(&app, &user, "new", &order()).await.problem(401, "unauthorized");
    assert_eq!((app.world.count("tickets").await, app.world.count("idempotency_claims").await), (1, 1));
}
