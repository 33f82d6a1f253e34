//! Invoices of a store's node.

use async_trait::async_trait;
use guiche_kernel::Timestamp;
use guiche_lightning_setup::{HostError, HostInvoice, NewAddressInvoice, ReceiveGateway};
use guiche_outbound::{Answer, Call, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{BtcPay, garbled, has_code, is_id, store_failed};

#[derive(Deserialize)]
struct Balance {
    #[serde(default)]
    offchain: Option<OffChain>,
}

#[derive(Deserialize)]
struct OffChain {
    /// What is on the other side of active channels, in millisatoshis, as a text.
    #[serde(default)]
    remote: Option<String>,
}

/// Twice of what BOLT11 readers in use accept, in bytes.
const LONGEST_BOLT11: usize = 8 * 1024;

#[derive(Deserialize)]
struct Invoice {
    id: String,
    status: String,
    #[serde(rename = "BOLT11")]
    bolt11: String,
    #[serde(rename = "paidAt", default)]
    paid_at: Value,
    #[serde(default)]
    preimage: Value,
}

impl BtcPay {
    fn understand(&self, answer: &Answer) -> Result<HostInvoice, HostError> {
        let Invoice { id, status, bolt11, paid_at, preimage } =
            answer.json().map_err(|error| store_failed(&error))?;
        let fits = is_id(&id)
            && (1..=LONGEST_BOLT11).contains(&bolt11.len())
            && bolt11.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !fits {
            return Err(garbled(answer));
        }
        // The node knows the preimage from the beginning; before the payment it is nobody else's.
        let is_paid = status == "Paid";
        let paid_at = is_paid.then(|| moment(&paid_at, self.clock.now()));
        let preimage = preimage.as_str().filter(|_| is_paid).and_then(hash);
        Ok(HostInvoice { id, bolt11, paid_at, preimage })
    }
}

#[async_trait]
impl ReceiveGateway for BtcPay {
    async fn issue(&self, store: &str, new: &NewAddressInvoice) -> Result<HostInvoice, HostError> {
        let path = ["api", "v1", "stores", store, "lightning", "BTC", "invoices"];
        let call = Call::post("issue", &path).refused_by(StatusCode::SERVICE_UNAVAILABLE).json(json!({
            // Millisatoshis, as a text.
            "amount": new.amount_msat.to_string(),
            "description": new.metadata,
            "descriptionHashOnly": true,
            "expiry": new.expiry_secs,
            // A young node has private channels only: without hints nobody finds the way.
            "privateRouteHints": true,
        }));
        self.understand(&self.call(call).await?)
    }

    async fn receivable_sats(&self, store: &str) -> Result<Option<u64>, HostError> {
        let path = ["api", "v1", "stores", store, "lightning", "BTC", "balance"];
        let call = Call::get("receivable_sats", &path).refused_by(StatusCode::SERVICE_UNAVAILABLE);
        let answer = match self.send(&call).await {
            Ok(answer) => answer,
            // The server says so too where the macaroon may not look into the node's channels.
            Err(error) if has_code(&error, 503, "lightning-node-unavailable") => return Ok(None),
            Err(error) => return Err(store_failed(&error)),
        };
        let Balance { offchain } = answer.json().map_err(|error| store_failed(&error))?;
        let Some(remote) = offchain.and_then(|offchain| offchain.remote) else { return Ok(None) };
        let millisats: u64 = remote.parse().map_err(|_| garbled(&answer))?;
        Ok(Some(millisats / 1000))
    }

    async fn invoice(&self, store: &str, id: &str) -> Result<Option<HostInvoice>, HostError> {
        // What no path can hold was never issued.
        if !is_id(id) {
            return Ok(None);
        }
        let path = ["api", "v1", "stores", store, "lightning", "BTC", "invoices", id];
        match self.send(&Call::get("invoice", &path)).await {
            Ok(answer) => {
                let invoice = self.understand(&answer)?;
                if invoice.id == id { Ok(Some(invoice)) } else { Err(garbled(&answer)) }
            }
            Err(error) if has_code(&error, 404, "invoice-not-found") => Ok(None),
            Err(error) => Err(store_failed(&error)),
        }
    }
}

/// When it was paid. A moment that is absent, cannot be read or lies ahead is now: an oddity beside it must not lose a
/// payment.
fn moment(paid_at: &Value, now: Timestamp) -> Timestamp {
    let told = paid_at.as_i64().and_then(|seconds| Timestamp::from_unix_timestamp(seconds).ok());
    let plausible = told.filter(|told| *told <= now && told.unix_timestamp() > 0);
    if plausible.is_none() {
        tracing::warn!(
            provider = BtcPay::PROVIDER,
            "a payment's moment cannot be true; it counts from when it is seen"
        );
    }
    plausible.unwrap_or(now)
}

/// 32 bytes in hex, lowered.
fn hash(text: &str) -> Option<String> {
    let bytes: [u8; 32] = hex::decode(text).ok()?.try_into().ok()?;
    Some(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_moment_that_cannot_be_true_is_now() {
        let now = datetime!(2026-01-01 12:00 UTC);
        let before = now - time::Duration::HOUR;
        assert_eq!(moment(&json!(before.unix_timestamp()), now), before);
        for odd in
            [json!(null), json!("soon"), json!(0), json!(-5), json!(now.unix_timestamp() + 1), json!(1e300)]
        {
            assert_eq!(moment(&odd, now), now, "{odd}");
        }
    }

    #[test]
    fn a_preimage_is_32_bytes() {
        assert_eq!(hash(&"AB".repeat(32)), Some("ab".repeat(32)));
        for none in ["", "ab", &"zz".repeat(32), &"ab".repeat(33)] {
            assert_eq!(hash(none), None, "{none}");
        }
    }
}
