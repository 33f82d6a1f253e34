//! Time is a port: nothing in the domains reads a clock or waits by itself.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

/// A moment, in UTC, to the microsecond (what PostgreSQL keeps).
pub type Timestamp = OffsetDateTime;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present moment in UTC, already cut to whole microseconds (see [`truncate_to_micros`]), so that what was
    /// written and what is read back are equal.
    fn now(&self) -> Timestamp;
}

/// Waits.
#[async_trait]
pub trait Timer: Send + Sync {
    /// Returns once `duration` has passed on the clock that belongs to this timer.
    async fn sleep(&self, duration: Duration);
}

/// Cuts a moment to whole microseconds, the precision of PostgreSQL's `timestamptz`.
#[must_use]
pub fn truncate_to_micros(moment: Timestamp) -> Timestamp {
    moment.replace_nanosecond(moment.nanosecond() / 1000 * 1000).unwrap_or(moment)
}
