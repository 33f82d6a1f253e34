//! What a store promises about accounts and passwords.
#![expect(clippy::expect_used, reason = "a case fails by panicking")]

use std::sync::Arc;

use futures::future::join;
use guiche_kernel::{Caller, Epoch, UserId};

use super::scene::{MINUTE, NOON, Scene, assert_duplicate, assert_revoked, some_hash};
use crate::{Account, Email, Rotation, UserStore};

fn email(text: &str) -> Email {
    Email::parse(text).expect("a case uses valid addresses")
}

/// [`UserStore::credentials_by_email`] compares without regard to case, and returns what was stored.
pub async fn an_account_is_found_by_its_address_in_any_case(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    scene.person("bob@example.org").await;
    let ana = scene.person("Ana@Example.org").await;
    for spelling in ["Ana@Example.org", "ana@example.org", "ANA@EXAMPLE.ORG"] {
        let found = scene.store.credentials_by_email(&email(spelling)).await.expect("an answer");
        let found = found.expect("the account of this address");
        assert_eq!((found.user_id, found.epoch), (ana.user_id, Epoch::FIRST), "{spelling}");
        assert_eq!(found.password_hash.expose(), some_hash(1).expose(), "{spelling}");
    }
}

/// [`UserStore::credentials_by_email`] says `None`, also for what merely resembles an address.
pub async fn an_address_nobody_registered_has_no_credentials(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    scene.person("ana_b@example.org").await;
    for other in ["ana@example.org", "anaxb@example.org", "%@example.org", "ana_b@example.org.br"] {
        let found = scene.store.credentials_by_email(&email(other)).await.expect("an answer");
        assert!(found.is_none(), "{other}");
    }
}

/// [`UserStore::register`] refuses a taken address, keeps what was there, and goes on working.
pub async fn a_taken_address_is_refused_in_any_case_and_the_first_account_stays(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let first = scene.person("ana@example.org").await;
    for spelling in ["ana@example.org", "ANA@example.ORG"] {
        let mut second = scene.new_account(spelling);
        second.password_hash = some_hash(2);
        assert_duplicate(&scene.store.register(&second).await);
        let second = Caller { user_id: second.id, epoch: Epoch::FIRST };
        assert_revoked(&scene.store.get(&second).await);
    }
    let found = scene.store.credentials_by_email(&email("ana@example.org")).await.expect("an answer");
    let found = found.expect("the first account");
    assert_eq!(found.user_id, first.user_id);
    assert_eq!(found.password_hash.expose(), some_hash(1).expose());
    scene.person("bob@example.org").await;
}

/// [`UserStore::register`] leaves it to a unique index who was first.
pub async fn of_two_registrations_at_once_one_wins(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    for round in 0..8 {
        let one = scene.new_account(&format!("ana{round}@example.org"));
        let other = scene.new_account(&format!("ANA{round}@example.org"));
        let (first, second) = join(scene.store.register(&one), scene.store.register(&other)).await;
        let (winner, refusal) = if first.is_ok() { (one, second) } else { (other, first) };
        assert_duplicate(&refusal);
        let found = scene.store.credentials_by_email(&winner.email).await.expect("an answer");
        assert_eq!(found.expect("the winner's account").user_id, winner.id);
    }
}

/// [`UserStore::get`] and [`UserStore::credentials`] return what was stored: the typed form, the exact moment.
pub async fn the_owner_reads_the_account_as_it_was_registered(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("Ana@Example.org").await;
    let account = scene.store.get(&ana).await.expect("the account");
    assert_eq!(account, Account { id: ana.user_id, email: email("ana@example.org"), created_at: NOON });
    assert_eq!(account.email.as_str(), "Ana@Example.org");
    let credentials = scene.store.credentials(&ana).await.expect("the credentials");
    assert_eq!(credentials.caller(), ana);
    assert_eq!(credentials.password_hash.expose(), some_hash(1).expose());
}

async fn assert_refused_everywhere(scene: &Scene, caller: &Caller) {
    assert_revoked(&scene.store.get(caller).await);
    assert_revoked(&scene.store.credentials(caller).await);
    let session = scene.new_session();
    assert_revoked(&scene.store.open_session(caller, session).await);
    assert_eq!(scene.answer(&session.token_hash).await, Rotation::Unknown, "a refused session is not stored");
    assert_revoked(&scene.store.change_password(caller, &some_hash(9), NOON).await);
}

/// A [`Caller`] of an earlier epoch gets [`StoreError::Revoked`](guiche_kernel::StoreError::Revoked), and changes nothing.
pub async fn a_stale_epoch_is_refused_by_every_method_that_takes_a_caller(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let stale = scene.person("ana@example.org").await;
    let epoch = scene.store.change_password(&stale, &some_hash(2), NOON).await.expect("the change");
    let present = Caller { epoch, ..stale };
    let session = scene.sign_in(&present).await;
    assert_refused_everywhere(&scene, &stale).await;
    let credentials = scene.store.credentials(&present).await.expect("the present epoch");
    assert_eq!(credentials.password_hash.expose(), some_hash(2).expose());
    scene.assert_usable(&session).await;
}

/// The epoch must be the present one, not at least that.
pub async fn a_future_epoch_is_refused_too(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let session = scene.sign_in(&ana).await;
    assert_refused_everywhere(&scene, &Caller { epoch: ana.epoch.next(), ..ana }).await;
    assert!(scene.store.get(&ana).await.is_ok());
    scene.assert_usable(&session).await;
}

/// An account that does not exist is an ended session, not an empty answer.
pub async fn a_caller_without_account_is_refused_everywhere(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    scene.person("ana@example.org").await;
    let nobody = UserId::new("01942138-0f80-7c3a-8d5e-0123456789ab".parse().expect("a UUID"));
    assert_refused_everywhere(&scene, &Caller { user_id: nobody, epoch: Epoch::FIRST }).await;
}

/// [`UserStore::change_password`] returns the next epoch, which is the account's from then on.
pub async fn a_password_change_replaces_the_hash_and_raises_the_epoch(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let mut ana = scene.person("ana@example.org").await;
    for n in 2..5 {
        let epoch = scene.store.change_password(&ana, &some_hash(n), NOON).await.expect("the change");
        assert_eq!(epoch, ana.epoch.next());
        ana = Caller { epoch, ..ana };
        let found = scene.store.credentials_by_email(&email("ana@example.org")).await.expect("an answer");
        let found = found.expect("the account");
        assert_eq!(found.caller(), ana);
        assert_eq!(found.password_hash.expose(), some_hash(n).expose());
        assert_eq!(scene.store.credentials(&ana).await.expect("the credentials").caller(), ana);
    }
}

/// [`UserStore::change_password`] revokes all families, spent and fresh; a new sign-in works.
pub async fn a_password_change_ends_every_session(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let fresh = scene.sign_in(&ana).await;
    let refreshed = scene.sign_in(&ana).await;
    let refreshed = scene.rotated(&refreshed, NOON + MINUTE).await;
    let epoch = scene.store.change_password(&ana, &some_hash(2), NOON + MINUTE).await.expect("the change");
    assert_eq!(scene.answer(&fresh.token).await, Rotation::Revoked);
    assert_eq!(scene.answer(&refreshed.token).await, Rotation::Revoked);
    let anew = scene.sign_in(&Caller { epoch, ..ana }).await;
    scene.assert_usable(&anew).await;
}

/// [`UserStore::change_password`] is a compare-and-set.
pub async fn of_two_password_changes_at_once_one_wins(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let mut ana = scene.person("ana@example.org").await;
    for round in 0..8 {
        let (a, b) = (some_hash(10 + round), some_hash(50 + round));
        let (first, second) =
            join(scene.store.change_password(&ana, &a, NOON), scene.store.change_password(&ana, &b, NOON))
                .await;
        let (won, hash, lost) = if first.is_ok() { (first, a, second) } else { (second, b, first) };
        assert_revoked(&lost);
        ana = Caller { epoch: won.expect("one wins"), ..ana };
        let credentials = scene.store.credentials(&ana).await.expect("the credentials");
        assert_eq!(
            credentials.password_hash.expose(),
            hash.expose(),
            "the winner's hash is the one that stays"
        );
    }
}

/// [`UserStore::change_password`] touches one account.
pub async fn a_password_change_leaves_others_alone(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let (ana, bob) = (scene.person("ana@example.org").await, scene.person("bob@example.org").await);
    let session = scene.sign_in(&bob).await;
    scene.store.change_password(&ana, &some_hash(2), NOON).await.expect("the change");
    let credentials = scene.store.credentials(&bob).await.expect("bob's epoch is as before");
    assert_eq!(credentials.password_hash.expose(), some_hash(1).expose());
    scene.assert_usable(&session).await;
}

/// The race of [`UserStore::open_session`].
pub async fn a_session_opened_during_a_password_change_does_not_survive_it(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    for round in 0..8 {
        let ana = scene.person(&format!("ana{round}@example.org")).await;
        let session = scene.new_session();
        let new_hash = some_hash(2);
        let change = scene.store.change_password(&ana, &new_hash, NOON);
        let (opened, changed) = join(scene.store.open_session(&ana, session), change).await;
        changed.expect("nobody else changes the password");
        let expected = if opened.is_ok() {
            Rotation::Revoked
        } else {
            assert_revoked(&opened);
            Rotation::Unknown
        };
        assert_eq!(scene.answer(&session.token_hash).await, expected);
    }
}
