//! When a call that may be repeated is repeated.

use std::num::NonZeroU32;
use std::time::Duration;

use guiche_kernel::{Randomness, Timestamp};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// How often, and after what pauses.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// How often a call is tried at most, the first time included.
    pub attempts: NonZeroU32,
    /// Between the first attempt and the second lies at most this; it doubles from attempt to attempt.
    pub first_pause: Duration,
    /// And never exceeds this.
    pub longest_pause: Duration,
    /// A provider that asks for a longer pause than this (`Retry-After`) is not called again at all.
    pub longest_retry_after: Duration,
}

impl Default for RetryPolicy {
    /// Three attempts; pauses up to 200 and 400 ms; a `Retry-After` of up to 2 s is waited for.
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::MIN.saturating_add(2),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(2),
            longest_retry_after: Duration::from_secs(2),
        }
    }
}

impl RetryPolicy {
    /// The pause after so many attempts; `None` when there is to be no other. The pause is any time between nothing and
    /// its bound ("full jitter"), so that those who failed together do not come back together.
    pub(crate) fn pause_after(
        &self,
        attempts: u32,
        retry_after: Option<Duration>,
        randomness: &dyn Randomness,
    ) -> Option<Duration> {
        if attempts >= self.attempts.get() {
            return None;
        }
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        let bound = self.first_pause.saturating_mul(doubled).min(self.longest_pause);
        let pause = part_of(bound, randomness);
        match retry_after {
            Some(asked) if asked > self.longest_retry_after => None,
            // On top of what was asked for, or all who were told the same would come at once.
            Some(asked) => Some(asked + pause),
            None => Some(pause),
        }
    }
}

fn part_of(whole: Duration, randomness: &dyn Randomness) -> Duration {
    let mut bytes = [0_u8; 4];
    randomness.fill(&mut bytes);
    whole.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

/// Reads a `Retry-After`: seconds, or a moment (RFC 9110 §10.2.3). What is neither is as if it were not there.
pub(crate) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs).or(Some(Duration::MAX));
    }
    let moment = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    Some(Duration::try_from(moment - now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use guiche_kernel::testing::SeededRandomness;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn pauses_are_jittered_doubled_and_bounded() {
        let policy = RetryPolicy { attempts: NonZeroU32::new(9).unwrap(), ..RetryPolicy::default() };
        let randomness = SeededRandomness::new(1);
        for (attempts, bound) in [(1, 200), (2, 400), (3, 800), (4, 1600), (5, 2000), (8, 2000)] {
            let pauses: Vec<_> =
                (0..500).map(|_| policy.pause_after(attempts, None, &randomness).unwrap()).collect();
            let bound = Duration::from_millis(bound);
            assert!(pauses.iter().all(|pause| *pause <= bound));
            assert!(
                pauses.iter().any(|pause| *pause < bound / 5)
                    && pauses.iter().any(|pause| *pause > bound / 5 * 4)
            );
        }
        assert_eq!(policy.pause_after(9, None, &randomness), None);
    }

    #[test]
    fn what_the_provider_asks_for_is_kept_up_to_a_bound() {
        let (policy, randomness) = (RetryPolicy::default(), SeededRandomness::new(1));
        let asked = Duration::from_secs(2);
        let pause = policy.pause_after(1, Some(asked), &randomness).unwrap();
        assert!(pause >= asked && pause <= asked + policy.first_pause, "{pause:?}");
        assert_eq!(policy.pause_after(1, Some(asked + Duration::from_secs(1)), &randomness), None);
        assert_eq!(policy.pause_after(3, Some(Duration::ZERO), &randomness), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_moment() {
        let now = datetime!(2026-01-01 12:00 UTC);
        for (text, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Thu, 01 Jan 2026 12:00:07 GMT", Some(7)),
            ("Thu, 01 Jan 2026 11:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now), expected.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(retry_after("99999999999999999999999", now), Some(Duration::MAX));
    }
}
