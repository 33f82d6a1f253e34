//! Providers that are watched while they are used: `/readyz` can tell how each is without asking it anything, and the
//! metrics say how long calls take and what comes of them.

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

    /// Makes a call, and notes how long it took and what came of it.
    pub(crate) async fn note<T, E: Outcome>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let outcome = call.await;
        let (moment, word) = match &outcome {
            Err(error) if error.is_silence() => (&self.last_silence, error.word()),
            Err(error) => (&self.last_answer, error.word()),
            Ok(_) => (&self.last_answer, "ok"),
        };
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        moment.store(millis + 1, Ordering::Relaxed);
        metrics::counter!("provider_calls_total", "provider" => self.name, "outcome" => word).increment(1);
        let labels = [("provider", self.name), ("operation", operation), ("outcome", word)];
        metrics::histogram!("provider_call_seconds", &labels).record(begun.elapsed().as_secs_f64());
        outcome
    }
}

/// What an error says of its provider.
pub(crate) trait Outcome {
    /// Its kind in a word, for the metrics.
    fn word(&self) -> &'static str;
    /// Whether nothing came back. A refusal is an answer, too; only silence says that the provider is away.
    fn is_silence(&self) -> bool;
}

impl Outcome for GatewayError {
    fn word(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Rejected(_) => "rejected",
            Self::Nonsense(_) => "nonsense",
        }
    }

    fn is_silence(&self) -> bool {
        matches!(self, Self::Unavailable(_))
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
        self.seen.note("issue", self.gateway.issue(request)).await
    }

    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        self.seen.note("status", self.gateway.status(id)).await
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
