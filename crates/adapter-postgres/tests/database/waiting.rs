//! Sessions that wait for a lock, and calls that must come to an end.

use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::scene::Scene;

/// Within this a call comes to its end.
pub(crate) const SOON: Duration = Duration::from_secs(4);

/// Until so many sessions of this database wait for a lock; returns their process ids. The server tells nobody when one begins
/// to wait, so it is asked again and again.
pub(crate) async fn stopped(scene: &Scene, observer: &Client, sessions: usize) -> Vec<i32> {
    let waiting = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock'",
        scene.database.name()
    );
    for _ in 0..1_000 {
        let found = observer.query(&waiting, &[]).await.unwrap();
        if found.len() >= sessions {
            return found.iter().map(|row| row.get(0)).collect();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nobody waits");
}

/// What all of them were told.
pub(crate) async fn answered<T>(calls: Vec<JoinHandle<T>>) -> Vec<T> {
    let all = tokio::time::timeout(SOON, join_all(calls)).await.expect("nobody waits for ever");
    all.into_iter().map(Result::unwrap).collect()
}
