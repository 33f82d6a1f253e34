//! When to try again.

use std::time::Duration;

use guiche_kernel::{Randomness, Timestamp};
use time::PrimitiveDateTime;
use time::macros::format_description;

/// What an endpoint may ask us to wait at most.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// The pauses between attempts: how long after each failure the next attempt follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

impl Default for Schedule {
    /// The first attempt is made at once; then come 11 more within about 75 hours. The early steps are for a receiver that
    /// restarts, the late ones for one whose weekend has begun.
    fn default() -> Self {
        let pauses = [
            5,
            30,
            2 * MINUTE,
            10 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            14 * HOUR,
            20 * HOUR,
            24 * HOUR,
        ];
        Self(pauses.map(Duration::from_secs).to_vec())
    }
}

impl Schedule {
    /// Another schedule.
    #[must_use]
    pub const fn new(pauses: Vec<Duration>) -> Self {
        Self(pauses)
    }

    /// How many attempts there are in all.
    #[must_use]
    pub const fn attempts(&self) -> usize {
        self.0.len().saturating_add(1)
    }

    /// The pause after the given failed attempt (the first is 1), up to a tenth longer or shorter by chance, so that what
    /// failed together does not come back together. `None` when it was the last.
    #[must_use]
    pub fn pause_after(&self, attempt: u32, randomness: &dyn Randomness) -> Option<Duration> {
        let index = usize::try_from(attempt.max(1)).ok()?.checked_sub(1)?;
        let pause = *self.0.get(index)?;
        let mut chance = [0; 2];
        randomness.fill(&mut chance);
        // From 0.9 up to 1.1.
        let factor = 0.9 + 0.2 * f64::from(u16::from_le_bytes(chance)) / f64::from(u16::MAX);
        Some(pause.mul_f64(factor))
    }
}

/// What a `Retry-After` header asks for: seconds or a date (RFC 9110), at most 24 hours. `None` when it is neither.
#[must_use]
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let asked = if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are just very long.
        Duration::from_secs(header.parse().unwrap_or(u64::MAX))
    } else {
        let format = format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        let date = PrimitiveDateTime::parse(header, format).ok()?.assume_utc();
        (date - now).try_into().unwrap_or(Duration::ZERO)
    };
    Some(asked.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use guiche_kernel::testing::SeededRandomness;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn twelve_attempts_within_about_75_hours() {
        let (schedule, chance) = (Schedule::default(), SeededRandomness::new(1));
        assert_eq!(schedule.attempts(), 12);
        let hours = |schedule: &Schedule| schedule.0.iter().sum::<Duration>().as_secs_f64() / 3600.0;
        assert!((75.0..76.0).contains(&hours(&schedule)), "{}", hours(&schedule));
        for attempt in 1..12 {
            let pause = schedule.pause_after(attempt, &chance).unwrap();
            let planned = schedule.0[usize::try_from(attempt).unwrap() - 1];
            assert!(
                planned.mul_f64(0.899) <= pause && pause <= planned.mul_f64(1.101),
                "{attempt}: {pause:?}"
            );
        }
        assert_eq!(schedule.pause_after(12, &chance), None);
        assert_eq!(schedule.pause_after(u32::MAX, &chance), None);
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let (schedule, chance) = (Schedule::default(), SeededRandomness::new(1));
        let pauses: std::collections::HashSet<_> =
            (0..50).map(|_| schedule.pause_after(6, &chance).unwrap().as_secs()).collect();
        assert!(pauses.len() > 40, "{pauses:?}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_has_a_bound() {
        let now = datetime!(2026-11-22 07:30:00 UTC);
        let day = Some(Duration::from_secs(86_400));
        for (header, expected) in [
            ("120", Some(Duration::from_secs(120))),
            (" 0 ", Some(Duration::ZERO)),
            ("Sun, 22 Nov 2026 07:31:00 GMT", Some(Duration::from_secs(60))),
            ("Sun, 22 Nov 2026 07:29:00 GMT", Some(Duration::ZERO)),
            ("Tue, 24 Nov 2026 07:30:00 GMT", day),
            ("99999999", day),
            ("99999999999999999999999", day),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 22 Nov 2026 07:31:00", None),
        ] {
            assert_eq!(retry_after(header, now), expected, "{header:?}");
        }
    }
}
