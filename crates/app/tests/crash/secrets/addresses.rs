//! Lightning addresses: set up, failed and undone, tried again, paid, told of, and torn down, at providers that repeat in
//! every error what they were shown. What is secret there is read from the providers' own books.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guiche_adapter_btcpay::fake::{self as btcpay, FakeBtcPay};
use guiche_adapter_voltage::fake::{self as voltage, FakeVoltage};
use guiche_app::system::SystemClock;
use guiche_outbound::fake::{Fault, Play as _, Rule};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::canaries::Canaries;
use crate::office::{Answer, Call, Citizen, Office};
use crate::process::World;
use crate::support::{any, eventually};

const SETUP: &str = "/api/v1/lightning/setup";
/// A new node could receive nothing, and nobody would be given an invoice.
const RECEIVABLE_SATS: u64 = 100_000;
const ENDED: Duration = Duration::from_secs(60);

/// Everything that was answered about addresses; what is well is looked through like what is refused.
#[derive(Default)]
pub(super) struct Answers(Mutex<String>);

impl Answers {
    pub(super) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    async fn of(&self, office: &Office, call: Call<'_>) -> Answer {
        let answer = office.tell(call).await;
        self.0.lock().unwrap().push_str(&format!("{answer:?}\n{}\n", answer.body));
        answer
    }

    /// Asks for a setup, or for another attempt, and waits for its end.
    async fn set_up(&self, office: &Office, citizen: &Citizen, call: Call<'_>) -> Answer {
        let begun = self.of(office, call.by(citizen).header("Prefer", "wait=0")).await;
        assert_eq!(begun.status, 202, "{begun:?}");
        self.ended(office, citizen).await
    }

    async fn ended(&self, office: &Office, citizen: &Citizen) -> Answer {
        eventually("the end of a setup", ENDED, async || {
            let standing = self.of(office, Call::get(SETUP).by(citizen)).await.expect(200);
            let status = standing.text("status");
            (!["in_progress", "rolling_back"].contains(&&*status)).then_some(standing)
        })
        .await
    }

    /// What a wallet asks, and the payment hash of its invoice if it gets one.
    async fn pay(&self, office: &Office, name: &str) -> Option<String> {
        self.of(office, Call::get(format!("/.well-known/lnurlp/{name}"))).await.expect(200);
        let callback = format!("/lnurlp/{name}/callback?amount=");
        self.of(office, Call::get(format!("{callback}1"))).await.expect(200);
        let invoice = self.of(office, Call::get(format!("{callback}50000000"))).await.expect(200).json();
        Some(invoice["verify"].as_str()?.rsplit('/').next()?.to_owned())
    }

    /// Messages of the address's store: well signed and not.
    async fn messages(&self, office: &Office, canaries: &mut Canaries, store: &Value, invoice: &str) {
        let webhook = &store["webhooks"][0];
        let id = webhook["url"].as_str().unwrap().rsplit('/').next().unwrap();
        let body = json!({
            "deliveryId": "one", "webhookId": webhook["id"], "originalDeliveryId": "one", "isRedelivery": false,
            "type": "InvoiceSettled", "timestamp": 1_790_000_000, "storeId": store["id"], "invoiceId": invoice,
        });
        let secret = webhook["secret"].as_str().unwrap();
        for (key, path, status) in [
            (secret, id, 202),
            ("canary-of-a-forger", id, 401),
            (secret, "00000000-0000-7000-8000-000000000000", 401),
        ] {
            let signature = signature(key, &body);
            canaries.add("the signature of a store", &signature);
            let call = Call::post(format!("/webhooks/btcpay/{path}")).json(body.clone());
            let answer = self.of(office, call.header("btcpay-sig", format!("sha256={signature}"))).await;
            assert!(answer.status == status || (status, answer.status) == (202, 503), "{answer:?}");
        }
        let bare = Call::post(format!("/webhooks/btcpay/{id}")).json(body.clone());
        self.of(office, bare.header("btcpay-sig", secret.to_owned())).await.expect(401);
    }
}

fn signature(key: &str, body: &Value) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    let tag = mac.chain_update(body.to_string()).finalize().into_bytes();
    tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Both providers, with keys that must not be found again.
pub(super) struct Hosts {
    voltage: FakeVoltage,
    btcpay: FakeBtcPay,
    voltage_key: String,
    btcpay_key: String,
    pub(super) answers: Answers,
}

impl Hosts {
    /// Hosts that take the second of the world's keys.
    pub(super) async fn start(world: &mut World, canaries: &mut Canaries) -> Self {
        let mut key = |name: &str| {
            let key = format!("canary-of-{name}-{:016x}", any());
            canaries.add(&format!("the key {name}"), &key);
            key
        };
        let (voltage_key, btcpay_key) = (key("voltage"), key("btcpay"));
        world.set("VOLTAGE_API_KEY", &format!("{},{voltage_key}", key("voltage-refused")));
        world.set("BTCPAY_API_KEY", &format!("{},{btcpay_key}", key("btcpay-refused")));
        let settings = voltage::FakeSettings { keys: vec![voltage_key.clone()], ..Default::default() };
        let voltage = voltage::start(settings, Arc::new(SystemClock)).await.unwrap();
        let settings = btcpay::FakeSettings { keys: vec![btcpay_key.clone()], ..Default::default() };
        let btcpay = btcpay::start(settings, Arc::new(SystemClock)).await.unwrap();
        world.set("VOLTAGE_API_URL", &voltage.url());
        world.set("VOLTAGE_LND_URL", &format!("{}/lnd/{{api_endpoint}}", voltage.url()));
        world.set("BTCPAY_URL", &btcpay.url());
        Self { voltage, btcpay, voltage_key, btcpay_key, answers: Answers::default() }
    }

    /// The whole life of an address. What is secret of it is known only afterwards.
    pub(super) async fn life(&self, office: &Office, canaries: &mut Canaries, citizen: &Citizen) {
        let answers = &self.answers;
        self.failures(office, citizen).await;
        let done = answers.set_up(office, citizen, Call::post(format!("{SETUP}/retry"))).await;
        assert_eq!(done.text("status"), "fully_configured", "{done:?}");
        let store = self.btcpay.play().stores().pop().unwrap();
        self.btcpay.play().let_receive(&store.id, Some(RECEIVABLE_SATS)).unwrap();
        // The stores play on another network than these nodes: every invoice is refused, the first as the last.
        assert_eq!(answers.pay(office, "canary-name").await, None);
        for fault in [Fault::answer(400, Some(&self.btcpay_key)), Fault::answer(403, None), Fault::Garbage] {
            self.btcpay.fail(Rule::next("issue", fault)).unwrap();
            assert_eq!(answers.pay(office, "canary-name").await, None);
        }
        let stores = self.btcpay.play().ledger();
        answers.messages(office, canaries, &stores["stores"][0], &"0".repeat(64)).await;
        // Somebody else's, which every survey meets.
        self.voltage.play().order("canary-shop").unwrap();
        answers.of(office, Call::get(format!("{SETUP}/log")).by(citizen)).await.expect(200);
        // Before the teardown, which takes the webhook out of the store's book.
        let made = remember(canaries, &self.voltage.play().ledger(), &stores);
        assert!(made.seeds >= 4 && made.webhooks == 1 && made.macaroons >= 8, "{made:?}");
        for sent in self.btcpay.seen().iter().filter(|call| call.operation == "register_webhook") {
            let document: Value = serde_json::from_str(&sent.body).unwrap();
            canaries
                .add("the secret of a webhook that was refused or not", document["secret"].as_str().unwrap());
        }
        answers.of(office, Call::delete(SETUP).by(citizen)).await.expect(202);
        assert_eq!(answers.ended(office, citizen).await.text("status"), "not_configured");
    }

    /// Attempts that fail, each at a call whose refusal repeats a key, a macaroon, or what was sent.
    async fn failures(&self, office: &Office, citizen: &Citizen) {
        let mut call = Call::post(SETUP).json(json!({"lightning_address": "canary-name"}));
        let (node, store) = (Some(self.voltage_key.as_str()), Some(self.btcpay_key.as_str()));
        for (on, fault) in [
            ("create_node", Fault::answer(400, node)),
            ("initwallet", Fault::answer(400, None)),
            ("macaroon", Fault::answer(400, node)),
            ("create_store", Fault::answer(403, None)),
            ("connect_node", Fault::answer(422, store)),
            ("register_webhook", Fault::answer(400, store)),
        ] {
            let failed = if on.ends_with("store") || on.ends_with("webhook") || on == "connect_node" {
                self.btcpay.fail(Rule::always(on, fault))
            } else {
                self.voltage.fail(Rule::always(on, fault))
            };
            failed.unwrap();
            let ended = self.answers.set_up(office, citizen, call).await;
            let standing = ended.json();
            assert!(standing["error"].is_object(), "{on}: {ended:?}");
            assert!(["failed", "needs_attention"].contains(&&*ended.text("status")), "{on}: {ended:?}");
            self.voltage.heal();
            self.btcpay.heal();
            call = Call::post(format!("{SETUP}/retry"));
        }
    }

    /// Every command that asks the providers, answered well and otherwise.
    pub(super) async fn commands(&self, world: &World) {
        let setup = "00000000-0000-7000-8000-000000000000";
        let node = self.voltage.play().nodes()[0].node_id.clone();
        let commands: [(&[&str], i32); 9] = [
            (&["audit", "verify"], 0),
            (&["audit", "checkpoint"], 0),
            (&["lightning", "plan"], 0),
            (&["lightning", "plan", "--all", "--json"], 0),
            (&["lightning", "adopt", "--node", &node], 1),
            (&["lightning", "destroy", "--node", &node, "--yes"], 1),
            (&["lightning", "repair", "--setup", setup], 1),
            (&["lightning", "seed", "--setup", setup, "--i-am-alone"], 1),
            (&["lightning", "seed", "--setup", setup], 1),
        ];
        for (arguments, code) in commands {
            let ended = world.run(arguments).await;
            assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        }
        for fault in [Fault::answer(500, Some(&self.voltage_key)), Fault::answer(403, None), Fault::Garbage] {
            self.voltage.fail(Rule::always("list_nodes", fault)).unwrap();
            let ended = world.run(&["lightning", "plan"]).await;
            assert!(ended.code == Some(1) && ended.stderr.contains("a provider failed"), "{ended:?}");
            self.voltage.heal();
        }
    }
}

/// The same at the providers that the server plays itself, whose invoices can be paid.
pub(super) async fn played(
    office: &Office,
    world: &World,
    canaries: &mut Canaries,
    citizen: &Citizen,
) -> Answers {
    canaries.add("the key of the played nodes", voltage::DEFAULT_KEY);
    canaries.add("the key of the played stores", btcpay::DEFAULT_KEY);
    let answers = Answers::default();
    let call = Call::post(SETUP).json(json!({"lightning_address": "canary-name"}));
    let done = answers.set_up(office, citizen, call).await;
    assert_eq!(done.text("status"), "fully_configured", "{done:?}");
    let books = |name: &str| -> Value {
        let text = std::fs::read_to_string(world.data().join("fakes").join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let addresses = std::fs::read_to_string(world.data().join("fakes/addresses")).unwrap();
    let host = Office::at(addresses.split_whitespace().last().unwrap());
    let room = json!({ "store": books("btcpay.json")["stores"][0]["id"], "sats": RECEIVABLE_SATS });
    host.tell(Call::post("/_fake/receivable").json(room)).await.expect(200);
    let hash = answers.pay(office, "canary-name").await.unwrap();
    answers.of(office, Call::get(format!("/lnurlp/verify/{hash}"))).await.expect(200);
    answers.messages(office, canaries, &books("btcpay.json")["stores"][0], &hash).await;
    let ended = world.run(&["lightning", "plan", "--all"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let made = remember(canaries, &books("voltage.json"), &books("btcpay.json"));
    assert_eq!((made.seeds, made.webhooks, made.preimages), (1, 1, 1), "{made:?}");
    answers.of(office, Call::delete(SETUP).by(citizen)).await.expect(202);
    assert_eq!(answers.ended(office, citizen).await.text("status"), "not_configured");
    answers
}

/// How much there was to remember.
#[derive(Debug, Default)]
struct Made {
    seeds: usize,
    macaroons: usize,
    webhooks: usize,
    preimages: usize,
}

/// Everything that is secret in the providers' books, of what exists and of what was deleted.
fn remember(canaries: &mut Canaries, nodes: &Value, stores: &Value) -> Made {
    let mut made = Made::default();
    let texts = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
    for wallet in all(nodes, &["nodes", "deleted"]).map(|node| &node["wallet"]).filter(|it| it.is_object()) {
        let seed = texts(wallet, "seed").unwrap();
        let words: Vec<_> = seed.split(' ').collect();
        canaries.add("a seed", &seed);
        canaries.add("a seed as a list", words.join("\",\""));
        canaries.add("a seed as a list with spaces", words.join("\", \""));
        canaries.add("a wallet's password", texts(wallet, "password").unwrap());
        made.seeds += 1;
        let baked = all(wallet, &["baked"]).filter_map(|baked| texts(baked, "macaroon"));
        for macaroon in baked.chain(texts(wallet, "admin")) {
            canaries.add("a macaroon", super::citizens::bytes(&macaroon));
            canaries.add("a macaroon in hex", macaroon);
            made.macaroons += 1;
        }
    }
    for store in all(stores, &["stores", "deleted"]) {
        if let Some(macaroon) = texts(&store["connection"], "macaroon") {
            canaries.add("a store's macaroon", macaroon);
        }
        for secret in all(store, &["webhooks"]).filter_map(|webhook| texts(webhook, "secret")) {
            canaries.add("the secret of a store's webhook", secret);
            made.webhooks += 1;
        }
        let unpaid = all(store, &["invoices"]).filter(|invoice| invoice["paid_at"].is_null());
        for preimage in unpaid.filter_map(|invoice| texts(invoice, "preimage")) {
            canaries.add("the preimage of an address's unpaid invoice", preimage);
            made.preimages += 1;
        }
    }
    made
}

fn all<'a>(value: &'a Value, names: &'a [&'a str]) -> impl Iterator<Item = &'a Value> {
    names.iter().flat_map(|name| value[*name].as_array().into_iter().flatten())
}
