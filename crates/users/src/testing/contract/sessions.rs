//! What a store promises about sessions.
#![expect(clippy::expect_used, reason = "a case fails by panicking")]

use std::sync::Arc;

use futures::future::{join, join_all};
use guiche_kernel::Caller;

use super::scene::{DAY, MINUTE, NOON, Scene, Session, assert_duplicate, some_hash};
use crate::{NewRefreshToken, NewSession, Rotation, UserStore};

const MICROSECOND: std::time::Duration = std::time::Duration::from_micros(1);

/// [`UserStore::rotate`] reports whose session it is and until when the successor is good.
pub async fn a_rotation_spends_the_token_and_stays_in_the_family(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    scene.person("bob@example.org").await;
    let ana = scene.person("ana@example.org").await;
    let session = scene.sign_in(&ana).await;
    let (outcome, _) = scene.rotate(&session.token, NOON + DAY).await;
    let expected =
        Rotation::Rotated { caller: ana, family_id: session.family_id, expires_at: NOON + 8 * DAY };
    assert_eq!(outcome, expected);
}

/// Each successor is a token like the first.
pub async fn a_chain_of_rotations_stays_usable(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let mut session = scene.sign_in(&ana).await;
    for day in 1..10 {
        session = scene.rotated(&session, NOON + 5 * day * DAY).await;
    }
}

/// Reuse is an answer whose effect is committed.
pub async fn a_spent_token_ends_the_family_with_its_newest_token(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let first = scene.sign_in(&ana).await;
    let second = scene.rotated(&first, NOON + MINUTE).await;
    let third = scene.rotated(&second, NOON + MINUTE).await;
    let reused = Rotation::Reused { user_id: ana.user_id, family_id: first.family_id };
    let (outcome, successor) = scene.rotate(&first.token, NOON + MINUTE).await;
    assert_eq!(outcome, reused);
    assert_eq!(scene.answer(&successor).await, Rotation::Unknown, "a refused rotation stores no successor");
    assert_eq!(scene.answer(&third.token).await, Rotation::Revoked, "the newest token");
    assert_eq!(scene.answer(&second.token).await, reused, "another spent token");
    assert_eq!(scene.answer(&first.token).await, reused, "the same one again");
}

/// That it was copied weighs more than that it would have been refused anyway.
pub async fn a_spent_token_is_a_reuse_even_when_expired_or_revoked(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let first = scene.sign_in(&ana).await;
    let second = scene.rotated(&first, NOON + 6 * DAY).await;
    let reused = Rotation::Reused { user_id: ana.user_id, family_id: first.family_id };
    assert_eq!(scene.rotate(&first.token, NOON + 8 * DAY).await.0, reused, "the token has expired");
    assert_eq!(
        scene.rotate(&second.token, NOON + 8 * DAY).await.0,
        Rotation::Revoked,
        "and ended its family"
    );
    let other = scene.sign_in(&ana).await;
    scene.rotated(&other, NOON + MINUTE).await;
    scene.store.revoke_family_of(&other.token, NOON + MINUTE).await.expect("the sign-out");
    let reused = Rotation::Reused { user_id: ana.user_id, family_id: other.family_id };
    assert_eq!(scene.answer(&other.token).await, reused, "the family is revoked");
}

/// The bound is exclusive, to the microsecond.
pub async fn a_token_is_good_until_just_before_it_expires(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let session = scene.sign_in(&ana).await;
    assert_eq!(scene.rotate(&session.token, NOON + 7 * DAY).await.0, Rotation::Expired);
    let renewed = scene.rotated(&session, NOON + 7 * DAY - MICROSECOND).await;
    assert_eq!(scene.rotate(&renewed.token, NOON + 14 * DAY - MICROSECOND).await.0, Rotation::Expired);
    scene.rotated(&renewed, NOON + 14 * DAY - 2 * MICROSECOND).await;
}

/// An expired token neither stores a successor nor ends anything.
pub async fn an_expired_token_changes_nothing(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let session = scene.sign_in(&ana).await;
    let (outcome, successor) = scene.rotate(&session.token, NOON + 30 * DAY).await;
    assert_eq!(outcome, Rotation::Expired);
    assert_eq!(scene.answer(&successor).await, Rotation::Unknown);
    assert_eq!(scene.rotate(&session.token, NOON + 30 * DAY).await.0, Rotation::Expired, "it was not spent");
    scene.assert_usable(&session).await;
}

/// The family's `ends_at` bounds every token of it.
pub async fn a_session_ends_however_often_it_is_refreshed(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let new = NewSession { ends_at: NOON + 10 * DAY, ..scene.new_session() };
    scene.store.open_session(&ana, new).await.expect("the session");
    let session = Session { family_id: new.family_id, token: new.token_hash };
    let (outcome, token) = scene.rotate(&session.token, NOON + 5 * DAY).await;
    let expected = Rotation::Rotated { caller: ana, family_id: new.family_id, expires_at: NOON + 10 * DAY };
    assert_eq!(outcome, expected, "12 days were asked for, the session has 10");
    assert_eq!(scene.rotate(&token, NOON + 10 * DAY).await.0, Rotation::Expired);
    let session = scene.rotated(&Session { token, ..session }, NOON + 10 * DAY - MICROSECOND).await;
    assert_eq!(scene.rotate(&session.token, NOON + 10 * DAY).await.0, Rotation::Expired);
}

/// Nothing is stored for a token that storage does not know.
pub async fn a_token_that_was_never_issued_is_unknown(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let session = scene.sign_in(&ana).await;
    let (outcome, successor) = scene.rotate(&scene.token(), NOON).await;
    assert_eq!(outcome, Rotation::Unknown);
    assert_eq!(scene.answer(&successor).await, Rotation::Unknown);
    scene.assert_usable(&session).await;
}

/// One wins, the other is a reuse, and so the winner's new token is dead as well.
pub async fn of_two_rotations_at_once_one_wins_and_the_other_is_a_reuse(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    for _ in 0..8 {
        let session = scene.sign_in(&ana).await;
        let now = NOON + MINUTE;
        let (one, other) = join(scene.rotate(&session.token, now), scene.rotate(&session.token, now)).await;
        let ((won, newest), (lost, never_stored)) =
            if matches!(one.0, Rotation::Rotated { .. }) { (one, other) } else { (other, one) };
        assert!(matches!(won, Rotation::Rotated { .. }), "one wins, but: {won:?}");
        assert_eq!(lost, Rotation::Reused { user_id: ana.user_id, family_id: session.family_id });
        assert_eq!(scene.answer(&newest).await, Rotation::Revoked);
        assert_eq!(scene.answer(&never_stored).await, Rotation::Unknown);
    }
}

/// The same for a crowd.
pub async fn of_many_rotations_at_once_one_wins(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let session = scene.sign_in(&ana).await;
    let outcomes = join_all((0..12).map(|_| scene.rotate(&session.token, NOON + MINUTE))).await;
    let won = outcomes.iter().filter(|(outcome, _)| matches!(outcome, Rotation::Rotated { .. })).count();
    let lost = outcomes.iter().filter(|(outcome, _)| matches!(outcome, Rotation::Reused { .. })).count();
    assert_eq!((won, lost), (1, 11));
    for (_, successor) in &outcomes {
        assert!(matches!(scene.answer(successor).await, Rotation::Revoked | Rotation::Unknown));
    }
}

/// The race of [`UserStore::rotate`] with [`UserStore::change_password`].
pub async fn a_rotation_during_a_password_change_leaves_nothing_usable(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let mut ana = scene.person("ana@example.org").await;
    for round in 0..8 {
        let session = scene.sign_in(&ana).await;
        let new_hash = some_hash(10 + round);
        let change = scene.store.change_password(&ana, &new_hash, NOON + MINUTE);
        let ((outcome, successor), epoch) = join(scene.rotate(&session.token, NOON + MINUTE), change).await;
        let epoch = epoch.expect("nobody else changes the password");
        let expected = if let Rotation::Rotated { caller, .. } = outcome {
            assert_eq!(caller, ana, "a rotation that came first is of the old epoch");
            Rotation::Revoked
        } else {
            assert_eq!(outcome, Rotation::Revoked);
            Rotation::Unknown
        };
        assert_eq!(scene.answer(&successor).await, expected);
        ana = Caller { epoch, ..ana };
    }
}

/// The race of [`UserStore::rotate`] with [`UserStore::revoke_family_of`].
pub async fn a_rotation_during_a_sign_out_leaves_nothing_usable(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    for _ in 0..8 {
        let session = scene.sign_in(&ana).await;
        let sign_out = scene.store.revoke_family_of(&session.token, NOON + MINUTE);
        let ((outcome, successor), done) = join(scene.rotate(&session.token, NOON + MINUTE), sign_out).await;
        done.expect("the sign-out");
        let expected = if let Rotation::Rotated { .. } = outcome {
            Rotation::Revoked
        } else {
            assert_eq!(outcome, Rotation::Revoked);
            Rotation::Unknown
        };
        assert_eq!(scene.answer(&successor).await, expected);
    }
}

/// The caller of a rotation can be used at once.
pub async fn a_rotation_reports_the_present_epoch(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let epoch = scene.store.change_password(&ana, &some_hash(2), NOON).await.expect("the change");
    let present = Caller { epoch, ..ana };
    let session = scene.sign_in(&present).await;
    let (outcome, _) = scene.rotate(&session.token, NOON + MINUTE).await;
    assert!(matches!(outcome, Rotation::Rotated { caller, .. } if caller == present), "{outcome:?}");
    scene.store.get(&present).await.expect("the present epoch");
}

/// [`UserStore::revoke_family_of`] ends the whole family, and again is the same.
pub async fn a_sign_out_ends_the_family_and_can_be_repeated(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let first = scene.sign_in(&ana).await;
    let second = scene.rotated(&first, NOON + MINUTE).await;
    for _ in 0..2 {
        scene.store.revoke_family_of(&second.token, NOON + MINUTE).await.expect("the sign-out");
        assert_eq!(scene.answer(&second.token).await, Rotation::Revoked);
    }
    assert!(scene.store.get(&ana).await.is_ok(), "access tokens live on");
}

/// Whoever holds any token of a session can end it.
pub async fn a_sign_out_works_with_a_spent_or_expired_token(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let first = scene.sign_in(&ana).await;
    let second = scene.rotated(&first, NOON + MINUTE).await;
    scene.store.revoke_family_of(&first.token, NOON + 30 * DAY).await.expect("the sign-out");
    assert_eq!(scene.answer(&second.token).await, Rotation::Revoked);
    let idle = scene.sign_in(&ana).await;
    scene.store.revoke_family_of(&idle.token, NOON + 30 * DAY).await.expect("the sign-out");
    assert_eq!(scene.answer(&idle.token).await, Rotation::Revoked);
}

/// Nobody is told whether a token exists by signing it out.
pub async fn a_sign_out_with_an_unknown_token_changes_nothing(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let session = scene.sign_in(&ana).await;
    scene.store.revoke_family_of(&scene.token(), NOON).await.expect("the same answer as for a known token");
    scene.assert_usable(&session).await;
}

/// Neither reuse nor sign-out reaches beyond the family, be it the same person's or another's.
pub async fn the_end_of_one_session_leaves_the_others_alone(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let (ana, bob) = (scene.person("ana@example.org").await, scene.person("bob@example.org").await);
    let (reused, signed_out) = (scene.sign_in(&ana).await, scene.sign_in(&ana).await);
    let (same_person, another) = (scene.sign_in(&ana).await, scene.sign_in(&bob).await);
    scene.rotated(&reused, NOON).await;
    assert!(matches!(scene.answer(&reused.token).await, Rotation::Reused { .. }));
    scene.store.revoke_family_of(&signed_out.token, NOON).await.expect("the sign-out");
    scene.assert_usable(&same_person).await;
    scene.assert_usable(&another).await;
}

/// [`UserStore::open_session`] never replaces a session.
pub async fn a_known_family_or_token_is_a_duplicate(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let (ana, bob) = (scene.person("ana@example.org").await, scene.person("bob@example.org").await);
    let session = scene.sign_in(&ana).await;
    let same_family = NewSession { family_id: session.family_id, ..scene.new_session() };
    assert_duplicate(&scene.store.open_session(&bob, same_family).await);
    assert_eq!(scene.answer(&same_family.token_hash).await, Rotation::Unknown);
    let same_token = NewSession { token_hash: session.token, ..scene.new_session() };
    assert_duplicate(&scene.store.open_session(&bob, same_token).await);
    let (outcome, _) = scene.rotate(&session.token, NOON).await;
    assert!(matches!(outcome, Rotation::Rotated { caller, .. } if caller == ana), "{outcome:?}");
}

/// An error of [`UserStore::rotate`] has changed nothing.
pub async fn a_successor_that_is_known_spends_nothing(store: Arc<dyn UserStore>) {
    let scene = Scene::new(store);
    let ana = scene.person("ana@example.org").await;
    let (session, other) = (scene.sign_in(&ana).await, scene.sign_in(&ana).await);
    let successor = NewRefreshToken { token_hash: other.token, expires_at: NOON + DAY };
    assert_duplicate(&scene.store.rotate(&session.token, successor, NOON).await);
    scene.assert_usable(&session).await;
    scene.assert_usable(&other).await;
}
