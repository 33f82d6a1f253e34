//! What every issuer of an address's invoices promises.

use super::{NEVER_GIVEN, ReceiveGatewayFixture};
use crate::{HostInvoice, NewAddressInvoice};

fn new(amount_msat: u64) -> NewAddressInvoice {
    // Longer than any description that an invoice could hold itself.
    let text = "a".repeat(1000);
    let metadata = format!(r#"[["text/plain","{text}"],["text/identifier","ana@pay.example.org"]]"#);
    NewAddressInvoice { amount_msat, metadata, expiry_secs: 600 }
}

async fn issue(fixture: &impl ReceiveGatewayFixture, store: &str) -> HostInvoice {
    fixture.gateway().issue(store, &new(21_000)).await.expect("issued")
}

/// As it was issued.
pub async fn an_issued_invoice_is_found_by_its_id(fixture: &impl ReceiveGatewayFixture) {
    let store = fixture.store().await;
    let issued = issue(fixture, &store).await;
    assert!(!issued.bolt11.is_empty());
    assert_eq!(fixture.gateway().invoice(&store, &issued.id).await, Ok(Some(issued)));
}

/// Issuing is not idempotent, and no two payers share an invoice.
pub async fn every_issuing_is_another_invoice(fixture: &impl ReceiveGatewayFixture) {
    let store = fixture.store().await;
    let (first, second) = (issue(fixture, &store).await, issue(fixture, &store).await);
    assert_ne!(first.id, second.id);
    assert_ne!(first.bolt11, second.bolt11);
}

/// Which is never "unpaid".
pub async fn an_invoice_that_was_never_issued_is_unknown(fixture: &impl ReceiveGatewayFixture) {
    let store = fixture.store().await;
    issue(fixture, &store).await;
    let hash = "00".repeat(32);
    for id in NEVER_GIVEN.into_iter().chain([hash.as_str(), "", "..", "a/b", "a b"]) {
        assert_eq!(fixture.gateway().invoice(&store, id).await, Ok(None), "{id}");
    }
}

/// Another store has none such.
pub async fn an_invoice_belongs_to_its_store(fixture: &impl ReceiveGatewayFixture) {
    let (store, other) = (fixture.store().await, fixture.store().await);
    let issued = issue(fixture, &store).await;
    assert_eq!(fixture.gateway().invoice(&other, &issued.id).await, Ok(None));
}

/// And nobody has the preimage.
pub async fn nothing_is_paid_before_somebody_pays(fixture: &impl ReceiveGatewayFixture) {
    let store = fixture.store().await;
    let issued = issue(fixture, &store).await;
    assert_eq!((issued.paid_at, &issued.preimage), (None, &None));
    let other = issue(fixture, &store).await;
    fixture.pay(&store, &other.id).await;
    let found = fixture.gateway().invoice(&store, &issued.id).await.expect("asked").expect("known");
    assert_eq!((found.paid_at, found.preimage), (None, None));
}

/// At the same moment, which is not ahead, and with the same preimage.
pub async fn a_paid_invoice_says_so_for_ever_and_proves_it(fixture: &impl ReceiveGatewayFixture) {
    let store = fixture.store().await;
    let issued = issue(fixture, &store).await;
    fixture.pay(&store, &issued.id).await;
    let paid = fixture.gateway().invoice(&store, &issued.id).await.expect("asked").expect("known");
    let paid_at = paid.paid_at.expect("paid");
    assert!(paid_at <= fixture.clock().now(), "{paid_at}");
    let preimage = hex::decode(paid.preimage.as_deref().expect("a preimage")).expect("hex");
    assert_eq!(preimage.len(), 32);
    assert_eq!(paid.bolt11, issued.bolt11);
    assert_eq!(fixture.gateway().invoice(&store, &issued.id).await, Ok(Some(paid)));
}

/// Nor does it know any.
pub async fn a_store_that_is_unknown_issues_nothing(fixture: &impl ReceiveGatewayFixture) {
    for store in NEVER_GIVEN {
        fixture.gateway().issue(store, &new(1_000)).await.expect_err("no such store");
    }
}
