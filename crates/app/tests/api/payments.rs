//! Money in time: how a payment is noticed, and what it does.

use serde_json::{Value, json};

use crate::client::faults;
use crate::support::{PRICE, TestApp, User, noon, path_of, text};

/// The status that an action answers with, once its whole body has been checked.
async fn status(app: &TestApp, user: &User, opened: &Value, action: &str) -> String {
    let body = app.act(user, opened, action).await.json(200);
    let ticket = app.ticket(user, opened).await;
    check_status_body(&body, &ticket);
    text(&body, "status")
}

/// The answer to an action is the list form of the ticket and its status once more.
#[track_caller]
fn check_status_body(body: &Value, ticket: &Value) {
    let mut expected = json!({ "status": ticket["payment_status"] });
    for name in [
        "id",
        "operation_id",
        "operation_name",
        "payment_status",
        "amount_sats",
        "created_at",
        "expires_at",
        "paid_at",
    ] {
        expected[name] = ticket[name].clone();
    }
    assert_eq!(body, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_look_of_the_payer_finds_the_invoice_paid() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    // However often anybody else looks, it stays unpaid.
    for _ in 0..5 {
        app.ticket(&user, &opened).await;
        app.watch().await;
    }
    for expected in ["pending", "pending", "paid", "paid"] {
        app.world.advance(10);
        assert_eq!(status(&app, &user, &opened, "confirm-payment").await, expected);
    }
    let ticket = app.ticket(&user, &opened).await;
    assert_eq!(ticket["paid_at"], noon(30), "the moment of the third");
    assert_eq!(
        (&ticket["invoices"][0]["status"], &ticket["invoices"][0]["paid_at"]),
        (&json!("paid"), &json!(noon(30)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallet_pays_and_the_payer_confirms() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    app.world.advance(7);
    let paid = app.pay(&opened, "").await.json(200);
    let preimage = text(&paid, "preimage");
    let expected = json!({
        "payment_hash": opened["payment_hash"], "preimage": preimage, "amount_sats": PRICE, "paid_at": noon(7),
    });
    assert_eq!(paid, expected);
    assert_eq!(app.ticket(&user, &opened).await["payment_status"], "pending", "nobody has looked yet");
    app.world.advance(7);
    assert_eq!(status(&app, &user, &opened, "confirm-payment").await, "paid");
    assert_eq!(app.ticket(&user, &opened).await["paid_at"], noon(7), "the provider's moment");
    app.pay(&opened, "").await.problem(409, "invalid_ticket_state");
    assert_eq!(app.world.count("outbox WHERE kind = 'ticket.paid'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_confirmations_at_once_pay_once() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    app.pay(&opened, "").await.json(200);
    let calls = (0..20).map(|_| app.act(&user, &opened, "confirm-payment"));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.json(200)["status"], "paid");
    }
    assert_eq!(app.world.count("outbox WHERE kind = 'ticket.paid'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallet_needs_no_login_and_knows_only_real_invoices() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let unknown = "0".repeat(64);
    for hash in [unknown.as_str(), "abc", "%00", "'", &"f".repeat(63), &"g".repeat(64), &"0".repeat(65)] {
        app.post(&format!("/dev/invoices/{hash}/pay")).send().await.problem(404, "not_found");
    }
    for query in ["?late=maybe", "?late=", "?amount=1", "?late=true&late=false"] {
        app.pay(&opened, query).await.problem(400, "malformed_request");
    }
    assert_eq!(app.act(&user, &opened, "confirm-payment").await.json(200)["status"], "pending");
    // Another letter case is the same hash.
    let upper = text(&opened, "payment_hash").to_uppercase();
    app.post(&format!("/dev/invoices/{upper}/pay?late=false")).send().await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_ticket_stays_cancelled() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    app.world.advance(1);
    for _ in 0..2 {
        assert_eq!(status(&app, &user, &opened, "cancel").await, "cancelled", "and again, without harm");
    }
    let ticket = app.ticket(&user, &opened).await;
    assert_eq!((&ticket["payment_status"], &ticket["paid_at"]), (&json!("cancelled"), &Value::Null));
    assert_eq!(ticket["invoices"][0]["status"], "withdrawn");
    let refused = app.act(&user, &opened, "invoice").await.problem(409, "invalid_ticket_state");
    assert_eq!(refused["payment_status"], "cancelled");
    app.world.advance(1000);
    app.watch().await;
    assert_eq!(app.ticket(&user, &opened).await["payment_status"], "cancelled");
    assert_eq!(app.world.count("outbox WHERE kind = 'ticket.cancelled'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_ticket_cannot_be_cancelled_or_invoiced_again() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    app.pay(&opened, "").await.json(200);
    // Nobody has confirmed, but the provider is asked before anything is withdrawn.
    let refused = app.act(&user, &opened, "cancel").await.problem(409, "invalid_ticket_state");
    assert_eq!(refused["payment_status"], "paid");
    assert_eq!(app.ticket(&user, &opened).await["payment_status"], "paid", "what was found is kept");
    for action in ["cancel", "invoice"] {
        let refused = app.act(&user, &opened, action).await.problem(409, "invalid_ticket_state");
        assert_eq!(refused["payment_status"], "paid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_after_a_cancellation_goes_back() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let (confirmed, proved) = (app.open(&user).await, app.open(&user).await);
    for opened in [&confirmed, &proved] {
        app.act(&user, opened, "cancel").await.json(200);
    }
    app.world.advance(1);
    app.pay(&confirmed, "").await.json(200);
    assert_eq!(status(&app, &user, &confirmed, "confirm-payment").await, "refund_due");
    let preimage = text(&app.pay(&proved, "").await.json(200), "preimage");
    assert_eq!(app.prove(&user, &proved, &preimage).await.json(200)["status"], "refund_due");
    for opened in [&confirmed, &proved] {
        let ticket = app.ticket(&user, opened).await;
        assert_eq!((&ticket["payment_status"], &ticket["paid_at"]), (&json!("refund_due"), &Value::Null));
        assert_eq!(ticket["invoices"][0]["status"], "paid_after_cancel");
        assert_eq!(ticket["invoices"][0]["paid_at"], noon(1));
        for action in ["cancel", "invoice"] {
            let refused = app.act(&user, opened, action).await.problem(409, "invalid_ticket_state");
            assert_eq!(refused["payment_status"], "refund_due");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preimage_proves_the_payment() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let other = app.open(&user).await;
    let preimage = text(&app.pay(&opened, "").await.json(200), "preimage");
    let others = text(&app.pay(&other, "").await.json(200), "preimage");

    for wrong in ["0".repeat(64), text(&opened, "payment_hash"), others] {
        let answer = app.prove(&user, &opened, &wrong).await;
        assert_eq!(answer.faults(422, "invalid_fields"), faults(&[("/preimage", "wrong_preimage")]));
    }
    for wrong in [
        "",
        "00",
        "0x00",
        &preimage[..63],
        &format!("{preimage}0"),
        &"g".repeat(64),
        &format!("{} ", &preimage[..63]),
        &"é".repeat(32),
    ] {
        let answer = app.prove(&user, &opened, wrong).await;
        assert_eq!(
            answer.faults(422, "invalid_fields"),
            faults(&[("/preimage", "invalid_format")]),
            "{wrong}"
        );
    }
    let path = path_of(&opened, "/payment-proof");
    for body in [json!({}), json!({ "preimage": null })] {
        let missing = app.post(&path).token(&user.token).body(&body).send().await;
        assert_eq!(missing.problem(400, "missing_required_fields")["missing"], json!(["preimage"]));
    }
    let number = app.post(&path).token(&user.token).body(&json!({ "preimage": 1 })).send().await;
    assert_eq!(number.faults(400, "malformed_request"), faults(&[("/preimage", "wrong_type")]));
    assert_eq!(app.ticket(&user, &opened).await["payment_status"], "pending");

    app.world.advance(3);
    for _ in 0..2 {
        let body = app.prove(&user, &opened, &preimage.to_uppercase()).await.json(200);
        check_status_body(&body, &app.ticket(&user, &opened).await);
        assert_eq!(body["status"], "paid");
    }
    assert_eq!(app.world.count("outbox WHERE kind = 'ticket.paid'").await, 1);
    assert_eq!(app.ticket(&user, &opened).await["ln_invoice"], opened["ln_invoice"]);
    assert!(
        !app.get(&path_of(&opened, ""))
            .token(&user.token)
            .send()
            .await
            .value()
            .to_string()
            .contains(&preimage)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proof_and_the_confirmation_agree_in_any_order() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let (one, two) = (app.open(&user).await, app.open(&user).await);
    app.world.advance(10);
    let of_one = text(&app.pay(&one, "").await.json(200), "preimage");
    let of_two = text(&app.pay(&two, "").await.json(200), "preimage");
    app.world.advance(10);
    app.act(&user, &one, "confirm-payment").await.json(200);
    app.prove(&user, &one, &of_one).await.json(200);
    app.prove(&user, &two, &of_two).await.json(200);
    app.act(&user, &two, "confirm-payment").await.json(200);
    for opened in [&one, &two] {
        assert_eq!(app.ticket(&user, opened).await["payment_status"], "paid");
    }
    assert_eq!(app.world.count("outbox WHERE kind = 'ticket.paid'").await, 2);
}
