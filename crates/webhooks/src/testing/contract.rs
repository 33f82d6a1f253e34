//! The suite that every pair of stores passes. The list of cases stands once, in the macro; an adapter adds one line and
//! a constructor:
//!
//! ```text
//! guiche_webhooks::webhook_store_contract!(fresh_stores);   // async fn fresh_stores() -> impl WebhookFixture
//! ```

mod claiming;
mod endpoints;
mod outcomes;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Clock as _, Ids, Limit, Sealed, Timestamp};

use crate::{
    Due, Endpoint, EndpointId, EndpointState, EndpointStore, EndpointUrl, EventId, EventType, SealedSecrets,
    Subscription,
};

pub use claiming::*;
pub use endpoints::*;
pub use outcomes::*;

/// Stores of their own for one case, without endpoints and events.
#[async_trait]
pub trait WebhookFixture: Send + Sync {
    /// The endpoints under test.
    fn endpoints(&self) -> Arc<dyn EndpointStore>;
    /// The deliveries under test.
    fn deliveries(&self) -> Arc<dyn crate::DeliveryStore>;
    /// Commits an event of this kind that happened at that moment.
    async fn event(&self, of_type: EventType, happened_at: Timestamp) -> EventId;
}

/// Times, ids and endpoints for the cases.
pub(super) struct World {
    clock: ManualClock,
    ids: Ids,
}

pub(super) const LEASE: Duration = Duration::from_secs(60);
pub(super) const MANY: u16 = 100;

impl World {
    pub(super) fn new() -> Self {
        let ids = Ids::new(Arc::new(ManualClock::default()), Arc::new(SeededRandomness::new(5)));
        Self { clock: ManualClock::default(), ids }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn until(&self) -> Timestamp {
        self.now() + LEASE
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// An active endpoint that wants these kinds, or all.
    pub(super) fn endpoint(&self, types: &[EventType]) -> Endpoint {
        let id = EndpointId::new(self.ids.uuid());
        Endpoint {
            id,
            url: EndpointUrl::parse(&format!("https://example.org/{id}?x=1")).expect("a valid address"),
            description: "the office's ledger: ação".to_owned(),
            subscription: Subscription::of(types.iter().copied()).expect("a subscription"),
            state: EndpointState::Active,
            secrets: SealedSecrets { current: sealed(1), previous: None },
            created_at: self.now(),
            failing_since: None,
        }
    }

    pub(super) async fn added(&self, fixture: &impl WebhookFixture, types: &[EventType]) -> Endpoint {
        let endpoint = self.endpoint(types);
        fixture.endpoints().insert(&endpoint).await.expect("inserted");
        endpoint
    }

    /// So many events of a kind, fanned out one after another, a second apart.
    pub(super) async fn told(
        &self,
        fixture: &impl WebhookFixture,
        of_type: EventType,
        count: usize,
    ) -> Vec<EventId> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(fixture.event(of_type, self.now()).await);
            fixture.deliveries().fan_out(self.now(), limit(MANY)).await.expect("fanned out");
            self.advance(1);
        }
        events
    }

    /// What is due now, without a bound for one endpoint.
    pub(super) async fn claimed(&self, fixture: &impl WebhookFixture) -> Vec<Due> {
        let claimed = fixture.deliveries().claim(self.now(), self.until(), MANY, limit(MANY)).await;
        claimed.expect("claimed")
    }
}

pub(super) fn limit(rows: u16) -> Limit {
    Limit::try_new(rows).expect("a limit")
}

pub(super) fn sealed(number: u32) -> Sealed {
    Sealed::from_text(format!("v1.memory.{number}."))
}

pub(super) fn events(due: &[Due]) -> Vec<EventId> {
    due.iter().map(|due| due.claim.event_id).collect()
}

macro_rules! suite {
    ($($case:ident),+ $(,)?) => {
        /// The names of the suite's cases.
        pub const CASES: &[&str] = &[$(stringify!($case)),+];
        suite!(@macro ($) $($case),+);
    };
    (@macro ($d:tt) $($case:ident),+) => {
        /// One test per promise of [`EndpointStore`](crate::EndpointStore) and [`DeliveryStore`](crate::DeliveryStore); the
        /// argument is an `async fn() -> impl WebhookFixture`.
        #[macro_export]
        macro_rules! webhook_store_contract {
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
    an_endpoint_reads_back_as_it_was_written,
    an_id_is_added_once,
    endpoints_are_listed_oldest_first,
    a_rotation_keeps_the_previous_secret,
    of_two_rotations_one_is_refused,
    disabling_drops_what_waits_and_what_is_under_way,
    a_disabled_endpoint_hears_of_nothing_until_it_is_enabled,
    disabling_for_failing_needs_that_it_still_fails,
    an_event_is_fanned_out_once_to_whoever_wants_it,
    of_simultaneous_fan_outs_each_event_is_taken_once,
    a_fan_out_takes_no_more_than_its_limit,
    a_delivery_is_leased_once,
    a_lapsed_lease_is_taken_again_under_the_same_id,
    what_is_under_way_to_one_endpoint_is_bounded,
    of_simultaneous_claims_none_exceeds_the_bound,
    where_not_all_fit_each_endpoint_gets_its_share,
    an_endpoint_that_is_given_all_it_may_keeps_no_other_waiting,
    a_free_place_goes_to_whom_least_is_under_way,
    the_longest_due_are_taken_first,
    what_is_claimed_is_the_event_and_the_endpoint,
    a_retry_is_due_at_its_moment,
    what_came_to_its_end_is_not_due,
    a_record_without_the_claim_counts_for_nothing,
    failing_since_is_the_first_failure_after_a_success,
    a_redelivery_has_the_whole_schedule_ahead,
    a_redelivery_leaves_what_is_under_way_alone,
    a_redelivery_goes_to_whoever_wants_it_or_is_named,
    deliveries_are_listed_newest_first_by_endpoint_and_state,
    only_what_came_to_its_end_is_pruned,
    the_standing_tells_the_oldest_and_counts_endpoints,
);

#[cfg(test)]
mod tests {
    use super::super::lists_every_case;

    #[test]
    fn no_case_is_missing_from_the_list() {
        let all = [
            include_str!("contract/claiming.rs"),
            include_str!("contract/endpoints.rs"),
            include_str!("contract/outcomes.rs"),
        ];
        assert!(lists_every_case(&all.concat(), super::CASES));
    }
}
