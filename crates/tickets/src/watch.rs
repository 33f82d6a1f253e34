//! When the provider is asked about an invoice that nobody has paid yet, without anybody asking us.
//!
//! After it was issued: 2, 4, 8, 16 and 32 s, then every 60 s until it runs out, and once when it has. Money can still
//! come after that, so the asking goes on: after 1, 5, 15 and 60 minutes, then every hour up to 24 hours, then every
//! 6 hours up to 7 days. Beyond that only `reconcile` looks.

use std::time::Duration;

use guiche_kernel::Timestamp;

/// The first look, counted from the issue. Storage makes it due when it stores the invoice.
pub const FIRST_LOOK: Duration = Duration::from_secs(2);
/// The longest that a look waits whose question stayed without an answer, or whose money is on its way.
pub const SOON: Duration = Duration::from_secs(60);

const AT_FIRST: [i64; 5] = [2, 4, 8, 16, 32];
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Just after the last moment at which a payment is in time.
const CLOSING: i64 = 1;
const AFTERWARDS: [i64; 5] = [CLOSING, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR];

/// The first look after the given moment, for an invoice that lives between the other two; `None` when the schedule is
/// over. What was missed meanwhile is not made up for: one look tells as much as ten.
#[must_use]
pub fn next_look(issued_at: Timestamp, expires_at: Timestamp, after: Timestamp) -> Option<Timestamp> {
    if after < expires_at {
        let age = (after - issued_at).whole_seconds();
        let last_of_the_first = 32;
        let offset = AT_FIRST
            .into_iter()
            .find(|offset| *offset > age)
            .unwrap_or_else(|| next_multiple(age - last_of_the_first, MINUTE) + last_of_the_first);
        let next = issued_at + time::Duration::seconds(offset);
        return Some(next.min(expires_at + time::Duration::seconds(CLOSING)));
    }
    let late = (after - expires_at).whole_seconds();
    let offset = AFTERWARDS.into_iter().find(|offset| *offset > late).or_else(|| {
        let hourly = Some(next_multiple(late, HOUR)).filter(|next| *next <= DAY);
        hourly.or_else(|| Some(next_multiple(late, 6 * HOUR)).filter(|next| *next <= 7 * DAY))
    })?;
    Some(expires_at + time::Duration::seconds(offset))
}

/// As [`next_look`], but within [`SOON`]: for a question that has to be asked again.
#[must_use]
pub fn next_look_soon(issued_at: Timestamp, expires_at: Timestamp, after: Timestamp) -> Timestamp {
    let soon = after + SOON;
    next_look(issued_at, expires_at, after).map_or(soon, |next| next.min(soon))
}

/// The smallest multiple above the number, which is at least zero.
const fn next_multiple(number: i64, of: i64) -> i64 {
    (number.div_euclid(of) + 1) * of
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const ISSUED: Timestamp = datetime!(2026-01-01 12:00 UTC);

    /// Seconds from the issue at which an invoice of so many seconds is looked at.
    fn looks(lifetime: i64) -> Vec<i64> {
        let expires = ISSUED + time::Duration::seconds(lifetime);
        let next = |after: &Timestamp| next_look(ISSUED, expires, *after);
        std::iter::successors(next(&ISSUED), next).map(|at| (at - ISSUED).whole_seconds()).collect()
    }

    #[test]
    fn a_quarter_of_an_hour_is_watched_as_the_schedule_says() {
        let looks = looks(900);
        let (open, late): (Vec<i64>, Vec<i64>) = looks.into_iter().partition(|at| *at <= 900);
        let by_the_minute = (1..=14).map(|minute| 32 + minute * 60);
        assert_eq!(open, [2, 4, 8, 16, 32].into_iter().chain(by_the_minute).collect::<Vec<_>>());
        let late: Vec<i64> = late.into_iter().map(|at| at - 900).collect();
        assert_eq!(late[..5], [1, 60, 300, 900, 3600]);
        assert_eq!(late[5..28], (2..=24).map(|hour| hour * 3600).collect::<Vec<_>>());
        assert_eq!(late[28..], (5..=28).map(|six| six * 6 * 3600).collect::<Vec<_>>());
        assert_eq!(late.last(), Some(&(7 * 86_400)));
    }

    #[test]
    fn an_invoice_that_runs_out_soon_is_closed_in_time() {
        assert_eq!(looks(10)[..5], [2, 4, 8, 11, 70]);
    }

    #[test]
    fn a_question_without_an_answer_is_asked_again_within_a_minute() {
        let expires = ISSUED + time::Duration::seconds(900);
        for (after, expected) in [(0, 2), (900, 901), (901, 960), (5000, 5060), (8 * 86_400, 8 * 86_400 + 60)]
        {
            let next = next_look_soon(ISSUED, expires, ISSUED + time::Duration::seconds(after));
            assert_eq!((next - ISSUED).whole_seconds(), expected, "after {after}");
        }
    }

    proptest! {
        #[test]
        fn looks_only_go_forward_and_no_pause_is_longer_than_it_should_be(
            lifetime in 1_i64..4000, after in -100_000_i64..800_000, micros in 0_i64..1_000_000
        ) {
            let expires = ISSUED + time::Duration::seconds(lifetime);
            let after = ISSUED + time::Duration::seconds(after) + time::Duration::microseconds(micros);
            let next = next_look(ISSUED, expires, after);
            let late = (after - expires).whole_seconds();
            prop_assert_eq!(next.is_none(), after >= expires + time::Duration::seconds(7 * DAY));
            if let Some(next) = next {
                let pause = next - after.max(ISSUED);
                prop_assert!(pause.is_positive(), "{pause}");
                let longest = match late {
                    ..0 => 61,
                    0..HOUR => 45 * MINUTE,
                    _ => 6 * HOUR,
                };
                prop_assert!(pause.whole_seconds() <= longest, "{pause} at {late}");
            }
        }
    }
}
