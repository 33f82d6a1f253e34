//! One office under a seed: what can happen, and how it goes on when everything works again.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::poll_immediate;
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Caller, Clock, Ids, Randomness, Timestamp, UserId};
use guiche_tickets::testing::{FakeGateway, MemoryCatalogue, MemoryStore, license_form, license_operation};
use guiche_tickets::{
    FreshInvoice, IdempotencyKey, Network, OpenTicket, Opened, OperationId, PaymentHash, ProviderStatus,
    Push, PushNoted, Ticket, TicketError, TicketId, TicketPorts, TicketSettings, TicketStore, Tickets,
};

use crate::faulty::{Bug, Patience, Provider, Store};

/// Everything that must happen in some seed.
pub(crate) const EVENTS: &[&str] = &[
    "opened",
    "cancelled",
    "confirmed",
    "watched",
    "pushed",
    "proved",
    "reissued",
    "reconciled",
    "crashed",
    "paid in time",
    "paid late",
    "in flight",
    "provider down",
    "answer lost",
    "answered before",
];

/// What a process was asked and has not answered yet.
enum Answer {
    Opened(String, Result<Opened, TicketError>),
    Reissued(Result<FreshInvoice, TicketError>),
    Changed(&'static str, Result<Ticket, TicketError>),
    Pushed(Result<PushNoted, TicketError>),
    Reconciled(bool),
    Watched(bool),
}

/// As the operator's command does it.
async fn reconcile(tickets: &Tickets, id: TicketId) -> Result<(), TicketError> {
    for look in tickets.unpaid_of(id).await? {
        tickets.reconcile_invoice(&look).await?;
    }
    Ok(())
}

type Work = Pin<Box<dyn Future<Output = Answer>>>;

pub(crate) struct Office {
    processes: [Arc<Tickets>; 2],
    work: [Vec<Work>; 2],
    pub(crate) store: MemoryStore,
    pub(crate) gateway: Arc<FakeGateway>,
    pub(crate) clock: Arc<ManualClock>,
    ids: Ids,
    chance: SeededRandomness,
    pub(crate) citizen: Caller,
    /// What each key was answered with, the first time.
    pub(crate) answers: BTreeMap<String, Opened>,
    /// Keys that were used, answered or not.
    pub(crate) keys: BTreeSet<String>,
    /// Every answer to one key that was not the first one.
    pub(crate) contradictions: Vec<String>,
    /// Invoices that a citizen has seen, of which ticket.
    pub(crate) seen: BTreeMap<PaymentHash, TicketId>,
    /// When each was paid, and whether the provider tells that moment.
    pub(crate) paid: BTreeMap<PaymentHash, (Timestamp, bool)>,
    /// Payments whose preimage somebody has shown: they may count at the arrival of that proof.
    pub(crate) proofs: BTreeSet<PaymentHash>,
    pub(crate) happened: BTreeMap<&'static str, u32>,
}

impl Office {
    pub(crate) fn new(seed: u64, bug: Option<Bug>) -> Self {
        let clock = Arc::new(ManualClock::default());
        let ids = Ids::new(clock.clone(), Arc::new(SeededRandomness::new(seed)));
        let store = MemoryStore::new();
        let citizen = store.add_account(UserId::new(ids.uuid()));
        let gateway = Arc::new(FakeGateway::on(Network::Regtest));
        let process = || {
            let provider = Arc::new(Provider { inner: gateway.clone() });
            let ports = TicketPorts {
                store: Arc::new(Store { inner: store.clone(), bug }),
                catalogue: Arc::new(MemoryCatalogue::of(vec![license_operation()])),
                provider: provider.clone(),
                payer: provider,
                clock: clock.clone(),
                timer: Arc::new(Patience),
                ids: ids.clone(),
            };
            Arc::new(Tickets::new(ports, TicketSettings::on(Network::Regtest)))
        };
        Self {
            processes: [process(), process()],
            work: [Vec::new(), Vec::new()],
            chance: SeededRandomness::new(seed ^ 0x5EED),
            store,
            gateway,
            clock,
            ids,
            citizen,
            answers: BTreeMap::new(),
            keys: BTreeSet::new(),
            contradictions: Vec::new(),
            seen: BTreeMap::new(),
            paid: BTreeMap::new(),
            proofs: BTreeSet::new(),
            happened: BTreeMap::new(),
        }
    }

    /// One thing happens.
    pub(crate) async fn step(&mut self) {
        match self.below(100) {
            0..45 => self.go_on().await,
            45..55 => self.open(),
            55..70 => self.ask(),
            70..78 => self.watch(),
            78..85 => self.pay(),
            85..88 => self.trouble(),
            88..91 => self.crash(),
            _ => self.time_passes(),
        }
    }

    /// The provider is back, nothing dies any more, the clients repeat what was not answered, and a week goes by.
    pub(crate) async fn heal(&mut self) {
        self.gateway.set_down(false);
        self.gateway.lose_answers(0);
        self.work = [Vec::new(), Vec::new()];
        self.clock.advance(Duration::from_secs(60));
        for key in self.keys.clone() {
            // Every key once more: who was answered before gets the same answer.
            self.start_opening(0, key);
            self.finish().await;
        }
        for pause in [60, 900, 60, 3600].into_iter().chain(std::iter::repeat_n(6 * 3600, 29)) {
            self.clock.advance(Duration::from_secs(pause));
            self.start_watching(0);
            self.finish().await;
        }
    }

    async fn finish(&mut self) {
        while !self.work[0].is_empty() {
            self.poll(0, 0).await;
        }
    }

    async fn go_on(&mut self) {
        let process = self.below(2);
        let count = self.work[process].len();
        if count > 0 {
            let which = self.below(count);
            for _ in 0..=self.below(6) {
                if which < self.work[process].len() {
                    self.poll(process, which).await;
                }
            }
        }
    }

    async fn poll(&mut self, process: usize, which: usize) {
        let work = &mut self.work[process];
        if let Some(answer) = poll_immediate(&mut work[which]).await {
            drop(work.swap_remove(which));
            self.answered(answer);
        }
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Opened(key, Ok(opened)) => {
                self.seen.insert(opened.payment_hash, opened.ticket_id);
                match self.answers.get(&key) {
                    None => drop(self.answers.insert(key, opened)),
                    Some(first) if *first == opened => self.happened("answered before"),
                    Some(first) => self.contradictions.push(format!("{key}: {first:?}, then {opened:?}")),
                }
                self.happened("opened");
            }
            Answer::Reissued(Ok(FreshInvoice::Issued(opened) | FreshInvoice::StillOpen(opened))) => {
                self.seen.insert(opened.payment_hash, opened.ticket_id);
                self.happened("reissued");
            }
            Answer::Changed(what, Ok(_)) => self.happened(what),
            Answer::Pushed(Ok(_)) => self.happened("pushed"),
            Answer::Reconciled(true) => self.happened("reconciled"),
            Answer::Watched(true) => self.happened("watched"),
            Answer::Opened(_, Err(_))
            | Answer::Reissued(Err(_))
            | Answer::Changed(_, Err(_))
            | Answer::Pushed(Err(_))
            | Answer::Reconciled(false)
            | Answer::Watched(false) => {}
        }
    }

    fn open(&mut self) {
        // A few keys only, so that they are used again and again.
        let key = format!("key-{}", self.below(4));
        let process = self.below(2);
        self.start_opening(process, key);
    }

    fn start_opening(&mut self, process: usize, key: String) {
        self.keys.insert(key.clone());
        let tickets = Arc::clone(&self.processes[process]);
        let command = OpenTicket {
            caller: self.citizen,
            operation: OperationId::new(1),
            form: license_form(),
            key: Some(IdempotencyKey::parse(&key).unwrap()),
        };
        self.work[process].push(Box::pin(async move { Answer::Opened(key, tickets.open(command).await) }));
    }

    fn watch(&mut self) {
        let process = self.below(2);
        self.start_watching(process);
    }

    fn start_watching(&mut self, process: usize) {
        let tickets = Arc::clone(&self.processes[process]);
        self.work[process]
            .push(Box::pin(async move { Answer::Watched(tickets.watch_once(50).await.is_ok()) }));
    }

    /// The citizen, the operator or the provider wants something of a ticket.
    fn ask(&mut self) {
        let Some((hash, id)) = self.some_invoice() else { return };
        let (process, what, caller) = (self.below(2), self.below(8), self.citizen);
        let tickets = Arc::clone(&self.processes[process]);
        let (ids, now) = (self.ids.clone(), self.clock.now());
        let preimage = self.paid.contains_key(&hash).then(|| self.preimage_of(&hash)).flatten();
        if what == 3 && preimage.is_some() {
            self.proofs.insert(hash);
        }
        let invoice_id = self.invoice_id(&hash);
        self.work[process].push(Box::pin(async move {
            match (what, preimage) {
                (0, _) => Answer::Changed("cancelled", tickets.cancel(caller, id).await),
                (1, _) => Answer::Reissued(tickets.fresh_invoice(caller, id, None).await),
                (2, _) => Answer::Reconciled(reconcile(&tickets, id).await.is_ok()),
                (3, Some(preimage)) => Answer::Changed("proved", tickets.prove(caller, id, preimage).await),
                (4, _) => {
                    let push = Push { id: ids.uuid().to_string(), invoice_id, received_at: now };
                    Answer::Pushed(tickets.note_push(&push).await)
                }
                _ => Answer::Changed("confirmed", tickets.confirm(caller, id).await),
            }
        }));
    }

    /// A wallet pays an invoice that somebody has seen.
    fn pay(&mut self) {
        let Some((hash, _)) = self.some_invoice() else { return };
        if self.paid.contains_key(&hash) {
            return;
        }
        let Some(expires_at) = self.expiry_of(&hash) else { return };
        if self.below(4) == 0 {
            self.gateway.set(&hash, ProviderStatus::InFlight);
            return self.happened("in flight");
        }
        let (now, told) = (self.clock.now(), self.below(5) > 0);
        self.gateway.pay(&hash, told.then_some(now));
        self.paid.insert(hash, (now, told));
        self.happened(if now <= expires_at { "paid in time" } else { "paid late" });
    }

    fn trouble(&mut self) {
        match self.below(3) {
            0 => {
                self.gateway.set_down(true);
                self.happened("provider down");
            }
            1 => self.gateway.set_down(false),
            _ => {
                self.gateway.lose_answers(1);
                self.happened("answer lost");
            }
        }
    }

    fn crash(&mut self) {
        let process = self.below(2);
        if !self.work[process].is_empty() {
            self.work[process].clear();
            self.happened("crashed");
        }
    }

    fn time_passes(&mut self) {
        let seconds = [1, 2, 5, 20, 40, 70, 300, 950][self.below(8)];
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn some_invoice(&mut self) -> Option<(PaymentHash, TicketId)> {
        let count = self.seen.len();
        if count == 0 {
            return None;
        }
        let which = self.below(count);
        self.seen.iter().nth(which).map(|(hash, id)| (*hash, *id))
    }

    fn happened(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.chance.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// What the simulation knows of a stored invoice without asking any process.
impl Office {
    pub(crate) fn stored(&self) -> Vec<Ticket> {
        let ids: BTreeSet<TicketId> = self.store.events().iter().map(|event| event.ticket_id).collect();
        let ids = ids.into_iter().chain(self.seen.values().copied()).collect::<BTreeSet<_>>();
        let find = |id| futures::executor::block_on(self.store.find(guiche_kernel::Actor::Worker, id));
        ids.into_iter().filter_map(|id| find(id).unwrap()).collect()
    }

    fn invoice(&self, hash: &PaymentHash) -> Option<guiche_tickets::Invoice> {
        let id = self.seen.get(hash)?;
        let ticket =
            futures::executor::block_on(self.store.find(guiche_kernel::Actor::Worker, *id)).unwrap()?;
        ticket.invoice(hash).cloned()
    }

    fn expiry_of(&self, hash: &PaymentHash) -> Option<Timestamp> {
        self.invoice(hash).map(|invoice| invoice.expires_at)
    }

    fn invoice_id(&self, hash: &PaymentHash) -> guiche_tickets::InvoiceId {
        let unknown = || guiche_tickets::InvoiceId::parse("fake:unknown").unwrap();
        self.invoice(hash).map_or_else(unknown, |invoice| invoice.id)
    }

    fn preimage_of(&self, hash: &PaymentHash) -> Option<guiche_tickets::Preimage> {
        let id = self.invoice_id(hash);
        let key = id.as_str().strip_prefix("fake:")?.parse().ok()?;
        Some(self.gateway.preimage(key))
    }
}
