//! What is made of each thing that a gateway can do wrong.

use std::time::Duration;

use guiche_adapter_spark::fake::{Fault, Operation};
use guiche_kernel::Clock as _;
use guiche_tickets::bolt11::GuardRefusal;
use guiche_tickets::{InvoiceId, ProviderStatus};
use serde_json::json;

use crate::support::{World, told, world};

fn answer(status: u16, code: Option<&str>) -> Fault {
    Fault::Answer { status, code: code.map(str::to_owned) }
}

/// How the issuing fails, and after how many calls.
async fn issuing(fault: Fault) -> (&'static str, String, u64) {
    let world = world().await;
    world.fake.fail(Operation::Issue, 100, fault);
    let (kind, cause) = told(&world.issue(1).await.unwrap_err());
    (kind, cause, world.fake.calls(Operation::Issue))
}

#[tokio::test]
async fn a_refusal_is_one_with_the_gateways_own_code_only() {
    for (status, code, kind, calls) in [
        (400, Some("invalid_request"), "rejected", 1),
        (422, Some("idempotency_key_reused"), "rejected", 1),
        (502, Some("spark_refused"), "rejected", 1),
        (502, Some("spark_bad_answer"), "nonsense", 1),
        (502, None, "unavailable", 3),
        (503, Some("spark_unavailable"), "unavailable", 3),
        (500, Some("internal_error"), "unavailable", 3),
        (429, None, "unavailable", 3),
        (400, None, "nonsense", 1),
        (403, Some("forbidden"), "nonsense", 1),
        (404, Some("not_found"), "nonsense", 1),
        (404, None, "nonsense", 1),
        (302, None, "nonsense", 1),
    ] {
        let (found, cause, made) = issuing(answer(status, code)).await;
        assert_eq!((found, made), (kind, calls), "{status} {code:?}: {cause}");
        let (word, code) = (
            if kind == "unavailable" { "failing" } else { "refused" },
            code.map(|code| format!(" ({code})")),
        );
        assert_eq!(cause, format!("spark: issue: {word}: HTTP {status}{}", code.unwrap_or_default()));
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_nonsense_and_is_not_asked_for_again() {
    let hash = "00".repeat(32);
    let instead = |document| Fault::Instead { document };
    for fault in [
        Fault::Garbage,
        Fault::Oversized,
        instead(json!(null)),
        instead(json!({ "invoice_id": "a:b", "bolt11": "lnbcrt1" })),
        instead(json!({ "invoice_id": "", "bolt11": "lnbcrt1", "payment_hash": hash })),
        instead(json!({ "invoice_id": "..", "bolt11": "lnbcrt1", "payment_hash": hash })),
        instead(json!({ "invoice_id": "a b", "bolt11": "lnbcrt1", "payment_hash": hash })),
        instead(json!({ "invoice_id": "a", "bolt11": "lnbcrt1", "payment_hash": "00" })),
        instead(json!({ "invoice_id": 7, "bolt11": "lnbcrt1", "payment_hash": hash })),
    ] {
        let (kind, cause, calls) = issuing(fault.clone()).await;
        assert_eq!((kind, calls), ("nonsense", 1), "{fault:?}: {cause}");
        assert_eq!(cause, "spark: issue: answered what cannot be understood: HTTP 200");
    }
}

#[tokio::test]
async fn a_lie_about_the_invoice_is_left_to_the_guard() {
    for (fault, refusal) in [
        (Fault::WrongAmount, GuardRefusal::WrongAmount),
        (Fault::WrongNetwork, GuardRefusal::WrongNetwork),
        (Fault::WrongHash, GuardRefusal::WrongPaymentHash),
    ] {
        let world = world().await;
        world.fake.fail(Operation::Issue, 1, fault);
        let issued = world.issue(1).await.unwrap();
        assert_eq!(world.guard(&world.request(1), &issued), Err(refusal));
    }
    // A repeated payment hash is no lie of one invoice: storage finds it, where every hash is unique.
    let world = world().await;
    let first = world.issue(1).await.unwrap();
    world.fake.fail(Operation::Issue, 1, Fault::DuplicateHash);
    let second = world.issue(2).await.unwrap();
    assert_eq!(first.payment_hash, second.payment_hash);
    assert_ne!(first.id, second.id);
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_effect_makes_no_second_invoice() {
    for fault in [Fault::LoseAnswer, Fault::HangUp, answer(503, Some("spark_unavailable"))] {
        let world = world().await;
        world.fake.fail(Operation::Issue, 2, fault.clone());
        let issued = world.issue(1).await.unwrap();
        assert_eq!(world.guard(&world.request(1), &issued), Ok(()), "{fault:?}");
        let seen = world.fake.seen();
        assert_eq!(seen.len(), 3, "{fault:?}");
        assert!(seen.iter().all(|call| *call == seen[0]), "the same, byte by byte: {seen:?}");
        assert_eq!(seen[0].key.as_deref(), Some("00000000-0000-0000-0000-000000000001"));
        assert_eq!(world.fake.invoices().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_taken_up_late_is_for_the_rest_of_its_time() {
    let world = world().await;
    let request = world.request(1);
    world.clock.advance(Duration::from_secs(300));
    let issued = guiche_tickets::InvoiceGateway::issue(&*world.live, request.clone()).await.unwrap();
    assert_eq!(world.guard(&request, &issued), Ok(()));
    assert!(world.fake.seen()[0].body.contains("\"expiry_seconds\":600"), "{:?}", world.fake.seen());
}

#[tokio::test]
async fn taken_up_late_it_finds_the_invoice_that_nobody_was_told_of() {
    let world = world().await;
    let request = world.request(1);
    world.fake.fail(Operation::Issue, 3, Fault::LoseAnswer);
    world.issue(1).await.unwrap_err();
    world.clock.advance(Duration::from_secs(40));
    let issued = guiche_tickets::InvoiceGateway::issue(&*world.live, request.clone()).await.unwrap();
    assert_eq!(world.guard(&request, &issued), Ok(()));
    assert_eq!(world.fake.invoices().len(), 1);
    assert_eq!(issued.id.as_str(), world.fake.invoices()[0].id);
    // A key that was used for something else stays refused, after one question more.
    let other = guiche_tickets::NewInvoice { description: "another".to_owned(), ..request };
    let calls = world.fake.calls(Operation::Issue);
    let refused = guiche_tickets::InvoiceGateway::issue(&*world.live, other).await.unwrap_err();
    assert_eq!(told(&refused).0, "rejected");
    assert_eq!(world.fake.calls(Operation::Issue), calls + 2);
}

async fn paid(world: &World) -> guiche_tickets::IssuedInvoice {
    let issued = world.issue(1).await.unwrap();
    world.fake.pay(issued.id.as_str(), None).unwrap();
    world.clock.advance(Duration::from_secs(1));
    issued
}

#[tokio::test]
async fn only_the_gateways_own_word_makes_an_invoice_unknown() {
    let world = world().await;
    let issued = paid(&world).await;
    world.fake.fail(Operation::Status, 1, answer(404, Some("invoice_not_found")));
    assert_eq!(world.status(&issued).await.unwrap(), None);
    for fault in [answer(404, None), answer(404, Some("not_found"))] {
        world.fake.fail(Operation::Status, 1, fault);
        assert_eq!(told(&world.status(&issued).await.unwrap_err()).0, "nonsense", "never unpaid");
    }
    let calls = world.fake.calls(Operation::Status);
    for nowhere in [".", ".."] {
        let id = InvoiceId::parse(nowhere).unwrap();
        assert_eq!(guiche_tickets::InvoiceGateway::status(&*world.live, &id).await.unwrap(), None);
    }
    assert_eq!(world.fake.calls(Operation::Status), calls, "such an id leads elsewhere");
}

#[tokio::test]
async fn every_word_of_spark_has_its_meaning() {
    use ProviderStatus::{InFlight, Unpaid};
    let world = world().await;
    let issued = world.issue(1).await.unwrap();
    for late in [Duration::ZERO, Duration::from_secs(9000)] {
        world.clock.advance(late);
        for (word, meaning) in [
            ("INVOICE_CREATED", Unpaid),
            ("HTLC_RECEIVED", InFlight),
            ("TRANSFER_CREATED", InFlight),
            ("PAYMENT_PREIMAGE_PENDING", InFlight),
            ("PAYMENT_PREIMAGE_RECOVERED", InFlight),
            ("TRANSFER_FAILED", Unpaid),
            ("HTLC_FAILED", Unpaid),
            ("FUTURE_VALUE", Unpaid),
            ("LIGHTNING_PAYMENT_RECEIVED", ProviderStatus::Paid { paid_at: None }),
            ("TRANSFER_COMPLETED", ProviderStatus::Paid { paid_at: None }),
        ] {
            world.fake.say(issued.id.as_str(), word).unwrap();
            assert_eq!(world.status(&issued).await.unwrap(), Some(meaning), "{word}");
        }
    }
}

#[tokio::test]
async fn an_oddity_beside_it_does_not_lose_a_payment() {
    let world = world().await;
    let issued = paid(&world).await;
    let (now, first_seen) = (world.clock.now(), Some(ProviderStatus::Paid { paid_at: None }));
    let before = now - Duration::from_secs(1);
    assert_eq!(world.status(&issued).await.unwrap(), Some(ProviderStatus::Paid { paid_at: Some(before) }));
    let said = |paid_at| Fault::Instead {
        document: json!({ "status": "paid", "paid_at": paid_at, "spark_status": 7 }),
    };
    for fault in [
        Fault::NoPaidAt,
        said(json!(null)),
        said(json!(1_767_268_800)),
        said(json!("yesterday")),
        said(json!("1970-01-01T00:00:00Z")),
        said(json!("2026-01-01T12:00:01.000001Z")),
        Fault::Instead { document: json!({ "status": "expired", "spark_status": "TRANSFER_COMPLETED" }) },
        Fault::Instead { document: json!({ "status": "paid", "news": [1, 2, 3] }) },
    ] {
        world.fake.fail(Operation::Status, 1, fault.clone());
        assert_eq!(world.status(&issued).await.unwrap(), first_seen, "{fault:?}");
    }
    for fault in [Fault::Flap, Fault::UnknownStatus] {
        world.fake.fail(Operation::Status, 1, fault.clone());
        assert_eq!(world.status(&issued).await.unwrap(), Some(ProviderStatus::Unpaid), "{fault:?}");
    }
    for document in [json!({}), json!({ "status": null }), json!({ "status": true }), json!([])] {
        world.fake.fail(Operation::Status, 1, Fault::Instead { document: document.clone() });
        assert_eq!(told(&world.status(&issued).await.unwrap_err()).0, "nonsense", "{document}");
    }
}
