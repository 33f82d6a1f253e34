//! The client: one call out, one answer in, both bounded.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guiche_kernel::{Clock, Randomness, Timer, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use rustls_pki_types::CertificateDer;
use secrecy::SecretString;
use serde_json::Value;

use crate::address::Address;
use crate::breaker::{BreakerSettings, Outcome};
use crate::call::{Answer, Call};
use crate::circuit::{Circuit, CircuitListener};
use crate::error::{Fault, ProviderError, VendorCode};
use crate::keys::{KeyList, KeyListError, Keys};
use crate::retry::{RetryPolicy, retry_after};
use crate::transport::{fault_of, read};
use crate::trust;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Of an answer that is an error only the code is of interest.
const LONGEST_ERROR: usize = 16 * 1024;

/// How long a call may take, and how much an answer may say.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// For one attempt, from the connection to the last byte of the answer.
    pub attempt: Duration,
    /// For the call with all its attempts and pauses.
    pub total: Duration,
    /// For the body of an answer.
    pub body_bytes: usize,
}

impl Limits {
    /// These, with no call taking longer than that as a whole.
    #[must_use]
    pub fn at_most(self, total: Duration) -> Self {
        Self { total: self.total.min(total), ..self }
    }
}

impl Default for Limits {
    /// 3 s, 8 s, 20 s, 64 KiB. The whole stays below the 30 s that a request of ours may take.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(8),
            total: Duration::from_secs(20),
            body_bytes: 64 * 1024,
        }
    }
}

/// What distinguishes one provider from another.
pub struct Settings {
    /// Its name in errors, logs and metrics.
    pub provider: &'static str,
    /// Where it is.
    pub address: Address,
    /// What opens it.
    pub keys: KeyList,
    /// Bounds.
    pub limits: Limits,
    /// How repeatable calls are repeated.
    pub retry: RetryPolicy,
    /// When it is left alone.
    pub breaker: BreakerSettings,
    /// Where its error documents have their machine code.
    pub error_code: fn(&Value) -> Option<&str>,
    /// Certificate authorities to be trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Who is told what becomes of the circuit.
    pub on_circuit: Option<CircuitListener>,
}

/// Time and chance.
#[derive(Clone)]
pub struct Outside {
    /// The time: for deadlines and the breaker.
    pub clock: Arc<dyn Clock>,
    /// Waiting between attempts, on the same clock.
    pub timer: Arc<dyn Timer>,
    /// Jitter.
    pub randomness: Arc<dyn Randomness>,
}

/// Why there is no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Nobody's certificate could be believed.
    #[error(
        "no certificate authorities were found; install ca-certificates, or name a file in SSL_CERT_FILE"
    )]
    NoAuthorities,
    /// The library refuses; with fixed settings that is a defect.
    #[error("the HTTP client cannot be made")]
    Client,
}

/// The client for one provider. It is shared, not cloned: the circuit and the connections are one.
pub struct Client {
    http: reqwest::Client,
    provider: &'static str,
    address: Address,
    keys: KeyList,
    locked_out: AtomicBool,
    limits: Limits,
    retry: RetryPolicy,
    error_code: fn(&Value) -> Option<&str>,
    circuit: Circuit,
    outside: Outside,
}

/// An attempt that failed, with what the provider said about another.
struct Failure {
    fault: Fault,
    retry_after: Option<Duration>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, retry_after: None }
    }
}

impl Client {
    /// Makes a client. Reads the system's certificates when the address is encrypted.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn try_new(settings: Settings, outside: Outside) -> Result<Self, SetupError> {
        let Settings { provider, address, keys, limits, retry, breaker, error_code, extra_roots, on_circuit } =
            settings;
        let tls = if address.is_encrypted() { trust::encrypted(&extra_roots)? } else { trust::nobody()? };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("guiche/", env!("CARGO_PKG_VERSION")))
            // A redirect, a proxy from the environment or a compressed answer is nothing that we asked for.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .referer(false)
            // Nothing is repeated behind our back.
            .retry(reqwest::retry::never())
            .connect_timeout(limits.connect)
            .build()
            .map_err(|_| SetupError::Client)?;
        let circuit = Circuit::new(provider, breaker, Arc::clone(&outside.clock), on_circuit);
        let locked_out = AtomicBool::new(false);
        Ok(Self { http, provider, address, keys, locked_out, limits, retry, error_code, circuit, outside })
    }

    /// The same provider's way of speaking at another address, without keys: a server of one customer's own. It shares
    /// the bounds, the connections and whom they trust, and has a circuit to itself. From an address without encryption
    /// none with it can be reached: nobody is trusted there.
    #[must_use]
    pub fn elsewhere(&self, address: Address) -> Self {
        let circuit = self.circuit.another(Arc::clone(&self.outside.clock));
        let (keys, locked_out) = (KeyList::none(), AtomicBool::new(false));
        let Self { http, provider, limits, retry, error_code, outside, .. } = self;
        let (http, outside) = (http.clone(), outside.clone());
        let (provider, limits, retry, error_code) = (*provider, *limits, *retry, *error_code);
        Self { http, provider, address, keys, locked_out, limits, retry, error_code, circuit, outside }
    }

    /// The circuit to this provider.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// From now on these are the keys; see [`KeyList::replace`].
    ///
    /// # Errors
    /// [`KeyListError`]; then the keys are those that they were.
    pub fn replace_keys(&self, keys: Vec<SecretString>) -> Result<(), KeyListError> {
        self.keys.replace(keys)?;
        // Should none of these be taken either, it is told once more.
        self.locked_out.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a call, repeated as the [`RetryPolicy`] says if it may be.
    ///
    /// # Errors
    /// [`ProviderError`] with the fault of the last attempt.
    pub async fn send(&self, call: &Call<'_>) -> Result<Answer, ProviderError> {
        let error = |fault| ProviderError::new(self.provider, call.operation, fault);
        let deadline = self.outside.clock.now() + self.limits.total;
        let mut attempts = 0;
        let mut earlier = Vec::new();
        loop {
            let permit = match self.circuit.enter() {
                Ok(permit) => permit,
                Err(retry_in) => {
                    let fault = earlier.pop().unwrap_or(Fault::CircuitOpen { retry_in });
                    return Err(error(fault).asking_for(Some(retry_in)).after(earlier));
                }
            };
            let outcome = self.attempt(call, deadline).await;
            permit.end(health(outcome.as_ref().map_err(|failure| &failure.fault)));
            attempts += 1;
            let failure = match outcome {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Some(pause) = self.pause(call, attempts, &failure, deadline) else {
                return Err(error(failure.fault).asking_for(failure.retry_after).after(earlier));
            };
            let (provider, operation, fault) = (self.provider, call.operation, &failure.fault);
            tracing::debug!(provider, operation, attempts, %fault, "a call failed and will be repeated");
            earlier.push(failure.fault);
            self.outside.timer.sleep(pause).await;
        }
    }

    fn pause(
        &self,
        call: &Call<'_>,
        attempts: u32,
        failure: &Failure,
        deadline: Timestamp,
    ) -> Option<Duration> {
        if !call.repeatable || !may_pass(&failure.fault) {
            return None;
        }
        let pause = self.retry.pause_after(attempts, failure.retry_after, &*self.outside.randomness)?;
        (pause < self.left(deadline)).then_some(pause)
    }

    /// One attempt, with as many keys as it takes: a call whose key is refused had no effect.
    async fn attempt(&self, call: &Call<'_>, deadline: Timestamp) -> Result<Answer, Failure> {
        let deadline = deadline.min(self.outside.clock.now() + self.limits.attempt);
        let keys = self.keys.now();
        for (tries, (place, key)) in keys.in_turn().enumerate() {
            let within = self.left(deadline);
            if within.is_zero() {
                return Err(Fault::NoAnswer.into());
            }
            let outcome = self.exchange(call, &keys, key, within).await;
            let refused = matches!(&outcome, Err(failure) if failure.fault == Fault::KeysRefused);
            if refused {
                continue;
            }
            if tries > 0 {
                let (provider, setting, number) = (self.provider, self.keys.setting(), place + 1);
                tracing::warn!(
                    provider,
                    "{provider} refuses a key; going on with number {number} of {setting}"
                );
                keys.worked(place);
            }
            self.locked_out.store(false, Ordering::Relaxed);
            return outcome;
        }
        // Once, and again after it has worked: a watcher that polls must not fill the log.
        if !self.keys.is_none() && !self.locked_out.swap(true, Ordering::Relaxed) {
            let (provider, setting) = (self.provider, self.keys.setting());
            tracing::error!(
                provider,
                "{provider} refuses every key (HTTP 401): set {setting} to one that it knows"
            );
        }
        Err(Fault::KeysRefused.into())
    }

    async fn exchange(
        &self,
        call: &Call<'_>,
        keys: &Keys,
        key: &SecretString,
        within: Duration,
    ) -> Result<Answer, Failure> {
        let url = self.address.join(&call.segments).ok_or(Fault::Unsendable)?;
        let mut request = self.http.request(call.method.clone(), url).timeout(within).header(ACCEPT, JSON);
        let headers = call.header_values().ok_or(Fault::Unsendable)?;
        for (name, value) in headers.into_iter().chain(self.keys.header(key)) {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, JSON).body(body.to_string());
        }
        let response = request.send().await.map_err(|error| fault_of(&error))?;
        let status = response.status();
        if status.is_success() {
            let body = read(response, call.body_bytes.unwrap_or(self.limits.body_bytes)).await?;
            return Ok(Answer { provider: self.provider, operation: call.operation, status, body });
        }
        if status == StatusCode::UNAUTHORIZED {
            return Err(Fault::KeysRefused.into());
        }
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = asked.and_then(|text| retry_after(text, self.outside.clock.now()));
        let code = self.code_of(response, keys).await.filter(|code| !call.is_repeated_by(code.as_str()));
        Err(Failure { fault: judge(call, status, code), retry_after })
    }

    /// The machine code of an error document; without one the status must do.
    async fn code_of(&self, response: reqwest::Response, keys: &Keys) -> Option<VendorCode> {
        let body = read(response, LONGEST_ERROR).await.ok()?;
        let document: Value = serde_json::from_slice(&body).ok()?;
        VendorCode::parse((self.error_code)(&document)?).filter(|code| !keys.occurs_in(code.as_str()))
    }

    fn left(&self, deadline: Timestamp) -> Duration {
        let left = Duration::try_from(deadline - self.outside.clock.now()).unwrap_or(Duration::ZERO);
        // Should the clock be set back meanwhile, nobody waits for that.
        left.min(self.limits.total)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, keys, circuit, .. } = self;
        f.debug_struct("Client")
            .field("address", address)
            .field("keys", keys)
            .field("circuit", circuit)
            .finish_non_exhaustive()
    }
}

fn judge(call: &Call<'_>, status: StatusCode, code: Option<VendorCode>) -> Fault {
    let considered = call.considered == Some(status) && code.is_some();
    let busy = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    let status_code = status.as_u16();
    if (status.is_server_error() && !considered) || busy {
        Fault::Failing { status: status_code, code }
    } else {
        Fault::Refused { status: status_code, code }
    }
}

/// What an attempt says of the provider's health. Whatever can be had by a wrong request (below 500) says nothing bad of
/// it, or anybody could open the circuit for all; what cannot be understood was answered at least.
fn health(outcome: Result<&Answer, &Fault>) -> Outcome {
    match outcome {
        Ok(_) | Err(Fault::Refused { .. } | Fault::KeysRefused | Fault::Unreadable { .. }) => {
            Outcome::Healthy
        }
        Err(Fault::Failing { status, .. }) if *status < 500 => Outcome::Healthy,
        Err(Fault::Failing { .. } | Fault::Unreachable | Fault::Untrusted | Fault::NoAnswer) => {
            Outcome::Faulty
        }
        Err(Fault::Unsendable | Fault::CircuitOpen { .. }) => Outcome::Abandoned,
    }
}

/// Whether it may be otherwise in a moment.
const fn may_pass(fault: &Fault) -> bool {
    match fault {
        Fault::Unreachable | Fault::NoAnswer | Fault::Failing { .. } => true,
        Fault::Untrusted
        | Fault::Refused { .. }
        | Fault::KeysRefused
        | Fault::Unreadable { .. }
        | Fault::CircuitOpen { .. }
        | Fault::Unsendable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_shortened_and_never_lengthened() {
        let [short, bound, long] = [5, 18, 500].map(Duration::from_secs);
        assert_eq!(Limits { total: long, ..Limits::default() }.at_most(bound).total, bound);
        assert_eq!(Limits { total: short, ..Limits::default() }.at_most(bound).total, short);
    }
}
