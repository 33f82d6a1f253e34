//! The ports of time and randomness on the real ones; the only place that may read them.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use guiche_kernel::{Clock, Randomness, Timer, Timestamp, truncate_to_micros};

/// The system's clock and tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the port's implementation")]
        let now = Timestamp::now_utc();
        truncate_to_micros(now)
    }
}

#[async_trait]
impl Timer for SystemClock {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandomness;

impl Randomness for OsRandomness {
    fn fill(&self, buffer: &mut [u8]) {
        #[expect(clippy::disallowed_methods, reason = "this is the port's implementation")]
        let filled = getrandom::fill(buffer);
        if filled.is_err() {
            // Without randomness every key and every token would be guessable; no answer is better than that one.
            std::process::abort();
        }
    }
}

/// A clock for limits: it only goes forward, whatever happens to the system's.
#[must_use]
pub fn monotonic() -> crate::http::Now {
    let start = Instant::now();
    std::sync::Arc::new(move || start.elapsed())
}
