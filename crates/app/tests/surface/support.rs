//! A server of its own for each test, and toy routes that show what the extractors let through.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{HttpResponse, Responder};
use guiche_app::config::RateLimits;
use guiche_app::health::Health;
use guiche_app::http::extract::{IdempotencyKey, Json, Login, Path, Query};
use guiche_app::http::{
    ApiError, FieldProblem, Limits, RequestContext, RouteTable, RunningServer, ServerSettings, Surface,
    Timeouts, set_user, start,
};
use guiche_app::require;
use guiche_app::shutdown::Shutdown;
use guiche_app::system::SystemClock;
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Ids, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) server: Option<RunningServer>,
}

pub(crate) struct Setup {
    pub(crate) table: RouteTable,
    pub(crate) rates: RateLimits,
    pub(crate) trusted: Vec<&'static str>,
    pub(crate) timeouts: Timeouts,
    pub(crate) settings: ServerSettings,
    pub(crate) clock: guiche_app::http::Now,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
}

impl Default for Setup {
    fn default() -> Self {
        let shutdown = Shutdown::default();
        Self {
            table: toys(),
            rates: RateLimits { address: None, account: None, login: None, lnurl: None },
            trusted: Vec::new(),
            timeouts: Timeouts::default(),
            settings: ServerSettings {
                workers: 1,
                drain: Duration::from_secs(5),
                ..ServerSettings::default()
            },
            clock: Arc::new(|| Duration::ZERO),
            health: Health::new(shutdown.clone(), Arc::new(SystemClock)),
            shutdown,
        }
    }
}

impl Setup {
    pub(crate) fn start(self) -> TestServer {
        let surface = Surface {
            ids: Ids::new(Arc::new(ManualClock::default()), Arc::new(SeededRandomness::new(1))),
            trusted_proxies: self.trusted.iter().map(|network| network.parse().unwrap()).collect(),
            limits: Limits::new(self.rates, &self.clock),
            timeouts: self.timeouts,
        };
        let table = self.table.merge(guiche_app::http::routes());
        let table = table.state(Arc::new(self.health)).state(Arc::new(self.shutdown.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = start(listener, &table, Arc::new(surface), self.settings).unwrap();
        TestServer { address: server.address(), shutdown: self.shutdown, server: Some(server) }
    }
}

pub(crate) fn server() -> TestServer {
    Setup::default().start()
}

impl TestServer {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        client().get(self.url(path)).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        client().post(self.url(path)).json(body).send().await.unwrap()
    }

    /// Sends the bytes as they are, and returns all that comes back until the server closes.
    pub(crate) async fn raw(&self, request: impl Into<Vec<u8>>) -> RawAnswer {
        let (address, request) = (self.address, request.into());
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            // The server may answer and hang up before it has read everything.
            let _ = stream.write_all(&request);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            RawAnswer::parse(&answer)
        })
        .await
        .unwrap()
    }
}

pub(crate) fn client() -> reqwest::Client {
    guiche_app::web::client().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl RawAnswer {
    fn parse(answer: &[u8]) -> Self {
        let text = String::from_utf8_lossy(answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// Checks that it is the problem document of that code.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let document: Value = serde_json::from_str(&self.body).unwrap();
        check_document(&document, status, code);
        assert!(
            self.head.contains(&format!("x-request-id: {}", document["request_id"].as_str().unwrap())),
            "{self:?}"
        );
        document
    }
}

/// Checks that it is the problem document of that code, with the headers that every problem has.
pub(crate) async fn problem(response: reqwest::Response, status: u16, code: &str) -> Value {
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    let (found, request_id) = (response.status().as_u16(), header("x-request-id"));
    let document: Value = response.json().await.unwrap();
    assert_eq!(found, status, "{document}");
    check_document(&document, status, code);
    assert_eq!(document["request_id"].as_str(), request_id.as_deref());
    document
}

fn check_document(document: &Value, status: u16, code: &str) {
    assert_eq!(document["code"], code, "{document}");
    assert_eq!(document["type"], format!("urn:guiche:problem:{code}"));
    assert_eq!(document["status"], status);
    assert!(document["title"].as_str().is_some_and(|title| !title.is_empty()), "{document}");
    assert!(document["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{document}");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    operation_id: Option<i32>,
    form_data: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u32>,
}

/// Routes like the real ones, in miniature.
pub(crate) fn toys() -> RouteTable {
    RouteTable::new()
        .post("/api/v1/tickets", open)
        .get("/api/v1/tickets", list)
        .get("/api/v1/tickets/{id}", one)
        .get("/api/v1/tickets/summary", summary)
        .get("/toys/{name}", name)
        .post("/toys/login", login)
        .get("/toys/panic", panics)
        .get("/toys/hang", std::future::pending::<HttpResponse>)
        .get("/toys/secret", broken)
        .get("/toys/foreign", foreign)
        .get("/toys/whoami", whoami)
        .get("/toys/stream", stream)
        .get("/toys/cached", cached)
        .put("/toys/account", account)
        .add(Method::OPTIONS, "/toys/preflight", preflight)
        .get("/toys/preflight", list)
}

async fn open(key: IdempotencyKey, body: Json<Order>) -> Result<impl Responder, ApiError> {
    let (operation, form) = require!(body.into_inner(), operation_id, form_data)?;
    if form.contains_key("cpf") {
        return Err(ApiError::invalid_fields(vec![FieldProblem::new(
            "/form_data/cpf",
            "invalid_check_digits",
            "No.",
        )]));
    }
    Ok(HttpResponse::Created().json(json!({ "operation": operation, "key": key.get() })))
}

async fn list(page: Query<Page>) -> impl Responder {
    HttpResponse::Ok().json(json!({ "limit": page.into_inner().limit }))
}

async fn one(id: Path<UserId>) -> impl Responder {
    HttpResponse::Ok().json(json!({ "id": id.into_inner() }))
}

async fn summary() -> impl Responder {
    HttpResponse::Ok().json(json!({ "summary": true }))
}

async fn name(name: Path<String>) -> impl Responder {
    HttpResponse::Ok().json(json!({ "name": name.into_inner() }))
}

async fn login(login: Login) -> impl Responder {
    HttpResponse::Ok().json(json!({ "email": login.email }))
}

async fn panics() -> HttpResponse {
    panic!("hunter2 is the password")
}

async fn broken() -> Result<HttpResponse, ApiError> {
    Err(ApiError::internal("hunter2 is the password"))
}

async fn foreign() -> Result<HttpResponse, actix_web::Error> {
    Err(actix_web::error::ErrorInternalServerError("hunter2 is the password"))
}

async fn whoami(context: RequestContext) -> impl Responder {
    HttpResponse::Ok().json(json!({ "client": context.client, "request_id": &*context.request_id }))
}

async fn stream(shutdown: Data<Shutdown>) -> impl Responder {
    let first =
        futures::stream::once(async { Ok::<_, ApiError>(actix_web::web::Bytes::from_static(b"first\n")) });
    let rest = futures::stream::once(async move {
        shutdown.begun().await;
        Ok(actix_web::web::Bytes::from_static(b"last\n"))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(futures::StreamExt::chain(first, rest))
}

async fn cached() -> impl Responder {
    HttpResponse::Ok().insert_header(("cache-control", "max-age=60")).body("cached")
}

async fn account(request: actix_web::HttpRequest, surface: Data<Surface>) -> Result<HttpResponse, ApiError> {
    let user: UserId = "0195f3a4-7c1e-7c3a-8d5e-0123456789ab".parse().map_err(ApiError::internal)?;
    set_user(&request, user);
    surface.limits.count_account(&request, user)?;
    Ok(HttpResponse::NoContent().finish())
}

async fn preflight() -> impl Responder {
    HttpResponse::Ok().body("own")
}
