//! Waiting with a bound, and chance that can be repeated.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// Asks until there is an answer. The one way in which these tests wait for a state.
pub(crate) async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begun.elapsed() < within, "still not after {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// As [`eventually`], where nothing can be awaited.
pub(crate) fn eventually_blocking<T>(within: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if begun.elapsed() >= within {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Chance from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// From `CRASH_SEED`, or from a fresh seed; printed, so that a failure can be repeated.
    pub(crate) fn announced(test: &str) -> Self {
        let given = std::env::var("CRASH_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = given.unwrap_or_else(any);
        println!("{test}: CRASH_SEED={seed}");
        Self::of(seed)
    }

    /// From that seed.
    pub(crate) const fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// An index into something of that length, or `None` when it is empty.
    pub(crate) fn index(&mut self, length: usize) -> Option<usize> {
        let bound = u64::try_from(length).unwrap();
        (bound > 0).then(|| usize::try_from(self.below(bound)).unwrap())
    }

    /// Another chance that goes its own way.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

/// A number that differs from call to call.
pub(crate) fn any() -> u64 {
    RandomState::new().hash_one(0_u8)
}
