//! A gateway that is watched while it is used, so that `/readyz` can tell how the provider is without asking it anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use guiche_outbound::CircuitState;
use guiche_tickets::{GatewayError, InvoiceGateway, InvoiceId, IssuedInvoice, NewInvoice, ProviderStatus};

use crate::health::{Check, Circuit, Finding, State};

/// What was last seen of a provider; shared by all its views.
pub struct Observations {
    since: Instant,
    /// Milliseconds after `since`, plus one; 0 for never.
    last_answer: AtomicU64,
    last_silence: AtomicU64,
    name: &'static str,
    circuit: Option<Box<dyn Fn() -> CircuitState + Send + Sync>>,
}

impl Observations {
    /// Nothing seen yet of the provider.
    #[must_use]
    pub fn of(name: &'static str) -> Arc<Self> {
        Self::new(name, None)
    }

    /// As [`of`](Self::of) a provider that has a circuit.
    #[must_use]
    pub fn with_circuit(
        name: &'static str,
        circuit: impl Fn() -> CircuitState + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(name, Some(Box::new(circuit)))
    }

    fn new(name: &'static str, circuit: Option<Box<dyn Fn() -> CircuitState + Send + Sync>>) -> Arc<Self> {
        Arc::new(Self {
            since: Instant::now(),
            last_answer: AtomicU64::new(0),
            last_silence: AtomicU64::new(0),
            name,
            circuit,
        })
    }

    /// Watches a view of the provider.
    #[must_use]
    pub fn watch(self: &Arc<Self>, gateway: Arc<dyn InvoiceGateway>) -> Arc<dyn InvoiceGateway> {
        Arc::new(Observed { gateway, seen: Arc::clone(self) })
    }

    /// A refusal is an answer too; only silence says that the provider is away.
    fn note<T>(&self, outcome: &Result<T, GatewayError>) {
        let (moment, word) = match outcome {
            Err(GatewayError::Unavailable(_)) => (&self.last_silence, "unavailable"),
            Err(GatewayError::Rejected(_)) => (&self.last_answer, "rejected"),
            Err(GatewayError::Nonsense(_)) => (&self.last_answer, "nonsense"),
            Ok(_) => (&self.last_answer, "ok"),
        };
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        moment.store(millis + 1, Ordering::Relaxed);
        metrics::counter!("provider_calls_total", "provider" => self.name, "outcome" => word).increment(1);
    }
}

#[async_trait]
impl Check for Observations {
    async fn check(&self) -> Finding {
        let (answer, silence) =
            (self.last_answer.load(Ordering::Relaxed), self.last_silence.load(Ordering::Relaxed));
        let age = |moment: u64| self.since.elapsed().saturating_sub(Duration::from_millis(moment - 1));
        let circuit = self.circuit.as_ref().map(|circuit| match circuit() {
            CircuitState::Closed => Circuit::Closed,
            CircuitState::HalfOpen => Circuit::HalfOpen,
            CircuitState::Open => Circuit::Open,
        });
        let is_away = silence > answer || circuit.is_some_and(|circuit| circuit != Circuit::Closed);
        let state = if is_away { State::Degraded } else { State::Ok };
        Finding { state, last_success_age: (answer > 0).then(|| age(answer)), circuit }
    }

    fn when_silent(&self) -> State {
        State::Degraded
    }
}

struct Observed {
    gateway: Arc<dyn InvoiceGateway>,
    seen: Arc<Observations>,
}

#[async_trait]
impl InvoiceGateway for Observed {
    async fn issue(&self, request: NewInvoice) -> Result<IssuedInvoice, GatewayError> {
        let outcome = self.gateway.issue(request).await;
        self.seen.note(&outcome);
        outcome
    }

    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        let outcome = self.gateway.status(id).await;
        self.seen.note(&outcome);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use guiche_tickets::Network;
    use guiche_tickets::testing::FakeGateway;

    use super::*;

    #[tokio::test]
    async fn silence_degrades_until_the_next_answer() {
        let (fake, seen) = (Arc::new(FakeGateway::on(Network::Regtest)), Observations::of("fake"));
        let gateway = seen.watch(fake.clone());
        let id = InvoiceId::parse("unknown").unwrap();
        assert_eq!(seen.check().await, Finding::of(State::Ok));
        fake.set_down(true);
        gateway.status(&id).await.unwrap_err();
        assert_eq!(seen.check().await, Finding::of(State::Degraded));
        // The next answer must be later than the silence by the clock's own step.
        while seen.since.elapsed().as_millis() < u128::from(seen.last_silence.load(Ordering::Relaxed)) {
            tokio::task::yield_now().await;
        }
        fake.set_down(false);
        gateway.status(&id).await.unwrap();
        let finding = seen.check().await;
        assert_eq!(finding.state, State::Ok);
        assert!(finding.last_success_age.is_some_and(|age| age < Duration::from_secs(60)));
    }
}
