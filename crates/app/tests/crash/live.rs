//! Production on the live adapter: over TLS, against the gateway that is played, which then goes away.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_spark::fake::{FakeSettings, FakeSpark, Fault, Operation};
use guiche_app::system::SystemClock;

use crate::cluster::Cluster;
use crate::office::{Call, Office};
use crate::process::{App, World};
use crate::support::eventually;

const KEY: &str = "canary-of-the-gateway-key";

/// A gateway with a certificate of its own, and a production that trusts it.
async fn production(cluster: &Cluster) -> (FakeSpark, World) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let tls = Some((made.cert.der().clone(), key));
    let settings = FakeSettings { keys: vec![KEY.to_owned()], tls, ..FakeSettings::default() };
    let fake = FakeSpark::start(settings, Arc::new(SystemClock)).await.unwrap();
    let mut world = cluster.migrated_world().await;
    let authority = world.path().join("authority.pem");
    fs::write(&authority, made.cert.pem()).unwrap();
    for (name, value) in [
        ("GUICHE_ENV", "production"),
        ("JWT_SECRET_KEY", "kJ8s7hQ2mZp4Xv9tRb3nLw6yCf1gDa5e"),
        ("BCRYPT_COST", "12"),
        ("SPARK_MODE", "live"),
        ("SPARK_API_URL", &fake.url()),
        ("SPARK_API_KEY", &format!("canary-of-a-key-to-come,{KEY}")),
        ("LIGHTNING_NETWORK", "regtest"),
        ("SSL_CERT_FILE", authority.to_str().unwrap()),
    ] {
        world.set(name, value);
    }
    (fake, world)
}

async fn metrics(app: &App) -> String {
    Office::at(&app.metrics).tell(Call::get("/metrics")).await.expect(200).body
}

async fn payments(office: &Office) -> serde_json::Value {
    office.tell(Call::get("/readyz")).await.expect(200).json()["checks"]["payments"].clone()
}

#[tokio::test]
async fn production_takes_money_through_the_gateway_and_says_when_it_is_away() {
    let cluster = Cluster::new().await;
    let (fake, world) = production(&cluster).await;
    let app = world.ready().await;
    let (office, citizen) = (app.office(), app.office().register("ana").await);

    let opened = office.tell(Call::open(&citizen, Some("once"))).await.expect(201);
    let (ticket, hash) = (opened.text("ticket_id"), opened.text("payment_hash"));
    assert_eq!(office.tell(Call::open(&citizen, Some("once"))).await.expect(201).body, opened.body);
    assert_eq!(fake.invoices().len(), 1);
    assert_eq!(fake.invoices()[0].bolt11, opened.text("ln_invoice"));
    office.tell(Call::pay(&hash)).await.expect(404);
    for _ in 0..4 {
        let confirmed = office.tell(Call::to(&citizen, &ticket, "confirm-payment")).await.expect(200);
        assert_eq!(confirmed.text("status"), "pending", "no look ever pays");
    }
    fake.pay(&hash, None).unwrap();
    let confirmed = office.tell(Call::to(&citizen, &ticket, "confirm-payment")).await.expect(200);
    assert_eq!(confirmed.text("status"), "paid");
    let healthy = payments(&office).await;
    assert_eq!((&healthy["status"], &healthy["circuit"]), (&"ok".into(), &"closed".into()), "{healthy}");

    // An invoice for more than was asked for is the provider's mistake, and nobody sees it.
    fake.fail(Operation::Issue, 1, Fault::WrongAmount);
    let refused = office.tell(Call::open(&citizen, None)).await;
    assert!(refused.is_problem(502, "invoice_creation_failed"), "{refused:?}");

    fake.fail(Operation::Issue, 1000, Fault::HangUp);
    for _ in 0..3 {
        let refused = office.tell(Call::open(&citizen, None)).await;
        assert!(refused.is_problem(503, "payment_provider_unavailable"), "{refused:?}");
    }
    let calls = fake.calls(Operation::Issue);
    office.tell(Call::open(&citizen, None)).await.expect(503);
    assert_eq!(fake.calls(Operation::Issue), calls, "the circuit is open");
    let away = eventually("degraded", Duration::from_secs(10), async || {
        Some(payments(&office).await).filter(|payments| payments["status"] == "degraded")
    })
    .await;
    assert!(away["last_success_age_seconds"].is_number() && away["circuit"] == "open", "{away}");
    let counted = metrics(&app).await;
    for line in [
        "provider_circuit_state{provider=\"spark\"} 2",
        "provider_circuit_transitions_total{provider=\"spark\",to=\"open\"} 1",
    ] {
        assert!(counted.contains(line), "{line}: {counted}");
    }
    office.tell(Call::ticket(&citizen, &ticket)).await.expect(200);

    fake.heal();
    eventually("the circuit closes again", Duration::from_secs(30), async || {
        let opened = office.tell(Call::open(&citizen, None)).await;
        (opened.status == 201).then_some(())
    })
    .await;
    assert!(metrics(&app).await.contains("provider_circuit_state{provider=\"spark\"} 0"));
    let said = world.said();
    assert!(said.contains("going on with number 2 of SPARK_API_KEY"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test]
async fn a_gateway_that_nobody_vouches_for_is_not_spoken_to() {
    let cluster = Cluster::new().await;
    let (fake, mut world) = production(&cluster).await;
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let authority = world.path().join("stranger.pem");
    fs::write(&authority, stranger.cert.pem()).unwrap();
    world.set("SSL_CERT_FILE", authority.to_str().unwrap());
    let app = world.ready().await;
    let citizen = app.office().register("ana").await;
    let refused = app.office().tell(Call::open(&citizen, None)).await;
    assert!(refused.is_problem(503, "payment_provider_unavailable"), "{refused:?}");
    assert_eq!(fake.calls(Operation::Issue), 0);
    assert!(app.log().contains("its certificate is not trusted"), "{}", app.log());
}
