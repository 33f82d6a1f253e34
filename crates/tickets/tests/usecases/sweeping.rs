//! The sweeper among others, with damaged tickets and slow providers.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::{join, poll_immediate};
use guiche_kernel::{Actor, Caller, Limit, StoreError, Timestamp};
use guiche_tickets::testing::MemoryStore;
use guiche_tickets::{
    Claim, ClaimOutcome, ClaimRequest, DueInvoice, Fingerprint, IdempotencyKey, Opened, PaymentHash, Release,
    Route, SweepReport, Ticket, TicketError, TicketEvent, TicketId, TicketPage, TicketQuery, TicketStatus,
    TicketStore, TicketTx,
};

use super::world::Office;

/// A store in which a ticket cannot be read: the oldest one that is due.
struct Damaged {
    inner: MemoryStore,
    refusal: fn() -> StoreError,
    bad: std::sync::Mutex<Option<TicketId>>,
}

#[async_trait]
impl TicketStore for Damaged {
    async fn begin(&self, actor: Actor) -> Result<Box<dyn TicketTx>, StoreError> {
        self.inner.begin(actor).await
    }
    async fn open(
        &self,
        caller: Caller,
        ticket: &Ticket,
        events: &[TicketEvent],
        claim: Option<&Claim>,
    ) -> Result<(), StoreError> {
        self.inner.open(caller, ticket, events, claim).await
    }
    async fn claim(&self, caller: Caller, request: &ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        self.inner.claim(caller, request).await
    }
    async fn find_done(
        &self,
        caller: Caller,
        route: Route,
        key: &IdempotencyKey,
        fingerprint: &Fingerprint,
    ) -> Result<Option<(TicketId, PaymentHash)>, StoreError> {
        self.inner.find_done(caller, route, key, fingerprint).await
    }
    async fn release(&self, caller: Caller, claim: &Claim, how: Release) -> Result<(), StoreError> {
        self.inner.release(caller, claim, how).await
    }
    async fn find(&self, actor: Actor, id: TicketId) -> Result<Option<Ticket>, StoreError> {
        if actor == Actor::Worker && *self.bad.lock().unwrap().get_or_insert(id) == id {
            return Err((self.refusal)());
        }
        self.inner.find(actor, id).await
    }
    async fn ticket_of(&self, actor: Actor, hash: &PaymentHash) -> Result<Option<TicketId>, StoreError> {
        self.inner.ticket_of(actor, hash).await
    }
    async fn list(&self, caller: Caller, query: &TicketQuery) -> Result<TicketPage, StoreError> {
        self.inner.list(caller, query).await
    }
    async fn claim_due(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        limit: Limit,
    ) -> Result<Vec<DueInvoice>, StoreError> {
        self.inner.claim_due(now, leased_until, limit).await
    }
    async fn prune_claims(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.inner.prune_claims(before).await
    }
}

fn damaged(refusal: fn() -> StoreError) -> Office {
    Office::over(|inner| Arc::new(Damaged { inner, refusal, bad: std::sync::Mutex::default() }))
}

/// Tickets that have run out, the first of them the longest ago.
async fn due(office: &Office, count: usize) -> Vec<Opened> {
    let mut opened = Vec::new();
    for _ in 0..count {
        opened.push(office.open().await);
        office.advance(1);
    }
    office.advance(901);
    opened
}

async fn expired(office: &Office, opened: &[Opened]) -> usize {
    let mut expired = 0;
    for one in opened {
        expired += usize::from(office.ticket(one.ticket_id).await.status() == TicketStatus::Expired);
    }
    expired
}

#[tokio::test]
async fn a_ticket_that_cannot_be_read_is_reported_and_keeps_nobody_waiting() {
    for refusal in [|| StoreError::corrupt("damaged"), || StoreError::Conflict, || StoreError::Duplicate] {
        let office = damaged(refusal);
        let opened = due(&office, 11).await;
        let swept = office.tickets.sweep_once(Limit::default()).await;
        assert!(matches!(&swept, Err(TicketError::Store(_))), "{swept:?}");
        assert!(!matches!(swept, Err(TicketError::Store(StoreError::Unavailable(_)))));
        assert_eq!(expired(&office, &opened).await, 10);
        // It is tried again when its lease has run out, and still nobody waits for it.
        let fresh = office.open().await;
        office.advance(901);
        office.tickets.sweep_once(Limit::default()).await.unwrap_err();
        assert_eq!(office.ticket(fresh.ticket_id).await.status(), TicketStatus::Expired);
    }
}

#[tokio::test]
async fn without_storage_the_sweep_ends_at_once() {
    let office = damaged(|| StoreError::Unavailable("down".into()));
    due(&office, 30).await;
    let swept = office.tickets.sweep_once(Limit::default()).await;
    assert!(matches!(swept, Err(TicketError::Store(StoreError::Unavailable(_)))), "{swept:?}");
    assert!(office.gateway.status_calls() < 10, "{} were asked about", office.gateway.status_calls());
}

#[tokio::test]
async fn a_few_are_asked_about_at_a_time_and_no_more_once_half_the_lease_is_used() {
    for (seconds, expired, left) in [(30, 20, 0), (31, 8, 12)] {
        let office = Office::new();
        due(&office, 20).await;
        office.gateway.hold();
        let mut sweep = Box::pin(office.tickets.sweep_once(Limit::default()));
        assert!(poll_immediate(&mut sweep).await.is_none(), "the provider holds it");
        assert_eq!(office.gateway.status_calls(), 8);
        office.advance(seconds);
        office.gateway.release();
        let expected = SweepReport { due: 20, expired, settled: 0, left };
        assert_eq!(sweep.await.unwrap(), expected, "after {seconds} s");
        office.advance(60);
        let rest = office.tickets.sweep_once(Limit::default()).await.unwrap();
        assert_eq!((rest.due, rest.expired), (left, left), "the next one goes on");
    }
}

#[tokio::test]
async fn two_sweepers_never_ask_about_the_same_invoice() {
    let office = Office::new();
    due(&office, 3).await;
    office.gateway.hold();
    let second = async {
        for seconds in [0, 59] {
            office.advance(seconds);
            let second = poll_immediate(Box::pin(office.tickets.sweep_once(Limit::default()))).await;
            let report = second.map(|report| report.expect("swept"));
            assert_eq!(report, Some(SweepReport::default()), "nothing to do, and nobody to wait for");
        }
        office.gateway.release();
    };
    let first = office.tickets.sweep_once(Limit::default());
    let (first, ()) = join(first, second).await;
    assert_eq!((first.unwrap().expired, office.gateway.status_calls()), (3, 3));
}

/// The application runs it as a task of its own.
#[tokio::test]
async fn a_sweep_can_move_between_threads() {
    fn can_move<T: Send>(_: &T) {}
    let office = Office::new();
    let sweep = office.tickets.sweep_once(Limit::default());
    can_move(&sweep);
    assert_eq!(sweep.await.unwrap(), SweepReport::default());
}
