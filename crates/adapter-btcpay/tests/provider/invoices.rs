//! Invoices: what the contract does not say.

use std::time::Duration;

use bitcoin::hashes::{Hash as _, sha256};
use guiche_kernel::Clock as _;
use guiche_lightning_setup::{FaultKind, NewAddressInvoice, ReceiveGateway as _};
use guiche_outbound::fake::{Fault, Rule};
use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef, Currency};
use serde_json::{Value, json};

use crate::support::world;

#[tokio::test]
async fn an_invoice_commits_to_the_bytes_of_the_metadata() {
    let world = world().await;
    let store = world.connected(1).await;
    let metadata =
        format!(r#"[["text/plain","{}"],["text/identifier","ana@pay.example.org"]]"#, "ê".repeat(700));
    let new = NewAddressInvoice { amount_msat: 1_001, metadata: metadata.clone(), expiry_secs: 77 };
    let issued = world.btcpay.issue(&store, &new).await.unwrap();
    let sent: Value = serde_json::from_str(&world.fake.seen().last().unwrap().body).unwrap();
    let expected = json!({
        "amount": "1001", "description": metadata, "descriptionHashOnly": true, "expiry": 77, "privateRouteHints": true,
    });
    assert_eq!(sent, expected);

    let invoice: Bolt11Invoice = issued.bolt11.parse().unwrap();
    assert_eq!((invoice.currency(), invoice.amount_milli_satoshis()), (Currency::Regtest, Some(1_001)));
    assert_eq!(invoice.expiry_time(), Duration::from_secs(77));
    assert_eq!(invoice.payment_hash().to_string(), issued.id);
    let Bolt11InvoiceDescriptionRef::Hash(hash) = invoice.description() else { panic!("no hash") };
    assert_eq!(hash.0, sha256::Hash::hash(metadata.as_bytes()));
}

#[tokio::test]
async fn the_preimage_proves_the_payment_and_is_told_for_no_other_word() {
    let world = world().await;
    let store = world.connected(1).await;
    let issued = world.issue(&store).await.unwrap();
    let paid_at = world.clock.now();
    let preimage = world.fake.play().pay(&issued.id, None).unwrap();
    world.clock.advance(Duration::from_secs(3600));
    let found = world.btcpay.invoice(&store, &issued.id).await.unwrap().unwrap();
    assert_eq!((found.paid_at, found.preimage.as_ref()), (Some(paid_at), Some(&preimage)));
    let hash = sha256::Hash::hash(&hex::decode(&preimage).unwrap());
    assert_eq!(hash.to_string(), issued.id);

    // A node knows the preimage from the beginning, and may tell it.
    for (status, is_paid) in [("Unpaid", false), ("Expired", false), ("Melted", false), ("Paid", true)] {
        let document =
            json!({ "id": issued.id, "status": status, "BOLT11": issued.bolt11, "preimage": preimage });
        world.fake.fail(Rule::next("invoice", Fault::Instead { document })).unwrap();
        let found = world.btcpay.invoice(&store, &issued.id).await.unwrap().unwrap();
        let expected = is_paid.then(|| world.clock.now());
        assert_eq!((found.paid_at, found.preimage.is_some()), (expected, is_paid), "{status}");
    }
}

#[tokio::test]
async fn an_oddity_beside_it_loses_no_payment() {
    let world = world().await;
    let store = world.connected(1).await;
    let issued = world.issue(&store).await.unwrap();
    for odd in
        [json!({ "paidAt": "soon", "preimage": 7 }), json!({ "paidAt": 9e18, "preimage": "zz" }), json!({})]
    {
        let mut document = json!({ "id": issued.id, "status": "Paid", "BOLT11": issued.bolt11 });
        document.as_object_mut().unwrap().extend(odd.as_object().unwrap().clone());
        world.fake.fail(Rule::next("invoice", Fault::Instead { document })).unwrap();
        let found = world.btcpay.invoice(&store, &issued.id).await.unwrap().unwrap();
        assert_eq!((found.paid_at, found.preimage), (Some(world.clock.now()), None), "{odd}");
    }
}

#[tokio::test]
async fn an_unanswered_issuing_is_not_repeated_and_a_missing_node_is_no_outage_of_the_server() {
    let world = world().await;
    let store = world.connected(1).await;
    world.fake.fail(Rule::next("issue", Fault::LoseAnswer)).unwrap();
    let error = world.issue(&store).await.unwrap_err();
    assert_eq!((error.kind(), world.fake.calls("issue")), (FaultKind::Unanswered, 1));
    assert_eq!(world.fake.play().stores()[0].invoices.len(), 1, "nobody's");

    let without = world.store(2).await;
    let error = world.issue(&without).await.unwrap_err();
    assert_eq!(error.to_string(), "store_host issue: refused, HTTP 404, lightning-not-configured");
    world.fake.play().let_reach(&store, Some(false)).unwrap();
    for _ in 0..9 {
        let error = world.issue(&store).await.unwrap_err();
        assert_eq!(error.to_string(), "store_host issue: unavailable, HTTP 503, lightning-node-unavailable");
    }
    assert_eq!(
        world.btcpay.circuit(),
        guiche_outbound::CircuitState::Closed,
        "one store's node stops no other"
    );
}

#[tokio::test]
async fn a_404_without_the_servers_word_is_not_unknown() {
    let world = world().await;
    let store = world.connected(1).await;
    world.fake.fail(Rule::next("invoice", Fault::answer(404, None))).unwrap();
    let error = world.btcpay.invoice(&store, "00").await.unwrap_err();
    assert_eq!((error.kind(), error.fault.status), (FaultKind::Refused, Some(404)));
}

#[tokio::test]
async fn how_much_can_be_received_is_told_in_satoshis_or_not_at_all() {
    let world = world().await;
    let store = world.connected(1).await;
    assert_eq!(world.btcpay.receivable_sats(&store).await, Ok(None), "nobody asks that node");
    world.fake.play().let_receive(&store, Some(50_000)).unwrap();
    assert_eq!(world.btcpay.receivable_sats(&store).await, Ok(Some(50_000)));
    for (offchain, expected) in [
        (json!({ "remote": "1999" }), Some(1)),
        (json!({ "remote": "0" }), Some(0)),
        (json!({ "remote": null }), None),
        (json!({}), None),
        (json!(null), None),
    ] {
        let document = json!({ "onchain": null, "offchain": offchain });
        world.fake.fail(Rule::next("balance", Fault::Instead { document })).unwrap();
        assert_eq!(world.btcpay.receivable_sats(&store).await, Ok(expected), "{offchain}");
    }
}
