//! SIGHUP: keys are replaced while the service runs, without one refusal; and a file that is broken changes nothing.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_spark::fake::{FakeSettings, FakeSpark, Operation};
use guiche_app::system::SystemClock;

use crate::office::{Call, Citizen, Office};
use crate::process::{App, World};
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

/// Hangs up, and waits until the log says that once more.
async fn hang_up(app: &App, said: &str) {
    let before = app.log().matches(said).count();
    app.signal("HUP");
    eventually(said, HEARD, async || (app.log().matches(said).count() > before).then_some(())).await;
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
        hang_up(&app, KEPT).await;
        assert_eq!(open(&office, &citizen).await, 201, "{broken:?} has replaced a key that works");
    }
    fs::remove_file(&file).unwrap();
    hang_up(&app, KEPT).await;
    assert_eq!(open(&office, &citizen).await, 201);

    fs::write(&file, format!("{NEW},{OLD}\n")).unwrap();
    hang_up(&app, READ).await;
    fake.take_keys(&[NEW]);
    let refused = || fake.seen().iter().filter(|call| !call.authorized).count();
    assert_eq!(open(&office, &citizen).await, 201);
    assert_eq!(refused(), 0, "the new key is used first");
    // Without the signal, what stands in the file is nothing to the service.
    fs::write(&file, "canary-of-a-key-to-come").unwrap();
    assert_eq!(open(&office, &citizen).await, 201);
    fake.take_keys(&["canary-of-a-key-to-come"]);
    assert_eq!(open(&office, &citizen).await, 503);
    hang_up(&app, READ).await;
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
    hang_up(&app, "SIGHUP: no provider's keys stand in a file").await;
    assert_eq!(open(&app.office(), &citizen).await, 201);
    assert!(app.is_running() && fake.seen().iter().all(|call| call.authorized));
}
