//! The office from a citizen's side: requests over the wire, and what comes back.

use std::time::Duration;

use guiche_kernel::BoxError;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::web;

/// An answer that takes longer will not come: the service cuts itself off at 30 s.
const PATIENCE: Duration = Duration::from_secs(35);

/// One office, and whoever is signed in there.
pub(super) struct Office {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// As it came over the wire.
    pub(super) text: String,
    pub(super) json: Value,
}

impl Office {
    pub(super) fn at(base: Url) -> Result<Self, BoxError> {
        let http = web::client_for(&base).timeout(PATIENCE).pool_max_idle_per_host(0).build()?;
        Ok(Self { http, base, token: None })
    }

    pub(super) const fn url(&self) -> &Url {
        &self.base
    }

    /// From now on, requests are this citizen's.
    pub(super) fn sign_in_with(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, BoxError> {
        self.ask(Method::GET, path, None, None).await?.or_refusal()
    }

    pub(super) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Answer, BoxError> {
        self.ask(Method::POST, path, body, None).await?.or_refusal()
    }

    pub(super) async fn post_once(&self, path: &str, body: &Value, key: &str) -> Result<Answer, BoxError> {
        self.ask(Method::POST, path, Some(body), Some(key)).await?.or_refusal()
    }

    /// As [`post`](Self::post), where a refusal is an answer too.
    pub(super) async fn try_post(&self, path: &str, body: Option<&Value>) -> Result<Answer, BoxError> {
        self.ask(Method::POST, path, body, None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Answer, BoxError> {
        let mut request = self.http.request(method, self.base.join(path)?);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| format!("no answer from {}: {}", self.base, root(&error));
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, text, json })
    }
}

impl Answer {
    /// The answer, or the problem document of a refusal as an error.
    fn or_refusal(self) -> Result<Self, BoxError> {
        if self.status.is_success() { Ok(self) } else { Err(self.refusal().into()) }
    }

    /// The problem document of a refusal in one line.
    pub(super) fn refusal(&self) -> String {
        let status = self.status.as_u16();
        let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
        match (text(&self.json, "code"), text(&self.json, "detail")) {
            (Some(code), Some(detail)) => {
                let fields = self.json.get("errors").and_then(Value::as_array).into_iter().flatten();
                let fields = fields.map(|field| {
                    let text = |name: &str| text(field, name).unwrap_or_default();
                    format!(" [{}: {}]", text("pointer"), text("detail"))
                });
                format!("{status} {code}: {detail}{}", fields.collect::<String>())
            }
            _ => format!("{status}, without a word why: is this a Guichê?"),
        }
    }

    /// A member that is text.
    pub(super) fn text(&self, name: &str) -> Result<String, BoxError> {
        self.member(name, Value::as_str).map(str::to_owned)
    }

    /// A member that is a whole number.
    pub(super) fn number(&self, name: &str) -> Result<u64, BoxError> {
        self.member(name, Value::as_u64)
    }

    fn member<'a, T>(&'a self, name: &str, read: fn(&'a Value) -> Option<T>) -> Result<T, BoxError> {
        self.json.get(name).and_then(read).ok_or_else(|| format!("the answer has no {name}").into())
    }
}

/// What lies at the bottom of an error of the client: the lines above it repeat the address.
fn root(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
