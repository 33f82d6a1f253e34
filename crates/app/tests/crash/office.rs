//! The office as a client sees it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::eventually;

/// Longer than any answer may take: whoever needs this hangs.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const PASSWORD: &str = "a horse with two names";

/// One server.
#[derive(Clone)]
pub(crate) struct Office {
    http: reqwest::Client,
    base: String,
    refusals: Refusals,
}

/// The heads and bodies of all answers from 400 on. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Refusals(Arc<Mutex<String>>);

impl Refusals {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<u64>,
    pub(crate) took: Duration,
}

/// There was no whole answer.
#[derive(Debug)]
pub(crate) struct Lost(pub(crate) reqwest::Error);

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub(crate) struct Citizen {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    method: Method,
    path: String,
    citizen: Option<&'a Citizen>,
    key: Option<&'a str>,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            citizen: None,
            key: None,
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    pub(crate) fn put(path: impl Into<String>) -> Self {
        Self { method: Method::PUT, ..Self::get(path) }
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    pub(crate) fn by(self, citizen: &'a Citizen) -> Self {
        Self { citizen: Some(citizen), ..self }
    }

    pub(crate) fn key(self, key: impl Into<Option<&'a str>>) -> Self {
        Self { key: key.into(), ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn json(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Opens a ticket.
    pub(crate) fn open(citizen: &'a Citizen, key: Option<&'a str>) -> Self {
        Self::post("/api/v1/tickets").by(citizen).key(key).json(ticket_body())
    }

    /// Does something to a ticket.
    pub(crate) fn to(citizen: &'a Citizen, ticket: &str, what: &str) -> Self {
        Self::post(format!("/api/v1/tickets/{ticket}/{what}")).by(citizen)
    }

    pub(crate) fn ticket(citizen: &'a Citizen, ticket: &str) -> Self {
        Self::get(format!("/api/v1/tickets/{ticket}")).by(citizen)
    }

    pub(crate) fn pay(hash: &str) -> Self {
        Self::post(format!("/dev/invoices/{hash}/pay"))
    }
}

pub(crate) fn ticket_body() -> Value {
    let form = json!({"cpf": "529.982.247-25", "cnh_number": "02650306461", "cnh_mirror": "123456789"});
    json!({"operation_id": 1, "form_data": form})
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The member as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name}: {self:?}")).to_owned()
    }

    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// A whole problem document of that code.
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> bool {
        self.status == status && self.content_type == "application/problem+json" && {
            let document = self.json();
            document["code"] == code
                && document["status"] == status
                && document["type"] == format!("urn:guiche:problem:{code}")
                && document["title"].is_string()
                && document["request_id"].is_string()
        }
    }
}

impl Office {
    pub(crate) fn at(address: &str) -> Self {
        let http = guiche_app::web::client().timeout(PATIENCE).build().unwrap();
        Self { http, base: format!("http://{address}"), refusals: Refusals::default() }
    }

    /// Remembers there what it says no with.
    pub(crate) fn recording(self, refusals: &Refusals) -> Self {
        Self { refusals: refusals.clone(), ..self }
    }

    pub(crate) async fn ask(&self, call: Call<'_>) -> Result<Answer, Lost> {
        let begun = Instant::now();
        let mut request = self.http.request(call.method, format!("{}{}", self.base, call.path));
        if let Some(citizen) = call.citizen {
            request = request.bearer_auth(&citizen.access);
        }
        if let Some(key) = call.key {
            request = request.header("Idempotency-Key", key);
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        if let Some(body) = call.body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(Lost)?;
        self.answer(response, begun).await
    }

    async fn answer(&self, response: reqwest::Response, begun: Instant) -> Result<Answer, Lost> {
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let (status, content_type) = (response.status().as_u16(), header("content-type"));
        let retry_after = header("retry-after").parse().ok();
        let head = format!("{:?}", response.headers());
        let body = response.text().await.map_err(Lost)?;
        if status >= 400 {
            self.refusals.add(&format!("{status} {head}\n{body}\n"));
        }
        Ok(Answer { status, body, content_type, retry_after, took: begun.elapsed() })
    }

    /// Asks where an answer must come.
    pub(crate) async fn tell(&self, call: Call<'_>) -> Answer {
        self.ask(call).await.unwrap_or_else(|Lost(error)| panic!("no answer: {error:?}"))
    }

    /// A form, as OAuth2 clients send it.
    pub(crate) async fn login_by_form(&self, email: &str, password: &str) -> u16 {
        let form = [("grant_type", "password"), ("username", email), ("password", password)];
        let url = format!("{}/api/v1/auth/login", self.base);
        let response = self.http.post(url).form(&form).send().await.unwrap();
        self.answer(response, Instant::now()).await.unwrap().status
    }

    pub(crate) async fn ready(&self, within: Duration) {
        eventually("ready", within, async || {
            self.ask(Call::get("/readyz")).await.ok().filter(|answer| answer.status == 200)
        })
        .await;
    }

    pub(crate) async fn register(&self, name: &str) -> Citizen {
        let email = format!("{name}@example.org");
        let body = json!({"email": email, "password": PASSWORD});
        self.tell(Call::post("/api/v1/auth/register").json(body)).await.expect(201);
        self.login(&email, PASSWORD).await
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Citizen {
        let body = json!({"email": email, "password": password});
        let tokens = self.tell(Call::post("/api/v1/auth/login").json(body)).await.expect(200);
        Citizen { access: tokens.text("access_token"), refresh: tokens.text("refresh_token") }
    }

    /// Opens a ticket, pays it, confirms it, and reads it back.
    pub(crate) async fn journey(&self, citizen: &Citizen) -> Answer {
        let opened = self.tell(Call::open(citizen, Some("journey"))).await.expect(201);
        let ticket = opened.text("ticket_id");
        self.tell(Call::pay(&opened.text("payment_hash"))).await.expect(200);
        let confirmed = self.tell(Call::to(citizen, &ticket, "confirm-payment")).await.expect(200);
        assert_eq!(confirmed.text("status"), "paid");
        self.tell(Call::ticket(citizen, &ticket)).await.expect(200)
    }
}
