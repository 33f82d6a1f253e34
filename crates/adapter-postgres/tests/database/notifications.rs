//! What the database tells of its own accord, and that nothing is lost for good when the line breaks.

use guiche_adapter_postgres::Notice;
use guiche_kernel::{Actor, Clock as _};
use guiche_tickets::Applied;
use tokio::sync::mpsc;

use crate::scene::{PAY, Scene, number};

/// Hints as they come; the following ends with this value.
struct Ear {
    notices: mpsc::UnboundedReceiver<Notice>,
    task: tokio::task::JoinHandle<()>,
}

impl Ear {
    async fn on(scene: &Scene) -> Self {
        let (told, notices) = mpsc::unbounded_channel();
        let stores = scene.stores.clone();
        // Whoever has gone need not be told.
        let tell = move |notice| _ = told.send(notice);
        let task = tokio::spawn(async move { stores.follow(tell).await });
        let mut ear = Self { notices, task };
        assert_eq!(ear.next().await, Notice::Gap, "what happened before nobody can know");
        ear
    }

    async fn next(&mut self) -> Notice {
        self.notices.recv().await.unwrap()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_change_is_told_with_its_version_once_it_is_committed() {
    let scene = Scene::new().await;
    let mut ear = Ear::on(&scene).await;
    let alice = scene.person("alice@example.org").await;
    let (first, second) = (scene.opened(alice).await, scene.opened(alice).await);
    let tickets = scene.stores.tickets();
    // Of an opening nothing is told, and nothing of what was taken back.
    let mut undone = tickets.begin(Actor::User(alice)).await.unwrap();
    let mut locked = undone.tickets().lock(second.id()).await.unwrap().unwrap();
    assert_eq!(locked.cancel(scene.clock.now()), Ok(Applied::Changed));
    undone.tickets().save(&locked).await.unwrap();
    undone.rollback().await.unwrap();
    let mut tx = tickets.begin(Actor::User(alice)).await.unwrap();
    let mut locked = tx.tickets().lock(first.id()).await.unwrap().unwrap();
    assert_eq!(locked.cancel(scene.clock.now()), Ok(Applied::Changed));
    tx.tickets().save(&locked).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ear.next().await, Notice::TicketChanged { ticket: first.id(), version: 2 });
}

#[tokio::test]
async fn the_end_of_all_sessions_is_told() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let mut ear = Ear::on(&scene).await;
    let superuser = scene.superuser().await;
    // Other changes of an account are nobody's business.
    superuser.batch_execute("UPDATE users SET password_hash = 'x', epoch = epoch").await.unwrap();
    superuser.batch_execute("UPDATE users SET epoch = epoch + 1").await.unwrap();
    assert_eq!(ear.next().await, Notice::SessionsEnded(alice.user_id));
}

#[tokio::test]
async fn after_a_lost_line_there_is_a_gap_and_then_hints_again() {
    let scene = Scene::new().await;
    let alice = scene.person("alice@example.org").await;
    let ticket = scene.opened(alice).await;
    let mut ear = Ear::on(&scene).await;
    let superuser = scene.superuser().await;
    let listeners = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(number(&superuser, &format!("SELECT count(*) {listeners}")).await, 1, "one connection");
    superuser.batch_execute(&format!("SELECT pg_terminate_backend(pid) {listeners}")).await.unwrap();
    assert_eq!(ear.next().await, Notice::Gap);
    superuser.batch_execute(&format!("BEGIN; {PAY}; COMMIT")).await.unwrap();
    assert_eq!(ear.next().await, Notice::TicketChanged { ticket: ticket.id(), version: 2 });
}
