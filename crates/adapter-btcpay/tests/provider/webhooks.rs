//! What a store tells us, as the wire has it.

use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use guiche_adapter_btcpay::fake::Delivering;
use guiche_adapter_btcpay::webhook::{Delivery, DeliveryRefusal, EventKind, SIGNATURE_HEADER, open};
use guiche_lightning_setup::{StoreHost as _, WebhookSecret};
use guiche_outbound::fake::{Asked, FakeServer, HangUp, Play, Reply};
use serde_json::{Value, json};

use crate::support::world;

/// A signature, and the body that it is of.
type Came = (String, Vec<u8>);

/// Our side: keeps what came.
#[derive(Clone, Default)]
struct Hook(Arc<Mutex<Vec<Came>>>);

#[async_trait]
impl Play for Hook {
    const OPERATIONS: &'static [&'static str] = &["deliver"];

    fn operation(&self, asked: &Asked) -> Option<&'static str> {
        (asked.method() == "POST").then_some("deliver")
    }

    fn admit(&self, _: &'static str, _: &Asked) -> Result<(), Reply> {
        Ok(())
    }

    async fn perform(&self, _: &'static str, asked: &Asked) -> Result<Reply, HangUp> {
        let signature = asked.header(SIGNATURE_HEADER).unwrap_or_default().to_owned();
        self.0.lock().unwrap().push((signature, asked.body().to_vec()));
        Ok(Reply::empty(204))
    }

    fn trouble(&self, _: &'static str, _: &Asked, status: u16, _: Option<&str>) -> Reply {
        Reply::empty(status)
    }

    async fn control(&self, _: &str, _: &str, _: &Value) -> Option<io::Result<Value>> {
        None
    }

    fn ledger(&self) -> Value {
        json!({})
    }
}

#[tokio::test]
async fn a_delivery_is_opened_with_our_secret_and_with_no_other() {
    let hook = Hook::default();
    let ours = FakeServer::start(None, hook.clone()).await.unwrap();
    let world = world().await;
    let store = world.connected(1).await;
    let secret = WebhookSecret::from_text("a-secret-of-our-own".into());
    world.btcpay.register_webhook(&store, &format!("{}/hook", ours.url()), &secret).await.unwrap();
    let invoice = world.issue(&store).await.unwrap().id;
    let told = |kind: &str, original: Option<&String>| Delivering {
        invoice: invoice.clone(),
        kind: kind.to_owned(),
        original: original.cloned(),
    };
    let play = world.fake.play();
    let first = play.deliver(&told("InvoiceSettled", None)).await.unwrap();
    assert_eq!(first[0].status, Some(204));
    let second = play.deliver(&told("InvoiceSettled", Some(&first[0].delivery_id))).await.unwrap();
    assert!(play.deliver(&told("InvoiceCreated", None)).await.unwrap().is_empty(), "nobody asked for it");
    for kind in ["InvoiceExpired", "InvoiceReceivedPayment", "InvoicePaymentSettled"] {
        assert_eq!(play.deliver(&told(kind, None)).await.unwrap().len(), 1, "{kind}");
    }

    let came = hook.0.lock().unwrap().clone();
    let [(signature, body), (again, repeated), ..] = came.as_slice() else { panic!("{came:?}") };
    assert!(String::from_utf8_lossy(body).contains("\n  \""), "the real one indents, too");
    let expected = Delivery {
        delivery_id: first[0].delivery_id.clone(),
        original_delivery_id: first[0].delivery_id.clone(),
        kind: EventKind::InvoiceSettled,
        store_id: store,
        invoice_id: Some(invoice.clone()),
    };
    assert_eq!(open(&secret, signature, body).as_ref(), Ok(&expected));
    let expected = Delivery { delivery_id: second[0].delivery_id.clone(), ..expected };
    assert_eq!(open(&secret, again, repeated), Ok(expected));
    assert_eq!(open(&secret, signature, repeated), Err(DeliveryRefusal::Forged));
    let other = WebhookSecret::from_text("another".into());
    assert_eq!(open(&other, signature, body), Err(DeliveryRefusal::Forged));
}
