//! Pushes of the Spark gateway on the wire.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What the gateway pushes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushBody {
    /// What happened; anything but `invoice.updated` is taken and not looked at.
    #[serde(rename = "type")]
    #[schema(required = true, value_type = String, example = "invoice.updated")]
    pub kind: Option<String>,
    /// When it happened, by the gateway's clock.
    #[schema(required = true, value_type = String, format = DateTime)]
    pub timestamp: Option<String>,
    /// With `invoice.updated`: `{"invoice_id": …}`, the gateway's name for the invoice.
    #[schema(required = true, value_type = Object)]
    pub data: Option<Map<String, Value>>,
}

/// The headers of a signed message (Standard Webhooks).
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what the signature's verification reads")]
pub struct PushHeaders {
    /// Names the message; the same when it is sent again. At most 255 characters.
    #[param(rename = "webhook-id", value_type = String, required = true)]
    id: String,
    /// When it was signed: seconds since 1970, at most five minutes ago.
    #[param(rename = "webhook-timestamp", value_type = String, required = true)]
    timestamp: String,
    /// `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`; several, separated by spaces, while a secret is replaced.
    #[param(rename = "webhook-signature", value_type = String, required = true)]
    signature: String,
}
