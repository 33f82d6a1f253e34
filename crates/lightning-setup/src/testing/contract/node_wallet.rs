//! What every node promises.

use secrecy::ExposeSecret as _;

use super::NodeWalletFixture;
use crate::{Holdings, Macaroon, NodeEndpoint, WalletPassword};

fn password(text: &str) -> WalletPassword {
    WalletPassword::from_text(text.into())
}

const PASSWORD: &str = "correct-horse-battery-staple-042";

/// A node that serves, and what opens it.
async fn served(fixture: &impl NodeWalletFixture) -> (NodeEndpoint, Macaroon) {
    let (wallet, endpoint) = (fixture.wallet(), fixture.node().await);
    let seed = wallet.generate_seed(&endpoint).await.expect("a seed");
    let admin = wallet.init_wallet(&endpoint, &seed, &password(PASSWORD)).await.expect("a wallet");
    fixture.settle().await;
    (endpoint, admin)
}

/// Whoever asks twice gets two.
pub async fn seeds_are_fresh(fixture: &impl NodeWalletFixture) {
    let (wallet, endpoint) = (fixture.wallet(), fixture.node().await);
    let first = wallet.generate_seed(&endpoint).await.expect("a seed");
    let second = wallet.generate_seed(&endpoint).await.expect("another");
    assert_ne!(first.words().expose_secret(), second.words().expose_secret());
}

/// Without a wallet no macaroon opens anything.
pub async fn a_node_serves_when_it_has_its_wallet_and_not_before(fixture: &impl NodeWalletFixture) {
    let (wallet, endpoint) = (fixture.wallet(), fixture.node().await);
    assert_eq!(wallet.is_serving(&endpoint).await, Ok(false));
    let (served, _) = served(fixture).await;
    assert_eq!(wallet.is_serving(&served).await, Ok(true));
    assert_eq!(wallet.is_serving(&endpoint).await, Ok(false));
}

/// A second time brings no second macaroon, and the first wallet stays.
pub async fn a_wallet_is_made_once(fixture: &impl NodeWalletFixture) {
    let (wallet, endpoint) = (fixture.wallet(), fixture.node().await);
    let seed = wallet.generate_seed(&endpoint).await.expect("a seed");
    let admin = wallet.init_wallet(&endpoint, &seed, &password(PASSWORD)).await.expect("a wallet");
    fixture.settle().await;
    wallet.init_wallet(&endpoint, &seed, &password(PASSWORD)).await.expect_err("it has one");
    wallet.holdings(&endpoint, &admin).await.expect("the first wallet's macaroon");
}

/// Baking it again is harmless.
pub async fn a_receive_macaroon_is_not_the_one_that_may_do_everything(fixture: &impl NodeWalletFixture) {
    let wallet = fixture.wallet();
    let (endpoint, admin) = served(fixture).await;
    for _ in 0..2 {
        let receive = wallet.bake_receive_macaroon(&endpoint, &admin).await.expect("baked");
        assert_ne!(receive.hex().expose_secret(), admin.hex().expose_secret());
    }
    wallet.holdings(&endpoint, &admin).await.expect("it still may");
}

/// Nor does it show what is in the channels.
pub async fn a_macaroon_that_may_receive_bakes_nothing(fixture: &impl NodeWalletFixture) {
    let wallet = fixture.wallet();
    let (endpoint, admin) = served(fixture).await;
    let receive = wallet.bake_receive_macaroon(&endpoint, &admin).await.expect("baked");
    wallet.bake_receive_macaroon(&endpoint, &receive).await.expect_err("it may not");
}

/// Each node has its own.
pub async fn a_macaroon_of_another_node_opens_nothing(fixture: &impl NodeWalletFixture) {
    let wallet = fixture.wallet();
    let ((first, _), (_, other)) = (served(fixture).await, served(fixture).await);
    wallet.holdings(&first, &other).await.expect_err("of another node");
    wallet.bake_receive_macaroon(&first, &other).await.expect_err("of another node");
}

/// Nothing would be lost.
pub async fn a_new_node_holds_nothing(fixture: &impl NodeWalletFixture) {
    let (endpoint, admin) = served(fixture).await;
    assert_eq!(fixture.wallet().holdings(&endpoint, &admin).await, Ok(Holdings::default()));
}

/// To the satoshi.
pub async fn what_a_node_holds_is_told(fixture: &impl NodeWalletFixture) {
    let (endpoint, admin) = served(fixture).await;
    let held = Holdings { balance_sats: 21_001, channels: 2, inbound_capacity_sats: 50_000 };
    fixture.fund(&endpoint, held).await;
    assert_eq!(fixture.wallet().holdings(&endpoint, &admin).await, Ok(held));
}

/// Twice is harmless.
pub async fn a_restarted_node_is_unlocked_with_its_password_only(fixture: &impl NodeWalletFixture) {
    let wallet = fixture.wallet();
    let (endpoint, admin) = served(fixture).await;
    fixture.restart(&endpoint).await;
    assert_eq!(wallet.is_serving(&endpoint).await, Ok(false));
    wallet.unlock(&endpoint, &password("another-password")).await.expect_err("a wrong password");
    fixture.settle().await;
    assert_eq!(wallet.is_serving(&endpoint).await, Ok(false));
    for _ in 0..2 {
        wallet.unlock(&endpoint, &password(PASSWORD)).await.expect("unlocked");
        fixture.settle().await;
        assert_eq!(wallet.is_serving(&endpoint).await, Ok(true));
    }
    wallet.holdings(&endpoint, &admin).await.expect("the same macaroon");
}
