//! The generic cell rate algorithm: one moment per key says all there is to know. Written here because a failed-login
//! limit must be able to give a reservation back, which the usual crates cannot.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::Rate;

/// Tells the time since some fixed moment; it never goes back.
pub type Now = Arc<dyn Fn() -> Duration + Send + Sync>;

const SHARDS: usize = 16;
/// Bounds the memory: beyond so many keys, newcomers share one quota until older keys have recovered.
const KEYS_PER_SHARD: usize = 8192;
const SWEEP_EVERY: u64 = 10_000_000_000;

/// A limit per key.
pub(super) struct Limiter<K> {
    name: &'static str,
    rate: Rate,
    /// Nanoseconds that one request costs.
    cost: u64,
    /// Nanoseconds that may be owed.
    window: u64,
    now: Now,
    hasher: RandomState,
    shards: Vec<Mutex<Shard<K>>>,
}

/// Per key the moment at which its quota is whole again, in nanoseconds.
struct Shard<K> {
    whole_at: HashMap<K, u64>,
    newcomers_whole_at: u64,
    swept_at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass { remaining: u64, reset: Duration },
    Refuse { retry_after: Duration, reset: Duration },
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    pub(super) fn new(name: &'static str, rate: Rate, now: Now) -> Self {
        let requests = u64::from(rate.requests.get());
        let cost = nanos(rate.window()) / requests;
        let shard = || Mutex::new(Shard { whole_at: HashMap::new(), newcomers_whole_at: 0, swept_at: 0 });
        Self {
            name,
            rate,
            cost,
            window: cost * requests,
            now,
            hasher: RandomState::new(),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one request from the key's quota, if there is one left.
    pub(super) fn take(&self, key: &K) -> Verdict {
        self.decide(key, true)
    }

    /// What [`Self::take`] would say now, without taking.
    pub(super) fn look(&self, key: &K) -> Verdict {
        self.decide(key, false)
    }

    fn decide(&self, key: &K, take: bool) -> Verdict {
        let now = nanos((self.now)());
        let Some(mut shard) = self.shard(key) else {
            return Verdict::Pass { remaining: 0, reset: Duration::ZERO };
        };
        let whole_at = shard.entry(key, now);
        let after = (*whole_at).max(now).saturating_add(self.cost);
        let owed = after - now;
        if owed > self.window {
            let retry_after = Duration::from_nanos(owed - self.window);
            return Verdict::Refuse { retry_after, reset: Duration::from_nanos(*whole_at - now) };
        }
        if take {
            *whole_at = after;
        }
        Verdict::Pass { remaining: (self.window - owed) / self.cost, reset: Duration::from_nanos(owed) }
    }

    /// Gives back what [`Self::take`] took.
    pub(super) fn give_back(&self, key: &K) {
        let Some(mut shard) = self.shard(key) else { return };
        if let Some(whole_at) = shard.whole_at.get_mut(key) {
            *whole_at = whole_at.saturating_sub(self.cost);
        } else {
            shard.newcomers_whole_at = shard.newcomers_whole_at.saturating_sub(self.cost);
        }
    }

    fn shard(&self, key: &K) -> Option<MutexGuard<'_, Shard<K>>> {
        let hash = usize::try_from(self.hasher.hash_one(key) % 16).unwrap_or(0);
        self.shards.get(hash).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(test)]
    fn keys(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().whole_at.len()).sum()
    }
}

impl<K: Eq + Hash + Clone> Shard<K> {
    fn entry(&mut self, key: &K, now: u64) -> &mut u64 {
        // A key whose quota is whole is as good as unknown. Not at every call, or a flood would make each call slow.
        if now.saturating_sub(self.swept_at) >= SWEEP_EVERY {
            self.swept_at = now;
            self.whole_at.retain(|_, whole_at| *whole_at > now);
        }
        if self.whole_at.len() >= KEYS_PER_SHARD && !self.whole_at.contains_key(key) {
            return &mut self.newcomers_whole_at;
        }
        self.whole_at.entry(key.clone()).or_insert(0)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;

    fn limiter(requests: u32, seconds: u32) -> (Limiter<u32>, Arc<AtomicU64>) {
        let millis = Arc::new(AtomicU64::new(1_000));
        let shown = Arc::clone(&millis);
        let now: Now = Arc::new(move || Duration::from_millis(shown.load(Ordering::Relaxed)));
        let rate = Rate { requests: requests.try_into().unwrap(), seconds: seconds.try_into().unwrap() };
        (Limiter::new("test", rate, now), millis)
    }

    #[test]
    fn a_burst_then_one_at_a_time() {
        let (limiter, clock) = limiter(3, 60);
        let pass = |remaining, seconds| Verdict::Pass { remaining, reset: Duration::from_secs(seconds) };
        assert_eq!(limiter.take(&1), pass(2, 20));
        assert_eq!(limiter.take(&1), pass(1, 40));
        assert_eq!(limiter.take(&1), pass(0, 60));
        let refuse = Verdict::Refuse { retry_after: Duration::from_secs(20), reset: Duration::from_secs(60) };
        assert_eq!(limiter.take(&1), refuse);
        assert_eq!(limiter.take(&1), refuse, "a refusal costs nothing");
        assert_eq!(limiter.take(&2), pass(2, 20), "others are not concerned");
        clock.fetch_add(20_000, Ordering::Relaxed);
        assert_eq!(limiter.take(&1), pass(0, 60));
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let (limiter, clock) = limiter(2, 60);
        for key in 0..300_000 {
            limiter.take(&key);
        }
        let most = SHARDS * KEYS_PER_SHARD;
        assert!(limiter.keys() <= most);
        let known = (0..300_000).find(|key| matches!(limiter.take(key), Verdict::Pass { .. }));
        assert!(known.is_some(), "those who were there first keep their own quota");
        clock.fetch_add(120_000, Ordering::Relaxed);
        for key in 0..1_000 {
            limiter.take(&key);
        }
        assert!(limiter.keys() <= 1_000, "{}", limiter.keys());
    }

    proptest! {
        /// In any window of its length no more than twice the quota passes (a full burst and its replacement), and
        /// whoever waits as long as told passes.
        #[test]
        fn never_more_than_a_burst_and_its_replacement(
            requests in 1_u32..20, seconds in 1_u32..60, steps in proptest::collection::vec(0_u64..5_000, 1..200),
        ) {
            let (limiter, clock) = limiter(requests, seconds);
            let mut passed = Vec::new();
            for step in steps {
                let now = clock.fetch_add(step, Ordering::Relaxed) + step;
                match limiter.take(&1) {
                    Verdict::Pass { remaining, .. } => {
                        prop_assert!(remaining < u64::from(requests));
                        passed.push(now);
                    }
                    Verdict::Refuse { retry_after, reset } => {
                        prop_assert!(retry_after > Duration::ZERO && retry_after <= reset);
                    }
                }
            }
            for (index, start) in passed.iter().enumerate() {
                let within = passed[index..].iter().filter(|at| **at < start + u64::from(seconds) * 1_000).count();
                prop_assert!(within <= 2 * usize::try_from(requests).unwrap());
            }
        }

        #[test]
        fn what_is_given_back_can_be_taken_again(requests in 1_u32..20, rounds in 1_usize..100) {
            let (limiter, _) = limiter(requests, 60);
            for _ in 0..rounds {
                let passes = matches!(limiter.take(&1), Verdict::Pass { .. });
                prop_assert!(passes);
                limiter.give_back(&1);
            }
        }
    }
}
