//! The gateway is called over TLS, and only when it is who it should be.

use std::sync::Arc;

use guiche_adapter_spark::fake::{DEFAULT_KEY, FakeSettings, FakeSpark, Operation};
use guiche_adapter_spark::{LiveSettings, LiveSetupError, SparkLive};
use guiche_kernel::testing::ManualClock;
use guiche_outbound::{AddressError, Loopback};

use crate::support::{World, outside, settings, told};

async fn encrypted(names: &[&str], trusted: bool) -> World {
    let made =
        rcgen::generate_simple_self_signed(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            .unwrap();
    let key = rcgen_key(&made);
    let certificate = made.cert.der().clone();
    let clock = Arc::new(ManualClock::default());
    let tls = Some((certificate.clone(), key));
    let fake =
        FakeSpark::start(FakeSettings { tls, ..FakeSettings::default() }, clock.clone()).await.unwrap();
    let mut settings = settings(&fake.url(), &[DEFAULT_KEY]);
    settings.loopback = Loopback::Refused;
    settings.extra_roots.extend(trusted.then_some(certificate));
    let live = SparkLive::try_new(settings, outside(clock.clone())).unwrap();
    World { fake, live, clock }
}

fn rcgen_key(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> rustls_pki_types::PrivateKeyDer<'static> {
    rustls_pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into()
}

#[tokio::test]
async fn a_certificate_that_is_trusted_and_of_the_host_is_accepted() {
    let world = encrypted(&["localhost"], true).await;
    world.issue(1).await.unwrap();
}

#[tokio::test]
async fn any_other_is_refused_before_a_key_is_shown() {
    for world in [encrypted(&["localhost"], false).await, encrypted(&["elsewhere.test"], true).await] {
        let (kind, cause) = told(&world.issue(1).await.unwrap_err());
        assert_eq!((kind, cause.as_str()), ("unavailable", "spark: issue: its certificate is not trusted"));
        assert_eq!(world.fake.calls(Operation::Issue), 0);
    }
}

#[test]
fn without_tls_only_this_machine_is_called_and_only_where_that_is_allowed() {
    for (url, loopback) in [
        ("http://spark.example.org", Loopback::PlainAllowed),
        ("http://10.0.0.1:3000", Loopback::PlainAllowed),
        ("http://127.0.0.1:3000", Loopback::Refused),
    ] {
        let settings = LiveSettings::new(url.parse().unwrap(), loopback, vec!["key".into()]);
        let refused = SparkLive::try_new(settings, outside(Arc::default())).unwrap_err();
        assert_eq!(refused, LiveSetupError::Address(AddressError::Unprotected), "{url}");
    }
}
