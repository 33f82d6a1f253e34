//! What every gateway promises.

use std::time::Duration;

use guiche_kernel::{Sats, truncate_to_micros};
use uuid::Uuid;

use super::GatewayFixture;
use crate::bolt11::{Expected, MAX_DESCRIPTION_BYTES, guard};
use crate::{InvoiceId, Network, NewInvoice, ProviderStatus};

fn request(fixture: &impl GatewayFixture, key: u128, description: &str) -> NewInvoice {
    NewInvoice {
        key: Uuid::from_u128(key),
        amount: Sats::try_new(50_000).expect("in range"),
        description: description.to_owned(),
        requested_at: truncate_to_micros(fixture.clock().now()),
        lifetime: Duration::from_secs(900),
    }
}

async fn issue_and_guard(fixture: &impl GatewayFixture, request: NewInvoice) {
    let issued = fixture.gateway().issue(request.clone()).await.expect("issued");
    let expected = Expected {
        network: Network::Regtest,
        amount: request.amount,
        description: &request.description,
        payment_hash: issued.payment_hash,
        expires_at: request.requested_at + request.lifetime,
        now: fixture.clock().now(),
    };
    guard(&issued.bolt11, &expected).expect("passes the guard");
}

/// Network, amount, description, hash and expiry are those that were asked for.
pub async fn what_is_issued_passes_the_guard(fixture: &impl GatewayFixture) {
    issue_and_guard(fixture, request(fixture, 1, "Guichê driver_license_renewal")).await;
}

/// The same request gives the same bytes, however often it is made.
pub async fn one_key_gives_one_invoice(fixture: &impl GatewayFixture) {
    let request = request(fixture, 1, "once");
    let first = fixture.gateway().issue(request.clone()).await.expect("issued");
    assert_eq!(fixture.gateway().issue(request).await.expect("issued again"), first);
}

/// Another key is another invoice with another payment hash.
pub async fn keys_do_not_share_invoices(fixture: &impl GatewayFixture) {
    let first = fixture.gateway().issue(request(fixture, 1, "one")).await.expect("issued");
    let second = fixture.gateway().issue(request(fixture, 2, "one")).await.expect("issued");
    assert_ne!(first.id, second.id);
    assert_ne!(first.payment_hash, second.payment_hash);
    assert_ne!(first.bolt11, second.bolt11);
}

/// Nothing is paid before somebody pays.
pub async fn a_new_invoice_is_unpaid(fixture: &impl GatewayFixture) {
    let issued = fixture.gateway().issue(request(fixture, 1, "new")).await.expect("issued");
    for _ in 0..5 {
        assert_eq!(fixture.gateway().status(&issued.id).await.expect("asked"), Some(ProviderStatus::Unpaid));
    }
}

/// Once paid, always paid, and at the same moment.
pub async fn a_paid_invoice_says_so_for_ever(fixture: &impl GatewayFixture) {
    let issued = fixture.gateway().issue(request(fixture, 1, "paid")).await.expect("issued");
    let other = fixture.gateway().issue(request(fixture, 2, "unpaid")).await.expect("issued");
    fixture.pay(&issued.id).await;
    let first = fixture.gateway().status(&issued.id).await.expect("asked");
    assert!(matches!(first, Some(ProviderStatus::Paid { .. })), "{first:?}");
    assert_eq!(fixture.gateway().status(&issued.id).await.expect("asked"), first);
    assert_eq!(fixture.gateway().status(&other.id).await.expect("asked"), Some(ProviderStatus::Unpaid));
}

/// An invoice that the provider never issued is unknown, which is never "paid".
pub async fn a_foreign_invoice_is_unknown(fixture: &impl GatewayFixture) {
    for id in [
        "foreign",
        "SparkLightningReceiveRequest:0195f3a4-7c1e-7c3a-8d5e-0123456789ab",
        "../../health",
        "%2F?x=#",
    ] {
        let id = InvoiceId::parse(id).expect("an id");
        for _ in 0..4 {
            assert_eq!(fixture.gateway().status(&id).await.expect("asked"), None, "{id}");
        }
    }
}

/// The longest description that BOLT11 can carry, in characters of more than one byte.
pub async fn a_description_of_639_bytes_fits(fixture: &impl GatewayFixture) {
    let description = format!("{}x", "ê".repeat(MAX_DESCRIPTION_BYTES / 2));
    assert_eq!(description.len(), MAX_DESCRIPTION_BYTES);
    issue_and_guard(fixture, request(fixture, 1, &description)).await;
}
