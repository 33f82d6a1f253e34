//! A gateway that is slow, away, or takes other keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guiche_adapter_spark::fake::{DEFAULT_KEY, Fault, Operation};
use guiche_outbound::{CircuitState, Limits};
use guiche_tickets::ProviderStatus;

use crate::support::{told, world, world_with};

const DOWN: Fault = Fault::HangUp;

#[tokio::test]
async fn silence_is_given_up_and_no_invoice_is_made_twice() {
    let patience = Limits { attempt: Duration::from_millis(300), ..Limits::default() };
    let world = world_with(&[DEFAULT_KEY], |settings| settings.limits = patience).await;
    world.fake.fail(Operation::Issue, 100, Fault::Silence);
    let (kind, cause) = told(&world.issue(1).await.unwrap_err());
    assert_eq!((kind, cause.as_str()), ("unavailable", "spark: issue: no answer"));
    assert_eq!(world.fake.calls(Operation::Issue), 3);
    assert_eq!(world.fake.invoices().len(), 1);
    world.fake.heal();
    let issued = world.issue(1).await.unwrap();
    assert_eq!(
        issued.id.as_str(),
        world.fake.invoices()[0].id,
        "asked again, it is the one that nobody was told of"
    );
}

#[tokio::test]
async fn what_is_only_late_is_waited_for() {
    let world = world().await;
    world.fake.fail(Operation::Issue, 1, Fault::Delay { millis: 200 });
    world.issue(1).await.unwrap();
    assert_eq!(world.fake.calls(Operation::Issue), 1);
}

#[tokio::test]
async fn the_circuit_opens_fails_fast_probes_and_closes() {
    let told_states = Arc::new(Mutex::new(Vec::new()));
    let listening = Arc::clone(&told_states);
    let world = world_with(&[DEFAULT_KEY], |settings| {
        settings.on_circuit = Some(Arc::new(move |state| listening.lock().unwrap().push(state)));
    })
    .await;
    let issued = world.issue(1).await.unwrap();
    world.fake.fail(Operation::Status, 6, DOWN);
    for _ in 0..2 {
        assert_eq!(told(&world.status(&issued).await.unwrap_err()).1, "spark: status: no answer");
    }
    assert_eq!(world.fake.calls(Operation::Status), 5, "the fifth failure in a row opened it");
    let (kind, cause) = told(&world.issue(2).await.unwrap_err());
    assert_eq!(kind, "unavailable");
    assert!(cause.starts_with("spark: issue: not called: the circuit is open for another "), "{cause}");
    assert_eq!((world.fake.calls(Operation::Issue), world.live.circuit()), (1, CircuitState::Open));

    world.clock.advance(Duration::from_secs(5));
    world.status(&issued).await.unwrap_err();
    assert_eq!(world.fake.calls(Operation::Status), 6, "the probe is one call, and not repeated");
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(world.status(&issued).await.unwrap(), Some(ProviderStatus::Unpaid));
    world.issue(2).await.unwrap();
    let [open, half, closed] = [CircuitState::Open, CircuitState::HalfOpen, CircuitState::Closed];
    let states = [open, half, open, half, closed];
    assert_eq!(*told_states.lock().unwrap(), states);
}

#[tokio::test]
async fn a_key_is_replaced_without_a_gap() {
    let world = world_with(&["new-key", "old-key"], |_| {}).await;
    world.fake.take_keys(&["old-key"]);
    world.issue(1).await.unwrap();
    world.fake.take_keys(&["old-key", "new-key"]);
    world.issue(2).await.unwrap();
    world.fake.take_keys(&["new-key"]);
    world.issue(3).await.unwrap();
    let accepted: Vec<bool> = world.fake.seen().iter().map(|call| call.authorized).collect();
    assert_eq!(accepted, [false, true, true, false, true], "the one that works is remembered");
    assert_eq!(world.fake.invoices().len(), 3);

    world.fake.take_keys(&["another-key"]);
    let (kind, cause) = told(&world.issue(4).await.unwrap_err());
    assert_eq!((kind, cause.as_str()), ("unavailable", "spark: issue: every key was refused: HTTP 401"));
    assert_eq!(world.live.circuit(), CircuitState::Closed, "a wrong key is ours to mend");
}
