//! SIGHUP: keys are replaced while the service runs, without one refusal; and a file that is broken changes nothing.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_spark::fake::{FakeSettings, FakeSpark, Operation};
use guiche_app::system::SystemClock;
use serde_json::{Value, json};

use crate::hosts::{Host, Hosts};
use crate::office::{Answer, Call, Citizen, Office};
use crate::process::{App, World};
use crate::setups::{SETUP, played};
use crate::support::eventually;

const HEARD: Duration = Duration::from_secs(10);
const OLD: &str = "canary-of-the-old-key";
const NEW: &str = "canary-of-the-new-key";

async fn gateway(world: &mut World) -> FakeSpark {
    let settings = FakeSettings { keys: vec![OLD.to_owned()], ..FakeSettings::default() };
    let fake = FakeSpark::start(settings, Arc::new(SystemClock)).await.unwrap();
    world.set("SPARK_MODE", "live");
    world.set("SPARK_API_URL", &fake.url());
    world.set("LIGHTNING_NETWORK", "regtest");
    fake
}

/// Hangs up, and waits until the log says each of these once more.
async fn hang_up<const N: usize>(app: &App, said: [&str; N]) {
    let count = || said.map(|said| app.log().matches(said).count());
    let before = count();
    app.signal("HUP");
    let heard = || count().iter().zip(before).all(|(now, before)| *now > before);
    eventually(&said.join(" and "), HEARD, async || heard().then_some(())).await;
}

async fn open(office: &Office, citizen: &Citizen) -> u16 {
    office.tell(Call::open(citizen, None)).await.status
}

const READ: &str = "the keys of SPARK_API_KEY were read again";
const KEPT: &str = "the keys of SPARK_API_KEY were not read again, and stay as they are";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_replaced_without_a_restart() {
    let mut world = World::new();
    let fake = gateway(&mut world).await;
    let file = world.path().join("spark_api_key");
    fs::write(&file, OLD).unwrap();
    world.set("SPARK_API_KEY_FILE", file.to_str().unwrap());
    let mut app = world.ready().await;
    let (office, citizen) = (app.office(), app.office().register("ana").await);
    assert_eq!(open(&office, &citizen).await, 201);

    for broken in ["", "canary with a space", "one,,two"] {
        fs::write(&file, broken).unwrap();
        hang_up(&app, [KEPT]).await;
        assert_eq!(open(&office, &citizen).await, 201, "{broken:?} has replaced a key that works");
    }
    fs::remove_file(&file).unwrap();
    hang_up(&app, [KEPT]).await;
    assert_eq!(open(&office, &citizen).await, 201);

    fs::write(&file, format!("{NEW},{OLD}\n")).unwrap();
    hang_up(&app, [READ]).await;
    fake.take_keys(&[NEW]);
    let refused = || fake.seen().iter().filter(|call| !call.authorized).count();
    assert_eq!(open(&office, &citizen).await, 201);
    assert_eq!(refused(), 0, "the new key is used first");
    // Without the signal, what stands in the file is nothing to the service.
    fs::write(&file, "canary-of-a-key-to-come").unwrap();
    assert_eq!(open(&office, &citizen).await, 201);
    fake.take_keys(&["canary-of-a-key-to-come"]);
    assert_eq!(open(&office, &citizen).await, 503);
    hang_up(&app, [READ]).await;
    assert_eq!(
        open(&office, &citizen).await,
        201,
        "the circuit is closed: a refused key is no failure of the provider's"
    );

    assert!(fake.calls(Operation::Issue) > 0 && app.is_running());
    let said = world.said();
    assert!(said.contains("the file of SPARK_API_KEY_FILE cannot be read: entity not found"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_stands_in_the_environment_stays() {
    let mut world = World::new();
    let fake = gateway(&mut world).await;
    world.set("SPARK_API_KEY", OLD);
    let mut app = world.ready().await;
    let citizen = app.office().register("ana").await;
    hang_up(&app, ["SIGHUP: no provider's keys stand in a file"]).await;
    assert_eq!(open(&app.office(), &citizen).await, 201);
    assert!(app.is_running() && fake.seen().iter().all(|call| call.authorized));
}

/// From now on a provider takes that key and no other.
async fn takes_only(host: &Host, key: &str, more: &Value) {
    let mut body = json!({ "keys": [key] });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let control = Office::at(host.url.trim_start_matches("http://"));
    control.tell(Call::post("/_fake/keys").json(body)).await.expect(200);
}

/// Has an address set up, and waits for its end.
async fn set_up(office: &Office, citizen: &Citizen, name: &str) -> Answer {
    let ask = Call::post(SETUP).by(citizen).json(json!({ "lightning_address": name }));
    office.tell(ask.header("prefer", "wait=25")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_who_runs_nodes_and_stores_are_replaced_each_by_itself() {
    let mut world = World::new();
    let hosts = Hosts::start(played);
    let files = ["VOLTAGE_API_KEY", "BTCPAY_API_KEY"].map(|setting| (setting, world.path().join(setting)));
    for (name, value) in hosts.settings() {
        let file = files.iter().find(|(setting, _)| *setting == name);
        let Some((_, file)) = file else {
            world.set(name, &value);
            continue;
        };
        fs::write(file, OLD).unwrap();
        world.set(&format!("{name}_FILE"), file.to_str().unwrap());
    }
    let [(_, nodes), (_, stores)] = files;
    let may = json!({ "permissions": ["btcpay.store.canmodifystoresettings"] });
    takes_only(&hosts.nodes, OLD, &json!({})).await;
    takes_only(&hosts.stores, OLD, &may).await;
    let app = world.ready().await;
    let office = app.office();
    let (ana, bob) = (office.register("ana").await, office.register("bob").await);
    set_up(&office, &ana, "swifteagle42").await.expect(201);

    takes_only(&hosts.nodes, NEW, &json!({})).await;
    takes_only(&hosts.stores, NEW, &may).await;
    set_up(&office, &bob, "calmotter7").await.expect(502);
    assert!(app.log().contains("node_host create_node: refused, HTTP 401"), "{}", app.log());
    // One that can be used, and one that cannot.
    fs::write(&nodes, format!("{NEW},{OLD}\n")).unwrap();
    fs::write(&stores, "").unwrap();
    let [read, kept] = [
        "the keys of VOLTAGE_API_KEY were read again",
        "the keys of BTCPAY_API_KEY were not read again, and stay as they are",
    ];
    hang_up(&app, [read, kept]).await;
    set_up(&office, &bob, "calmotter7").await.expect(502);
    assert!(app.log().contains("store_host create_store: refused, HTTP 401"), "{}", app.log());

    fs::write(&stores, NEW).unwrap();
    hang_up(&app, [read, "the keys of BTCPAY_API_KEY were read again"]).await;
    set_up(&office, &bob, "calmotter7").await.expect(201);
    assert!(!world.said().contains("canary"), "{}", world.said());
}
