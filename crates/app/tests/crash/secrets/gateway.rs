//! The Lightning provider on the live adapter: it refuses keys, fails, talks nonsense, and repeats in every error the
//! `Authorization` that it was shown.

use std::sync::Arc;

use guiche_adapter_spark::fake::{FakeSettings, FakeSpark, Fault, Operation};
use guiche_app::system::SystemClock;
use guiche_kernel::Clock as _;
use guiche_webhooks::{SigningSecret, sign};
use serde_json::{Value, json};

use super::canaries::Canaries;
use super::citizens::open;
use crate::office::{Call, Citizen, Office};
use crate::process::World;
use crate::support::any;

const CPF: &str = "529.982.247-25";

/// A gateway that takes the second of the world's keys.
pub(super) struct Gateway {
    pub(super) fake: FakeSpark,
    taken: String,
    pushes: SigningSecret,
}

impl Gateway {
    pub(super) async fn start(world: &mut World, canaries: &mut Canaries) -> Self {
        let refused = format!("canary-of-a-refused-key-{:016x}", any());
        let taken = format!("canary-of-the-gateway-key-{:016x}", any());
        let keys = vec![taken.clone()];
        let settings = FakeSettings { keys, ..FakeSettings::default() };
        let fake = FakeSpark::start(settings, Arc::new(SystemClock)).await.unwrap();
        let pushes = format!("whsec_{}", super::in_base64(canaries, "the secret of the pushes"));
        world.set("SPARK_MODE", "live");
        world.set("SPARK_API_URL", &fake.url());
        world.set("SPARK_API_KEY", &format!("{refused},{taken}"));
        world.set("LIGHTNING_NETWORK", "regtest");
        world.set("WEBHOOK_SECRET_SPARK", &pushes);
        canaries.add("a key that the gateway refuses", refused);
        canaries.add("the gateway's key", &taken);
        canaries.add("a CPF that no invoice was made for", CPF);
        Self { fake, taken, pushes: SigningSecret::parse(&pushes.into()).unwrap() }
    }

    /// Every way in which the provider can answer otherwise than well.
    pub(super) async fn troubles(&self, office: &Office, citizen: &Citizen) {
        let answer = |status, code: Option<&str>| Fault::Answer { status, code: code.map(str::to_owned) };
        let told = json!({"invoice_id": self.taken, "bolt11": self.taken, "payment_hash": self.taken, "expires_at": self.taken});
        for (fault, times, status) in [
            (answer(400, Some("invalid_request")), 1, 502),
            // A code that is the key itself.
            (answer(400, Some(self.taken.as_str())), 1, 502),
            (answer(403, None), 1, 502),
            (answer(502, Some("spark_refused")), 1, 502),
            (Fault::Garbage, 1, 502),
            (Fault::Instead { document: told }, 1, 502),
            (Fault::WrongAmount, 1, 502),
            (answer(503, Some("spark_unavailable")), 3, 503),
        ] {
            let shown = format!("{fault:?}");
            self.fake.fail(Operation::Issue, times, fault);
            let refused = office.tell(open(citizen, CPF, None)).await;
            assert_eq!(refused.status, status, "{shown}: {refused:?}");
            self.fake.heal();
        }
        // A 401 is no fault of the gateway's: the circuit stays closed.
        self.fake.take_keys(&["none-of-them"]);
        office.tell(open(citizen, CPF, None)).await.expect(503);
        self.fake.take_keys(&[&self.taken]);
        assert!(self.fake.seen().iter().any(|call| call.authorized), "it was shown the key");
    }

    /// A push that is believed, one again, and some that are not.
    pub(super) async fn pushes(&self, office: &Office, canaries: &mut Canaries) {
        let invoice = &self.fake.invoices()[0].id;
        let data = json!({"invoice_id": invoice});
        let body = json!({"type": "invoice.updated", "timestamp": "2026-01-01T12:00:00.000Z", "data": data});
        let good = self.push(&body, "one", &body, canaries);
        office.tell(good.clone()).await.expect(202);
        office.tell(good).await.expect(200);
        let other = json!({"type": "invoice.updated", "data": {"invoice_id": "canary-of-an-invoice"}});
        canaries.add("an invoice that a bad push names", "canary-of-an-invoice");
        office.tell(self.push(&other, "two", &body, canaries)).await.expect(401);
        let broken = json!({"type": ["canary-of-a-broken-push"]});
        canaries.add("a word of a broken push", "canary-of-a-broken-push");
        office.tell(self.push(&broken, "three", &broken, canaries)).await.expect(400);
    }

    /// A push of the one body that is signed for another.
    fn push(&self, body: &Value, id: &str, signed: &Value, canaries: &mut Canaries) -> Call<'static> {
        let headers = sign([&self.pushes], id, SystemClock.now(), signed.to_string().as_bytes());
        canaries.add("the signature of a push", headers.signature.trim_start_matches("v1,"));
        Call::post("/webhooks/spark")
            .header("webhook-id", headers.id)
            .header("webhook-timestamp", headers.timestamp)
            .header("webhook-signature", headers.signature)
            .json(body.clone())
    }
}
