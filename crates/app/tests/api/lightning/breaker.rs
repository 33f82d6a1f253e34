//! A provider that is not there: nobody waits for it twice, and nobody has to tell us when it is back.

use std::net::TcpListener;
use std::sync::Arc;

use guiche_adapter_btcpay::fake as btcpay;
use guiche_adapter_voltage::fake as voltage;
use guiche_app::system::SystemClock;
use serde_json::json;

use super::SETUP;
use super::failures::ask_and_work;
use crate::support::World;

/// The longest time for which a circuit stays open, in seconds.
const LONGEST_PAUSE: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_refuses_connections_is_left_alone_until_it_is_back() {
    let world = World::new().await;
    // Somebody had this address, and is gone: connections are refused.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}");
    let stores = btcpay::start(btcpay::FakeSettings::default(), world.clock.clone()).await.unwrap();
    let node_url = format!("{url}/lnd/{{api_endpoint}}");
    let settings = [
        ("VOLTAGE_API_URL", &*url),
        ("VOLTAGE_API_KEY", voltage::DEFAULT_KEY),
        ("VOLTAGE_LND_URL", &*node_url),
        ("BTCPAY_URL", &*stores.url()),
        ("BTCPAY_API_KEY", btcpay::DEFAULT_KEY),
    ];
    let app = world.serve_with(&settings, Arc::new(SystemClock)).await;
    let circuit = async || app.get("/readyz").send().await.value()["checks"]["node_host"]["circuit"].clone();
    assert_eq!(circuit().await, "closed");

    let ana = app.user().await;
    let answer = ask_and_work(&app, &ana, SETUP).await;
    assert_eq!(answer.problem(503, "setup_provider_unavailable")["can_retry"], true);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(
        circuit().await,
        "open",
        "as many tries as the saga has are as many failures as the breaker allows"
    );

    // It is back. While the circuit is open it is not even asked.
    let settings = voltage::FakeSettings { listen: Some(address), ..voltage::FakeSettings::default() };
    let nodes = voltage::start(settings, world.clock.clone()).await.unwrap();
    app.post(&format!("{SETUP}/retry")).token(&ana.token).header("prefer", "wait=0").send().await.json(202);
    app.work_off().await;
    assert_eq!(app.standing(&ana).await["status"], "in_progress");
    assert_eq!((nodes.calls("create_node"), circuit().await), (0, json!("open")));

    // One call finds out, by itself.
    app.world.advance(LONGEST_PAUSE);
    let done = app.work_to_the_end(&ana).await;
    assert_eq!(done["status"], "fully_configured", "{done}");
    assert_eq!(circuit().await, "closed");
    assert_eq!((nodes.calls("create_node"), nodes.play().nodes().len()), (1, 1));
}
