//! The setup of Lightning addresses, against both providers as they are played in development, with their faults on demand.

mod breaker;
mod custody;
mod failures;
mod messages;
mod metrics;
mod neighbours;
mod setups;
mod wallets;

use std::sync::Arc;

use guiche_adapter_btcpay::fake::FakeBtcPay;
use guiche_adapter_voltage::fake::{Change, Channel, FakeVoltage, Purse};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::client::{Answer, Call};
use crate::support::{TestApp, User};

pub(crate) const SETUP: &str = "/api/v1/lightning/setup";

/// An address that is served, as its store knows it.
pub(crate) struct Address {
    pub(crate) id: String,
    pub(crate) store: String,
    secret: String,
}

impl Address {
    /// A message of the store, signed over these very bytes.
    pub(crate) fn message(&self, app: &TestApp, body: impl Into<Vec<u8>>) -> Call {
        let body = body.into();
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap().chain_update(&body);
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let call = app.post(&format!("/webhooks/btcpay/{}", self.id));
        call.header("BTCPay-Sig", &format!("sha256={digits}")).bytes("application/json", body)
    }
}

impl TestApp {
    pub(crate) fn voltage(&self) -> Arc<FakeVoltage> {
        self.fakes.as_ref().unwrap().handles().unwrap().0
    }

    pub(crate) fn btcpay(&self) -> Arc<FakeBtcPay> {
        self.fakes.as_ref().unwrap().handles().unwrap().1
    }

    /// Asks for an address, and for the answer after so many seconds.
    pub(crate) async fn ask(&self, user: &User, body: &Value, wait: u64) -> Answer {
        let call = self.post(SETUP).token(&user.token).header("prefer", &format!("wait={wait}"));
        call.body(body).send().await
    }

    /// Opens a channel to the node of an address, with so much on the other side, of which 1000 satoshis must stay there.
    pub(crate) fn open_channel(&self, address: &str, remote_sats: u64) {
        let channels = vec![Channel { local_sats: 0, remote_sats }];
        let purse = Some(Purse { channels, ..Purse::default() });
        self.voltage().play().change(address, Change { purse, ..Change::default() }).unwrap();
    }

    /// How somebody's setup stands.
    pub(crate) async fn standing(&self, user: &User) -> Value {
        self.get(SETUP).token(&user.token).send().await.json(200)
    }

    /// Works on everything that is due now.
    pub(crate) async fn work_off(&self) {
        self.installer.as_ref().unwrap().work_off().await.unwrap();
    }

    /// Works until the setup of that person has ended, however long it has to wait for something.
    pub(crate) async fn work_to_the_end(&self, user: &User) -> Value {
        for _ in 0..200 {
            self.work_off().await;
            let standing = self.standing(user).await;
            if !["in_progress", "rolling_back"].contains(&standing["status"].as_str().unwrap()) {
                return standing;
            }
            self.world.advance(15);
        }
        panic!("it has no end: {}", self.standing(user).await);
    }

    /// An address of that name, set up step by step in the hands of the test.
    pub(crate) async fn set_up(&self, user: &User, name: &str) -> Address {
        let begun = self.ask(user, &json!({ "lightning_address": name }), 0).await.json(202);
        assert_eq!(begun["status"], "in_progress");
        let done = self.work_to_the_end(user).await;
        assert_eq!(done["status"], "fully_configured", "{done}");
        let stores = self.btcpay().play().stores();
        let store = stores.last().unwrap();
        let webhook = store.webhooks.last().unwrap();
        let id = webhook.url.rsplit('/').next().unwrap().to_owned();
        Address { id, store: store.id.clone(), secret: webhook.secret.clone() }
    }
}
