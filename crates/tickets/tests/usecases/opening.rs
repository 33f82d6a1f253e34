//! Opening tickets, once.

use std::sync::Arc;

use futures::future::{join, join_all};
use guiche_tickets::testing::{FakeGateway, MockInvoiceGateway, license_form};
use guiche_tickets::{
    FormRefusal, GatewayError, InvoiceStatus, Network, OpenTicket, OperationId, TicketError, TicketEventKind,
    TicketQuery, TicketStatus,
};
use serde_json::{Value, json};

use super::world::Office;

async fn count(office: &Office) -> u32 {
    office.tickets.list(office.alice, &TicketQuery::default()).await.unwrap().total.unwrap()
}

#[tokio::test]
async fn a_ticket_opens_with_an_invoice_at_the_operations_price() {
    let office = Office::new();
    let opened = office.open().await;
    assert_eq!(
        (opened.amount.get(), opened.expires_at),
        (50_000, office.now() + std::time::Duration::from_secs(900))
    );
    assert!(opened.bolt11.starts_with("lnbcrt500u"), "{}", opened.bolt11);
    let ticket = office.ticket(opened.ticket_id).await;
    assert_eq!((ticket.status(), ticket.invoices()[0].status), (TicketStatus::Pending, InvoiceStatus::Open));
    assert_eq!(office.count(opened.ticket_id, TicketEventKind::Opened), 1);
}

#[tokio::test]
async fn fifty_at_once_with_one_key_are_one_ticket_one_provider_call_and_equal_answers() {
    let office = Office::new();
    office.gateway.hold();
    let all = join_all((0..50).map(|_| office.tickets.open(office.command(Some("key")))));
    // The provider answers only when every one of them has had its turn at the key.
    let (answers, ()) = join(all, async { office.gateway.release() }).await;
    let first = answers[0].as_ref().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap() == first));
    assert_eq!((count(&office).await, office.gateway.issue_calls()), (1, 1));
}

#[tokio::test]
async fn the_key_of_another_request_is_refused_and_a_refused_request_frees_its_key() {
    let office = Office::new();
    let mut wrong = office.command(Some("key"));
    wrong.form.insert("cpf".to_owned(), "52998224726".into());
    assert!(matches!(office.tickets.open(wrong).await, Err(TicketError::Form(_))));
    let opened = office.tickets.open(office.command(Some("key"))).await.unwrap();
    let mut other = office.command(Some("key"));
    other.form.insert("cnh_mirror".to_owned(), "987654321".into());
    assert!(matches!(office.tickets.open(other).await, Err(TicketError::KeyReused)));
    assert_eq!(office.tickets.open(office.command(Some("key"))).await.unwrap(), opened);
    assert_eq!(count(&office).await, 1);
}

#[tokio::test]
async fn a_lost_answer_never_makes_a_second_invoice() {
    let office = Office::new();
    office.gateway.lose_answers(2);
    for _ in 0..2 {
        let refused = office.tickets.open(office.command(Some("key"))).await;
        assert!(matches!(refused, Err(TicketError::Gateway(GatewayError::Unavailable(_)))), "{refused:?}");
        office.advance(100);
    }
    let began = office.now() - std::time::Duration::from_secs(200);
    let opened = office.tickets.open(office.command(Some("key"))).await.unwrap();
    assert_eq!((office.gateway.invoices(), office.gateway.issue_calls(), count(&office).await), (1, 3, 1));
    // The invoice is the one of the first request: the provider refuses another moment under the same key.
    let invoice = office.ticket(opened.ticket_id).await.invoices()[0].clone();
    assert_eq!((invoice.issued_at, invoice.expires_at), (began, began + std::time::Duration::from_secs(900)));
}

#[tokio::test]
async fn a_payment_hash_that_the_provider_repeats_is_an_incident_and_frees_the_key() {
    let office = Office::new();
    let first = office.open().await;
    office.gateway.repeat_hash_of(first.ticket_id.as_uuid());
    for key in [Some("key"), None] {
        let refused = office.tickets.open(office.command(key)).await;
        let Err(refused) = refused else { panic!("{refused:?}") };
        assert!(matches!(refused, TicketError::Gateway(GatewayError::Nonsense(_))), "{refused:?}");
        assert_eq!(refused.kind(), guiche_kernel::ErrorKind::BadGateway);
    }
    assert_eq!(count(&office).await, 1);
    let again = office.tickets.open(office.other_command("key")).await;
    assert!(matches!(again, Err(TicketError::Gateway(_))), "the key is free for anything: {again:?}");
}

#[tokio::test]
async fn an_answer_that_was_lost_too_long_ago_is_not_waited_for() {
    let office = Office::new();
    office.gateway.lose_answers(1);
    office.tickets.open(office.command(Some("key"))).await.unwrap_err();
    office.advance(3600);
    let opened = office.tickets.open(office.command(Some("key"))).await.unwrap();
    assert_eq!(opened.expires_at, office.now() + std::time::Duration::from_secs(900));
}

#[tokio::test]
async fn whoever_waits_too_long_for_the_first_is_told_to_come_back() {
    let office = Office::new();
    let key = office.command(Some("key"));
    let request = guiche_tickets::ClaimRequest {
        route: guiche_tickets::Route::OpenTicket,
        key: key.key.clone().unwrap(),
        fingerprint: guiche_tickets::Fingerprint::of(&json!({"operation_id": 1, "form_data": key.form}))
            .unwrap(),
        subject: office.ids.uuid(),
        now: office.now(),
        claimed_until: office.now() + std::time::Duration::from_secs(60),
        renew_before: office.now(),
    };
    guiche_tickets::TicketStore::claim(&office.store, office.alice, &request).await.unwrap();
    let began = office.now();
    assert!(matches!(office.tickets.open(key).await, Err(TicketError::KeyInUse { .. })));
    let waited = (office.now() - began).whole_seconds();
    assert!((10..12).contains(&waited), "waited {waited} s");
    assert_eq!(office.gateway.issue_calls(), 0);
}

#[tokio::test]
async fn a_provider_that_cheats_or_fails_leaves_nothing_behind() {
    let office = Office::new();
    office.gateway.overcharge();
    let refused = office.tickets.open(office.command(Some("key"))).await;
    assert!(matches!(refused, Err(TicketError::Gateway(GatewayError::Nonsense(_)))), "{refused:?}");
    office.gateway.set_down(true);
    let refused = office.tickets.open(office.command(None)).await;
    assert!(matches!(refused, Err(TicketError::Gateway(GatewayError::Unavailable(_)))), "{refused:?}");
    assert_eq!(count(&office).await, 0);
    assert!(office.store.events().is_empty());
}

#[tokio::test]
async fn a_wrong_form_never_reaches_the_provider() {
    let mut silent = MockInvoiceGateway::new();
    silent.expect_issue().never();
    let office = Office::with(Arc::new(FakeGateway::on(Network::Regtest)), Arc::new(silent));
    let open = |form: Value| {
        let form = form.as_object().unwrap().clone();
        office.tickets.open(OpenTicket { form, ..office.command(None) })
    };
    let missing = open(json!({"cpf": null, "cnh_number": "", "extra": 1})).await;
    let Err(TicketError::Form(FormRefusal::Missing(names))) = missing else { panic!("{missing:?}") };
    assert_eq!(names, ["cpf", "cnh_mirror"]);
    let mut form = Value::Object(license_form());
    form["cpf"] = "529.982.247-26".into();
    form["cnh_number"] = 2_650_306_461_u64.into();
    form["cnh_mirror"] = "12345678\u{0}".into();
    form["nickname"] = "x".into();
    let invalid = open(form).await;
    let Err(TicketError::Form(FormRefusal::Invalid(faults))) = invalid else { panic!("{invalid:?}") };
    let mut found: Vec<_> = faults.iter().map(|fault| (fault.pointer.as_str(), fault.code)).collect();
    found.sort_unstable();
    let expected = [
        ("/cnh_mirror", "invalid_character"),
        ("/cnh_mirror", "invalid_format"),
        ("/cnh_number", "invalid_type"),
        ("/cpf", "invalid_check_digits"),
        ("/nickname", "unknown_field"),
    ];
    assert_eq!(found, expected);
    let unknown =
        office.tickets.open(OpenTicket { operation: OperationId::new(2), ..office.command(None) }).await;
    assert!(matches!(unknown, Err(TicketError::OperationNotFound(_))));
}
