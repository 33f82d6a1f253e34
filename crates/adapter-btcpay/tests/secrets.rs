//! Keys, macaroons, webhook secrets, and what the server says beside its codes, are told to nobody: no error, no `Debug`,
//! no log at its finest.
//!
//! A test of its own process: whether an event is logged is decided once for all threads, by whoever comes across it first.

#![expect(clippy::unwrap_used, reason = "test code: a failed expectation is the point")]

#[allow(dead_code, reason = "the other tests need more of it")]
#[path = "provider/support.rs"]
mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use guiche_adapter_btcpay::fake::DEFAULT_KEY;
use guiche_lightning_setup::{Macaroon, NodeEndpoint, StoreHost as _, WebhookSecret};
use guiche_outbound::fake::{Fault, Rule};
use tracing_subscriber::fmt::MakeWriter;

use support::{name, world_with};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const WRONG: &str = "canary-0123456789";
const MACAROON: &str = "0201036c6e6490c574c1b9618defe203";
const SECRET: &str = "hook-secret-0123456789";

#[tokio::test]
async fn what_is_secret_is_told_to_nobody() {
    let log = Log::default();
    let level = tracing_subscriber::filter::LevelFilter::TRACE;
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(log.clone()).finish();
    // On the one thread of this test's runtime.
    let _guard = tracing::subscriber::set_default(subscriber);

    let world = world_with(&[WRONG, DEFAULT_KEY], |_| {}).await;
    let (btcpay, store) = (&world.btcpay, world.store(1).await);
    let endpoint = NodeEndpoint("node.u.voltageapp.io".to_owned());
    let macaroon = Macaroon::from_hex(&MACAROON.into()).unwrap();
    let secret = WebhookSecret::from_text(SECRET.into());
    let url = "https://pay.example.org/hook";
    let mut printed = format!("{btcpay:?} {macaroon:?} {secret:?}");
    btcpay.connect_node(&store, &endpoint, &macaroon).await.unwrap();
    btcpay.register_webhook(&store, url, &secret).await.unwrap();
    // The fake's errors repeat the key and whatever was sent, in their message; and as their code, once.
    for (status, code) in
        [(400, None), (403, Some(DEFAULT_KEY)), (422, Some(MACAROON)), (422, Some(SECRET)), (503, None)]
    {
        world.fake.fail(Rule::always("*", Fault::answer(status, code))).unwrap();
        let connecting = btcpay.connect_node(&store, &endpoint, &macaroon).await.unwrap_err();
        let registering = btcpay.register_webhook(&store, url, &secret).await.unwrap_err();
        world.fake.heal();
        // Each call keeps what it sent itself; another's secret as a code nobody could tell from a code.
        let own = |error: &guiche_lightning_setup::HostError, secrets: &[&str]| {
            let text = format!("{error} {error:?}");
            assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
        };
        own(&connecting, &[DEFAULT_KEY, WRONG, MACAROON]);
        own(&registering, &[DEFAULT_KEY, WRONG, SECRET]);
    }
    world.fake.play().take_keys(&["none-of-them"], &[]);
    printed += &format!("{:?}", btcpay.create_store(&name(2)).await.unwrap_err());

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let warned = "btcpay refuses every key (HTTP 401): set BTCPAY_API_KEY to one that it knows";
    assert_eq!(log.matches(warned).count(), 1);
    for secret in [WRONG, DEFAULT_KEY, MACAROON, SECRET, "connectionString", "lnd-rest"] {
        assert!(!printed.contains(secret), "{secret} is printed: {printed}");
        let lines: Vec<_> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret} is logged: {lines:#?}");
    }
}
