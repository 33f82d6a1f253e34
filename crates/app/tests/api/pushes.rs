//! Pushes of the Spark gateway: who is believed, what a push does (it brings the next look forward) and what it never
//! does (pay).

use std::sync::Arc;
use std::time::Duration;

use guiche_app::system::SystemClock;
use guiche_kernel::Clock as _;
use guiche_tickets::testing::{FakeGateway, license_form};
use guiche_tickets::{
    InvoiceId, Network, OpenTicket, OperationId, Push, PushNoted, TicketPorts, TicketSettings, Tickets,
};
use guiche_webhooks::{SignedHeaders, SigningSecret, sign};
use serde_json::{Value, json};

use crate::client::{Answer, Call};
use crate::support::{PUSH_SECRET, TestApp, World, text};

const PATH: &str = "/webhooks/spark";
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn secret(text: &str) -> SigningSecret {
    SigningSecret::parse(&text.into()).unwrap()
}

/// A push of these very bytes.
pub(crate) fn signed(app: &TestApp, headers: &SignedHeaders, body: impl Into<Vec<u8>>) -> Call {
    app.post(PATH)
        .header("webhook-id", &headers.id)
        .header("webhook-timestamp", &headers.timestamp)
        .header("webhook-signature", &headers.signature)
        .bytes("application/json", body)
}

/// The headers that the gateway would send with a body, now.
pub(crate) fn headers_for(app: &TestApp, id: &str, body: &[u8]) -> SignedHeaders {
    sign([&secret(PUSH_SECRET)], id, app.world.clock.now(), body)
}

fn update(invoice_id: &str) -> String {
    let data = json!({ "invoice_id": invoice_id });
    json!({ "type": "invoice.updated", "timestamp": "2026-01-01T12:00:00.000Z", "data": data }).to_string()
}

/// What the gateway sends when an invoice has changed.
pub(crate) async fn push(app: &TestApp, id: &str, invoice_id: &str) -> Answer {
    let body = update(invoice_id);
    signed(app, &headers_for(app, id, body.as_bytes()), body).send().await
}

/// The gateway's name for the invoice of a ticket.
pub(crate) async fn invoice_id(world: &World, opened: &Value) -> String {
    let superuser = world.database.raw(&world.database.superuser_url()).await;
    let look = "SELECT provider_invoice_id::text FROM invoices WHERE encode(payment_hash, 'hex') = $1";
    superuser.query_one(look, &[&text(opened, "payment_hash")]).await.unwrap().get(0)
}

#[track_caller]
fn taken(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.bytes.len()), (status, 0), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_brings_the_next_look_forward_and_the_look_finds_the_money() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let id = invoice_id(&app.world, &opened).await;
    // Looked at once in vain, the next look is a while away.
    app.world.advance(40);
    app.watch().await;
    app.pay(&opened, "").await.json(200);
    app.watch().await;
    assert_eq!(app.ticket(&user, &opened).await["payment_status"], "pending", "nothing is due");

    taken(&push(&app, "one", &id).await, 202);
    assert_eq!(app.ticket(&user, &opened).await["payment_status"], "pending", "a push is no proof");
    app.watch().await;
    assert_eq!(app.ticket(&user, &opened).await["payment_status"], "paid");

    taken(&push(&app, "one", &id).await, 200);
    taken(&push(&app, "two", &id).await, 202);
    assert_eq!(app.world.count("outbox WHERE kind = 'ticket.paid'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_lies_pays_nothing() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    taken(&push(&app, "early", &invoice_id(&app.world, &opened).await).await, 202);
    app.watch().await;
    assert_eq!(app.ticket(&user, &opened).await["payment_status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_believed_is_not_told_why() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let body = update(&invoice_id(&app.world, &opened).await);
    let good = headers_for(&app, "one", body.as_bytes());
    let at = |seconds: i64| {
        let moment = app.world.clock.now() + time::Duration::seconds(seconds);
        sign([&secret(PUSH_SECRET)], "one", moment, body.as_bytes())
    };
    let before = app.world.contents().await;
    let mut forged = vec![
        ("too old", at(-301)),
        ("too new", at(301)),
        ("another secret", sign([&secret(OTHER_SECRET)], "one", app.world.clock.now(), body.as_bytes())),
        ("another body", headers_for(&app, "one", b"{}")),
        ("another id", SignedHeaders { id: "two".to_owned(), ..good.clone() }),
        ("another moment", SignedHeaders { timestamp: at(1).timestamp, ..good.clone() }),
        ("no moment", SignedHeaders { timestamp: "soon".to_owned(), ..good.clone() }),
        ("no id", SignedHeaders { id: String::new(), ..good.clone() }),
    ];
    for signature in ["", "v1,", "v1,AAAA", &good.signature.replace("v1,", "v2,"), &good.signature[3..]] {
        forged.push(("no signature", SignedHeaders { signature: signature.to_owned(), ..good.clone() }));
    }
    let mut answers = Vec::new();
    for (what, headers) in forged {
        let answer = signed(&app, &headers, body.clone()).header("x-request-id", "same").send().await;
        assert_eq!(answer.status, 401, "{what}");
        answers.push(answer);
    }
    for missing in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut call = app.post(PATH).header("x-request-id", "same");
        for (name, value) in [
            ("webhook-id", &good.id),
            ("webhook-timestamp", &good.timestamp),
            ("webhook-signature", &good.signature),
        ] {
            call = if name == missing { call } else { call.header(name, value) };
        }
        answers.push(call.bytes("application/json", body.clone()).send().await);
        let twice = signed(&app, &good, body.clone()).header(missing, &good.id);
        answers.push(twice.header("x-request-id", "same").send().await);
    }
    for answer in &answers {
        answer.problem(401, "unauthorized");
        assert_eq!(answer.bytes, answers[0].bytes, "all are told the same");
        assert_eq!(answer.header("www-authenticate"), Some("Webhook-Signature realm=\"guiche\""));
    }
    assert_eq!(app.world.contents().await, before);
    // At the edges of the window it is good.
    let data = "other".to_owned();
    for (seconds, id) in [(-300, "old"), (300, "new")] {
        let moment = app.world.clock.now() + time::Duration::seconds(seconds);
        let body = update(&data);
        let headers = sign([&secret(PUSH_SECRET)], id, moment, body.as_bytes());
        taken(&signed(&app, &headers, body).send().await, 202);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_and_what_is_not_for_us_is_taken() {
    let app = TestApp::start().await;
    let before = app.world.contents().await;
    let send = async |id: &str, body: String| {
        signed(&app, &headers_for(&app, id, body.as_bytes()), body).send().await
    };
    let with = |name: &str, value: Value| {
        let mut body: Value = serde_json::from_str(&update("x")).unwrap();
        body[name] = value;
        body.to_string()
    };
    let named = |id: Value| with("data", json!({ "invoice_id": id }));
    for body in [named(json!("")), named(json!(7)), named(json!("a b")), named(json!("a".repeat(513)))] {
        let answer = send("one", body).await;
        let expected = vec![("/data/invoice_id".to_owned(), "invalid_format".to_owned())];
        assert_eq!(answer.faults(400, "malformed_request"), expected);
    }
    send("one", with("data", json!({}))).await.problem(400, "malformed_request");
    let missing = send("one", json!({ "type": "invoice.updated", "data": null }).to_string()).await;
    assert_eq!(missing.problem(400, "missing_required_fields")["missing"], json!(["timestamp", "data"]));
    send(&"i".repeat(256), update("x")).await.problem(400, "malformed_request");
    // What other things gateways push one day, and whatever they say about them.
    for data in [json!({}), json!({ "invoice_id": 7 }), json!({ "deep": [{ "er": null }] })] {
        let body = json!({ "type": "wallet.low", "timestamp": "2026-01-01T12:00:00Z", "data": data });
        taken(&send("one", body.to_string()).await, 202);
    }
    assert_eq!(app.world.contents().await, before);
    // An invoice that nobody here has heard of is kept apart, for the operator; and so it is a duplicate.
    taken(&send(&"i".repeat(255), update("somebody:elses")).await, 202);
    taken(&send(&"i".repeat(255), update("somebody:elses")).await, 200);
    assert_eq!(app.world.count("pushes WHERE NOT known").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_replaced_both_are_good() {
    let both = format!("{OTHER_SECRET} {PUSH_SECRET}");
    let world = World::new().await;
    let app = world.serve_with(&[("WEBHOOK_SECRET_SPARK", &both)], Arc::new(SystemClock)).await;
    for (id, signing) in [("old", PUSH_SECRET), ("new", OTHER_SECRET)] {
        let body = update("x");
        let headers = sign([&secret(signing)], id, world.clock.now(), body.as_bytes());
        taken(&signed(&app, &headers, body).send().await, 202);
    }
    // And the gateway may sign with both.
    let body = update("x");
    let headers =
        sign([&secret(PUSH_SECRET), &secret(OTHER_SECRET)], "both", world.clock.now(), body.as_bytes());
    taken(&signed(&app, &headers, body).send().await, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_there_is_no_such_place() {
    let world = World::new().await;
    let app = world.serve_with(&[("WEBHOOK_SECRET_SPARK", "")], Arc::new(SystemClock)).await;
    push(&app, "one", "x").await.problem(404, "not_found");
    app.get(PATH).send().await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_count_against_the_limit_of_their_address() {
    let world = World::new().await;
    let app = world.serve_with(&[("RATE_LIMIT_ADDRESS", "2/3600")], Arc::new(SystemClock)).await;
    for id in ["one", "two"] {
        taken(&push(&app, id, "x").await, 202);
    }
    push(&app, "three", "x").await.problem(429, "rate_limited");
}

/// The provider is asked when a look is due, and a push makes at most one due: however many come, and however many
/// watchers there are.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_pushes_asks_the_provider_at_most_once_for_each() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let claims: Value = {
        let part = user.token.split('.').nth(1).unwrap();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, part).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let caller = guiche_kernel::Caller {
        user_id: guiche_kernel::UserId::new(user.id.parse().unwrap()),
        epoch: guiche_kernel::Epoch::new(claims["epoch"].as_i64().unwrap().try_into().unwrap()),
    };
    // The same database, and a provider that counts.
    let stores = app.world.database.stores().await;
    let provider = Arc::new(FakeGateway::on(Network::Regtest));
    let clock = Arc::clone(&app.world.clock);
    let ports = TicketPorts {
        store: stores.tickets(),
        catalogue: stores.operations(),
        provider: provider.clone(),
        payer: provider.clone(),
        clock: clock.clone(),
        timer: clock.clone(),
        ids: guiche_kernel::Ids::new(clock, Arc::new(guiche_app::system::OsRandomness)),
    };
    let tickets = Arc::new(Tickets::new(ports, TicketSettings::on(Network::Regtest)));
    let order = OpenTicket { caller, operation: OperationId::new(1), form: license_form(), key: None };
    let opened = tickets.open(order).await.unwrap();
    let invoice = tickets.invoice(caller.into(), &opened.payment_hash).await.unwrap().unwrap();
    app.world.clock.advance(Duration::from_secs(10));
    tickets.watch_once(10).await.unwrap();
    let asked = provider.status_calls();

    let note = async |id: String| {
        let received_at = app.world.clock.now();
        let invoice_id = InvoiceId::parse(invoice.id.as_str()).unwrap();
        assert_eq!(tickets.note_push(&Push { id, invoice_id, received_at }).await.unwrap(), PushNoted::Known);
        for _ in 0..3 {
            tickets.watch_once(10).await.unwrap();
        }
    };
    let pushes = 40;
    futures::future::join_all((0..pushes).map(|n| note(format!("push-{n}")))).await;
    let asked = provider.status_calls() - asked;
    assert!((1..=pushes).contains(&asked), "{asked} questions for {pushes} pushes");
    // The last push was looked at too: nothing is due any more.
    tickets.watch_once(10).await.unwrap();
    let calm = provider.status_calls();
    tickets.watch_once(10).await.unwrap();
    assert_eq!(provider.status_calls(), calm);
}
