//! Endpoints and deliveries on paper: a line each, or JSON. No secret is ever among them.

use guiche_kernel::Timestamp;
use guiche_webhooks::{Delivery, Endpoint, EndpointId, EndpointState, Subscription};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

/// What is shown once, to whoever asked for it.
pub(super) fn with_secret(id: EndpointId, secret: &str) -> String {
    format!(
        "endpoint {id}\nsecret   {secret}\nThe secret is not shown again; verify with it as docs/webhooks.md says.\n"
    )
}

pub(super) fn endpoints(all: &[Endpoint]) -> String {
    let line = |endpoint: &Endpoint| {
        let state = match endpoint.state {
            EndpointState::Active => "active".to_owned(),
            EndpointState::Disabled { reason, at } => {
                format!("disabled ({}, {})", reason.as_str(), moment(at))
            }
        };
        let failing = endpoint
            .failing_since
            .map(|since| format!(", failing since {}", moment(since)))
            .unwrap_or_default();
        let events = types(endpoint).map_or_else(|| "all".to_owned(), |types| types.join(","));
        let called = if endpoint.description.is_empty() { "" } else { "  # " };
        format!(
            "{}  {state}{failing}  {}  {events}{called}{}\n",
            endpoint.id,
            endpoint.url.as_str(),
            endpoint.description
        )
    };
    or_none(all.iter().map(line).collect(), "no endpoints; add one with: guiche webhooks add --url …\n")
}

pub(super) fn endpoints_as_json(all: &[Endpoint]) -> String {
    let value = |endpoint: &Endpoint| {
        let (state, reason, at) = match endpoint.state {
            EndpointState::Active => ("active", None, None),
            EndpointState::Disabled { reason, at } => ("disabled", Some(reason.as_str()), Some(moment(at))),
        };
        json!({
            "id": endpoint.id,
            "url": endpoint.url.as_str(),
            "description": endpoint.description,
            "events": types(endpoint),
            "state": state,
            "disabled_reason": reason,
            "disabled_at": at,
            "failing_since": endpoint.failing_since.map(moment),
            "created_at": moment(endpoint.created_at),
            "previous_secret_until": endpoint.secrets.previous.as_ref().map(|(_, until)| moment(*until)),
        })
    };
    document(all.iter().map(value).collect())
}

pub(super) fn deliveries(all: &[Delivery]) -> String {
    let line = |delivery: &Delivery| {
        let last = delivery.last.map(|last| format!(", {last}")).unwrap_or_default();
        let next = delivery.next_at.map(|at| format!(", next at {}", moment(at))).unwrap_or_default();
        format!(
            "{}  {}  {}  -> {}  {} (attempts: {}{last}{next})\n",
            moment(delivery.created_at),
            delivery.event_id,
            delivery.event_type,
            delivery.endpoint_id,
            delivery.state,
            delivery.attempts,
        )
    };
    or_none(all.iter().map(line).collect(), "no deliveries\n")
}

pub(super) fn deliveries_as_json(all: &[Delivery]) -> String {
    let value = |delivery: &Delivery| {
        json!({
            "event_id": delivery.event_id,
            "event_type": delivery.event_type.as_str(),
            "endpoint_id": delivery.endpoint_id,
            "state": delivery.state.as_str(),
            "attempts": delivery.attempts,
            "created_at": moment(delivery.created_at),
            "next_at": delivery.next_at.map(moment),
            "finished_at": delivery.finished_at.map(moment),
            "last_result": delivery.last.map(|last| last.to_string()),
        })
    };
    document(all.iter().map(value).collect())
}

fn types(endpoint: &Endpoint) -> Option<Vec<&'static str>> {
    match &endpoint.subscription {
        Subscription::All => None,
        Subscription::Only(types) => Some(types.iter().map(|of_type| of_type.as_str()).collect()),
    }
}

fn moment(at: Timestamp) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

fn document(values: Vec<Value>) -> String {
    format!("{:#}\n", Value::Array(values))
}

fn or_none(lines: String, none: &str) -> String {
    if lines.is_empty() { none.to_owned() } else { lines }
}
