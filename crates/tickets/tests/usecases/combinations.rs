//! Every combination of what can go wrong between a payer and an office, and how it ends. `docs/settlement.md` is this
//! test's own account; `UPDATE_DOCS=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use guiche_tickets::{InvoiceId, InvoiceStatus, Push, PushNoted, Ticket, TicketStatus};

use super::world::Office;

#[derive(Clone, Copy)]
enum Paid {
    InTime,
    ASecondLate,
    ADayLate,
}

#[derive(Clone, Copy)]
struct Case {
    answer_lost: bool,
    event_twice: bool,
    event_out_of_order: bool,
    paid_at_missing: bool,
    wrong_amount: bool,
    paid: Paid,
}

impl Case {
    fn all() -> Vec<Self> {
        let when = [Paid::InTime, Paid::ASecondLate, Paid::ADayLate];
        let of = |bits: u32| {
            let bit = move |at: u32| bits & (1 << at) != 0;
            when.map(|paid| Self {
                answer_lost: bit(0),
                event_twice: bit(1),
                event_out_of_order: bit(2),
                paid_at_missing: bit(3),
                wrong_amount: bit(4),
                paid,
            })
        };
        (0..32).flat_map(of).collect()
    }
}

/// How a case ends, in the words of the table.
#[derive(PartialEq, Eq, Debug)]
struct End {
    opening: &'static str,
    ticket: &'static str,
    invoice: &'static str,
    events: String,
}

async fn live(case: Case) -> End {
    let office = Office::new();
    if case.wrong_amount {
        office.gateway.overcharge();
    }
    if case.answer_lost {
        office.gateway.lose_answers(1);
        office.tickets.open(office.command(Some("key"))).await.unwrap_err();
        // The claim of the first attempt lapsed with its failure; the client repeats itself.
        office.advance(1);
    }
    if case.event_out_of_order {
        // A push overtakes the ticket that it is about.
        let unknown = InvoiceId::parse("fake:not-ours-yet").unwrap();
        let noted = push(&office, "early", unknown).await;
        assert_eq!(noted, PushNoted::Unknown);
    }
    let Ok(opened) = office.tickets.open(office.command(Some("key"))).await else {
        assert!(office.store.events().is_empty(), "nothing was stored");
        return End { opening: "refused (502)", ticket: "none", invoice: "none", events: String::new() };
    };
    let invoice_id = office.ticket(opened.ticket_id).await.invoices()[0].id.clone();
    let paid_at = match case.paid {
        Paid::InTime => office.now() + Duration::from_secs(10),
        Paid::ASecondLate => opened.expires_at + Duration::from_secs(1),
        Paid::ADayLate => opened.expires_at + Duration::from_secs(86_400),
    };
    if case.event_out_of_order {
        // A push that says "changed" before the payment is to be seen.
        assert_eq!(push(&office, "hasty", invoice_id.clone()).await, PushNoted::Known);
        office.watch().await;
    }
    while office.now() < paid_at {
        office.advance(u64::try_from((paid_at - office.now()).whole_seconds().clamp(1, 60)).unwrap());
        office.watch().await;
    }
    office.gateway.pay(&opened.payment_hash, (!case.paid_at_missing).then_some(paid_at));
    assert_eq!(push(&office, "paid", invoice_id.clone()).await, PushNoted::Known);
    if case.event_twice {
        assert_eq!(push(&office, "paid", invoice_id.clone()).await, PushNoted::Duplicate);
    }
    office.watch().await;
    let settled = office.ticket(opened.ticket_id).await;
    if case.event_twice {
        assert_eq!(push(&office, "paid again", invoice_id).await, PushNoted::Known);
    }
    for _ in 0..3 {
        office.advance(3600);
        office.watch().await;
        office.tickets.confirm(office.alice, opened.ticket_id).await.unwrap();
    }
    assert_eq!(office.ticket(opened.ticket_id).await, settled, "once");
    End { opening: "201", ..end(&office, &settled) }
}

async fn push(office: &Office, id: &str, invoice_id: InvoiceId) -> PushNoted {
    let push = Push { id: id.to_owned(), invoice_id, received_at: office.now() };
    office.tickets.note_push(&push).await.unwrap()
}

fn end(office: &Office, ticket: &Ticket) -> End {
    let of_ticket = office.store.events().into_iter().filter(|event| event.ticket_id == ticket.id());
    let names: Vec<&str> = of_ticket.map(|event| event.kind.as_str()).collect();
    End {
        opening: "",
        ticket: ticket.status().as_str(),
        invoice: ticket.invoices()[0].status.as_str(),
        events: names.join(", ").replace("ticket.", ""),
    }
}

const HEAD: &str = "\
# How it ends

Between a payer and the office an answer can get lost, an event can come twice or at the wrong time, the provider may not tell when it
was paid, may issue an invoice for another amount, and the payment may be late. Here is every combination of these, and how it ends. The
table is written by the test that lives through it (`crates/tickets/tests/usecases/combinations.rs`); each row is checked to stay as it is
when the provider is asked, and pushes, again.

| Answer lost | Event twice | Out of order | No `paid_at` | Wrong amount | Paid | Opening | Ticket | Invoice | Events |
|:-:|:-:|:-:|:-:|:-:|---|---|---|---|---|
";

#[tokio::test]
async fn every_combination_ends_as_the_table_says() {
    let mut page = HEAD.to_owned();
    for case in Case::all() {
        let end = live(case).await;
        let (paid, ticket, invoice) = match case.paid {
            Paid::InTime => ("in time", TicketStatus::Paid, InvoiceStatus::Paid),
            Paid::ASecondLate => ("a second late", TicketStatus::RefundDue, InvoiceStatus::PaidLate),
            Paid::ADayLate => ("a day late", TicketStatus::RefundDue, InvoiceStatus::PaidLate),
        };
        // The rule behind the table, once more and by itself: only the amount and the moment matter.
        let expected = if case.wrong_amount { ("none", "none") } else { (ticket.as_str(), invoice.as_str()) };
        assert_eq!((end.ticket, end.invoice), expected);
        let mark = |set: bool| if set { "×" } else { "" };
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {paid} | {} | {} | {} | {} |",
            mark(case.answer_lost),
            mark(case.event_twice),
            mark(case.event_out_of_order),
            mark(case.paid_at_missing),
            mark(case.wrong_amount),
            end.opening,
            end.ticket,
            end.invoice,
            end.events
        )
        .unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settlement.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/settlement.md is not what happens: UPDATE_DOCS=1 writes it anew");
}
