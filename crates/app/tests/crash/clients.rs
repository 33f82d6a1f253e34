//! Clients that are up to something all the time, and hold the office to everything that it has ever answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::office::{Answer, Call, Citizen, Office};
use crate::support::{Chance, eventually};

const ANSWERED: Duration = Duration::from_secs(30);

/// What a client knows about a ticket that it was given.
pub(crate) struct Ticket {
    id: String,
    hash: String,
    pub(crate) key: Option<String>,
    /// The answer, byte for byte.
    opened: String,
    preimage: Option<String>,
    pub(crate) fate: Fate,
}

/// How far the client has heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Pending,
    /// A payment, or a look that may pay, got no answer.
    PerhapsPaid,
    /// The wallet says so.
    Paid,
    /// The office says so.
    Settled,
    PerhapsCancelled,
    Cancelled,
    /// The wallet paid after the cancellation.
    PaidTooLate,
    /// A payment after the cancellation got no answer.
    PerhapsPaidTooLate,
}

/// The way to the office, with a count of who went it.
pub(crate) struct Door<'a> {
    pub(crate) office: &'a Office,
    pub(crate) begun: &'a AtomicU64,
}

impl Door<'_> {
    /// `None` when the answer was lost.
    async fn ask(&self, call: Call<'_>) -> Option<Answer> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        match self.office.ask(call).await {
            Ok(answer) => Some(answer),
            Err(lost) if lost.0.is_timeout() => panic!("a request hung: {lost:?}"),
            Err(_) => None,
        }
    }
}

/// A citizen who does something of everything, and remembers every answer.
pub(crate) struct Client {
    citizen: Citizen,
    chance: Chance,
    pub(crate) tickets: Vec<Ticket>,
    /// Keys whose request got no answer.
    pub(crate) doubtful: Vec<String>,
    keys: u64,
    /// Requests without a key that got no answer: each may have made a ticket.
    pub(crate) unanswered: usize,
    pub(crate) replays: usize,
    /// The tickets before this one were looked up after an earlier crash.
    looked_up: usize,
}
impl Client {
    pub(crate) fn new(citizen: Citizen, chance: Chance) -> Self {
        Self {
            citizen,
            chance,
            tickets: Vec::new(),
            doubtful: Vec::new(),
            keys: 0,
            unanswered: 0,
            replays: 0,
            looked_up: 0,
        }
    }

    /// Goes about its business until an answer is lost.
    pub(crate) async fn live(&mut self, door: &Door<'_>) {
        loop {
            let went_on = match self.chance.below(100) {
                0..25 => self.open(door).await,
                25..50 => self.open_with_key(door).await,
                50..55 => self.ask_again(door).await,
                55..65 => self.replay(door).await,
                65..82 => self.pay(door).await,
                82..92 => self.confirm(door).await,
                _ => self.cancel(door).await,
            };
            if went_on.is_none() {
                return;
            }
        }
    }

    fn take_in(&mut self, opened: Answer, key: Option<String>) {
        let opened = opened.expect(201);
        let (id, hash) = (opened.text("ticket_id"), opened.text("payment_hash"));
        self.tickets.push(Ticket { id, hash, key, opened: opened.body, preimage: None, fate: Fate::Pending });
    }

    async fn open(&mut self, door: &Door<'_>) -> Option<()> {
        // Counted before: whatever becomes of the answer, the request may have done its work.
        self.unanswered += 1;
        let answer = door.ask(Call::open(&self.citizen, None)).await?;
        self.unanswered -= 1;
        self.take_in(answer, None);
        Some(())
    }

    async fn open_with_key(&mut self, door: &Door<'_>) -> Option<()> {
        self.keys += 1;
        self.doubtful.push(format!("key-{}", self.keys));
        self.ask_for(door, self.doubtful.len() - 1).await
    }

    async fn ask_again(&mut self, door: &Door<'_>) -> Option<()> {
        let Some(which) = self.chance.index(self.doubtful.len()) else { return Some(()) };
        self.ask_for(door, which).await
    }

    async fn ask_for(&mut self, door: &Door<'_>, which: usize) -> Option<()> {
        let key = self.doubtful[which].clone();
        let answer = door.ask(Call::open(&self.citizen, Some(&key))).await?;
        if answer.is_problem(409, "idempotency_key_in_use") {
            assert!(answer.retry_after.is_some(), "{answer:?}");
            return Some(());
        }
        self.doubtful.swap_remove(which);
        self.take_in(answer, Some(key));
        Some(())
    }

    async fn replay(&mut self, door: &Door<'_>) -> Option<()> {
        let Some(which) = self.chance.index(self.tickets.len()) else { return Some(()) };
        let ticket = &self.tickets[which];
        let Some(key) = &ticket.key else { return Some(()) };
        let again = door.ask(Call::open(&self.citizen, Some(key))).await?.expect(201);
        assert_eq!(again.body, ticket.opened, "a replay differs");
        self.replays += 1;
        Some(())
    }

    async fn pay(&mut self, door: &Door<'_>) -> Option<()> {
        let Some(which) = self.chance.index(self.tickets.len()) else { return Some(()) };
        let ticket = &mut self.tickets[which];
        let cancelled = ticket.fate == Fate::Cancelled && self.chance.below(3) == 0;
        if !cancelled && !matches!(ticket.fate, Fate::Pending | Fate::PerhapsPaid) {
            return Some(());
        }
        if !cancelled {
            ticket.fate = Fate::PerhapsPaid;
        }
        let answer = door.ask(Call::pay(&ticket.hash)).await;
        if cancelled && answer.is_none() {
            ticket.fate = Fate::PerhapsPaidTooLate;
        }
        let answer = answer?;
        match answer.status {
            200 => ticket.preimage = Some(answer.text("preimage")),
            // An earlier payment whose answer was lost.
            409 => assert_eq!(answer.code(), "invalid_ticket_state", "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
        ticket.fate = if cancelled { Fate::PaidTooLate } else { Fate::Paid };
        Some(())
    }

    /// Tells the office of a payment, by a question or by the proof; sometimes too early.
    async fn confirm(&mut self, door: &Door<'_>) -> Option<()> {
        let Some(which) = self.chance.index(self.tickets.len()) else { return Some(()) };
        let ticket = &mut self.tickets[which];
        match ticket.fate {
            Fate::Pending => ticket.fate = Fate::PerhapsPaid,
            Fate::Paid => {}
            Fate::PerhapsPaid
            | Fate::Settled
            | Fate::PerhapsCancelled
            | Fate::Cancelled
            | Fate::PaidTooLate
            | Fate::PerhapsPaidTooLate => return Some(()),
        }
        let call = match &ticket.preimage {
            Some(preimage) if self.chance.below(2) == 0 => {
                let body = serde_json::json!({"preimage": preimage});
                Call::to(&self.citizen, &ticket.id, "payment-proof").json(body)
            }
            Some(_) | None => Call::to(&self.citizen, &ticket.id, "confirm-payment"),
        };
        let answer = door.ask(call).await?.expect(200);
        let paid = answer.text("status") == "paid";
        assert!(paid || ticket.fate == Fate::PerhapsPaid, "the office denies a payment: {answer:?}");
        ticket.fate = if paid { Fate::Settled } else { Fate::Pending };
        Some(())
    }

    async fn cancel(&mut self, door: &Door<'_>) -> Option<()> {
        let Some(which) = self.chance.index(self.tickets.len()) else { return Some(()) };
        let ticket = &mut self.tickets[which];
        if ticket.fate != Fate::Pending {
            return Some(());
        }
        ticket.fate = Fate::PerhapsCancelled;
        let answer = door.ask(Call::to(&self.citizen, &ticket.id, "cancel")).await?.expect(200);
        assert_eq!(answer.text("status"), "cancelled");
        ticket.fate = Fate::Cancelled;
        Some(())
    }

    /// After a crash: every ticket that was acknowledged since the last one exists, with its invoice.
    pub(crate) async fn look_up(&mut self, office: &Office) {
        for ticket in &self.tickets[self.looked_up..] {
            let opened: serde_json::Value = serde_json::from_str(&ticket.opened).unwrap();
            let found = office.tell(Call::ticket(&self.citizen, &ticket.id)).await.expect(200).json();
            for member in ["ln_invoice", "payment_hash", "amount_sats", "expires_at"] {
                assert_eq!(found[member], opened[member], "{member} of {}", ticket.id);
            }
            assert_eq!(found["invoices"].as_array().unwrap().len(), 1, "{found}");
        }
        self.looked_up = self.tickets.len();
    }

    /// Repeats what got no answer, with the same key, until it gets one.
    pub(crate) async fn resolve(&mut self, office: &Office) {
        for key in std::mem::take(&mut self.doubtful) {
            let citizen = &self.citizen;
            let answer = eventually("an answer to a key", ANSWERED, async || {
                let answer = office.tell(Call::open(citizen, Some(&key))).await;
                (!answer.is_problem(409, "idempotency_key_in_use")).then_some(answer)
            })
            .await;
            self.take_in(answer, Some(key));
        }
    }

    /// Everything acknowledged, held against the office once more.
    pub(crate) async fn conclude(&mut self, office: &Office) {
        self.looked_up = 0;
        self.look_up(office).await;
        for ticket in &mut self.tickets {
            if let Some(key) = &ticket.key {
                let again = office.tell(Call::open(&self.citizen, Some(key))).await.expect(201);
                assert_eq!(again.body, ticket.opened, "a replay differs");
                self.replays += 1;
            }
            let read = office.tell(Call::ticket(&self.citizen, &ticket.id)).await.expect(200);
            let stands = read.text("payment_status");
            match ticket.fate {
                Fate::Pending => assert_eq!(stands, "pending"),
                Fate::Settled => assert_eq!(stands, "paid"),
                Fate::Cancelled => assert_eq!(stands, "cancelled"),
                Fate::PerhapsPaid => assert!(["pending", "paid"].contains(&stands.as_str()), "{read:?}"),
                Fate::PerhapsCancelled => {
                    assert!(["pending", "cancelled"].contains(&stands.as_str()), "{read:?}");
                }
                // If there was a payment, the watcher finds it, sooner or later.
                Fate::PerhapsPaidTooLate => {
                    assert!(["cancelled", "refund_due"].contains(&stands.as_str()), "{read:?}");
                }
                Fate::Paid | Fate::PaidTooLate => {
                    let expected = if ticket.fate == Fate::Paid { "paid" } else { "refund_due" };
                    let call = Call::to(&self.citizen, &ticket.id, "confirm-payment");
                    assert_eq!(office.tell(call).await.expect(200).text("status"), expected);
                }
            }
            if ticket.fate == Fate::Paid {
                ticket.fate = Fate::Settled;
            }
        }
    }
}
