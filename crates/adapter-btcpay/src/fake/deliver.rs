//! Webhooks, sent on demand: signed over an indented body, as the real ones are.

use std::io;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;

use super::state::{Store, Webhook};
use super::{BtcPayPlay, not_found};

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivering {
    /// Of which invoice.
    pub invoice: String,
    /// What happened to it: `InvoiceSettled` and so on. Only webhooks that asked for it are told.
    #[serde(rename = "type")]
    pub kind: String,
    /// The delivery that this one repeats.
    #[serde(default)]
    pub original: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// Which webhook.
    pub webhook: String,
    /// The delivery's id.
    pub delivery_id: String,
    /// What was answered; `None` when nothing was.
    pub status: Option<u16>,
}

impl BtcPayPlay {
    /// Tells every webhook of the invoice's store.
    ///
    /// # Errors
    /// When the invoice is unknown, or the ledger cannot be written.
    pub async fn deliver(&self, delivering: &Delivering) -> io::Result<Vec<Delivered>> {
        let of = |store: &Store| store.invoices.iter().any(|invoice| invoice.id == delivering.invoice);
        let store = self.stores().into_iter().find(of).ok_or_else(|| not_found("no such invoice"))?;
        let told =
            |webhook: &&Webhook| webhook.events.is_empty() || webhook.events.contains(&delivering.kind);
        let mut delivered = Vec::new();
        for webhook in store.webhooks.iter().filter(told) {
            let delivery_id = self.world.change(|world| world.next_id("delivery"))?;
            let body = self.body(&store, webhook, delivering, &delivery_id)?;
            let status = self.post(webhook, body).await;
            delivered.push(Delivered { webhook: webhook.id.clone(), delivery_id, status });
        }
        Ok(delivered)
    }

    fn body(
        &self,
        store: &Store,
        webhook: &Webhook,
        delivering: &Delivering,
        delivery_id: &str,
    ) -> io::Result<String> {
        let original = delivering.original.as_deref();
        let document = json!({
            "manuallyMarked": false,
            "overPaid": false,
            "deliveryId": delivery_id,
            "webhookId": webhook.id,
            "originalDeliveryId": original.unwrap_or(delivery_id),
            "isRedelivery": original.is_some(),
            "type": delivering.kind,
            "timestamp": self.clock.now().unix_timestamp(),
            "storeId": store.id,
            "invoiceId": delivering.invoice,
            "metadata": {},
        });
        Ok(serde_json::to_string_pretty(&document)?)
    }

    async fn post(&self, webhook: &Webhook, body: String) -> Option<u16> {
        let signature = sign(&webhook.secret, body.as_bytes())?;
        let call = self.http.post(&webhook.url).header("content-type", "application/json");
        let answer = call.header("BTCPay-Sig", signature).body(body).send().await.ok()?;
        Some(answer.status().as_u16())
    }
}

fn sign(secret: &str, body: &[u8]) -> Option<String> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?.chain_update(body);
    Some(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}
