//! What stores tell us: who is believed, and what follows.

use guiche_adapter_btcpay::fake::Delivering;
use serde_json::json;

use crate::support::{TestApp, text};

fn about(invoice: &str, original: Option<&str>) -> Delivering {
    Delivering {
        invoice: invoice.to_owned(),
        kind: "InvoiceSettled".to_owned(),
        original: original.map(str::to_owned),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_a_hint_and_the_invoice_is_read_again() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let address = app.set_up(&user, "ana").await;
    app.open_channel("ana@guiche.test", 10_000);
    let issued = app.get("/lnurlp/ana/callback?amount=1000").send().await.value();
    let hash = text(&issued, "verify").rsplit('/').next().unwrap().to_owned();
    let btcpay = app.btcpay();
    let paid = async || app.world.count("lightning_address_invoices WHERE paid_at IS NOT NULL").await;

    let told = btcpay.play().deliver(&about(&hash, None)).await.unwrap();
    assert_eq!((told[0].status, paid().await), (Some(202), 0), "nobody paid it, whatever the message says");
    btcpay.play().pay(&hash, None).unwrap();
    let told = btcpay.play().deliver(&about(&hash, None)).await.unwrap();
    assert_eq!((told[0].status, paid().await), (Some(202), 1));
    let again = btcpay.play().deliver(&about(&hash, Some(&told[0].delivery_id))).await.unwrap();
    assert_eq!(again[0].status, Some(200), "the same event once more");

    // What is about nothing of ours is noted, and nothing follows.
    let other =
        json!({ "deliveryId": "d9", "type": "InvoiceCreated", "storeId": address.store, "invoiceId": "i9" });
    let answer = address.message(&app, serde_json::to_vec_pretty(&other).unwrap()).send().await;
    assert_eq!((answer.status, answer.bytes.len()), (202, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_believed() {
    let app = TestApp::start().await;
    let (ana, bob) = (app.user().await, app.user().await);
    let (address, other) = (app.set_up(&ana, "ana").await, app.set_up(&bob, "bob").await);
    let before = app.world.contents().await;
    let body = json!({ "deliveryId": "d", "type": "InvoiceSettled", "storeId": address.store }).to_string();
    let path = format!("/webhooks/btcpay/{}", address.id);
    let signed = |signature: &str| {
        app.post(&path).header("BTCPay-Sig", signature).bytes("application/json", body.clone())
    };
    for signature in ["", "sha256=", "sha256=00", &format!("sha256={}", "0".repeat(64)), "hunter2"] {
        let answer = signed(signature).send().await;
        answer.problem(401, "unauthorized");
        assert!(answer.header("www-authenticate").unwrap().starts_with("BTCPay-Sig"));
    }
    app.post(&path).bytes("application/json", body.clone()).send().await.problem(401, "unauthorized");
    // Signed with another address's secret, or for an address that there is not.
    let forged = super::Address { id: address.id.clone(), store: other.store, secret: other.secret };
    forged.message(&app, body.clone()).send().await.problem(401, "unauthorized");
    let nobodys = super::Address { id: ana.id.clone(), store: String::new(), secret: address.secret.clone() };
    nobodys.message(&app, body.clone()).send().await.problem(401, "unauthorized");
    app.post("/webhooks/btcpay/nobody")
        .bytes("application/json", body.clone())
        .send()
        .await
        .problem(404, "not_found");
    address.message(&app, "a".repeat(70_000)).send().await.problem(413, "payload_too_large");
    address.message(&app, "{}").send().await.problem(400, "malformed_request");
    assert_eq!(app.world.contents().await, before);
}
