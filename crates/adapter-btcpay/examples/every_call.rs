//! Makes every call to a BTCPay Server, those that are refused too, through whatever stands at the first address; the fake
//! itself is at the second one. `.ci/providers` puts a validator there that knows the vendor's document.
//!
//! `cargo run --features fake --example every_call -- http://127.0.0.1:4010 http://127.0.0.1:8093`

use std::error::Error;
use std::sync::Arc;

use guiche_adapter_btcpay::fake::{BtcPayPlay, DEFAULT_KEY};
use guiche_adapter_btcpay::{BtcPay, BtcPaySettings};
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_lightning_setup::{
    HostError, Macaroon, NewAddressInvoice, NodeEndpoint, ReceiveGateway as _, ResourceName, SetupId,
    StoreHost as _, WebhookSecret,
};
use guiche_outbound::fake::{Play as _, local_client};
use guiche_outbound::{Loopback, Outside};
use serde_json::{Value, json};
use uuid::Uuid;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(fake)) = (arguments.next(), arguments.next()) else {
        return Err("usage: every_call ADDRESS ADDRESS-OF-THE-FAKE".into());
    };
    let btcpay = client(&url, DEFAULT_KEY)?;
    let store = set_up(&btcpay).await?;
    take_money(&btcpay, &store, &fake).await?;
    take_down(&btcpay, &store).await?;
    let refused = client(&url, "no-key")?.list_stores().await;
    expect(status(refused) == Some(401), "a wrong key is refused")?;
    let state: Value = local_client()?.get(format!("{fake}/_fake/state")).send().await?.json().await?;
    for operation in BtcPayPlay::OPERATIONS {
        expect(state.pointer(&format!("/calls/{operation}")).is_some(), operation)?;
    }
    Ok(())
}

const HOOK: &str = "https://pay.example.org/hook";

async fn set_up(btcpay: &BtcPay) -> Outcome<String> {
    let name = ResourceName::of(SetupId::new(Uuid::from_u128(1)), 1);
    let store = btcpay.create_store(&name).await?;
    expect(btcpay.find_stores(&name).await? == [store.clone()], "the store is found")?;
    expect(btcpay.list_stores().await?.len() == 1, "the store is listed")?;
    expect(btcpay.store_exists(&store).await?, "the store exists")?;
    expect(!btcpay.reaches_node(&store).await?, "the store has no node")?;
    let endpoint = NodeEndpoint("node-1.u.voltageapp.io".to_owned());
    btcpay.connect_node(&store, &endpoint, &Macaroon::from_hex(&"0201036c6e64".into())?).await?;
    expect(btcpay.reaches_node(&store).await?, "the store has a node")?;
    let webhook = btcpay.register_webhook(&store, HOOK, &WebhookSecret::from_text("secret".into())).await?;
    expect(btcpay.find_webhooks(&store, HOOK).await? == [webhook], "the webhook is found")?;
    Ok(store)
}

async fn take_money(btcpay: &BtcPay, store: &str, fake: &str) -> Outcome {
    let metadata = r#"[["text/plain","Guichê"]]"#.to_owned();
    let issue = async |expiry_secs| {
        btcpay
            .issue(store, &NewAddressInvoice { amount_msat: 21_000, metadata: metadata.clone(), expiry_secs })
            .await
    };
    let issued = issue(600).await?;
    expect(btcpay.invoice(store, &issued.id).await? == Some(issued.clone()), "the invoice is unpaid")?;
    control(fake, "pay", &json!({ "invoice": issued.id })).await?;
    let paid = btcpay.invoice(store, &issued.id).await?.and_then(|invoice| invoice.preimage);
    expect(paid.is_some(), "the invoice is paid")?;
    expect(btcpay.receivable_sats(store).await?.is_none(), "nobody asks that node")?;
    control(fake, "receivable", &json!({ "store": store, "sats": 50_000 })).await?;
    expect(btcpay.receivable_sats(store).await? == Some(50_000), "the node could receive")?;
    // What is refused: an invoice that nobody issued, one that cannot be, and any of a node that is out of reach.
    expect(btcpay.invoice(store, "00").await?.is_none(), "the invoice is unknown")?;
    expect(status(issue(0).await) == Some(422), "no time is no expiry")?;
    control(fake, "store", &json!({ "store": store, "reaches": false })).await?;
    expect(!btcpay.reaches_node(store).await?, "the node is out of reach")?;
    expect(status(issue(600).await) == Some(503), "nor does it issue")
}

async fn take_down(btcpay: &BtcPay, store: &str) -> Outcome {
    for webhook in btcpay.find_webhooks(store, HOOK).await? {
        btcpay.delete_webhook(store, &webhook).await?;
        btcpay.delete_webhook(store, &webhook).await?;
    }
    for _ in 0..2 {
        btcpay.disconnect_node(store).await?;
        btcpay.delete_store(store).await?;
    }
    expect(!btcpay.store_exists(store).await?, "the store is gone")
}

fn client(url: &str, key: &str) -> Outcome<Arc<BtcPay>> {
    let settings = BtcPaySettings::new(url.parse()?, Loopback::PlainAllowed, vec![key.into()]);
    let clock = Arc::new(ManualClock::default());
    let randomness = Arc::new(SeededRandomness::new(1));
    Ok(BtcPay::try_new(settings, Outside { clock: clock.clone(), timer: clock, randomness })?)
}

async fn control(fake: &str, path: &str, body: &Value) -> Outcome {
    local_client()?.post(format!("{fake}/_fake/{path}")).json(body).send().await?.error_for_status()?;
    Ok(())
}

fn status<T>(outcome: Result<T, HostError>) -> Option<u16> {
    outcome.err().and_then(|error| error.fault.status)
}

fn expect(is_so: bool, what: &str) -> Outcome {
    if is_so { Ok(()) } else { Err(format!("not so: {what}").into()) }
}
