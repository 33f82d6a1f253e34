//! What time does to an invoice, and what a payment does after it.

use serde_json::{Value, json};

use crate::support::{PASSWORD, PRICE, TestApp, User, noon, path_of, text};

/// The same person with a token that is good now.
async fn again(app: &TestApp, user: &User) -> User {
    let tokens = app.login(&user.email, PASSWORD).await.json(200);
    let (id, email) = (user.id.clone(), user.email.clone());
    User { id, email, token: text(&tokens, "access_token"), refresh: text(&tokens, "refresh_token") }
}

async fn states(app: &TestApp, user: &User, opened: &Value) -> (String, Vec<String>) {
    let ticket = app.ticket(user, opened).await;
    let invoices = ticket["invoices"].as_array().unwrap();
    (text(&ticket, "payment_status"), invoices.iter().map(|invoice| text(invoice, "status")).collect())
}

fn state(ticket: &str, invoices: &[&str]) -> (String, Vec<String>) {
    (ticket.to_owned(), invoices.iter().map(|invoice| (*invoice).to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watcher_expires_what_has_run_out_and_nothing_before() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    app.world.advance(900);
    app.watch().await;
    assert_eq!(states(&app, &user, &opened).await, state("pending", &["open"]), "payable to the last second");
    app.world.advance(1);
    app.watch().await;
    app.watch().await;
    assert_eq!(states(&app, &user, &opened).await, state("expired", &["expired"]));
    assert_eq!(app.world.count("outbox WHERE kind = 'ticket.expired'").await, 1);
    let refused = app.act(&user, &opened, "cancel").await.problem(409, "invalid_ticket_state");
    assert_eq!(refused["payment_status"], "expired");
    app.pay(&opened, "").await.problem(409, "invalid_ticket_state");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watcher_works_through_more_than_a_batch_and_leaves_what_was_paid_in_time() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let calls = (0..140).map(|_| app.open(&user));
    let opened = futures::future::join_all(calls).await;
    app.world.advance(100);
    for ticket in &opened[..3] {
        app.pay(ticket, "").await.json(200);
    }
    app.world.advance(801);
    app.watch().await;
    assert_eq!(app.world.count("tickets WHERE status = 'expired'").await, 137);
    for ticket in &opened[..3] {
        assert_eq!(states(&app, &user, ticket).await, state("paid", &["paid"]));
        assert_eq!(app.ticket(&user, ticket).await["paid_at"], noon(100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_watch_side_by_side() {
    let app = TestApp::start().await;
    let replica = app.world.serve().await;
    let user = app.user().await;
    futures::future::join_all((0..20).map(|_| app.open(&user))).await;
    app.world.advance(901);
    tokio::join!(app.watch(), replica.watch());
    app.watch().await;
    assert_eq!(app.world.count("tickets WHERE status = 'expired'").await, 20);
    assert_eq!(app.world.count("outbox WHERE kind = 'ticket.expired'").await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_after_the_end_expires_without_the_watcher() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    app.world.advance(901);
    for _ in 0..4 {
        let body = app.act(&user, &opened, "confirm-payment").await.json(200);
        assert_eq!(body["status"], "expired", "no look pays an invoice that has run out");
    }
    assert_eq!(states(&app, &user, &opened).await, state("expired", &["expired"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_after_the_end_finds_the_ticket_expired() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    app.world.advance(901);
    let refused = app.act(&user, &opened, "cancel").await.problem(409, "invalid_ticket_state");
    assert_eq!(refused["payment_status"], "expired");
    assert_eq!(states(&app, &user, &opened).await, state("expired", &["expired"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_ticket_gets_a_fresh_invoice_at_its_own_price() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let path = path_of(&opened, "/invoice");
    let ask = async |key: &str| app.post(&path).token(&user.token).key(key).send().await;

    let open = app.act(&user, &opened, "invoice").await.json(200);
    assert_eq!(open, opened, "it has one that can be paid");
    assert_eq!(ask("k").await.json(200), opened);

    app.world.advance(901);
    let answer = ask("k").await;
    let fresh = answer.json(201);
    let expected = json!({
        "ticket_id": opened["ticket_id"], "payment_status": "pending", "ln_invoice": fresh["ln_invoice"],
        "payment_hash": fresh["payment_hash"], "amount_sats": PRICE, "expires_at": noon(901 + 900),
    });
    assert_eq!(fresh, expected);
    assert!(fresh["payment_hash"] != opened["payment_hash"] && fresh["ln_invoice"] != opened["ln_invoice"]);
    assert_eq!(states(&app, &user, &opened).await, state("pending", &["expired", "open"]));

    let replay = ask("\"k\"").await;
    assert_eq!(
        (replay.status, replay.bytes),
        (201, answer.bytes),
        "the same bytes, not merely the same invoice"
    );
    for answer in [ask("other").await, app.act(&user, &opened, "invoice").await] {
        assert_eq!(answer.json(200), fresh);
    }
    let ticket = app.ticket(&user, &opened).await;
    assert_eq!(
        (&ticket["ln_invoice"], &ticket["payment_hash"]),
        (&fresh["ln_invoice"], &fresh["payment_hash"])
    );
    assert_eq!(ticket["expires_at"], fresh["expires_at"]);

    app.pay(&fresh, "").await.json(200);
    assert_eq!(app.act(&user, &opened, "confirm-payment").await.json(200)["status"], "paid");
    assert_eq!(states(&app, &user, &opened).await, state("paid", &["expired", "paid"]));
    let refused = app.act(&user, &opened, "invoice").await.problem(409, "invalid_ticket_state");
    assert_eq!(refused["payment_status"], "paid");
    assert_eq!(ask("k").await.json(201), fresh, "what was answered once is answered for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_asks_at_once_make_one_fresh_invoice() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    app.world.advance(901);
    let path = path_of(&opened, "/invoice");
    let calls = (0..20).map(|n| {
        let call = app.post(&path).token(&user.token);
        // Half of them with one key, half without any.
        let call = if n % 2 == 0 { call.key("k") } else { call };
        call.send()
    });
    let answers = futures::future::join_all(calls).await;
    for answer in &answers {
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        assert_eq!(answer.bytes, answers[0].bytes);
    }
    assert_eq!(states(&app, &user, &opened).await, state("pending", &["expired", "open"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_payment_goes_back_however_it_is_noticed() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let (confirmed, proved, swept) = (app.open(&user).await, app.open(&user).await, app.open(&user).await);
    app.world.advance(1000);
    for (opened, query) in [(&confirmed, "?late=true"), (&proved, "?late=true"), (&swept, "?late=true")] {
        let paid = app.pay(opened, query).await.json(200);
        assert_eq!(paid["paid_at"], noon(1000));
        if std::ptr::eq(opened, &raw const proved) {
            let body = app.prove(&user, opened, &text(&paid, "preimage")).await.json(200);
            assert_eq!(body["status"], "refund_due");
        }
    }
    assert_eq!(app.act(&user, &confirmed, "confirm-payment").await.json(200)["status"], "refund_due");
    app.watch().await;
    for opened in [&confirmed, &proved, &swept] {
        assert_eq!(states(&app, &user, opened).await, state("refund_due", &["paid_late"]));
        let ticket = app.ticket(&user, opened).await;
        assert_eq!(
            (&ticket["paid_at"], &ticket["invoices"][0]["paid_at"]),
            (&Value::Null, &json!(noon(1000)))
        );
        for action in ["cancel", "invoice"] {
            let refused = app.act(&user, opened, action).await.problem(409, "invalid_ticket_state");
            assert_eq!(refused["payment_status"], "refund_due");
        }
    }
    let page = app.get("/api/v1/tickets?status=refund_due").token(&user.token).send().await.json(200);
    assert_eq!(page["total"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_payment_can_be_played_without_waiting_for_the_end() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let paid = app.pay(&opened, "?late=true").await.json(200);
    assert_eq!(paid["paid_at"], noon(901), "a second after the end");
    app.world.advance(902);
    app.watch().await;
    assert_eq!(states(&app, &user, &opened).await, state("refund_due", &["paid_late"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_in_time_counts_however_late_it_is_noticed() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let (confirmed, proved) = (app.open(&user).await, app.open(&user).await);
    app.world.advance(899);
    app.pay(&confirmed, "").await.json(200);
    let preimage = text(&app.pay(&proved, "").await.json(200), "preimage");
    app.world.advance(86_400);
    let user = again(&app, &user).await;
    assert_eq!(app.act(&user, &confirmed, "confirm-payment").await.json(200)["status"], "paid");
    assert_eq!(app.prove(&user, &proved, &preimage).await.json(200)["status"], "paid");
    for opened in [&confirmed, &proved] {
        assert_eq!(app.ticket(&user, opened).await["paid_at"], noon(899));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_the_old_invoice_beside_the_fresh_one_is_never_lost() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    app.world.advance(901);
    let fresh = app.act(&user, &opened, "invoice").await.json(201);
    // The old invoice is paid late, then the fresh one in time: the fresh one pays, the other is owed back.
    app.world.advance(10);
    app.pay(&opened, "?late=true").await.json(200);
    app.pay(&fresh, "").await.json(200);
    assert_eq!(app.act(&user, &opened, "confirm-payment").await.json(200)["status"], "paid");
    assert_eq!(states(&app, &user, &opened).await, state("paid", &["paid_surplus", "paid"]));
}
