//! A ticket of somebody else does not exist: on no route, in no byte, and nothing can be done to it.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::contract;
use crate::support::{TestApp, User, text};

const NOBODYS: &str = "01942138-0f80-7c3a-8d5e-0123456789ab";

/// Every documented route about one ticket.
fn routes() -> Vec<(String, String)> {
    let routes: Vec<_> = contract::operations()
        .into_iter()
        .filter(|(_, path, _)| path.starts_with("/api/v1/tickets/{id}"))
        .collect();
    assert!(routes.len() >= 5, "{routes:?}");
    routes.into_iter().map(|(method, path, _)| (method, path)).collect()
}

async fn call(
    app: &TestApp,
    user: &User,
    (method, path): &(String, String),
    id: &str,
    preimage: &str,
) -> Answer {
    let call =
        app.call(method, &path.replace("{id}", id)).token(&user.token).header("x-request-id", "the-same");
    let call =
        if path.ends_with("/payment-proof") { call.body(&json!({ "preimage": preimage })) } else { call };
    call.send().await
}

async fn unharmed(app: &TestApp, thief: &User, victim: &Value, preimage: &str) {
    let before = app.world.contents().await;
    for route in routes() {
        let theirs = call(app, thief, &route, &text(victim, "ticket_id"), preimage).await;
        let nobodys = call(app, thief, &route, NOBODYS, preimage).await;
        for answer in [&theirs, &nobodys] {
            answer.problem(404, "ticket_not_found");
        }
        assert_eq!(theirs.bytes, nobodys.bytes, "{route:?}");
        let headers = |mut answer: Answer| {
            answer.headers.remove("date");
            answer.headers
        };
        assert_eq!(headers(theirs), headers(nobodys), "{route:?}");
        let with_key = app.call(&route.0, &route.1.replace("{id}", &text(victim, "ticket_id")));
        let with_key =
            with_key.token(&thief.token).key("mine").body(&json!({ "preimage": preimage })).send().await;
        with_key.problem(404, "ticket_not_found");
    }
    assert_eq!(app.world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ticket_of_another_is_no_ticket_in_any_state() {
    let app = TestApp::start().await;
    let (ana, bob) = (app.user().await, app.user().await);
    app.open(&bob).await;

    let pending = app.open(&ana).await;
    unharmed(&app, &bob, &pending, &"0".repeat(64)).await;
    // Even the right proof of payment is nothing to whom the ticket does not belong.
    let preimage = text(&app.pay(&pending, "").await.json(200), "preimage");
    unharmed(&app, &bob, &pending, &preimage).await;
    app.act(&ana, &pending, "confirm-payment").await.json(200);
    unharmed(&app, &bob, &pending, &preimage).await;

    let cancelled = app.open(&ana).await;
    app.act(&ana, &cancelled, "cancel").await.json(200);
    unharmed(&app, &bob, &cancelled, &preimage).await;

    let expired = app.open(&ana).await;
    app.world.advance(901);
    unharmed(&app, &bob, &expired, &preimage).await;
    app.watch().await;
    unharmed(&app, &bob, &expired, &preimage).await;
    assert_eq!(app.ticket(&ana, &expired).await["payment_status"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_looks_of_others_do_not_count() {
    let app = TestApp::start().await;
    let (ana, bob) = (app.user().await, app.user().await);
    let opened = app.open(&ana).await;
    for _ in 0..5 {
        app.act(&bob, &opened, "confirm-payment").await.problem(404, "ticket_not_found");
    }
    assert_eq!(app.act(&ana, &opened, "confirm-payment").await.json(200)["status"], "pending");
}
