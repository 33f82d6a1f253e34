//! One office in memory: a store, a gateway, a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Actor, Caller, Clock, Ids, Timestamp, UserId};
use guiche_tickets::testing::{FakeGateway, MemoryCatalogue, MemoryStore, license_form, license_operation};
use guiche_tickets::{
    IdempotencyKey, InvoiceGateway, Network, OpenTicket, Opened, OperationId, PaymentFact, PaymentHash,
    Ticket, TicketError, TicketEventKind, TicketId, TicketPorts, TicketSettings, Tickets,
};

pub struct Office {
    pub tickets: Tickets,
    pub store: MemoryStore,
    pub gateway: Arc<FakeGateway>,
    pub clock: Arc<ManualClock>,
    pub ids: Ids,
    pub alice: Caller,
    pub bob: Caller,
}

impl Office {
    pub fn new() -> Self {
        let gateway = Arc::new(FakeGateway::on(Network::Regtest));
        Self::with(gateway.clone(), gateway)
    }

    pub fn with(gateway: Arc<FakeGateway>, provider: Arc<dyn InvoiceGateway>) -> Self {
        let payer = gateway.clone();
        Self::on(gateway, provider, payer)
    }

    /// An office that asks these for itself and for the payer.
    pub fn asking(
        gateway: Arc<FakeGateway>,
        provider: Arc<dyn InvoiceGateway>,
        payer: Arc<dyn InvoiceGateway>,
    ) -> Self {
        Self::on(gateway, provider, payer)
    }

    fn on(
        gateway: Arc<FakeGateway>,
        provider: Arc<dyn InvoiceGateway>,
        payer: Arc<dyn InvoiceGateway>,
    ) -> Self {
        let clock = Arc::new(ManualClock::default());
        let ids = Ids::new(clock.clone(), Arc::new(SeededRandomness::new(3)));
        let store = MemoryStore::new();
        let (alice, bob) =
            (store.add_account(UserId::new(ids.uuid())), store.add_account(UserId::new(ids.uuid())));
        let ports = TicketPorts {
            store: Arc::new(store.clone()),
            catalogue: Arc::new(MemoryCatalogue::of(vec![license_operation()])),
            provider,
            payer,
            clock: clock.clone(),
            timer: clock.clone(),
            ids: ids.clone(),
        };
        let tickets = Tickets::new(ports, TicketSettings::on(Network::Regtest));
        Self { tickets, store, gateway, clock, ids, alice, bob }
    }

    pub fn command(&self, key: Option<&str>) -> OpenTicket {
        OpenTicket {
            caller: self.alice,
            operation: OperationId::new(1),
            form: license_form(),
            key: key.map(|key| IdempotencyKey::parse(key).unwrap()),
        }
    }

    /// As [`command`](Self::command), for another form.
    pub fn other_command(&self, key: &str) -> OpenTicket {
        let mut command = self.command(Some(key));
        command.form.insert("cnh_mirror".to_owned(), "987654321".into());
        command
    }

    pub async fn open(&self) -> Opened {
        self.tickets.open(self.command(None)).await.unwrap()
    }

    pub async fn ticket(&self, id: TicketId) -> Ticket {
        self.tickets.get(self.alice, id).await.unwrap()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn watch(&self) {
        self.tickets.watch_once(100).await.unwrap();
    }

    /// The provider pushes what it knows.
    pub async fn push(&self, hash: PaymentHash, paid_at: Timestamp) -> Result<Option<Ticket>, TicketError> {
        let fact = PaymentFact { payment_hash: hash, paid_at, preimage: None };
        self.tickets.settle(Actor::Worker, fact).await
    }

    pub fn count(&self, id: TicketId, kind: TicketEventKind) -> usize {
        self.store.events().iter().filter(|event| event.ticket_id == id && event.kind == kind).count()
    }
}
