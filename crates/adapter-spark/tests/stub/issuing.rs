use bitcoin::hashes::Hash;
use guiche_adapter_spark::InvalidRequest;
use guiche_tickets::GatewayError;
use guiche_tickets::bolt11::{Expected, MAX_DESCRIPTION_BYTES, guard};
use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef, Currency};
use proptest::prelude::*;
use time::macros::datetime;

use super::*;

/// The most that lightning-invoice can encode: its amounts are 64 bits of a tenth of a millisatoshi.
const MOST: u64 = u64::MAX / 10_000;

fn description() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        any::<char>(),
        prop::char::range(' ', '~'),
        Just('ê'),
        Just('ß'),
        Just('🎫'),
        Just('\u{10FFFF}'),
    ];
    prop::collection::vec(character, 0..=MAX_DESCRIPTION_BYTES).prop_map(|characters| {
        let mut text = String::new();
        for character in characters {
            if text.len() + character.len_utf8() <= MAX_DESCRIPTION_BYTES {
                text.push(character);
            }
        }
        text
    })
}

fn requests() -> impl Strategy<Value = NewInvoice> {
    let moment = 0..4_000_000_000_000_000_i64;
    let lifetime = 1_000_u64..365 * 24 * 60 * 60 * 1000;
    (any::<u128>(), 1..=MOST, description(), moment, lifetime).prop_map(
        |(key, sats, description, micros, lifetime)| NewInvoice {
            key: Uuid::from_u128(key),
            amount: Sats::try_new(sats).unwrap(),
            description,
            requested_at: Timestamp::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap(),
            lifetime: Duration::from_millis(lifetime),
        },
    )
}

fn issue(stub: &Arc<SparkStub>, request: &NewInvoice) -> Result<IssuedInvoice, GatewayError> {
    futures::executor::block_on(stub.provider_view().issue(request.clone()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_invoice_decodes_to_what_was_asked_for_and_passes_the_guard(request in requests()) {
        let stub = Place::new().open();
        let issued = issue(&stub, &request).unwrap();
        let invoice: Bolt11Invoice = issued.bolt11.parse().unwrap();
        prop_assert!(issued.bolt11.starts_with("lnbcrt"));
        prop_assert_eq!(invoice.currency(), Currency::Regtest);
        prop_assert_eq!(invoice.amount_milli_satoshis(), Some(request.amount.as_msats()));
        prop_assert_eq!(invoice.payment_hash().to_byte_array(), *issued.payment_hash.as_bytes());
        let Bolt11InvoiceDescriptionRef::Direct(text) = invoice.description() else { panic!("a hash") };
        prop_assert_eq!(&text.as_inner().0, &request.description);
        prop_assert_eq!(i128::from(invoice.duration_since_epoch().as_secs()), i128::from(request.requested_at.unix_timestamp()));
        prop_assert_eq!(invoice.expiry_time().as_secs(), request.lifetime.as_secs());
        prop_assert_eq!(invoice.min_final_cltv_expiry_delta(), 80);
        let features = invoice.features().unwrap();
        prop_assert!(features.requires_variable_length_onion() && features.requires_payment_secret());
        prop_assert!(features.supports_basic_mpp() && !features.requires_basic_mpp());
        prop_assert!(invoice.check_signature().is_ok());
        prop_assert_eq!(invoice.recover_payee_pub_key().to_string(), stub.node_id());
        prop_assert_eq!(invoice.payee_pub_key().map(ToString::to_string), Some(stub.node_id()));

        let asked = request.requested_at + request.lifetime;
        let expected = Expected {
            network: SparkStub::NETWORK,
            amount: request.amount,
            description: &request.description,
            payment_hash: issued.payment_hash,
            expires_at: asked,
            now: request.requested_at - Duration::from_secs(1),
        };
        let expires_at = guard(&issued.bolt11, &expected);
        prop_assert!(expires_at.is_ok_and(|moment| moment <= asked), "{expires_at:?}");
    }

    #[test]
    fn the_same_request_gives_the_same_bytes_after_a_restart_and_under_no_other_secret(request in requests()) {
        let place = Place::new();
        let first = issue(&place.open(), &request).unwrap();
        prop_assert_eq!(&issue(&place.open(), &request).unwrap(), &first);
        let other = Place::new().try_open(2).unwrap();
        let others = issue(&other, &request).unwrap();
        prop_assert_ne!(&others.id, &first.id);
        prop_assert_ne!(others.payment_hash, first.payment_hash);
        prop_assert_ne!(&others.bolt11, &first.bolt11);
        prop_assert_eq!(futures::executor::block_on(other.provider_view().status(&first.id)).unwrap(), None);
    }
}

#[tokio::test]
async fn both_views_issue_the_same_invoice() {
    let place = Place::new();
    let stub = place.open();
    let request = place.request(1);
    let payer = stub.payer_view().issue(request.clone()).await.unwrap();
    assert_eq!(stub.provider_view().issue(request).await.unwrap(), payer);
}

/// Two requests under one key are a mistake of ours; that both have one payment hash keeps it from costing anybody twice.
#[tokio::test]
async fn one_key_is_one_payment_hash_whatever_else_is_asked() {
    let place = Place::new();
    let stub = place.open();
    let first = place.issued(&stub, 1).await;
    let dearer = NewInvoice { amount: Sats::try_new(60_000).unwrap(), ..place.request(1) };
    let second = issue(&stub, &dearer).unwrap();
    assert_eq!(second.payment_hash, first.payment_hash);
    assert_ne!(second.id, first.id);
}

#[tokio::test]
async fn an_id_is_visible_ascii_that_a_url_must_encode() {
    let place = Place::new();
    let id = place.issued(&place.open(), 1).await.id;
    assert!(id.as_str().len() <= 512 && id.as_str().contains(':'), "{id}");
}

#[tokio::test]
async fn what_bolt11_cannot_carry_is_refused() {
    let place = Place::new();
    let stub = place.open();
    let refusal = |change: &dyn Fn(&mut NewInvoice)| {
        let mut request = place.request(1);
        change(&mut request);
        match issue(&stub, &request) {
            Err(GatewayError::Rejected(source)) => source.downcast_ref::<InvalidRequest>().cloned().unwrap(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    };
    assert_eq!(refusal(&|request| request.amount = Sats::try_new(0).unwrap()), InvalidRequest::ZeroAmount);
    assert!(matches!(refusal(&|request| request.amount = Sats::MAX), InvalidRequest::Encoding(_)));
    let long = "ê".repeat(320);
    assert_eq!(
        refusal(&|request| request.description.clone_from(&long)),
        InvalidRequest::DescriptionTooLong { bytes: 640 }
    );
    for lifetime in [0, 999, 366 * 24 * 60 * 60 * 1000] {
        let lifetime = Duration::from_millis(lifetime);
        assert_eq!(refusal(&|request| request.lifetime = lifetime), InvalidRequest::Lifetime);
    }
    for moment in [datetime!(1969-12-31 23:59:59 UTC), datetime!(3058-12-31 0:00 UTC)] {
        assert_eq!(refusal(&|request| request.requested_at = moment), InvalidRequest::Moment);
    }
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let place = Place::new();
    let stub = place.open();
    assert_eq!(format!("{stub:?}"), format!("SparkStub {{ node_id: {:?}, .. }}", stub.node_id()));
    let settings = StubSettings { secret: SecretBox::new(Box::new([0xAB; 32])), ledger: place.ledger() };
    assert!(!format!("{settings:?}").contains("171"), "{settings:?}");
}
