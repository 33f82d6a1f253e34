//! The suites of the three ports of storage. An adapter adds one line for each, and a constructor:
//!
//! ```text
//! guiche_lightning_setup::setup_store_contract!(fresh);  // async fn fresh() -> impl SetupFixture
//! guiche_lightning_setup::address_book_contract!(fresh);
//! guiche_lightning_setup::audit_trail_contract!(fresh);
//! ```

#![expect(clippy::indexing_slicing, clippy::panic, reason = "test code: a failed expectation is the point")]

mod amending;
mod beginning;
mod book;
mod claiming;
mod ending;
mod journal;
mod reading;
mod reserving;
mod trail;

use std::num::NonZeroU16;
use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Caller, Clock as _, Ids, Limit, Sealed, StoreError, Timestamp};

use crate::{
    AddressBook, AddressDomain, AddressName, AuditTrail, Begin, Begun, FaultKind, HostError, Lease,
    LightningAddress, Provider, Services, Setup, SetupFault, SetupId, SetupStatus, SetupStore, Step,
    StepRecord, StepState,
};

pub use amending::*;
pub use beginning::*;
pub use book::*;
pub use claiming::*;
pub use ending::*;
pub use journal::*;
pub use reading::*;
pub use reserving::*;
pub use trail::*;

/// Storage of its own for one case, with nothing in it.
#[async_trait]
pub trait SetupFixture: Send + Sync {
    /// The setups under test.
    fn store(&self) -> Arc<dyn SetupStore>;
    /// The addresses under test, of the same storage.
    fn book(&self) -> Arc<dyn AddressBook>;
    /// The audit trail under test, of the same storage.
    fn trail(&self) -> Arc<dyn AuditTrail>;
    /// A new account that may call.
    async fn caller(&self) -> Caller;
    /// Ends every session of an account, as a password change does.
    async fn revoke(&self, caller: Caller);
}

/// Times, ids and setups for the cases.
struct World {
    clock: ManualClock,
    ids: Ids,
}

const LEASE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

impl World {
    fn new() -> Self {
        let ids = Ids::new(Arc::new(ManualClock::default()), Arc::new(SeededRandomness::new(11)));
        Self { clock: ManualClock::default(), ids }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn until(&self) -> Timestamp {
        self.now() + LEASE
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// To begin with this name now; reservations hold for a day.
    fn wanted(&self, name: &str) -> Begin {
        let (id, now) = (SetupId::new(self.ids.uuid()), self.now());
        Begin { id, address: address(name), now, reserved_since: now - DAY }
    }

    async fn begin(&self, fixture: &impl SetupFixture, caller: Caller, name: &str) -> Begun {
        fixture.store().begin(caller, &self.wanted(name)).await.expect("asked")
    }

    async fn started(&self, fixture: &impl SetupFixture, caller: Caller, name: &str) -> Setup {
        match self.begin(fixture, caller, name).await {
            Begun::Started(setup) => *setup,
            other @ (Begun::Running(_) | Begun::Complete(_) | Begun::Taken) => {
                panic!("not started: {other:?}")
            }
        }
    }

    /// Takes one to work on, due or not.
    async fn held(&self, fixture: &impl SetupFixture, id: SetupId) -> Lease {
        let claimed = fixture.store().claim_one(id, self.now(), self.until()).await.expect("asked");
        claimed.expect("it is running and free").0
    }

    fn record(&self, attempt: u32, step: Step, state: StepState) -> StepRecord {
        StepRecord { attempt, step, state, resource: None, sealed: None, tries: 0, since: self.now() }
    }

    /// A setup that is being undone, under a lease.
    async fn undoing(&self, fixture: &impl SetupFixture, caller: Caller, name: &str) -> (Lease, Setup) {
        let setup = self.started(fixture, caller, name).await;
        let lease = self.held(fixture, setup.id).await;
        fixture.store().roll_back(&lease, &fault(), self.now()).await.expect("rolled back");
        (lease, setup)
    }

    /// A setup that failed now.
    async fn failed(&self, fixture: &impl SetupFixture, caller: Caller, name: &str) -> Setup {
        let (lease, setup) = self.undoing(fixture, caller, name).await;
        fixture.store().close(&lease, SetupStatus::Failed, self.now()).await.expect("closed");
        got(fixture, setup.id).await
    }

    /// A setup that failed now, and whose node was given up.
    async fn orphaned(&self, fixture: &impl SetupFixture, caller: Caller, name: &str) -> Setup {
        let (lease, setup) = self.undoing(fixture, caller, name).await;
        let mut orphan = self.record(setup.attempt, Step::NodeCreated, StepState::Orphaned);
        orphan.resource = Some("node-1".to_owned());
        orphan.tries = 7;
        fixture.store().record(&lease, from_ref(&orphan), self.until()).await.expect("recorded");
        fixture.store().close(&lease, SetupStatus::NeedsAttention, self.now()).await.expect("closed");
        got(fixture, setup.id).await
    }

    /// An active address.
    async fn active(&self, fixture: &impl SetupFixture, caller: Caller, name: &str) -> Setup {
        let setup = self.started(fixture, caller, name).await;
        let lease = self.held(fixture, setup.id).await;
        fixture.store().complete(&lease, &[], &services(1), self.now()).await.expect("completed");
        got(fixture, setup.id).await
    }

    /// Tears a setup down to the end.
    async fn removed(&self, fixture: &impl SetupFixture, caller: Caller, setup: &Setup) -> Setup {
        let store = fixture.store();
        let begun = store.tear_down(caller, setup.id, &[setup.status], self.now()).await.expect("asked");
        assert!(begun.is_some(), "it stood there");
        let lease = self.held(fixture, setup.id).await;
        store.close(&lease, SetupStatus::Removed, self.now()).await.expect("closed");
        got(fixture, setup.id).await
    }
}

fn address(name: &str) -> LightningAddress {
    let (name, domain) = (AddressName::parse(name), AddressDomain::parse("guiche.test"));
    LightningAddress { name: name.expect("a name"), domain: domain.expect("a domain") }
}

fn fault() -> SetupFault {
    HostError::new(Provider::StoreHost, "create_store", FaultKind::Refused).answered(403, None, None).fault
}

fn services(number: u32) -> Services {
    Services {
        node_id: format!("node-{number}"),
        store_id: format!("store-{number}"),
        node_config: Some(sealed(number)),
        store_config: Some(sealed(number + 100)),
    }
}

fn sealed(number: u32) -> Sealed {
    Sealed::from_text(format!("v1.memory.{number}.sealed"))
}

fn limit(rows: u16) -> Limit {
    Limit::try_new(rows).expect("a limit")
}

fn most(setups: u16) -> NonZeroU16 {
    NonZeroU16::new(setups).expect("not none")
}

async fn got(fixture: &impl SetupFixture, id: SetupId) -> Setup {
    fixture.store().get(id).await.expect("asked").expect("there")
}

/// How many rows the audit trail has.
async fn rows(fixture: &impl SetupFixture) -> i64 {
    fixture.trail().head().await.expect("asked").map_or(0, |(number, _)| number)
}

fn assert_conflict<T: std::fmt::Debug>(outcome: &Result<T, StoreError>, what: &str) {
    assert!(matches!(outcome, Err(StoreError::Conflict)), "{what}: {outcome:?}");
}

macro_rules! suite {
    ($(#[$doc:meta])* $name:ident, $cases:ident: $($case:ident),+ $(,)?) => {
        /// The names of the suite's cases.
        pub const $cases: &[&str] = &[$(stringify!($case)),+];
        suite!(@macro ($) $(#[$doc])* $name: $($case),+);
    };
    (@macro ($d:tt) $(#[$doc:meta])* $name:ident: $($case:ident),+) => {
        $(#[$doc])*
        #[macro_export]
        macro_rules! $name {
            ($d make:path) => {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let fixture = $d make().await;
                        $crate::testing::contract::store::$case(&fixture).await;
                    }
                )+
            };
        }
    };
}

suite!(
    /// One test per promise of [`SetupStore`](crate::SetupStore); the argument is an `async fn() -> impl SetupFixture`.
    setup_store_contract, SETUP_STORE_CASES:
    a_new_setup_reads_back_as_it_was_begun,
    of_simultaneous_beginnings_of_one_person_one_starts,
    of_simultaneous_beginnings_for_one_name_one_starts,
    while_one_is_under_way_nothing_begins,
    whoever_has_an_active_address_begins_nothing,
    the_same_address_again_is_the_next_attempt_of_the_same_setup,
    another_address_after_a_failure_is_another_setup,
    an_id_is_used_once,
    a_reservation_is_void_once_it_failed_before_the_moment,
    what_did_not_fail_keeps_its_name,
    a_name_that_was_active_is_its_owners_for_ever,
    whoever_lost_a_name_is_told_that_it_is_taken,
    of_simultaneous_takers_of_a_lapsed_name_one_starts,
    a_setup_is_claimed_once,
    simultaneous_claims_share_what_is_due,
    the_longest_due_are_claimed_first,
    what_rests_is_claimed_at_its_moment,
    a_lapsed_lease_is_claimed_again,
    one_is_claimed_by_its_id_due_or_not,
    whoever_lost_the_lease_changes_nothing,
    whoever_gave_the_lease_back_changes_nothing,
    recording_extends_the_lease,
    a_record_stands_in_the_place_of_its_step,
    records_are_written_together,
    what_was_sealed_stays,
    a_fault_turns_making_into_undoing,
    completing_writes_everything_together,
    the_first_activation_stays,
    an_undoing_ends_where_it_was_heading,
    what_is_removed_forgets_its_services_and_keeps_its_journal,
    what_is_being_made_is_not_closed_nor_what_is_undone_completed,
    a_teardown_begins_from_the_given_states_only,
    a_teardown_undoes_orphans_once_more,
    a_teardown_takes_the_setup_from_its_holder,
    only_the_present_setup_is_torn_down,
    the_last_resolved_orphan_ends_the_setup,
    what_is_adopted_needs_attention,
    an_active_address_is_repaired,
    what_does_not_fit_is_not_amended,
    setups_are_listed_by_id_and_counted_by_status,
    nobody_sees_or_touches_anothers_setup,
    a_revoked_caller_is_refused_everywhere,
    every_change_leaves_its_row,
    what_changes_nothing_leaves_no_row,
    a_person_reads_their_own_rows_newest_first,
);

suite!(
    /// One test per promise of [`AddressBook`](crate::AddressBook); the argument is an `async fn() -> impl SetupFixture`.
    address_book_contract, ADDRESS_BOOK_CASES:
    only_active_addresses_are_served,
    an_invoice_reads_back_as_it_was_kept,
    a_payment_hash_is_kept_once,
    the_first_moment_of_payment_stays,
    a_message_is_new_once,
    what_ran_out_and_what_came_is_pruned,
);

suite!(
    /// One test per promise of [`AuditTrail`](crate::AuditTrail); the argument is an `async fn() -> impl SetupFixture`.
    audit_trail_contract, AUDIT_TRAIL_CASES:
    an_empty_trail_has_no_head,
    the_chain_is_whole_and_ends_at_its_head,
    simultaneous_changes_make_one_chain,
    a_destruction_is_told_whosever_it_is,
    rows_come_in_pages_in_their_order,
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The cases of a suite are its public functions: none is left out of its list, and none stands there twice.
    fn lists_every_case(source: &str, listed: &[&str]) -> bool {
        let cases = source.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next());
        let unique: BTreeSet<&str> = listed.iter().copied().collect();
        cases.collect::<BTreeSet<_>>() == unique && unique.len() == listed.len()
    }

    #[test]
    fn no_case_is_missing_from_the_lists() {
        let store = [
            include_str!("store/amending.rs"),
            include_str!("store/beginning.rs"),
            include_str!("store/claiming.rs"),
            include_str!("store/ending.rs"),
            include_str!("store/journal.rs"),
            include_str!("store/reading.rs"),
            include_str!("store/reserving.rs"),
        ];
        assert!(lists_every_case(&store.concat(), super::SETUP_STORE_CASES));
        assert!(lists_every_case(include_str!("store/book.rs"), super::ADDRESS_BOOK_CASES));
        assert!(lists_every_case(include_str!("store/trail.rs"), super::AUDIT_TRAIL_CASES));
    }
}
