//! A breaker that is shared by all calls to one provider, on the injected clock.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guiche_kernel::Clock;

use crate::breaker::{Breaker, BreakerSettings, CircuitState, Outcome, Pass};

/// Is told every change of the circuit, in order. It is called while the circuit is locked, so it must be quick and must
/// not call.
pub type CircuitListener = Arc<dyn Fn(CircuitState) + Send + Sync>;

/// The circuit to one provider.
pub struct Circuit {
    provider: &'static str,
    clock: Arc<dyn Clock>,
    listener: Option<CircuitListener>,
    breaker: Mutex<Breaker>,
}

impl Circuit {
    pub(crate) fn new(
        provider: &'static str,
        settings: BreakerSettings,
        clock: Arc<dyn Clock>,
        listener: Option<CircuitListener>,
    ) -> Self {
        Self { provider, clock, listener, breaker: Mutex::new(Breaker::new(settings)) }
    }

    /// A closed one under the same settings, whose changes nobody is told of.
    pub(crate) fn another(&self, clock: Arc<dyn Clock>) -> Self {
        Self::new(self.provider, self.lock().settings(), clock, None)
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.lock().state()
    }

    /// Asks for leave to make one call; refused with the time after which it is worth asking again.
    pub(crate) fn enter(&self) -> Result<Permit<'_>, Duration> {
        let now = self.clock.now();
        let pass = self.change(|breaker| breaker.admit(now))?;
        Ok(Permit { circuit: self, pass: Some(pass) })
    }

    fn change<T>(&self, step: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.lock();
        let before = breaker.state();
        let outcome = step(&mut breaker);
        let after = breaker.state();
        if before != after {
            self.tell(after);
        }
        outcome
    }

    fn tell(&self, state: CircuitState) {
        let provider = self.provider;
        let told = match state {
            CircuitState::Open => "no calls are made for now",
            CircuitState::HalfOpen => "one call finds out",
            CircuitState::Closed => "calls go through again",
        };
        let word = state.as_str();
        if state == CircuitState::Open {
            tracing::warn!(provider, circuit = word, "the circuit to {provider} is {word}: {told}");
        } else {
            tracing::info!(provider, circuit = word, "the circuit to {provider} is {word}: {told}");
        }
        if let Some(listener) = &self.listener {
            listener(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuit")
            .field("provider", &self.provider)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// The leave to make one call. Whoever stops waiting for the answer drops it, and so gives the place of a probe free.
pub(crate) struct Permit<'a> {
    circuit: &'a Circuit,
    pass: Option<Pass>,
}

impl Permit<'_> {
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.give_back(outcome);
    }

    fn give_back(&mut self, outcome: Outcome) {
        if let Some(pass) = self.pass.take() {
            let now = self.circuit.clock.now();
            self.circuit.change(|breaker| breaker.record(pass, outcome, now));
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.give_back(Outcome::Abandoned);
    }
}
