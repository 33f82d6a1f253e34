//! Keys, and addresses that must not be called.

use std::sync::Arc;

use guiche_adapter_voltage::fake::DEFAULT_KEY;
use guiche_adapter_voltage::{Voltage, VoltageSetupError};
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_lightning_setup::{FaultKind, NodeHost as _};
use guiche_outbound::{AddressError, Loopback, Outside, TemplateError};

use crate::support::{settings, world_with};

#[tokio::test]
async fn a_key_is_replaced_without_a_gap() {
    let world = world_with(&["new-key", DEFAULT_KEY], |_| {}).await;
    world.order(1).await;
    world.order(2).await;
    let admitted: Vec<bool> = world.fake.seen().iter().map(|call| call.admitted).collect();
    assert_eq!(admitted, [false, true, true], "the one that works is remembered");
    world.fake.play().take_keys(&["newest-key"]);
    let error = world.voltage.list_nodes().await.unwrap_err();
    assert_eq!((error.kind(), error.fault.status), (FaultKind::Refused, Some(401)));
    world.voltage.replace_keys(vec!["newest-key".into()]).unwrap();
    assert_eq!(world.voltage.list_nodes().await.unwrap().len(), 2);
}

#[test]
fn without_tls_only_this_machine_is_called_and_only_where_that_is_allowed() {
    let refused = |url: &str, node_url: &str, loopback| {
        let mut settings = settings(url, &["key"]);
        (settings.node_url, settings.loopback) = (node_url.to_owned(), loopback);
        let clock = Arc::new(ManualClock::default());
        let randomness = Arc::new(SeededRandomness::new(1));
        Voltage::try_new(settings, Outside { clock: clock.clone(), timer: clock, randomness }).unwrap_err()
    };
    let (away, node, here) = ("https://api.example.org", "https://{host}:8080", "http://127.0.0.1:1");
    let address = VoltageSetupError::Address(AddressError::Unprotected);
    assert_eq!(refused("http://api.example.org", node, Loopback::PlainAllowed), address);
    assert_eq!(refused(here, node, Loopback::Refused), address);
    for (node, error) in [
        ("http://{host}:8080", TemplateError::Address(AddressError::Unprotected)),
        ("https://node.example.org", TemplateError::NoHole),
    ] {
        assert_eq!(refused(away, node, Loopback::PlainAllowed), VoltageSetupError::NodeUrl(error), "{node}");
    }
}
