//! The table of the settlement, row by row, in every order of arrival: the final state is a function of the facts.
//!
//! Each property makes the facts of one row and lets them become known at random: the provider may learn of a payment
//! late, polls, sweeps, pushes, proofs and attempts to cancel come at any time, and the provider may be down between.

use guiche_kernel::Timestamp;
use guiche_tickets::{
    FreshInvoice, Invoice, InvoiceStatus, Opened, PaymentHash, Ticket, TicketEventKind, TicketStatus,
};
use proptest::prelude::*;

use super::world::Office;

/// Something that happens at a moment, in seconds after the opening.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// The provider learns of the payment of the n-th invoice, made at that second.
    Learn(usize, u64),
    Confirm,
    Watch,
    /// The provider pushes what it knows of the n-th invoice.
    Push(usize),
    /// The payer shows the n-th invoice's preimage.
    Prove(usize),
    Cancel,
    Reissue,
    Down(bool),
}

fn noise() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Confirm),
        3 => Just(Act::Watch),
        1 => any::<bool>().prop_map(Act::Down),
    ]
}

/// Acts with their moments, in the order in which they happen; of one moment, in the order given.
type Script = Vec<(u64, Act)>;

fn noises() -> impl Strategy<Value = Script> {
    prop::collection::vec((0_u64..3000, noise()), 0..12)
}

struct Played {
    office: Office,
    opened: Opened,
    invoices: Vec<PaymentHash>,
    began: Timestamp,
    cancelled_at: Option<Timestamp>,
    learned: Vec<(usize, u64)>,
}

impl Played {
    fn at(&self, second: u64) -> Timestamp {
        self.began + std::time::Duration::from_secs(second)
    }

    async fn ticket(&self) -> Ticket {
        self.office.ticket(self.opened.ticket_id).await
    }

    async fn act(&mut self, act: Act) {
        let (office, id) = (&self.office, self.opened.ticket_id);
        match act {
            Act::Learn(index, second) => {
                if let Some(hash) = self.invoices.get(index) {
                    office.gateway.pay(hash, Some(self.at(second)));
                    self.learned.push((index, second));
                }
            }
            Act::Confirm => drop(office.tickets.confirm(office.alice, id).await),
            Act::Watch => office.watch().await,
            Act::Push(index) => {
                let known = self.learned.iter().find(|(learned, _)| *learned == index);
                if let (Some(hash), Some((_, second))) = (self.invoices.get(index), known) {
                    office.push(*hash, self.at(*second)).await.unwrap();
                }
            }
            Act::Prove(index) => {
                let ticket = self.ticket().await;
                if let Some(invoice) = ticket.invoices().get(index) {
                    let key = invoice.id.as_str().trim_start_matches("fake:").parse().unwrap();
                    office.tickets.prove(office.alice, id, office.gateway.preimage(key)).await.unwrap();
                }
            }
            Act::Cancel => {
                let before = self.ticket().await.status();
                let cancelled = office.tickets.cancel(office.alice, id).await;
                if cancelled.is_ok() && before != TicketStatus::Cancelled {
                    self.cancelled_at = Some(office.now());
                }
            }
            Act::Reissue => {
                if let Ok(FreshInvoice::Issued(fresh)) =
                    office.tickets.fresh_invoice(office.alice, id, None).await
                {
                    self.invoices.push(fresh.payment_hash);
                }
            }
            Act::Down(down) => office.gateway.set_down(down),
        }
    }
}

/// Plays the script; at the end the provider is up and everything it knows is pushed, so that every fact has arrived.
fn play(mut script: Script) -> (Played, Ticket) {
    script.sort_by_key(|(second, _)| *second);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let office = Office::new();
        let began = office.now();
        let opened = office.open().await;
        let invoices = vec![opened.payment_hash];
        let mut played = Played { office, opened, invoices, began, cancelled_at: None, learned: Vec::new() };
        for (second, act) in script {
            played.office.clock.set(played.at(second));
            played.act(act).await;
        }
        played.office.clock.set(played.at(100_000));
        played.act(Act::Down(false)).await;
        for (index, _) in played.learned.clone() {
            played.act(Act::Push(index)).await;
        }
        played.act(Act::Watch).await;
        let ticket = played.ticket().await;
        check_against_the_table(&played, &ticket);
        (played, ticket)
    })
}

/// The table once more, written as it stands in the architecture, invoice by invoice.
fn check_against_the_table(played: &Played, ticket: &Ticket) {
    let paid_at = |invoice: &Invoice| invoice.payment.map(|payment| payment.paid_at);
    let in_time = |invoice: &&Invoice| {
        let cancelled = played.cancelled_at;
        paid_at(invoice)
            .is_some_and(|at| at <= invoice.expires_at && cancelled.is_none_or(|cancelled| at <= cancelled))
    };
    let pays = ticket.invoices().iter().filter(in_time).min_by_key(|invoice| paid_at(invoice));
    for invoice in ticket.invoices() {
        let late = paid_at(invoice).is_some_and(|at| at > invoice.expires_at);
        let after_cancel = played.cancelled_at.is_some_and(|cancelled| paid_at(invoice) > Some(cancelled));
        let expected = match (paid_at(invoice), pays) {
            (Some(_), Some(pays)) if pays == invoice => InvoiceStatus::Paid,
            (Some(_), Some(_)) => InvoiceStatus::PaidSurplus,
            (Some(_), None) if after_cancel => InvoiceStatus::PaidAfterCancel,
            (Some(_), None) => {
                assert!(late);
                InvoiceStatus::PaidLate
            }
            (None, _) => {
                assert!(matches!(invoice.status, InvoiceStatus::Expired | InvoiceStatus::Withdrawn));
                continue;
            }
        };
        assert_eq!(invoice.status, expected);
    }
    let any_money = ticket.invoices().iter().any(|invoice| invoice.payment.is_some());
    let expected = match (pays.is_some(), any_money, played.cancelled_at) {
        (true, _, _) => TicketStatus::Paid,
        (false, true, _) => TicketStatus::RefundDue,
        (false, false, Some(_)) => TicketStatus::Cancelled,
        (false, false, None) => TicketStatus::Expired,
    };
    assert_eq!(ticket.status(), expected);
    let paid_events = played.office.count(ticket.id(), TicketEventKind::Paid);
    assert_eq!(paid_events, usize::from(pays.is_some()), "a payment counts once");
}

/// The payment of the first invoice at a second, and the ways in which it becomes known after that, each with a lag.
fn noticed(index: usize, paid: impl Strategy<Value = u64>) -> impl Strategy<Value = (u64, Script)> {
    let ways =
        prop_oneof![Just(Act::Push(index)), Just(Act::Prove(index)), Just(Act::Confirm), Just(Act::Watch)];
    (paid, 0_u64..2000, prop::collection::vec((0_u64..3000, ways), 0..5)).prop_map(move |(at, lag, ways)| {
        let mut script: Script = ways.into_iter().map(|(after, way)| (at + after, way)).collect();
        script.push((at + lag, Act::Learn(index, at)));
        (at, script)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Row 1: paid at or before `expires_at`, and not cancelled before that moment.
    #[test]
    fn paid_in_time_is_paid((paid, script) in noticed(0, prop_oneof![9 => 0_u64..901, 1 => Just(900)]), noise in noises(), cancels in prop::collection::vec(0_u64..3000, 0..3)) {
        let cancels = cancels.into_iter().map(|after| (paid + after, Act::Cancel));
        let (played, ticket) = play(script.into_iter().chain(noise).chain(cancels).collect());
        prop_assert_eq!(ticket.status(), TicketStatus::Paid);
        prop_assert_eq!(ticket.invoices()[0].status, InvoiceStatus::Paid);
        prop_assert_eq!(ticket.paid_at(), Some(played.at(paid)));
    }

    /// Row 2: paid after `expires_at`, ticket unpaid.
    #[test]
    fn paid_too_late_is_a_refund((paid, script) in noticed(0, prop_oneof![9 => 901_u64..2000, 1 => Just(901)]), noise in noises(), cancels in prop::collection::vec(901_u64..4000, 0..3)) {
        let cancels = cancels.into_iter().map(|at| (at, Act::Cancel));
        let (played, ticket) = play(script.into_iter().chain(noise).chain(cancels).collect());
        prop_assert_eq!(ticket.status(), TicketStatus::RefundDue);
        prop_assert_eq!(ticket.invoices()[0].status, InvoiceStatus::PaidLate);
        prop_assert_eq!(ticket.invoices()[0].payment.unwrap().paid_at, played.at(paid));
        prop_assert_eq!(played.office.count(ticket.id(), TicketEventKind::RefundDue), 1);
    }

    /// Row 3: paid after the cancellation.
    #[test]
    fn paid_after_the_cancellation_is_a_refund(cancelled in 0_u64..900, after in 1_u64..2000, lag in 0_u64..2000, noise in noises(), more in noises()) {
        let mut script: Script = noise.into_iter().filter(|(_, act)| !matches!(act, Act::Down(_))).collect();
        script.push((cancelled, Act::Cancel));
        script.push((cancelled + after + lag, Act::Learn(0, cancelled + after)));
        script.extend(more.into_iter().map(|(at, act)| (cancelled + after + at, act)));
        script.push((cancelled + after + lag, Act::Prove(0)));
        let (played, ticket) = play(script);
        prop_assert!(played.cancelled_at.is_some());
        prop_assert_eq!(ticket.status(), TicketStatus::RefundDue);
        prop_assert_eq!(ticket.invoices()[0].status, InvoiceStatus::PaidAfterCancel);
    }

    /// Row 4: the ticket is paid by another of its invoices.
    #[test]
    fn a_second_payment_is_surplus(reissued in 901_u64..1500, first_late in 1_u64..3000, second in 0_u64..901, lags in (0_u64..2000, 0_u64..2000), noise in noises()) {
        let (first_at, second_at) = (900 + first_late, reissued + second);
        let mut script: Script = noise.into_iter().filter(|(at, _)| *at > reissued).collect();
        script.push((reissued, Act::Reissue));
        // The provider must not know of the first payment before the fresh invoice, else there is none.
        script.push((first_at.max(reissued + 1) + lags.0, Act::Learn(0, first_at)));
        script.push((second_at + lags.1, Act::Learn(1, second_at)));
        script.push((second_at, Act::Prove(1)));
        let (played, ticket) = play(script);
        prop_assert_eq!(played.invoices.len(), 2);
        prop_assert_eq!(ticket.status(), TicketStatus::Paid);
        let statuses: Vec<_> = ticket.invoices().iter().map(|invoice| invoice.status).collect();
        prop_assert_eq!(statuses, [InvoiceStatus::PaidSurplus, InvoiceStatus::Paid]);
        prop_assert_eq!(ticket.paid_at(), Some(played.at(second_at)));
        prop_assert_eq!(played.office.count(ticket.id(), TicketEventKind::RefundDue) >= 1, true);
    }

    /// No row in particular: whatever happens, the table holds for the facts that came about.
    #[test]
    fn any_history_ends_where_the_table_says(script in prop::collection::vec((0_u64..4000, prop_oneof![
        4 => noise(),
        1 => (0_usize..3, 0_u64..1500).prop_map(|(index, _)| Act::Push(index)),
        1 => (0_usize..2).prop_map(Act::Prove),
        1 => Just(Act::Cancel),
        2 => Just(Act::Reissue),
        2 => (0_usize..3, 0_u64..4000).prop_map(|(index, at)| Act::Learn(index, at)),
    ]), 0..25)) {
        // A provider learns of a payment after it was made, and never changes the moment.
        let mut learned = std::collections::HashMap::new();
        let mut script: Script = script;
        script.sort_by_key(|(second, _)| *second);
        for (second, act) in &mut script {
            if let Act::Learn(index, at) = act {
                *at = *learned.entry(*index).or_insert((*at).min(*second));
            }
        }
        play(script);
    }
}
