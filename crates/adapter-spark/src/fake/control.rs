//! How a test in another process says what shall happen.

use std::io;

use guiche_kernel::Timestamp;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::{Fault, Operation, Script};
use super::{Entry, World};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    on: Operation,
    #[serde(default = "once")]
    times: u32,
    fault: Fault,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    invoice: String,
    #[serde(default, with = "time::serde::rfc3339::option")]
    paid_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    invoice: String,
    spark_status: String,
}

const fn once() -> u32 {
    1
}

/// Answers a call below `/_fake`.
pub(super) fn handle(world: &World, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
    let done = match (method.as_str(), path) {
        ("POST", "/_fake/faults") => parse(body).map(|NewFault { on, times, fault }| {
            world.state().script.add(on, times, fault);
            json!({})
        }),
        ("DELETE", "/_fake/faults") => {
            world.state().script = Script::default();
            Ok(json!({}))
        }
        ("POST", "/_fake/pay") => parse(body).and_then(|Pay { invoice, paid_at }| {
            pay(world, &invoice, paid_at).map(|entry| json!({ "preimage": entry.preimage }))
        }),
        ("POST", "/_fake/say") => parse(body).and_then(|Say { invoice, spark_status }| {
            world.state().book.change(&invoice, &spark_status, None).map(|_| json!({}))
        }),
        ("GET", "/_fake/state") => Ok(state(world)),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such control")),
    };
    match done {
        Ok(document) => (StatusCode::OK, document),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (StatusCode::NOT_FOUND, json!({ "error": error.to_string() }))
        }
        Err(error) => (StatusCode::BAD_REQUEST, json!({ "error": error.to_string() })),
    }
}

pub(super) fn pay(world: &World, invoice: &str, paid_at: Option<Timestamp>) -> io::Result<Entry> {
    let paid_at = paid_at.unwrap_or_else(|| world.clock.now());
    world.state().book.change(invoice, "LIGHTNING_PAYMENT_RECEIVED", Some(paid_at))
}

fn state(world: &World) -> Value {
    let state = world.state();
    let [issues, statuses] = state.counts;
    let invoices: Vec<_> = state.book.entries().collect();
    json!({ "calls": { "issue": issues, "status": statuses }, "invoices": invoices })
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> io::Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    Ok(T::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value))?)
}
