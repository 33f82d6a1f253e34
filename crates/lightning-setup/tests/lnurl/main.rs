//! Addresses as wallets use them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a failed expectation is the point"
)]

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use guiche_kernel::testing::{ManualClock, MemoryVault, SeededRandomness};
use guiche_kernel::{Caller, Epoch, UserId};
use guiche_lightning_setup::lnurl::{Lnurl, LnurlError, LnurlPorts, LnurlSettings, PayAnswer, Payee};
use guiche_lightning_setup::testing::{MemoryHosts, MemoryReceive, MemorySetupStore, Mistake};
use guiche_lightning_setup::{AddressDomain, Driven, Policy, SetupId, SetupPlace, SetupPorts, Setups};
use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef, Currency};
use sha2::{Digest as _, Sha256};
use time::macros::datetime;
use uuid::Uuid;

struct World {
    clock: Arc<ManualClock>,
    gateway: MemoryReceive,
    lnurl: Lnurl,
    setups: Setups,
    id: SetupId,
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing in memory waits")
}

fn citizen() -> Caller {
    Caller { user_id: UserId::new(Uuid::from_u128(1)), epoch: Epoch::FIRST }
}

/// An office in which `swifteagle42@guiche.test` is served.
fn world() -> World {
    let clock = Arc::new(ManualClock::at(datetime!(2026-11-22 12:00 UTC)));
    let hosts = MemoryHosts::new(Arc::<ManualClock>::clone(&clock));
    let gateway = MemoryReceive::new(hosts.clone());
    let store = Arc::new(MemorySetupStore::new());
    store.add_account(citizen().user_id);
    let ports = SetupPorts {
        store: Arc::<MemorySetupStore>::clone(&store),
        nodes: Arc::new(hosts.clone()),
        wallets: Arc::new(hosts.clone()),
        stores: Arc::new(hosts),
        vault: Arc::new(MemoryVault::default()),
        clock: Arc::<ManualClock>::clone(&clock),
        randomness: Arc::new(SeededRandomness::new(7)),
    };
    let public_url = "https://guiche.test".to_owned();
    let place = SetupPlace { domains: vec![domain()], public_url: public_url.clone() };
    let setups = Setups::new(ports, Policy::default(), place);
    let id = now(setups.begin(citizen(), Some(setups.parse("swifteagle42").unwrap()))).unwrap().id;
    while let Some(Driven::Resting(at)) = now(setups.run_one(id)).unwrap() {
        clock.set(at);
    }
    let settings = LnurlSettings {
        domains: vec![domain()],
        public_url,
        min_msat: 1_000,
        max_msat: 100_000_000,
        comment_chars: 10,
        expiry: Duration::from_secs(600),
        currency: Currency::Regtest,
    };
    let ports = LnurlPorts {
        book: store,
        gateway: Arc::new(gateway.clone()),
        clock: Arc::<ManualClock>::clone(&clock),
    };
    World { clock, gateway, lnurl: Lnurl::new(ports, settings), setups, id }
}

fn domain() -> AddressDomain {
    AddressDomain::parse("guiche.test").unwrap()
}

fn payee(text: &str) -> Payee {
    Payee::parse(text, &domain()).unwrap()
}

impl World {
    fn pay(&self, name: &str, amount: &str, comment: Option<&str>) -> Result<PayAnswer, LnurlError> {
        now(self.lnurl.invoice(&payee(name), Some(amount), comment))
    }
}

fn hash_of(bolt11: &str) -> String {
    bolt11.parse::<Bolt11Invoice>().unwrap().payment_hash().to_string()
}

#[test]
fn an_invoice_commits_to_the_very_metadata_that_was_served() {
    let world = world();
    for name in ["swifteagle42", "SwiftEagle42", "swifteagle42+rent"] {
        let params = now(world.lnurl.params(&payee(name))).unwrap();
        assert_eq!(
            (params.tag, params.min_sendable, params.max_sendable),
            ("payRequest", 1_000, 100_000_000)
        );
        let lower = name.to_ascii_lowercase();
        assert_eq!(params.callback, format!("https://guiche.test/lnurlp/{lower}/callback"));
        let answer = world.pay(name, "21000", Some("obrigado")).unwrap();
        let invoice: Bolt11Invoice = answer.pr.parse().unwrap();
        assert_eq!(invoice.amount_milli_satoshis(), Some(21_000));
        let Bolt11InvoiceDescriptionRef::Hash(hash) = invoice.description() else { panic!("{invoice:?}") };
        assert_eq!(hash.0.to_string(), hex::encode(Sha256::digest(params.metadata)));
        assert_eq!(answer.verify, format!("https://guiche.test/lnurlp/verify/{}", hash_of(&answer.pr)));
    }
}

#[test]
fn what_is_out_of_bounds_makes_no_invoice() {
    let world = world();
    for (amount, comment) in [
        (Some("999"), None),
        (Some("100000001"), None),
        (Some("-1"), None),
        (Some("1e3"), None),
        (Some("21000.5"), None),
        (Some(""), None),
        (None, None),
        (Some("21000"), Some("mais de dez")),
    ] {
        let refused = now(world.lnurl.invoice(&payee("swifteagle42"), amount, comment));
        assert!(
            matches!(
                refused,
                Err(LnurlError::AmountOutOfBounds { .. }
                    | LnurlError::InvalidAmount
                    | LnurlError::CommentTooLong)
            ),
            "{amount:?} {comment:?}: {refused:?}"
        );
    }
    // Ten characters, not bytes.
    world.pay("swifteagle42", "21000", Some("çççççççççç")).unwrap();
    assert_eq!(world.gateway.issued(), 1);
}

#[test]
fn who_is_not_served_is_unknown() {
    let world = world();
    assert!(matches!(now(world.lnurl.params(&payee("nobody"))), Err(LnurlError::UnknownAddress)));
    let elsewhere = Payee::parse("swifteagle42", &AddressDomain::parse("other.test").unwrap()).unwrap();
    assert!(matches!(now(world.lnurl.params(&elsewhere)), Err(LnurlError::UnknownAddress)));
    now(world.setups.remove(citizen())).unwrap();
    assert!(matches!(world.pay("swifteagle42", "21000", None), Err(LnurlError::UnknownAddress)));
}

#[test]
fn a_node_without_room_says_so() {
    let world = world();
    world.gateway.receivable(Some(0));
    assert!(matches!(now(world.lnurl.params(&payee("swifteagle42"))), Err(LnurlError::CannotReceive)));
    world.gateway.receivable(Some(20));
    assert_eq!(now(world.lnurl.params(&payee("swifteagle42"))).unwrap().max_sendable, 20_000);
    assert!(matches!(world.pay("swifteagle42", "21000", None), Err(LnurlError::CannotReceive)));
    world.pay("swifteagle42", "20000", None).unwrap();
}

#[test]
fn a_stores_mistake_is_never_shown_to_a_payer() {
    let world = world();
    for mistake in [Mistake::Amount, Mistake::Metadata, Mistake::Network, Mistake::Expiry, Mistake::Garbage] {
        world.gateway.mistaken(Some(mistake));
        let refused = world.pay("swifteagle42", "21000", None);
        assert!(matches!(refused, Err(LnurlError::Refused(_))), "{mistake:?}: {refused:?}");
    }
}

#[test]
fn payment_is_confirmed_with_its_preimage() {
    let world = world();
    let answer = world.pay("swifteagle42", "21000", None).unwrap();
    let hash = hash_of(&answer.pr);
    let verified = now(world.lnurl.verify(&hash)).unwrap();
    assert_eq!((verified.settled, verified.preimage, &verified.pr), (false, None, &answer.pr));
    world.gateway.away(true);
    assert!(matches!(now(world.lnurl.verify(&hash)), Err(LnurlError::Provider(_))), "never a guess");
    world.gateway.away(false);
    world.gateway.pay(&answer.pr);
    let verified = now(world.lnurl.verify(&hash)).unwrap();
    assert!(verified.settled);
    let preimage = hex::decode(verified.preimage.unwrap()).unwrap();
    assert_eq!(hex::encode(Sha256::digest(preimage)), hash);
    // What is known to be paid stays paid.
    world.gateway.away(true);
    let verified = now(world.lnurl.verify(&hash)).unwrap();
    assert_eq!((verified.settled, verified.preimage), (true, None));
    for unknown in ["", "00", &*"0".repeat(64), "not hex"] {
        assert!(matches!(now(world.lnurl.verify(unknown)), Err(LnurlError::UnknownInvoice)), "{unknown}");
    }
}

#[test]
fn a_stores_message_is_a_hint_and_counts_once() {
    let world = world();
    let answer = world.pay("swifteagle42", "21000", None).unwrap();
    let hash = hash_of(&answer.pr);
    // A lie: the invoice is read again, and it is unpaid.
    assert!(now(world.lnurl.heard(world.id, "delivery-1", Some(&hash))).unwrap());
    assert!(!now(world.lnurl.verify(&hash)).unwrap().settled);
    world.gateway.pay(&answer.pr);
    assert!(now(world.lnurl.heard(world.id, "delivery-2", Some(&hash))).unwrap());
    assert!(!now(world.lnurl.heard(world.id, "delivery-2", Some(&hash))).unwrap());
    assert!(now(world.lnurl.heard(world.id, "delivery-3", Some("a checkout invoice"))).unwrap());
    world.gateway.away(true);
    assert!(now(world.lnurl.verify(&hash)).unwrap().settled, "it was noted");
    world.clock.advance(Duration::from_secs(60));
}
