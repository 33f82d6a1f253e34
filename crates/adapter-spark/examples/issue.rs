//! Prints invoices of the stub with their facts, one JSON object per line, for decoders in other languages (see
//! `tests/independent`). Arguments: amount in sats, description, seconds since 1970, lifetime in seconds; or none,
//! for a few of each.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_spark::{SparkStub, StubSettings};
use guiche_kernel::testing::ManualClock;
use guiche_kernel::{Sats, Timestamp};
use guiche_tickets::NewInvoice;
use secrecy::SecretBox;
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    // The secret of an example: nothing of value is ever under it.
    let settings =
        StubSettings { secret: SecretBox::new(Box::new([42; 32])), ledger: place.path().join("payments") };
    let stub = SparkStub::open(settings, Arc::new(ManualClock::default()))?;
    let mut output = std::io::stdout().lock();
    for (number, (sats, description, issued_at, lifetime)) in (1..).zip(cases()?) {
        let request = NewInvoice {
            key: Uuid::from_u128(number),
            amount: Sats::try_new(sats)?,
            description: description.clone(),
            requested_at: Timestamp::from_unix_timestamp(issued_at)?,
            lifetime: Duration::from_secs(lifetime),
        };
        let invoice = stub.provider_view().issue(request).await?;
        let facts = serde_json::json!({
            "bolt11": invoice.bolt11,
            "invoice_id": invoice.id.as_str(),
            "payment_hash": invoice.payment_hash.to_string(),
            "payee": stub.node_id(),
            "amount_msats": (sats * 1000).to_string(),
            "description": description,
            "issued_at": issued_at,
            "lifetime_s": lifetime,
        });
        writeln!(output, "{facts}")?;
    }
    Ok(())
}

/// Amount in sats, description, seconds since 1970, lifetime in seconds.
type Case = (u64, String, i64, u64);

fn cases() -> Result<Vec<Case>, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [sats, description, issued_at, lifetime] = arguments.as_slice() {
        return Ok(vec![(sats.parse()?, description.clone(), issued_at.parse()?, lifetime.parse()?)]);
    }
    let text = |text: &str| text.to_owned();
    Ok(vec![
        (50_000, text("Guichê: renovação da carteira de motorista"), 1_767_268_800, 900),
        (1, text("x"), 0, 1),
        (123_456_789, text("Grüße 🎫"), 1_800_000_000, 3600),
        (100_000_000, "ê".repeat(319), 4_000_000_000, 365 * 24 * 60 * 60),
    ])
}
