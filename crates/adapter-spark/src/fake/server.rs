//! The contract over HTTP.

use std::sync::Arc;
use std::time::Duration;

use guiche_tickets::Preimage;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use lightning_invoice::Currency;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::bolt11::{self, Wanted};
use super::book::Entry;
use super::faults::{Fault, Operation};
use super::{Seen, World, control};

const MAX_MEMO_BYTES: usize = 639;
const MAX_EXPIRY_SECONDS: u64 = 30 * 24 * 60 * 60;
const MAX_BODY_BYTES: usize = 16 * 1024;
const OVERSIZED: usize = 4 * 1024 * 1024;

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is ended")]
struct HangUp;

type Outcome = Result<Response<Full<Bytes>>, HangUp>;

/// What the contract says no with.
struct Refusal(u16, &'static str);

pub(super) async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (world, acceptor) = (Arc::clone(&world), acceptor.clone());
        connections.spawn(async move {
            match acceptor {
                None => converse(stream, world).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, world).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, world: Arc<World>) {
    let service = service_fn(move |request| answer(Arc::clone(&world), request));
    // How a connection ends is the client's business.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(world: Arc<World>, request: Request<Incoming>) -> Outcome {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|_| HangUp)?.to_bytes();
    let path = head.uri.path();
    if path.starts_with("/_fake/") {
        let (status, document) = control::handle(&world, &head.method, path, &body);
        return Ok(document_of(status, &document));
    }
    let id = path.strip_prefix("/v1/invoices/").filter(|id| !id.contains('/'));
    let operation = match (&head.method, path, id) {
        (&Method::POST, "/v1/invoices", _) => Operation::Issue,
        (&Method::GET, _, Some(_)) => Operation::Status,
        (&Method::GET, "/health", _) => return Ok(document_of(StatusCode::OK, &json!({ "status": "ok" }))),
        _ => return Ok(refusal(&Refusal(404, "not_found"), "")),
    };
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let key = header("idempotency-key").map(str::to_owned);
    let shown = header(AUTHORIZATION.as_str()).unwrap_or_default();
    let bearer = shown.strip_prefix("Bearer ");
    let authorized = bearer.is_some_and(|bearer| world.takes(bearer));
    let fault = {
        let mut state = world.state();
        let text = String::from_utf8_lossy(&body).into_owned();
        state.note(Seen { operation, authorized, key: key.clone(), path: path.to_owned(), body: text });
        if !authorized {
            return Ok(refusal(&Refusal(401, "unauthorized"), shown));
        }
        state.script.next(operation)
    };
    meet_before(fault.as_ref()).await?;
    if let Some(Fault::Answer { status, code }) = &fault {
        return Ok(trouble(*status, code.as_deref(), shown));
    }
    let done = match (operation, id) {
        (Operation::Status, Some(id)) => status(&world, id, fault.as_ref()),
        (Operation::Status | Operation::Issue, _) => issue(&world, key.as_deref(), &body, fault.as_ref()),
    };
    meet_after(fault, done, shown).await
}

/// What happens before anything is done.
async fn meet_before(fault: Option<&Fault>) -> Result<(), HangUp> {
    match fault {
        Some(Fault::Delay { millis }) => tokio::time::sleep(Duration::from_millis(*millis)).await,
        Some(Fault::HangUp) => return Err(HangUp),
        _ => {}
    }
    Ok(())
}

/// What happens to the answer.
async fn meet_after(
    fault: Option<Fault>,
    done: Result<(StatusCode, Value), Refusal>,
    shown: &str,
) -> Outcome {
    match fault {
        Some(Fault::LoseAnswer) => return Err(HangUp),
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Garbage) => return Ok(raw(StatusCode::OK, "<html>It works!</html>".into())),
        Some(Fault::Oversized) => return Ok(raw(StatusCode::OK, vec![b' '; OVERSIZED].into())),
        Some(Fault::Instead { document }) => return Ok(document_of(StatusCode::OK, &document)),
        _ => {}
    }
    match done {
        Ok((status, document)) => Ok(document_of(status, &document)),
        Err(no) => Ok(refusal(&no, shown)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewInvoice {
    amount_sats: u64,
    memo: String,
    expiry_seconds: u64,
}

/// One invoice per key, and one document.
fn issue(
    world: &World,
    key: Option<&str>,
    body: &[u8],
    fault: Option<&Fault>,
) -> Result<(StatusCode, Value), Refusal> {
    let key = key.filter(|key| !key.is_empty()).ok_or(Refusal(400, "invalid_idempotency_key"))?;
    let invalid = Refusal(400, "invalid_request");
    let Ok(request) = serde_json::from_slice::<NewInvoice>(body) else { return Err(invalid) };
    let fits = request.amount_sats >= 1
        && request.memo.len() <= MAX_MEMO_BYTES
        && (1..=MAX_EXPIRY_SECONDS).contains(&request.expiry_seconds);
    if !fits {
        return Err(invalid);
    }
    let mut state = world.state();
    if let Some(known) = state.book.of_key(key) {
        let same = known.amount_sats == request.amount_sats
            && known.memo == request.memo
            && known.expiry_seconds == request.expiry_seconds;
        if !same {
            return Err(Refusal(422, "idempotency_key_reused"));
        }
        return Ok((StatusCode::OK, told(known)));
    }
    let first = state.book.entries().next().map(|entry| entry.key.clone());
    let secret = if fault == Some(&Fault::DuplicateHash) { first.as_deref().unwrap_or(key) } else { key };
    let entry = make(world, key, secret, request, fault).ok_or(Refusal(502, "spark_refused"))?;
    let document = told(&entry);
    state.book.write(entry).map_err(|_| Refusal(500, "internal_error"))?;
    Ok((StatusCode::CREATED, document))
}

fn make(world: &World, key: &str, secret: &str, request: NewInvoice, fault: Option<&Fault>) -> Option<Entry> {
    let NewInvoice { amount_sats, memo, expiry_seconds } = request;
    let preimage = Preimage::new(digest("preimage", secret));
    let now = world.clock.now();
    let wanted = Wanted {
        currency: if fault == Some(&Fault::WrongNetwork) { Currency::Bitcoin } else { Currency::Regtest },
        amount_sats: amount_sats + u64::from(fault == Some(&Fault::WrongAmount)),
        memo: &memo,
        preimage,
        issued_at: u64::try_from(now.unix_timestamp()).ok()?,
        expiry_seconds,
    };
    let bolt11 = bolt11::sign(&wanted).ok()?;
    let named = if fault == Some(&Fault::WrongHash) { Preimage::new([0; 32]) } else { preimage };
    let name = uuid::Uuid::from_slice(digest("id", key).first_chunk::<16>()?).ok()?;
    Some(Entry {
        id: format!("SparkLightningReceiveRequest:{name}"),
        key: key.to_owned(),
        amount_sats,
        expiry_seconds,
        bolt11,
        payment_hash: named.payment_hash().to_string(),
        preimage: preimage.to_hex(),
        expires_at: now + Duration::from_secs(expiry_seconds),
        spark_status: "INVOICE_CREATED".to_owned(),
        paid_at: None,
        memo,
    })
}

fn told(entry: &Entry) -> Value {
    let Entry { id, bolt11, payment_hash, expires_at, .. } = entry;
    let expires_at = expires_at.format(&Rfc3339).unwrap_or_default();
    json!({ "invoice_id": id, "bolt11": bolt11, "payment_hash": payment_hash, "expires_at": expires_at })
}

fn status(world: &World, encoded: &str, fault: Option<&Fault>) -> Result<(StatusCode, Value), Refusal> {
    let id = decoded(encoded).ok_or(Refusal(404, "not_found"))?;
    let state = world.state();
    let entry =
        state.book.find(&id).filter(|entry| entry.id == id).ok_or(Refusal(404, "invoice_not_found"))?;
    let (word, paid_at) = match (entry.spark_status.as_str(), entry.paid_at) {
        ("LIGHTNING_PAYMENT_RECEIVED" | "TRANSFER_COMPLETED", paid_at) => ("paid", paid_at),
        ("INVOICE_CREATED", _) if world.clock.now() > entry.expires_at => ("expired", None),
        _ => ("pending", None),
    };
    let paid_at = paid_at.and_then(|moment| moment.format(&Rfc3339).ok());
    let spark = entry.spark_status.as_str();
    let document = match fault {
        Some(Fault::Flap) => {
            json!({ "status": "pending", "paid_at": null, "spark_status": "INVOICE_CREATED" })
        }
        Some(Fault::NoPaidAt) => json!({ "status": word, "spark_status": spark }),
        Some(Fault::UnknownStatus) => {
            json!({ "status": "daydreaming", "paid_at": null, "spark_status": "FUTURE_VALUE" })
        }
        _ => json!({ "status": word, "paid_at": paid_at, "spark_status": spark }),
    };
    Ok((StatusCode::OK, document))
}

fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? * 16 + digit(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digest(purpose: &str, text: &str) -> [u8; 32] {
    Sha256::digest(format!("guiche spark fake\0{purpose}\0{text}")).into()
}

fn refusal(Refusal(status, code): &Refusal, shown: &str) -> Response<Full<Bytes>> {
    trouble(*status, Some(code), shown)
}

/// An error of the gateway, or of whoever stands before it when it has no code. Neither may be kept beyond the code: both
/// repeat the `Authorization` that they were shown.
fn trouble(status: u16, code: Option<&str>, shown: &str) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match code {
        Some(code) => {
            let message = format!("refused; you sent authorization: {shown}");
            document_of(status, &json!({ "error": { "code": code, "message": message } }))
        }
        None => raw(status, format!("<html>not ours; authorization: {shown}</html>").into()),
    }
}

fn document_of(status: StatusCode, document: &Value) -> Response<Full<Bytes>> {
    let mut response = raw(status, document.to_string().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn raw(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}
