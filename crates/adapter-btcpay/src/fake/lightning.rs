//! A store's node, and its invoices.

use std::time::Duration;

use guiche_kernel::Timestamp;
use guiche_outbound::fake::{Asked, Reply};
use serde::Deserialize;
use serde_json::{Value, json};

use super::BtcPayPlay;
use super::bolt11::{self, Wanted};
use super::routes::{invalid, missing_permission, no};
use super::state::{Connection, Invoice, Store, digest};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewInvoice {
    amount: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    description_hash_only: bool,
    expiry: u64,
}

fn unavailable() -> Reply {
    no(503, "lightning-node-unavailable", "The lightning node is unavailable")
}

impl BtcPayPlay {
    /// The store that a call is about, if it reaches its node.
    async fn reached(&self, asked: &Asked) -> Result<Store, Reply> {
        let segments = asked.segments();
        let id = segments.get(3).copied().unwrap_or_default();
        let store = self.store(id).ok_or_else(missing_permission)?;
        let Some(connection) = &store.connection else {
            return Err(no(404, "lightning-not-configured", "The lightning node is not set up"));
        };
        let reaches = match store.reaches {
            Some(reaches) => reaches,
            None => self.finds(connection).await,
        };
        if reaches { Ok(store) } else { Err(unavailable()) }
    }

    /// Asks the node itself, where it is on this machine.
    async fn finds(&self, connection: &Connection) -> bool {
        !connection.server.starts_with("http://") || self.asks(connection, "/v1/getinfo").await.is_some()
    }

    /// How much the other sides of the node's channels have, in millisatoshis: what was said beforehand, or what a node on
    /// this machine says. Like the real server it asks for all balances, and tells none where the macaroon may not see one.
    async fn remote_msat(&self, store: &Store) -> Option<u64> {
        if let Some(sats) = store.receivable_sats {
            return Some(sats.saturating_mul(1000));
        }
        let connection = store.connection.as_ref()?;
        self.asks(connection, "/v1/balance/blockchain").await?;
        let in_channels = self.asks(connection, "/v1/balance/channels").await?;
        in_channels.pointer("/remote_balance/msat")?.as_str()?.parse().ok()
    }

    /// What the node answers, where it is on this machine.
    async fn asks(&self, Connection { server, macaroon }: &Connection, path: &str) -> Option<Value> {
        if !server.starts_with("http://") {
            return None;
        }
        let call = self.http.get(format!("{}{path}", server.trim_end_matches('/')));
        let answer = call.header("grpc-metadata-macaroon", macaroon).send().await.ok()?;
        serde_json::from_slice(&answer.error_for_status().ok()?.bytes().await.ok()?).ok()
    }

    pub(super) async fn play_info(&self, asked: &Asked) -> Reply {
        match self.reached(asked).await {
            Err(refusal) => refusal,
            Ok(store) => Reply::ok(&json!({
                "nodeURIs": [], "blockHeight": 800_000, "alias": store.name, "color": "#ef820d",
                "version": "0.18.5-beta", "peersCount": 1, "activeChannelsCount": 0,
                "inactiveChannelsCount": 0, "pendingChannelsCount": 0,
            })),
        }
    }

    pub(super) async fn play_balance(&self, asked: &Asked) -> Reply {
        let store = match self.reached(asked).await {
            Err(refusal) => return refusal,
            Ok(store) => store,
        };
        let Some(remote) = self.remote_msat(&store).await else { return unavailable() };
        Reply::ok(&json!({
            "onchain": { "confirmed": "0", "unconfirmed": "0", "reserved": "0" },
            "offchain": { "opening": "0", "local": "0", "remote": remote.to_string(), "closing": "0" },
        }))
    }

    pub(super) async fn play_issue(&self, asked: &Asked) -> Reply {
        let store = match self.reached(asked).await {
            Err(refusal) => return refusal,
            Ok(store) => store.id,
        };
        let Some(wanted) = asked.json::<NewInvoice>() else { return invalid("Amount", "Invalid request") };
        let now = self.clock.now();
        let issued = self.world.change(|world| {
            let number = world.next_id("invoice");
            let invoice = make(&wanted, &number, now)?;
            let document = told(&invoice, now);
            if let Some(store) = world.find(&store) {
                store.invoices.push(invoice);
            }
            Ok(document)
        });
        match issued {
            Ok(Ok(document)) => Reply::ok(&document),
            Ok(Err(refusal)) => refusal,
            Err(_) => Reply::text(500, "the ledger cannot be written"),
        }
    }

    pub(super) fn play_invoice(&self, asked: &Asked) -> Reply {
        let segments = asked.segments();
        let (store, id) = (segments.get(3).copied(), segments.get(7).copied());
        let Some(store) = store.and_then(|id| self.store(id)) else {
            return missing_permission();
        };
        let invoice = store.invoices.iter().find(|invoice| Some(invoice.id.as_str()) == id);
        invoice.map_or_else(
            || no(404, "invoice-not-found", "The invoice was not found"),
            |invoice| Reply::ok(&told(invoice, self.clock.now())),
        )
    }
}

fn make(wanted: &NewInvoice, number: &str, now: Timestamp) -> Result<Invoice, Reply> {
    let amount_msat =
        wanted.amount.parse().map_err(|_| invalid("Amount", "Amount should be more or equal to 0"))?;
    if wanted.expiry == 0 {
        return Err(invalid("Expiry", "Expiry should be more than 0"));
    }
    if wanted.description_hash_only && wanted.description.is_none() {
        return Err(invalid("DescriptionHashOnly", "Description is required"));
    }
    let preimage = digest("preimage", number);
    let refused = |_| no(400, "generic-error", "The node refuses");
    let issued = bolt11::sign(&Wanted {
        amount_msat,
        description: wanted.description.as_deref().unwrap_or_default(),
        is_hashed: wanted.description_hash_only,
        preimage,
        issued_at: u64::try_from(now.unix_timestamp()).map_err(refused)?,
        expiry_seconds: wanted.expiry,
    });
    let Some((bolt11, payment_hash)) = issued else {
        return Err(no(400, "generic-error", "The node refuses"));
    };
    Ok(Invoice {
        id: payment_hash,
        bolt11,
        amount_msat,
        preimage: hex::encode(preimage),
        expires_at: now + Duration::from_secs(wanted.expiry),
        paid_at: None,
    })
}

fn told(invoice: &Invoice, now: Timestamp) -> Value {
    let status = match invoice.paid_at {
        Some(_) => "Paid",
        None if now > invoice.expires_at => "Expired",
        None => "Unpaid",
    };
    let is_paid = invoice.paid_at.is_some();
    json!({
        "id": invoice.id,
        "status": status,
        "BOLT11": invoice.bolt11,
        "paidAt": invoice.paid_at.map(Timestamp::unix_timestamp),
        "expiresAt": invoice.expires_at.unix_timestamp(),
        "amount": invoice.amount_msat.to_string(),
        "amountReceived": is_paid.then(|| invoice.amount_msat.to_string()),
        "paymentHash": invoice.id,
        "preimage": is_paid.then_some(&invoice.preimage),
    })
}
