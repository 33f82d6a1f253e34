//! What an endpoint's answer means.

use std::time::Duration;

use guiche_kernel::Timestamp;

use crate::{Answer, SendError, retry_after};

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It took the event.
    Delivered,
    /// It wants to hear nothing more.
    Gone,
    /// It did not take it; try again, but not before this has passed.
    Failed {
        /// What the endpoint asked for.
        not_within: Duration,
    },
}

impl Verdict {
    /// Judges the outcome of an attempt.
    ///
    /// Any 2xx takes the event. 410 is Gone. Whatever else is a failure: redirects too, since they are not followed, and
    /// client errors, since the mistake may be a deployment of theirs that is mended within the day. 429 and 503 may say
    /// how long to wait.
    #[must_use]
    pub fn of(outcome: &Result<Answer, SendError>, now: Timestamp) -> Self {
        let Ok(answer) = outcome else { return Self::Failed { not_within: Duration::ZERO } };
        match answer.status {
            200..=299 => Self::Delivered,
            410 => Self::Gone,
            429 | 503 => {
                let asked = answer.retry_after.as_deref().and_then(|header| retry_after(header, now));
                Self::Failed { not_within: asked.unwrap_or_default() }
            }
            _ => Self::Failed { not_within: Duration::ZERO },
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn every_status_has_a_meaning() {
        let now = datetime!(2026-11-22 07:30:00 UTC);
        let judged = |status, header: Option<&str>| {
            let answer = Answer { status, retry_after: header.map(str::to_owned) };
            Verdict::of(&Ok(answer), now)
        };
        let after = |seconds| Verdict::Failed { not_within: Duration::from_secs(seconds) };
        for status in 100..=599 {
            let expected = match status {
                200..=299 => Verdict::Delivered,
                410 => Verdict::Gone,
                429 | 503 => after(60),
                _ => after(0),
            };
            assert_eq!(judged(status, Some("60")), expected, "{status}");
        }
        assert_eq!(judged(429, None), after(0));
        assert_eq!(judged(503, Some("soon")), after(0));
        assert_eq!(Verdict::of(&Err(SendError::TimedOut), now), after(0));
    }
}
