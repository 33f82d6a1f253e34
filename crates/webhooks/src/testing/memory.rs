//! Endpoints, events and deliveries in memory: one lock, so every call is atomic.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use guiche_kernel::{Limit, Sealed, StoreError, Timestamp};

use crate::{
    Attempted, Claim, Delivery, DeliveryQuery, DeliveryState, DeliveryStore, DisabledReason, Due, Endpoint,
    EndpointId, EndpointState, EndpointStore, Event, EventId, FannedOut, Next, Standing,
};

/// Both stores. Clones share what is stored.
#[derive(Debug, Clone, Default)]
pub struct MemoryWebhooks(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// In the order of their commits, and whether they are taken care of.
    events: Vec<(Event, bool)>,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    rows: BTreeMap<(EventId, EndpointId), Row>,
}

#[derive(Debug, Clone)]
struct Row {
    state: DeliveryState,
    attempts: u32,
    next_at: Timestamp,
    leased_until: Option<Timestamp>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    last: Option<Attempted>,
}

impl Row {
    const fn ordered(now: Timestamp) -> Self {
        Self {
            state: DeliveryState::Pending,
            attempts: 0,
            next_at: now,
            leased_until: None,
            created_at: now,
            finished_at: None,
            last: None,
        }
    }

    fn is_under_way(&self, now: Timestamp) -> bool {
        self.leased_until.is_some_and(|until| now < until)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.state == DeliveryState::Pending && self.next_at <= now && !self.is_under_way(now)
    }

    const fn finish(&mut self, state: DeliveryState, now: Timestamp) {
        self.state = state;
        self.finished_at = Some(now);
        self.leased_until = None;
    }
}

impl MemoryWebhooks {
    /// Commits an event.
    pub fn push(&self, event: Event) {
        self.lock().events.push((event, false));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EndpointStore for MemoryWebhooks {
    async fn insert(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.endpoints.contains_key(&endpoint.id) {
            return Err(StoreError::Duplicate);
        }
        state.endpoints.insert(endpoint.id, endpoint.clone());
        Ok(())
    }

    async fn find(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        Ok(self.lock().endpoints.get(&id).cloned())
    }

    async fn list(&self) -> Result<Vec<Endpoint>, StoreError> {
        let mut all: Vec<_> = self.lock().endpoints.values().cloned().collect();
        all.sort_by_key(|endpoint| (endpoint.created_at, endpoint.id));
        Ok(all)
    }

    async fn disable(
        &self,
        id: EndpointId,
        reason: DisabledReason,
        if_failing_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let Some(endpoint) = state.endpoints.get_mut(&id).filter(|endpoint| endpoint.is_active()) else {
            return Ok(false);
        };
        if if_failing_since.is_some() && endpoint.failing_since != if_failing_since {
            return Ok(false);
        }
        endpoint.state = EndpointState::Disabled { reason, at: now };
        for (_, row) in state.rows.iter_mut().filter(|((_, endpoint), _)| *endpoint == id) {
            if row.state == DeliveryState::Pending {
                row.finish(DeliveryState::Dropped, now);
            }
        }
        Ok(true)
    }

    async fn enable(&self, id: EndpointId) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let Some(endpoint) = state.endpoints.get_mut(&id).filter(|endpoint| !endpoint.is_active()) else {
            return Ok(false);
        };
        endpoint.state = EndpointState::Active;
        endpoint.failing_since = None;
        Ok(true)
    }

    async fn rotate(
        &self,
        id: EndpointId,
        expected: &Sealed,
        fresh: &Sealed,
        previous_until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let secrets = state.endpoints.get_mut(&id).map(|endpoint| &mut endpoint.secrets);
        let Some(secrets) = secrets.filter(|secrets| secrets.current == *expected) else {
            return Err(StoreError::Conflict);
        };
        let previous = std::mem::replace(&mut secrets.current, fresh.clone());
        secrets.previous = Some((previous, previous_until));
        Ok(())
    }
}

#[async_trait]
impl DeliveryStore for MemoryWebhooks {
    async fn fan_out(&self, now: Timestamp, limit: Limit) -> Result<FannedOut, StoreError> {
        let mut state = self.lock();
        let State { events, endpoints, rows } = &mut *state;
        let mut done = FannedOut::default();
        let fresh = events.iter_mut().filter(|(_, fanned_out)| !fanned_out);
        for (event, fanned_out) in fresh.take(limit.get().into()) {
            *fanned_out = true;
            done.events += 1;
            for endpoint in endpoints.values() {
                if endpoint.is_active() && endpoint.subscription.wants(event.event_type()) {
                    rows.insert((event.id, endpoint.id), Row::ordered(now));
                    done.deliveries += 1;
                }
            }
        }
        Ok(done)
    }

    async fn claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        per_endpoint: u16,
        limit: Limit,
    ) -> Result<Vec<Due>, StoreError> {
        let mut state = self.lock();
        let State { events, endpoints, rows } = &mut *state;
        let mut due = Vec::new();
        for endpoint in endpoints.values().filter(|endpoint| endpoint.is_active()) {
            let of_endpoint: Vec<_> = rows.iter().filter(|((_, id), _)| *id == endpoint.id).collect();
            let under_way = of_endpoint.iter().filter(|(_, row)| row.is_under_way(now)).count();
            let mut waiting: Vec<_> = of_endpoint
                .into_iter()
                .filter(|(_, row)| row.is_due(now))
                .map(|(key, row)| (row.next_at, *key))
                .collect();
            waiting.sort();
            let room = usize::from(per_endpoint).saturating_sub(under_way);
            let places = under_way..;
            due.extend(places.zip(waiting.into_iter().take(room)).map(|(place, (at, key))| (place, at, key)));
        }
        due.sort();
        due.truncate(limit.get().into());
        due.sort_by_key(|(_, at, key)| (*at, *key));
        let taken = due.into_iter().map(|(_, _, key)| {
            let row = rows.get_mut(&key).expect("it was just found");
            row.attempts += 1;
            row.leased_until = Some(leased_until);
            let event = events.iter().find(|(event, _)| event.id == key.0).expect("it has a delivery");
            Due {
                claim: Claim { event_id: key.0, endpoint_id: key.1, leased_until },
                attempt: row.attempts,
                content: Ok((endpoints[&key.1].clone(), event.0.clone())),
            }
        });
        Ok(taken.collect())
    }

    async fn record(
        &self,
        claim: &Claim,
        attempted: Attempted,
        next: Next,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let row = state.rows.get_mut(&(claim.event_id, claim.endpoint_id));
        let Some(row) = row.filter(|row| row.leased_until == Some(claim.leased_until)) else {
            return Ok(false);
        };
        row.last = Some(attempted);
        match next {
            Next::Delivered => row.finish(DeliveryState::Delivered, now),
            Next::GivenUp => row.finish(DeliveryState::Failed, now),
            Next::RetryAt(at) => {
                row.next_at = at;
                row.leased_until = None;
            }
        }
        if let Some(endpoint) = state.endpoints.get_mut(&claim.endpoint_id) {
            endpoint.failing_since = match next {
                Next::Delivered => None,
                Next::GivenUp | Next::RetryAt(_) => endpoint.failing_since.or(Some(now)),
            };
        }
        Ok(true)
    }

    async fn list(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>, StoreError> {
        let state = self.lock();
        let mut all: Vec<_> = state
            .rows
            .iter()
            .filter(|((_, endpoint), _)| query.endpoint_id.is_none_or(|id| id == *endpoint))
            .filter(|(_, row)| query.state.is_none_or(|state| state == row.state))
            .map(|((event_id, endpoint_id), row)| Delivery {
                event_id: *event_id,
                event_type: state
                    .events
                    .iter()
                    .find(|(event, _)| event.id == *event_id)
                    .expect("it has a delivery")
                    .0
                    .event_type(),
                endpoint_id: *endpoint_id,
                state: row.state,
                attempts: row.attempts,
                created_at: row.created_at,
                next_at: (row.state == DeliveryState::Pending).then_some(row.next_at),
                finished_at: row.finished_at,
                last: row.last,
            })
            .collect();
        all.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.event_id, row.endpoint_id)));
        all.truncate(query.limit.get().into());
        Ok(all)
    }

    async fn redeliver(
        &self,
        event: EventId,
        endpoint: Option<EndpointId>,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let mut state = self.lock();
        let State { events, endpoints, rows } = &mut *state;
        let Some((event, _)) = events.iter().find(|(known, _)| known.id == event) else { return Ok(None) };
        let mut ordered = 0;
        for to in endpoints.values().filter(|to| to.is_active()) {
            let chosen = endpoint
                .map_or_else(|| to.subscription.wants(event.event_type()), |endpoint| endpoint == to.id);
            let under_way = rows.get(&(event.id, to.id)).is_some_and(|row| row.is_under_way(now));
            if chosen && !under_way {
                rows.insert((event.id, to.id), Row::ordered(now));
                ordered += 1;
            }
        }
        Ok(Some(ordered))
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let rows = &mut self.lock().rows;
        let count = rows.len();
        rows.retain(|_, row| row.finished_at.is_none_or(|at| at >= before));
        Ok(u64::try_from(count - rows.len()).unwrap_or(u64::MAX))
    }

    async fn standing(&self) -> Result<Standing, StoreError> {
        let state = self.lock();
        let pending = state.rows.values().filter(|row| row.state == DeliveryState::Pending);
        let untold = state.events.iter().find(|(_, fanned_out)| !fanned_out);
        let waiting = pending.map(|row| row.created_at).chain(untold.map(|(event, _)| event.happened_at));
        let count = |active| {
            let counted = state.endpoints.values().filter(|endpoint| endpoint.is_active() == active).count();
            u64::try_from(counted).unwrap_or(u64::MAX)
        };
        Ok(Standing {
            oldest_waiting: waiting.min(),
            active_endpoints: count(true),
            disabled_endpoints: count(false),
        })
    }
}
