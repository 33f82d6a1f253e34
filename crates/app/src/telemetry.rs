//! Metrics: counters and histograms for Prometheus, with labels that cannot grow without bound.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use guiche_outbound::{CircuitListener, CircuitState};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

const DURATION: &str = "http_request_duration_seconds";
const REQUESTS: &str = "http_requests_total";
const CIRCUIT_STATE: &str = "provider_circuit_state";
const CIRCUIT_CHANGES: &str = "provider_circuit_transitions_total";

/// Upper bounds in seconds: from a read to the limit of a request.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

const CALLS: &str = "provider_call_seconds";
const STEPS: &str = "lightning_setup_step_seconds";
/// Upper bounds in seconds: up to the longest that a call may take.
const CALL_BUCKETS: [f64; 9] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 20.0];
/// Upper bounds in seconds: from a call to the patience for a node.
const STEP_BUCKETS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0];

/// The metrics of this process.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Starts counting. There is one recorder in a process: later calls return the first one's metrics.
    ///
    /// # Errors
    /// When the recorder cannot be built.
    pub fn install() -> Result<Self, BuildError> {
        static INSTALLED: OnceLock<Metrics> = OnceLock::new();
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(DURATION.to_owned()), &BUCKETS)?
            .set_buckets_for_metric(Matcher::Full(CALLS.to_owned()), &CALL_BUCKETS)?
            .set_buckets_for_metric(Matcher::Full(STEPS.to_owned()), &STEP_BUCKETS)?
            .build_recorder();
        let metrics = INSTALLED.get_or_init(|| Self(recorder.handle()));
        // Whoever lost the race keeps the winner's handle, and its own recorder goes unused.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        Ok(metrics.clone())
    }

    /// Folds what was recorded into its buckets. Without it, and without anybody who asks for the text, recordings
    /// pile up; so call it now and then.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }

    /// The metrics as text.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

/// Follows the circuit to a provider: its state as a number, and how often it changed to what.
#[must_use]
pub fn follow_circuit(provider: &'static str) -> CircuitListener {
    metrics::gauge!(CIRCUIT_STATE, "provider" => provider).set(0.0);
    Arc::new(move |state| {
        let number = match state {
            CircuitState::Closed => 0.0,
            CircuitState::HalfOpen => 1.0,
            CircuitState::Open => 2.0,
        };
        metrics::gauge!(CIRCUIT_STATE, "provider" => provider).set(number);
        metrics::counter!(CIRCUIT_CHANGES, "provider" => provider, "to" => state.as_str()).increment(1);
    })
}

fn describe() {
    metrics::describe_gauge!(CIRCUIT_STATE, "The circuit to a provider: 0 closed, 1 half open, 2 open.");
    metrics::describe_counter!(CIRCUIT_CHANGES, "Changes of the circuit to a provider, by its new state.");
    metrics::describe_counter!(REQUESTS, "Requests answered, by method, route and status.");
    metrics::describe_histogram!(
        DURATION,
        metrics::Unit::Seconds,
        "Time from a request's head to its answer's."
    );
    metrics::describe_counter!(
        "webhook_deliveries_total",
        "Attempts to tell an endpoint of an event, by what followed."
    );
    metrics::describe_gauge!(
        "webhook_delivery_lag_seconds",
        metrics::Unit::Seconds,
        "How long the oldest event has been waiting for an endpoint to take it."
    );
    metrics::describe_gauge!("refunds_due", "Payments that must go back to whoever made them, by why.");
    metrics::describe_gauge!("webhook_endpoints", "Endpoints, by whether they are told.");
    describe_setups();
    metrics::describe_gauge!("guiche_build_info", "Always 1; the labels say what runs.");
    metrics::gauge!("guiche_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

fn describe_setups() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!("provider_calls_total", "Calls to providers, by what came of them.");
    describe_histogram!(
        CALLS,
        Unit::Seconds,
        "Time of a call to a provider, with what it repeated by itself."
    );
    describe_histogram!(STEPS, Unit::Seconds, "Time from the intent of a step of a setup to its end.");
    describe_counter!("lightning_setup_attempts_total", "Attempts at a setup that began.");
    describe_counter!(
        "lightning_setup_rollbacks_total",
        "Setups that had to be undone, by who failed and how."
    );
    describe_counter!("lightning_setups_ended_total", "Setups that came to an end, by how they stand then.");
    describe_gauge!("lightning_setups", "Setups, by how they stand.");
    describe_counter!("lnurl_requests_total", "Questions of wallets, by route and outcome.");
    describe_gauge!(
        "sealed_rows",
        "Sealed values by the id of their key, and whether the key ring has that key."
    );
    describe_gauge!(
        "audit_chain_rows",
        "Rows of the setups' audit trail, at the last look at which it was whole."
    );
    describe_gauge!("audit_chain_broken", "1 while that is wrong with the audit trail, 0 otherwise.");
}

/// Counts an answered request. `route` is a pattern of ours, never a path of the client's.
pub(crate) fn count_request(method: &Method, route: &str, status: StatusCode, elapsed: Duration) {
    let labels = [
        ("method", known(method).to_owned()),
        ("route", route.to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!(REQUESTS, &labels).increment(1);
    metrics::histogram!(DURATION, &labels).record(elapsed.as_secs_f64());
}

/// A client may send any word as a method.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
