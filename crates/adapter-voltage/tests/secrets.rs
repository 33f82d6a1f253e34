//! Keys, seeds, passwords, macaroons, and what a vendor says beside its codes, are told to nobody: no error, no `Debug`,
//! no log at its finest.
//!
//! A test of its own process: whether an event is logged is decided once for all threads, by whoever comes across it first.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a failed expectation is the point")]

#[allow(dead_code, reason = "the other tests need more of it")]
#[path = "provider/support.rs"]
mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_adapter_voltage::fake::DEFAULT_KEY;
use guiche_lightning_setup::testing::contract;
use guiche_lightning_setup::{NodeHost as _, NodeWallet as _};
use guiche_outbound::fake::{Fault, Rule};
use secrecy::ExposeSecret as _;
use tracing_subscriber::fmt::MakeWriter;

use support::{SLOWNESS, name, password, world_with};

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

#[tokio::test]
async fn what_is_secret_is_told_to_nobody() {
    let log = Log::default();
    let level = tracing_subscriber::filter::LevelFilter::TRACE;
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(log.clone()).finish();
    // On the one thread of this test's runtime.
    let _guard = tracing::subscriber::set_default(subscriber);

    let world = world_with(&[WRONG, DEFAULT_KEY], |_| {}).await;
    let mut printed = format!("{:?}", world.voltage);
    let endpoint = world.waiting(1).await;
    let seed = world.voltage.generate_seed(&endpoint).await.unwrap();
    let admin = world.voltage.init_wallet(&endpoint, &seed, &password()).await.unwrap();
    world.clock.advance(SLOWNESS);
    let receive = world.voltage.bake_receive_macaroon(&endpoint, &admin).await.unwrap();
    let holdings = world.voltage.holdings(&endpoint, &admin).await.unwrap();
    printed += &format!("{seed:?} {admin:?} {receive:?} {holdings:?} {:?}", password());
    // The fake's errors repeat the key or the macaroon, in their message and as their code.
    for (status, code) in [(400, None), (403, Some(DEFAULT_KEY)), (500, Some("x")), (503, None)] {
        for on in ["create_node", "macaroon", "initwallet", "unlockwallet"] {
            world.fake.fail(Rule::always(on, Fault::answer(status, code))).unwrap();
        }
        let host = world.voltage.create_node(&name(2), &contract::alias()).await.unwrap_err();
        let node = world.voltage.bake_receive_macaroon(&endpoint, &admin).await.unwrap_err();
        let init = world.voltage.init_wallet(&endpoint, &seed, &password()).await.unwrap_err();
        printed += &format!("{host} {host:?} {node} {node:?} {init} {init:?}");
        world.fake.heal();
    }
    world.fake.play().take_keys(&["none-of-them"]);
    printed += &format!("{:?}", world.voltage.list_nodes().await.unwrap_err());

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let warned = "voltage refuses every key (HTTP 401): set VOLTAGE_API_KEY to one that it knows";
    assert_eq!(log.matches(warned).count(), 1);
    let hex = admin.hex().expose_secret();
    let words = seed.words().expose_secret();
    let encoded = STANDARD.encode(password().text().expose_secret());
    let told = STANDARD.encode(hex::decode(hex).unwrap());
    let secrets = [
        WRONG,
        DEFAULT_KEY,
        &words[..40],
        &words.replace(' ', "\",\"")[..40],
        password().text().expose_secret(),
        &encoded,
        &hex[..32],
        &told,
        &receive.hex().expose_secret()[16..],
    ]
    .map(str::to_owned);
    for secret in secrets {
        assert!(!printed.contains(&secret), "{secret} is printed: {printed}");
        let lines: Vec<_> = log.lines().filter(|line| line.contains(&secret)).collect();
        assert!(lines.is_empty(), "{secret} is logged: {lines:#?}");
    }
}
