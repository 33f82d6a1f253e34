//! The circuit breaker: after too many failures in a row nobody calls for a while, then one call finds out.
//!
//! [`Breaker`] is a state machine that is told the time; it reads no clock and waits for nothing.

use std::num::NonZeroU32;
use std::time::Duration;

use guiche_kernel::Timestamp;

/// When the circuit opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerSettings {
    /// So many failures without a success between them open it.
    pub failures: NonZeroU32,
    /// How long it stays open the first time. Each probe that fails doubles it.
    pub first_pause: Duration,
    /// It never stays open for longer than this.
    pub longest_pause: Duration,
}

impl Default for BreakerSettings {
    /// Five failures; five seconds, up to a minute.
    fn default() -> Self {
        Self {
            failures: NonZeroU32::MIN.saturating_add(4),
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(60),
        }
    }
}

/// Where the circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// One call, the probe, is finding out; the others fail at once.
    HalfOpen,
    /// Calls fail at once, without a call being made.
    Open,
}

impl CircuitState {
    /// The word for it in logs and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// What a call says of the provider's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered. A refusal is an answer.
    Healthy,
    /// It was out of reach, silent, or said itself that it is in trouble.
    Faulty,
    /// Nobody waited for the answer.
    Abandoned,
}

/// The leave to make one call; it is given back with [`Breaker::record`].
#[derive(Debug)]
#[must_use = "the breaker waits for what became of the call"]
pub struct Pass {
    generation: u64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed { failures: u32 },
    Open { since: Timestamp, pause: Duration },
    Probing { since: Timestamp, pause: Duration },
}

/// The state machine.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    phase: Phase,
    /// Raised with every change of phase: a call that was let through before it says nothing about the time after it.
    generation: u64,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub const fn new(settings: BreakerSettings) -> Self {
        Self { settings, phase: Phase::Closed { failures: 0 }, generation: 0 }
    }

    pub(crate) const fn settings(&self) -> BreakerSettings {
        self.settings
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed { .. } => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::Probing { .. } => CircuitState::HalfOpen,
        }
    }

    /// Asks for leave to call.
    ///
    /// # Errors
    /// The circuit is open; after this time it is worth asking again.
    pub fn admit(&mut self, now: Timestamp) -> Result<Pass, Duration> {
        match self.phase {
            Phase::Closed { .. } => {}
            Phase::Open { since, pause } => {
                // On a clock that was set back nobody knows how long it was; better a probe too early than none.
                let elapsed = Duration::try_from(now - since).unwrap_or(pause);
                if elapsed < pause {
                    return Err(pause.saturating_sub(elapsed));
                }
                self.change(Phase::Probing { since, pause });
            }
            Phase::Probing { .. } => return Err(self.settings.first_pause),
        }
        Ok(Pass { generation: self.generation })
    }

    /// Takes in what became of a call.
    #[expect(clippy::needless_pass_by_value, reason = "a pass is good for one call")]
    pub fn record(&mut self, pass: Pass, outcome: Outcome, now: Timestamp) {
        if pass.generation != self.generation {
            return;
        }
        match (self.phase, outcome) {
            (Phase::Closed { .. }, Outcome::Healthy) => self.phase = Phase::Closed { failures: 0 },
            (Phase::Closed { failures }, Outcome::Faulty) => {
                let failures = failures.saturating_add(1);
                if failures >= self.settings.failures.get() {
                    self.change(Phase::Open { since: now, pause: self.settings.first_pause });
                } else {
                    self.phase = Phase::Closed { failures };
                }
            }
            (Phase::Probing { .. }, Outcome::Healthy) => self.change(Phase::Closed { failures: 0 }),
            (Phase::Probing { pause, .. }, Outcome::Faulty) => {
                let pause = pause.saturating_mul(2).min(self.settings.longest_pause);
                self.change(Phase::Open { since: now, pause });
            }
            // The probe found nothing out, so the next call is one.
            (Phase::Probing { since, pause }, Outcome::Abandoned) => {
                self.change(Phase::Open { since, pause });
            }
            // An open circuit has let nobody through in its generation.
            (Phase::Closed { .. }, Outcome::Abandoned) | (Phase::Open { .. }, _) => {}
        }
    }

    const fn change(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation = self.generation.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests;
