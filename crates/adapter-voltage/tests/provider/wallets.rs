//! Wallets: what the contract does not say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_adapter_voltage::fake::Change;
use guiche_lightning_setup::{FaultKind, NodeEndpoint, NodeWallet as _, Provider, WalletPassword};
use guiche_outbound::fake::{Fault, Rule};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::support::{SLOWNESS, password, world};

#[tokio::test]
async fn the_wallet_is_made_of_what_was_given_and_nothing_stays_on_the_disk() {
    let world = world().await;
    let endpoint = world.waiting(1).await;
    let seed = world.voltage.generate_seed(&endpoint).await.unwrap();
    let admin = world.voltage.init_wallet(&endpoint, &seed, &password()).await.unwrap();
    let wallet = world.fake.play().nodes()[0].wallet.clone().unwrap();
    assert_eq!(&wallet.seed, seed.words().expose_secret());
    assert_eq!(&wallet.password, password().text().expose_secret());
    assert_eq!(&wallet.admin, admin.hex().expose_secret());
    let call = world.fake.seen().into_iter().find(|call| call.operation == "initwallet").unwrap();
    let sent: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!(sent["stateless_init"], true);
    assert_eq!(sent["wallet_password"], STANDARD.encode(password().text().expose_secret()));
}

#[tokio::test]
async fn the_store_may_receive_and_nothing_else() {
    let world = world().await;
    let (endpoint, admin) = world.serving(1).await;
    let receive = world.voltage.bake_receive_macaroon(&endpoint, &admin).await.unwrap();
    let baked = world.fake.play().nodes()[0].wallet.clone().unwrap().baked;
    assert_eq!(&baked[0].macaroon, receive.hex().expose_secret());
    let expected = [
        "address:read",
        "address:write",
        "info:read",
        "invoices:read",
        "invoices:write",
        "onchain:read",
        "offchain:read",
    ];
    assert_eq!(baked[0].permissions, expected);
}

#[tokio::test]
async fn a_lost_answer_to_the_making_of_a_wallet_is_not_asked_for_again() {
    let world = world().await;
    let endpoint = world.waiting(1).await;
    let seed = world.voltage.generate_seed(&endpoint).await.unwrap();
    world.fake.fail(Rule::next("initwallet", Fault::LoseAnswer)).unwrap();
    let error = world.voltage.init_wallet(&endpoint, &seed, &password()).await.unwrap_err();
    assert_eq!((error.kind(), world.fake.calls("initwallet")), (FaultKind::Unanswered, 1));
    world.clock.advance(SLOWNESS);
    let error = world.voltage.init_wallet(&endpoint, &seed, &password()).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Unanswered, "LND says 500, and the macaroon is lost");
}

#[tokio::test]
async fn an_answer_without_a_macaroon_is_garbled() {
    let world = world().await;
    for (number, document) in [
        serde_json::json!({}),
        serde_json::json!({ "admin_macaroon": "" }),
        serde_json::json!({ "admin_macaroon": "not base64!" }),
    ]
    .into_iter()
    .enumerate()
    {
        let endpoint = world.waiting(u32::try_from(number).unwrap() + 1).await;
        let seed = world.voltage.generate_seed(&endpoint).await.unwrap();
        world.fake.fail(Rule::next("initwallet", Fault::Instead { document })).unwrap();
        let error = world.voltage.init_wallet(&endpoint, &seed, &password()).await.unwrap_err();
        assert_eq!(error.kind(), FaultKind::Garbled);
    }
}

#[tokio::test]
async fn unlocking_asks_the_node_how_it_stands_when_it_says_no() {
    let world = world().await;
    let (endpoint, _) = world.serving(1).await;
    let lock = || {
        let change = Change { locked: Some(true), ..Change::default() };
        world.fake.play().change(&endpoint.0, change).unwrap();
    };
    lock();
    let wrong = WalletPassword::from_text("another-password".into());
    let error = world.voltage.unlock(&endpoint, &wrong).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.fault.status),
        (FaultKind::Refused, Some(500)),
        "asking again brings the same"
    );
    world.fake.fail(Rule::always("unlockwallet", Fault::answer(502, None))).unwrap();
    let error = world.voltage.unlock(&endpoint, &password()).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Unanswered);
    world.fake.heal();
    world.fake.fail(Rule::next("unlockwallet", Fault::LoseAnswer)).unwrap();
    world.voltage.unlock(&endpoint, &password()).await.unwrap();
}

#[tokio::test]
async fn a_node_that_does_not_answer_holds_nobody_knows_what() {
    let world = world().await;
    let (endpoint, admin) = world.serving(1).await;
    let change = Change { answers: Some(false), ..Change::default() };
    world.fake.play().change(&endpoint.0, change).unwrap();
    let error = world.voltage.holdings(&endpoint, &admin).await.unwrap_err();
    assert_eq!((error.fault.provider, error.kind()), (Provider::Node, FaultKind::Unanswered));
    for on in ["balance_blockchain", "balance_channels", "channels", "channels_pending"] {
        let change = Change { answers: Some(true), ..Change::default() };
        world.fake.play().change(&endpoint.0, change).unwrap();
        world.fake.fail(Rule::always(on, Fault::answer(500, None))).unwrap();
        world.voltage.holdings(&endpoint, &admin).await.expect_err(on);
        world.fake.heal();
    }
}

#[tokio::test]
async fn only_a_host_is_called() {
    let world = world().await;
    for nowhere in ["", "..", "a/b", "user@example.org", "127.0.0.1:1"] {
        let error = world.voltage.is_serving(&NodeEndpoint(nowhere.to_owned())).await.unwrap_err();
        assert_eq!((error.fault.provider, error.kind()), (Provider::Ours, FaultKind::Internal), "{nowhere}");
    }
    assert_eq!(world.fake.calls("state"), 0);
}
