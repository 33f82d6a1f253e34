//! The suites that every adapter of a port passes. The list of cases stands once, in the macro beside them; an adapter
//! adds one line and a constructor:
//!
//! ```text
//! guiche_tickets::ticket_store_contract!(fresh_store);   // async fn fresh_store() -> impl StoreFixture
//! guiche_tickets::catalogue_editor_contract!(fresh_catalogue); // async fn fresh_catalogue() -> impl CatalogueFixture
//! guiche_tickets::invoice_gateway_contract!(fresh_gateway); // async fn fresh_gateway() -> (impl GatewayFixture)
//! ```

mod catalogue;
mod gateway;
mod store_claims;
mod store_lists;
mod store_looks;
mod store_rows;
mod store_saves;
mod store_together;
mod store_tx;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Caller, Clock, Ids, Timestamp};
use uuid::Uuid;

use super::{license_form, license_operation};
use crate::{
    CatalogueEditor, Claim, ClaimOutcome, ClaimRequest, Fingerprint, IdempotencyKey, Invoice, InvoiceGateway,
    InvoiceId, InvoiceStatus, OperationCatalogue, Preimage, Release, Route, Ticket, TicketEvent, TicketId,
    TicketStore,
};

pub use catalogue::*;
pub use gateway::*;
pub use store_claims::*;
pub use store_lists::*;
pub use store_looks::*;
pub use store_rows::*;
pub use store_saves::*;
pub use store_together::*;
pub use store_tx::*;

/// A store of its own for one case. The operation with id 1 MUST exist in it.
#[async_trait]
pub trait StoreFixture: Send + Sync {
    /// The store under test.
    fn store(&self) -> Arc<dyn TicketStore>;
    /// A new account that may call.
    async fn caller(&self) -> Caller;
    /// Ends every session of an account, as a password change does.
    async fn revoke(&self, caller: Caller);
    /// The events that were committed for a ticket, in order.
    async fn events(&self, ticket: TicketId) -> Vec<Uuid>;
}

/// A catalogue of its own for one case; what is in it already does not matter.
pub trait CatalogueFixture: Send + Sync {
    /// The editor under test.
    fn editor(&self) -> Arc<dyn CatalogueEditor>;
    /// What is offered, as the service reads it.
    fn catalogue(&self) -> Arc<dyn OperationCatalogue>;
}

/// A gateway of its own for one case.
#[async_trait]
pub trait GatewayFixture: Send + Sync {
    /// The gateway under test.
    fn gateway(&self) -> Arc<dyn InvoiceGateway>;
    /// The clock that the gateway goes by.
    fn clock(&self) -> Arc<dyn Clock>;
    /// Pays the invoice now, as a wallet does.
    async fn pay(&self, id: &InvoiceId);
}

/// Ids, times and tickets for the cases; what it makes differs from world to world by the seed.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) ids: Ids,
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        Self { ids: Ids::new(clock.clone(), Arc::new(SeededRandomness::new(1))), clock }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(super) fn preimage(key: Uuid) -> Preimage {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(key.as_bytes().iter().chain(key.as_bytes())) {
            *to = *from;
        }
        Preimage::new(bytes)
    }

    /// An open invoice that lives 15 minutes from now; the store does not look into the BOLT11.
    pub(super) fn invoice(&self, key: Uuid) -> Invoice {
        Invoice {
            id: InvoiceId::parse(format!("test:{key}")).expect("a valid id"),
            payment_hash: Self::preimage(key).payment_hash(),
            bolt11: format!("lnbcrt{}", key.simple()),
            amount: license_operation().price,
            issued_at: self.now(),
            expires_at: self.now() + Duration::from_secs(900),
            status: InvoiceStatus::Open,
            payment: None,
        }
    }

    /// A new ticket of the caller with its opening event.
    pub(super) fn ticket(&self, caller: Caller) -> (Ticket, Vec<TicketEvent>) {
        let id = self.ids.uuid();
        let operation = license_operation();
        let form = operation.form.check(license_form()).expect("a valid form");
        let mut ticket =
            Ticket::open(TicketId::new(id), caller.user_id, &operation, form, self.invoice(id), self.now());
        let events = ticket.take_events(&self.ids);
        (ticket, events)
    }

    /// A ticket of the caller that is stored.
    pub(super) async fn opened(&self, store: &dyn TicketStore, caller: Caller) -> Ticket {
        let (ticket, events) = self.ticket(caller);
        store.open(caller, &ticket, &events, None).await.expect("opened");
        store.find(caller.into(), ticket.id()).await.expect("found").expect("stored")
    }

    pub(super) fn request(&self, key: &str, body: &str) -> ClaimRequest {
        ClaimRequest {
            route: Route::OpenTicket,
            key: IdempotencyKey::parse(key).expect("a valid key"),
            fingerprint: Fingerprint::of(&body).expect("a fingerprint"),
            subject: self.ids.uuid(),
            now: self.now(),
            claimed_until: self.now() + Duration::from_secs(30),
            renew_before: self.now() - Duration::from_secs(450),
        }
    }
}

/// The claim, when it is ours.
pub(super) fn mine(outcome: ClaimOutcome) -> Claim {
    match outcome {
        ClaimOutcome::Mine(claim) => claim,
        other => panic!("expected the claim to be ours, got {other:?}"),
    }
}

/// Releases are named in full in the cases.
pub(super) const FORGET: Release = Release::Forget;
pub(super) const LAPSE: Release = Release::Lapse;

/// Declares one suite: the list of its cases, the macro that adapters call, and the test that no case is missing.
macro_rules! suite {
    ($(#[$doc:meta])* $macro:ident, $list:ident, $($case:ident),+ $(,)?) => {
        /// The names of the suite's cases.
        pub const $list: &[&str] = &[$(stringify!($case)),+];
        suite!(@macro ($) $(#[$doc])* $macro, $($case),+);
    };
    (@macro ($d:tt) $(#[$doc:meta])* $macro:ident, $($case:ident),+) => {
        $(#[$doc])*
        #[macro_export]
        macro_rules! $macro {
            ($d make:path) => {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let fixture = $d make().await;
                        $crate::testing::contract::$case(&fixture).await;
                    }
                )+
            };
        }
    };
}

suite!(
    /// One test per promise of [`TicketStore`](crate::TicketStore); the argument is an `async fn() -> impl StoreFixture`.
    ticket_store_contract, STORE_CASES,
    a_ticket_reads_back_as_it_was_written,
    opening_twice_is_a_duplicate_and_writes_nothing,
    a_payment_hash_belongs_to_one_invoice,
    nobody_sees_or_locks_anothers_ticket,
    a_ticket_cannot_be_opened_in_anothers_name,
    a_revoked_caller_is_refused_everywhere,
    an_invoice_finds_its_ticket_for_its_owner_only,
    every_fact_of_an_invoice_reads_back,
    tickets_of_many_opened_at_once_are_each_their_owners,
    one_refused_ticket_harms_none_that_are_opened_with_it,
    one_ticket_opened_twice_at_once_is_a_duplicate_once,
    a_commit_keeps_everything_and_a_rollback_nothing,
    a_dropped_transaction_leaves_nothing_and_frees_its_locks,
    a_transaction_leaks_no_identity,
    a_lock_is_waited_for,
    a_duplicate_does_not_poison_the_transaction,
    saving_needs_the_version_that_was_read,
    a_ticket_has_one_open_invoice,
    a_fresh_invoice_reads_back_in_order,
    a_change_of_the_paying_invoice_can_be_saved,
    saving_compares_the_version_alone,
    saving_compares_the_status_of_each_changed_invoice,
    a_refused_save_does_not_poison_the_transaction,
    one_id_is_inserted_once,
    a_ticket_of_another_owner_is_refused,
    a_moment_finer_than_a_microsecond_reads_back_as_it_was_decided,
    of_simultaneous_claims_one_wins,
    a_claim_is_busy_until_it_lapses_and_keeps_its_subject,
    an_old_lapsed_claim_starts_anew,
    another_request_under_the_key_is_a_mismatch,
    a_completed_claim_says_what_was_done,
    a_forgotten_claim_is_free_and_a_lapsed_one_keeps_its_subject,
    a_release_after_a_takeover_does_nothing,
    a_lapsed_claim_is_free_for_another_request,
    what_was_done_can_be_asked_without_a_claim,
    a_lost_claim_forbids_the_commit,
    claims_are_apart_by_owner_and_route,
    a_claim_completes_with_a_transaction,
    a_worker_completes_the_owners_claim,
    claims_are_pruned_by_their_last_touch,
    old_claims_are_pruned,
    pages_walk_through_every_ticket_once,
    a_page_is_not_moved_by_new_tickets,
    a_status_filters_page_and_total,
    an_offset_skips,
    a_list_shows_what_the_ticket_shows,
    looks_are_leased_once,
    the_most_overdue_are_looked_at_first,
    a_fresh_invoice_is_due_when_the_schedule_says,
    a_rescheduled_look_is_due_then_and_not_before,
    whoever_lost_the_lease_reschedules_nothing,
    money_ends_the_watch,
    an_unpaid_invoice_stays_watched_when_it_is_closed,
    a_fresh_invoice_of_an_old_ticket_is_watched,
    a_push_makes_the_next_look_due_at_once,
    a_push_counts_once_and_changes_nothing_else,
    unpaid_invoices_are_listed_by_their_issue,
    refunds_are_listed_until_the_money_went_back,
);

suite!(
    /// One test per promise of [`CatalogueEditor`](crate::CatalogueEditor); the argument is an `async fn() -> impl CatalogueFixture`.
    catalogue_editor_contract, CATALOGUE_CASES,
    what_is_added_is_offered_as_it_was_given,
    a_name_is_given_once,
    additions_at_once_get_numbers_of_their_own,
    of_additions_of_one_name_at_once_one_wins,
    what_is_withdrawn_is_no_longer_offered_and_can_come_back,
    an_unknown_name_is_told,
);

suite!(
    /// One test per promise of [`InvoiceGateway`](crate::InvoiceGateway); the argument is an `async fn() -> impl GatewayFixture`.
    invoice_gateway_contract, GATEWAY_CASES,
    what_is_issued_passes_the_guard,
    one_key_gives_one_invoice,
    keys_do_not_share_invoices,
    a_new_invoice_is_unpaid,
    a_paid_invoice_says_so_for_ever,
    a_foreign_invoice_is_unknown,
    a_description_of_639_bytes_fits,
);

#[cfg(test)]
mod tests {
    use super::super::lists_every_case;

    #[test]
    fn no_case_is_missing_from_the_lists() {
        let store = [
            include_str!("contract/store_rows.rs"),
            include_str!("contract/store_saves.rs"),
            include_str!("contract/store_together.rs"),
            include_str!("contract/store_tx.rs"),
            include_str!("contract/store_claims.rs"),
            include_str!("contract/store_lists.rs"),
            include_str!("contract/store_looks.rs"),
        ];
        assert!(lists_every_case(&store.concat(), super::STORE_CASES));
        assert!(lists_every_case(include_str!("contract/catalogue.rs"), super::CATALOGUE_CASES));
        assert!(lists_every_case(include_str!("contract/gateway.rs"), super::GATEWAY_CASES));
    }
}
