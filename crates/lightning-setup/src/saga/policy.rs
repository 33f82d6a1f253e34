//! How long and how often.

use std::time::Duration;

/// How patient the saga is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long a runner holds a setup without writing anything. More than the longest call takes.
    pub lease: Duration,
    /// How long after an unanswered call its effect may still show itself. Nothing is repeated, or believed to be
    /// absent, before that.
    pub late_effect: Duration,
    /// How often a call is made in vain before the attempt fails.
    pub tries: u16,
    /// How often undoing is tried before it becomes an orphan.
    pub undo_tries: u16,
    /// The pause after the first failure; each next one is twice as long, up to [`longest_pause`](Self::longest_pause).
    pub pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// The first pause while something is getting ready; each next one is twice as long, up to `longest_poll`.
    pub poll: Duration,
    /// The longest such pause.
    pub longest_poll: Duration,
    /// How long something may take to get ready.
    pub ready_within: Duration,
    /// How long a failed setup keeps its name from others.
    pub reservation: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(60),
            late_effect: Duration::from_secs(60),
            tries: 4,
            undo_tries: 10,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            poll: Duration::from_millis(250),
            longest_poll: Duration::from_secs(5),
            ready_within: Duration::from_secs(600),
            reservation: Duration::from_secs(24 * 3600),
        }
    }
}

impl Policy {
    /// The pause after that many failures, counted from 1.
    pub(super) fn pause_after(&self, failures: u16) -> Duration {
        doubled(self.pause, failures.saturating_sub(1)).min(self.longest_pause)
    }

    /// The pause when something has been getting ready for so long: about as long again, so that the number of looks
    /// grows with the logarithm of the time.
    pub(super) fn poll_after(&self, waited: Duration) -> Duration {
        waited.clamp(self.poll, self.longest_poll)
    }
}

fn doubled(pause: Duration, times: u16) -> Duration {
    pause.saturating_mul(1_u32.checked_shl(u32::from(times)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = Policy::default();
        let pauses = [1, 2, 3, 7, 8, 40, u16::MAX].map(|failures| policy.pause_after(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 60, 60, 60, 60]);
    }

    #[test]
    fn looks_are_soon_at_first_and_rarer_later() {
        let policy = Policy::default();
        let pauses =
            [0, 100, 700, 3_000, 60_000].map(|ms| policy.poll_after(Duration::from_millis(ms)).as_millis());
        assert_eq!(pauses, [250, 250, 700, 3_000, 5_000]);
    }
}
