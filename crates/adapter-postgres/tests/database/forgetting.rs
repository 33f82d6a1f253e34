//! Forgetting a citizen: everything of one, nothing of others, and no half of a ticket that is opened meanwhile.

use std::time::Duration;

use guiche_adapter_postgres::{Forgotten, HeldSetup, PgAdministration};
use guiche_kernel::{Caller, Epoch, StoreError};
use guiche_lightning_setup::{Begun, SetupStatus};
use guiche_users::Email;
use tokio_postgres::Client;

use crate::scene::{PERSONAL, Scene, number, preimage};
use crate::waiting::stopped;

async fn administration(scene: &Scene) -> PgAdministration {
    PgAdministration::connect(scene.database.owner_url().into()).await.unwrap()
}

fn alice() -> Email {
    Email::parse("Alice@Example.org").unwrap()
}

/// Rows of that person, table by table; the audit trail is no part of what is forgotten.
async fn rows_of(client: &Client, user: guiche_kernel::UserId) -> Vec<i64> {
    let mut counts = Vec::new();
    for (table, owner) in PERSONAL.into_iter().filter(|(table, _)| *table != "lightning_setup_log") {
        counts.push(number(client, &format!("SELECT count(*) FROM {table} WHERE {owner} = '{user}'")).await);
    }
    counts
}

#[tokio::test]
async fn everything_of_one_citizen_goes_and_nothing_of_another() {
    let scene = Scene::new().await;
    let (user, other) =
        (scene.citizen("alice@example.org").await.user_id, scene.citizen("bob@example.org").await.user_id);
    scene.fail_setup(Caller { user_id: user, epoch: Epoch::FIRST }).await;
    let superuser = scene.superuser().await;
    let administration = administration(&scene).await;
    let mut forgetting = administration.begin_forgetting(&alice()).await.unwrap().unwrap();
    assert_eq!((forgetting.user(), forgetting.tickets().len()), (user, 1));
    let address = "alice@guiche.test".to_owned();
    assert_eq!(forgetting.setups(), [HeldSetup { address, status: SetupStatus::Failed }]);
    let forgotten = forgetting.forget().await.unwrap();
    let one_of_each =
        Forgotten { accounts: 1, sessions: 1, claims: 1, events: 1, invoices: 1, tickets: 1, setups: 1 };
    assert_eq!(forgotten, one_of_each);
    assert_eq!(rows_of(&superuser, user).await, [1; 11], "not before the commit");
    forgetting.commit().await.unwrap();
    assert_eq!(rows_of(&superuser, user).await, [0; 11]);
    assert_eq!(rows_of(&superuser, other).await, [1; 11]);
    let told = format!("SELECT count(*) FROM lightning_setup_log WHERE user_id = '{user}'");
    assert_eq!(number(&superuser, &told).await, 2, "the audit trail stays");
    assert!(administration.begin_forgetting(&alice()).await.unwrap().is_none());
    scene.person("alice@example.org").await;
}

#[tokio::test]
async fn a_rollback_and_a_dropped_transaction_change_nothing() {
    let scene = Scene::new().await;
    let caller = scene.citizen("alice@example.org").await;
    scene.fail_setup(caller).await;
    let (user, superuser) = (caller.user_id, scene.superuser().await);
    let administration = administration(&scene).await;
    for dropped in [false, true] {
        let mut forgetting = administration.begin_forgetting(&alice()).await.unwrap().unwrap();
        forgetting.forget().await.unwrap();
        if dropped { drop(forgetting) } else { forgetting.rollback().await.unwrap() }
    }
    assert_eq!(rows_of(&superuser, user).await, [1; 11]);
}

#[tokio::test]
async fn a_ticket_that_is_being_opened_is_waited_for_and_seen() {
    let scene = Scene::new().await;
    let caller = scene.person("alice@example.org").await;
    let (opener, observer) = (scene.app().await, scene.superuser().await);
    let (id, now) = (scene.ids.uuid(), "'2026-01-01 12:00+00'");
    let hash: String = preimage(id).payment_hash().to_string();
    let open = format!(
        r"BEGIN; SELECT become('{user}', 0);
        INSERT INTO tickets VALUES ('{id}', '{user}', 1, 'x', 1, '{{}}', 'pending', 1, {now}, {now}, NULL, NULL, NULL, {now});
        INSERT INTO invoices VALUES ('\x{hash}', '{id}', '{user}', 1, 1, 'p', 'b', {now}, '2026-01-01 12:15+00', 'open')",
        user = caller.user_id
    );
    opener.batch_execute(&open).await.unwrap();
    let administration = administration(&scene).await;
    let forgetting = tokio::spawn(async move { administration.begin_forgetting(&alice()).await });
    stopped(&scene, &observer, 1).await;
    opener.batch_execute("COMMIT").await.unwrap();
    let forgetting = forgetting.await.unwrap().unwrap().unwrap();
    assert_eq!(forgetting.tickets().len(), 1, "whoever decides sees it");
    forgetting.rollback().await.unwrap();
}

#[tokio::test]
async fn a_ticket_that_comes_too_late_finds_no_account_and_is_not_stored() {
    let scene = Scene::new().await;
    let caller = scene.person("alice@example.org").await;
    let observer = scene.superuser().await;
    let administration = administration(&scene).await;
    let mut forgetting = administration.begin_forgetting(&alice()).await.unwrap().unwrap();
    assert_eq!(forgetting.tickets(), []);
    let (store, mut ticket) = (scene.stores.tickets(), scene.ticket(caller));
    let events = ticket.take_events(&scene.ids);
    let opening = tokio::spawn(async move { store.open(caller, &ticket, &events, None).await });
    stopped(&scene, &observer, 1).await;
    forgetting.forget().await.unwrap();
    forgetting.commit().await.unwrap();
    let refused = opening.await.unwrap();
    assert!(matches!(refused, Err(StoreError::Revoked)), "signed out, not broken: {refused:?}");
    assert_eq!(rows_of(&observer, caller.user_id).await, [0; 11], "no orphan");
}

#[tokio::test]
async fn the_owner_sees_one_citizen_at_a_time_and_changes_none() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    scene.citizen("bob@example.org").await;
    let owner = scene.database.raw(&scene.database.owner_url()).await;
    for (table, _) in PERSONAL {
        assert_eq!(number(&owner, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}, before");
    }
    owner.batch_execute("BEGIN; SELECT begin_forgetting('alice@example.org')").await.unwrap();
    for (table, _) in PERSONAL {
        let unseen = ["refresh_tokens", "invoice_looks", "lightning_setup_log"].contains(&table);
        let expected = i64::from(!unseen);
        assert_eq!(number(&owner, &format!("SELECT count(*) FROM {table}")).await, expected, "{table}");
    }
    let refused = owner.batch_execute("UPDATE users SET password_hash = 'stolen'").await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("row-level security"), "{refused:?}");
    owner.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(number(&owner, "SELECT count(*) FROM users").await, 0, "and afterwards none");
}

/// A node may hold money: the rows that lead there cannot be deleted, whatever the program thinks.
#[tokio::test]
async fn whoever_has_something_outside_is_not_forgotten() {
    let scene = Scene::new().await;
    let user = scene.citizen("alice@example.org").await.user_id;
    let superuser = scene.superuser().await;
    let administration = administration(&scene).await;
    for change in [
        "SELECT",
        "UPDATE lightning_addresses SET status = 'rolling_back'",
        "UPDATE lightning_addresses SET status = 'needs_attention', due_at = NULL, leased_until = NULL",
        "UPDATE lightning_addresses SET status = 'fully_configured', active = true, activated_at = now()",
    ] {
        superuser.batch_execute(change).await.unwrap();
        let mut forgetting = administration.begin_forgetting(&alice()).await.unwrap().unwrap();
        assert!(!forgetting.setups()[0].status.lets_go(), "{change}");
        let refused = forgetting.forget().await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{change}: {refused:?}");
        forgetting.rollback().await.unwrap();
        assert_eq!(rows_of(&superuser, user).await, [1; 11], "{change}");
    }
}

/// Whoever still pays there must not pay somebody else.
#[tokio::test]
async fn the_address_of_a_forgotten_citizen_is_nobodys_again() {
    let scene = Scene::new().await;
    let caller = scene.citizen("alice@example.org").await;
    let bob = scene.person("bob@example.org").await;
    scene.fail_setup(caller).await;
    let superuser = scene.superuser().await;
    superuser.batch_execute("UPDATE lightning_addresses SET activated_at = now()").await.unwrap();
    let mut forgetting = administration(&scene).await.begin_forgetting(&alice()).await.unwrap().unwrap();
    forgetting.forget().await.unwrap();
    forgetting.commit().await.unwrap();
    let mut wanted = scene.wanted("alice");
    wanted.reserved_since += Duration::from_hours(1_000);
    let setups = scene.stores.setups();
    assert_eq!(setups.begin(bob, &wanted).await.unwrap(), Begun::Taken);
    let other = scene.wanted("alicia");
    assert!(matches!(setups.begin(bob, &other).await.unwrap(), Begun::Started(_)));
}

/// Neither a first setup nor another attempt gets in between.
#[tokio::test]
async fn a_setup_that_begins_too_late_finds_no_account() {
    for again in [false, true] {
        let scene = Scene::new().await;
        let caller = scene.person("alice@example.org").await;
        if again {
            scene.begun(caller, "alice").await;
            scene.fail_setup(caller).await;
        }
        let observer = scene.superuser().await;
        let administration = administration(&scene).await;
        let mut forgetting = administration.begin_forgetting(&alice()).await.unwrap().unwrap();
        let (setups, wanted) = (scene.stores.setups(), scene.wanted("alice"));
        let beginning = tokio::spawn(async move { setups.begin(caller, &wanted).await });
        stopped(&scene, &observer, 1).await;
        forgetting.forget().await.unwrap();
        forgetting.commit().await.unwrap();
        let refused = beginning.await.unwrap();
        assert!(matches!(refused, Err(StoreError::Revoked)), "signed out, not broken: {refused:?}");
        assert_eq!(rows_of(&observer, caller.user_id).await, [0; 11], "no orphan");
    }
}

#[tokio::test]
async fn no_login_of_a_server_may_forget_anybody() {
    let scene = Scene::new().await;
    scene.citizen("alice@example.org").await;
    for url in [scene.database.app_url(), scene.database.worker_url()] {
        let administration = PgAdministration::connect(url.into()).await.unwrap();
        let refused = administration.begin_forgetting(&alice()).await.map(drop);
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    }
}
