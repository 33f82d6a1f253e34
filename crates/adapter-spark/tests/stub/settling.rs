//! The stub behind the money path: what is played ends where a real payment of that kind would.

use guiche_adapter_spark::PayMoment;
use guiche_kernel::testing::SeededRandomness;
use guiche_kernel::{Ids, UserId};
use guiche_tickets::testing::{MemoryCatalogue, MemoryStore, license_form, license_operation};
use guiche_tickets::{
    InvoiceStatus, OpenTicket, OperationId, TicketPorts, TicketSettings, TicketStatus, Tickets,
};

use super::*;

#[tokio::test]
async fn a_late_payment_ends_in_a_refund_played_before_the_expiry_or_after_it() {
    for played_at in [Duration::ZERO, LIFETIME, LIFETIME + Duration::from_micros(1), LIFETIME * 2] {
        let place = Place::new();
        let stub = place.open();
        let store = MemoryStore::new();
        let ids = Ids::new(place.clock.clone(), Arc::new(SeededRandomness::new(1)));
        let caller = store.add_account(UserId::new(ids.uuid()));
        let ports = TicketPorts {
            store: Arc::new(store),
            catalogue: Arc::new(MemoryCatalogue::of(vec![license_operation()])),
            provider: stub.provider_view(),
            payer: stub.payer_view(),
            clock: place.clock.clone(),
            timer: place.clock.clone(),
            ids,
        };
        let tickets = Tickets::new(ports, TicketSettings::on(SparkStub::NETWORK));
        let command = OpenTicket { caller, operation: OperationId::new(1), form: license_form(), key: None };
        let opened = tickets.open(command).await.unwrap();
        let invoice = tickets.get(caller, opened.ticket_id).await.unwrap().invoices()[0].clone();

        place.clock.advance(played_at);
        let arrives = stub.force_pay(&invoice.id, PayMoment::Late).await.unwrap().paid_at;
        if place.clock.now() < arrives {
            // Neither the payer nor the watcher finds it paid, or expired, while the money is on its way.
            for _ in 0..SparkStub::LOOKS_UNTIL_PAID {
                let ticket = tickets.confirm(caller, opened.ticket_id).await.unwrap();
                assert_eq!(ticket.status(), TicketStatus::Pending, "played at {played_at:?}");
            }
            place.clock.set(arrives - Duration::from_micros(1));
            assert_eq!(tickets.watch_once(100).await.unwrap().unpaid, 1);
            place.clock.set(arrives + TicketSettings::on(SparkStub::NETWORK).watch_lease);
        }
        assert_eq!(tickets.watch_once(100).await.unwrap().settled, 1);
        let ticket = tickets.get(caller, opened.ticket_id).await.unwrap();
        let late = &ticket.invoices()[0];
        assert_eq!((ticket.status(), late.status), (TicketStatus::RefundDue, InvoiceStatus::PaidLate));
        assert_eq!(late.payment.unwrap().paid_at, arrives, "played at {played_at:?}");
    }
}
