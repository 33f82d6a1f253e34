use guiche_adapter_spark::{PayError, PayMoment};

use super::*;

#[tokio::test]
async fn the_wallet_gets_the_proof() {
    let place = Place::new();
    let stub = place.open();
    let invoice = place.issued(&stub, 1).await;
    assert_eq!(stub.find_payment(&invoice.id).await.unwrap(), None);
    place.clock.advance(Duration::from_secs(30));
    let payment = stub.force_pay(&invoice.id, PayMoment::Now).await.unwrap();
    assert_eq!(payment.payment_hash, invoice.payment_hash);
    assert!(payment.preimage.proves(&invoice.payment_hash));
    assert_eq!(payment.amount.get(), 50_000);
    assert_eq!(payment.paid_at, place.clock.now());
    assert_eq!(paid_at(&stub, &invoice.id).await, Some(payment.paid_at));
    assert_eq!(stub.find_payment(&invoice.id).await.unwrap(), Some(payment));
    assert_eq!(place.open().find_payment(&invoice.id).await.unwrap(), Some(payment), "after a restart");
}

#[tokio::test]
async fn an_invoice_is_paid_once_and_keeps_the_first_moment() {
    let place = Place::new();
    let stub = place.open();
    let invoice = place.issued(&stub, 1).await;
    let first = stub.force_pay(&invoice.id, PayMoment::Now).await.unwrap().paid_at;
    place.clock.advance(LIFETIME * 2);
    for moment in [PayMoment::Now, PayMoment::Late, PayMoment::At(first)] {
        let again = stub.force_pay(&invoice.id, moment).await;
        assert!(matches!(again, Err(PayError::AlreadyPaid { paid_at }) if paid_at == first), "{again:?}");
    }
    assert_eq!(paid_at(&stub, &invoice.id).await, Some(first));
}

#[tokio::test]
async fn a_wallet_can_pay_at_the_last_moment_and_not_after_it() {
    let place = Place::new();
    let stub = place.open();
    let (one, two) = (place.issued(&stub, 1).await, place.issued(&stub, 2).await);
    let expiry = place.clock.now() + LIFETIME;
    place.clock.set(expiry);
    assert_eq!(stub.force_pay(&one.id, PayMoment::Now).await.unwrap().paid_at, expiry);
    place.clock.advance(Duration::from_micros(1));
    let late = stub.force_pay(&two.id, PayMoment::Now).await;
    assert!(matches!(late, Err(PayError::Expired { expires_at }) if expires_at == expiry), "{late:?}");
    assert_eq!(paid_at(&stub, &two.id).await, None);
}

#[tokio::test]
async fn late_payment_can_be_played_without_waiting_for_the_expiry() {
    let place = Place::new();
    let stub = place.open();
    let (one, two) = (place.issued(&stub, 1).await, place.issued(&stub, 2).await);
    let expiry = place.clock.now() + LIFETIME;
    let second = Duration::from_secs(1);
    assert_eq!(stub.force_pay(&one.id, PayMoment::Late).await.unwrap().paid_at, expiry + second);
    place.clock.advance(LIFETIME * 3);
    assert_eq!(stub.force_pay(&two.id, PayMoment::Late).await.unwrap().paid_at, place.clock.now());
}

/// A payment that is not there yet is on its way, to everybody, and paid from its moment on.
#[tokio::test]
async fn a_payment_in_the_future_is_in_flight_until_then() {
    let place = Place::new();
    let stub = place.open();
    let (late, chosen) = (place.issued(&stub, 1).await, place.issued(&stub, 2).await);
    let expiry = place.clock.now() + LIFETIME;
    let arrives = stub.force_pay(&late.id, PayMoment::Late).await.unwrap().paid_at;
    assert_eq!(stub.force_pay(&chosen.id, PayMoment::At(arrives)).await.unwrap().paid_at, arrives);
    let micro = Duration::from_micros(1);
    for (now, expected) in [
        (place.clock.now(), ProviderStatus::InFlight),
        (expiry, ProviderStatus::InFlight),
        (arrives - micro, ProviderStatus::InFlight),
        (arrives, ProviderStatus::Paid { paid_at: Some(arrives) }),
        (arrives + micro, ProviderStatus::Paid { paid_at: Some(arrives) }),
    ] {
        place.clock.set(now);
        for id in [&late.id, &chosen.id] {
            for view in [stub.provider_view(), stub.payer_view(), place.open().provider_view()] {
                // As often as an unpaid invoice needs to be looked at to be paid now.
                for _ in 0..SparkStub::LOOKS_UNTIL_PAID {
                    assert_eq!(view.status(id).await.unwrap(), Some(expected), "at {now}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_payment_noticed_long_after_it_was_made_can_be_played() {
    let place = Place::new();
    let stub = place.open();
    let invoice = place.issued(&stub, 1).await;
    let issued = place.clock.now();
    place.clock.advance(LIFETIME * 3);
    let before = stub.force_pay(&invoice.id, PayMoment::At(issued - Duration::from_secs(1))).await;
    assert!(matches!(before, Err(PayError::BeforeIssued { issued_at }) if issued_at == issued), "{before:?}");
    // Nanoseconds and an offset do not survive storage; what is answered first is what will be answered.
    let moment = (issued + Duration::from_nanos(5_000_001_999)).to_offset(time::macros::offset!(-3));
    let payment = stub.force_pay(&invoice.id, PayMoment::At(moment)).await.unwrap();
    assert_eq!(payment.paid_at, issued + Duration::from_micros(5_000_001));
    assert_eq!(paid_at(&place.open(), &invoice.id).await, Some(payment.paid_at));
}

#[tokio::test]
async fn an_invoice_of_another_provider_cannot_be_paid() {
    let place = Place::new();
    let foreign = place.issued(&Place::new().try_open(2).unwrap(), 1).await;
    let stub = place.open();
    let refused = stub.force_pay(&foreign.id, PayMoment::Late).await;
    assert!(matches!(refused, Err(PayError::UnknownInvoice)), "{refused:?}");
    assert_eq!(stub.find_payment(&foreign.id).await.unwrap(), None);
}
