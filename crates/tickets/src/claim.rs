//! Idempotency: the first request with a key claims it, does the work under names chosen in the claim, and completes
//! the claim in the commit of its result; every other request with the key gets that result.

use std::fmt;

use guiche_kernel::{StoreError, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{PaymentHash, TicketId};

/// A client's name for one attempt: 1 to 255 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// The key is empty, longer than 255 characters, or has control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 255 characters and no control characters")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// A key as the client sent it, quotes already removed.
    ///
    /// # Errors
    /// [`IdempotencyKeyError`] when it is empty, too long, or has control characters.
    pub fn parse(text: impl Into<String>) -> Result<Self, IdempotencyKeyError> {
        let text = text.into();
        let fits = !text.is_empty() && text.chars().count() <= 255 && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(IdempotencyKeyError) }
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a key is a key for; the same key may be used once for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// Opening a ticket.
    OpenTicket,
    /// Issuing a fresh invoice for the ticket.
    IssueInvoice(TicketId),
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenTicket => f.write_str("tickets.open"),
            Self::IssueInvoice(ticket) => write!(f, "tickets.issue_invoice:{ticket}"),
        }
    }
}

/// The SHA-256 of a request's canonical form: the parsed body with sorted keys, so that white space and the order of
/// members do not matter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a parsed request.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for values that JSON cannot hold (maps with keys that are no strings).
    pub fn of(request: &impl Serialize) -> Result<Self, StoreError> {
        let mut hasher = Sha256::new();
        let value = serde_json::to_value(request).map_err(|refusal| StoreError::Corrupt(refusal.into()))?;
        canonical(&value, &mut hasher);
        Ok(Self(hasher.finalize().into()))
    }

    /// Wraps a stored fingerprint.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A hash of a CPF can be reversed by trying them all, so it prints no more than a secret does.
        f.write_str("Fingerprint(…)")
    }
}

/// Feeds a value to the hash with sorted members; every part carries its length, so no two values collide by shape.
fn canonical(value: &serde_json::Value, hasher: &mut Sha256) {
    match value {
        serde_json::Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            hasher.update(format!("{{{}:", names.len()));
            for name in names {
                hasher.update(format!("{}:{name}", name.len()));
                canonical(members.get(name).unwrap_or(&serde_json::Value::Null), hasher);
            }
        }
        serde_json::Value::Array(items) => {
            hasher.update(format!("[{}:", items.len()));
            items.iter().for_each(|item| canonical(item, hasher));
        }
        serde_json::Value::String(text) => hasher.update(format!("s{}:{text}", text.len())),
        scalar @ (serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => {
            hasher.update(format!("{scalar};"));
        }
    }
}

/// A request to be the one who does the work of a key.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// What the key is for.
    pub route: Route,
    /// The client's key.
    pub key: IdempotencyKey,
    /// What is asked for; another fingerprint under the same key is refused while the claim is held or completed.
    pub fingerprint: Fingerprint,
    /// The id to use if this claim is the first.
    pub subject: Uuid,
    /// The present moment.
    pub now: Timestamp,
    /// Until when nobody else may take the claim over.
    pub claimed_until: Timestamp,
    /// A lapsed claim whose `requested_at` is before this starts anew with this request's `subject` and `now`: an
    /// invoice asked for so long ago would be nearly run out, and nobody has seen it.
    pub renew_before: Timestamp,
}

/// The right to do the work of a key, and the names under which to do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What the key is for.
    pub route: Route,
    /// The client's key.
    pub key: IdempotencyKey,
    /// The id chosen by the first claim: the ticket's for an opening, the invoice's key for a fresh invoice.
    pub subject: Uuid,
    /// When the subject was chosen. The provider is asked with this moment, so that asking again gives the same bytes.
    pub requested_at: Timestamp,
    /// Until when nobody else may take it over, as stored. Every takeover moves it on, so it tells one holder from the
    /// next, who works under the same subject.
    pub claimed_until: Timestamp,
}

/// What became of a [`ClaimRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The caller does the work now.
    Mine(Claim),
    /// Somebody else is at it.
    Busy,
    /// The key was used for another request.
    Mismatch,
    /// The work was done: the ticket, and the invoice that was issued then.
    Done {
        /// The ticket that was opened, or given a fresh invoice.
        ticket_id: TicketId,
        /// The invoice that was issued.
        payment_hash: PaymentHash,
    },
}

/// How to give a claim back without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// A refusal: nothing happened, the key is free for anything.
    Forget,
    /// The outcome at the provider is unknown: the next one goes on under the same subject.
    Lapse,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_members_does_not_change_a_fingerprint_and_their_values_do() {
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let one = Fingerprint::of(&parse(r#"{"a": 1, "b": {"c": "x", "d": [1, 2]}}"#)).unwrap();
        assert!(one == Fingerprint::of(&parse(r#"{"b":{"d":[1,2],"c":"x"},"a":1}"#)).unwrap());
        assert!(one != Fingerprint::of(&parse(r#"{"b":{"d":[2,1],"c":"x"},"a":1}"#)).unwrap());
    }

    #[test]
    fn shapes_do_not_collide() {
        let all =
            [json!(["ab"]), json!(["a", "b"]), json!({"a": "b"}), json!("ab"), json!([["ab"]]), json!(null)];
        for (i, left) in all.iter().enumerate() {
            for right in all.iter().skip(i + 1) {
                assert!(Fingerprint::of(left).unwrap() != Fingerprint::of(right).unwrap(), "{left} {right}");
            }
        }
    }

    #[test]
    fn keys_have_bounds() {
        assert!(IdempotencyKey::parse("é".repeat(255)).is_ok());
        assert!(IdempotencyKey::parse("x".repeat(256)).is_err());
        assert!(IdempotencyKey::parse("").is_err());
        assert!(IdempotencyKey::parse("a\nb").is_err());
    }
}
