//! What must not be lost unnoticed, measured: values that are sealed under a key which the ring does not have, and the
//! audit trail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::{BoxError, Limit, SealedColumn, SecretVault, StoreError};
use guiche_lightning_setup::AuditTrail;
use guiche_lightning_setup::audit::{Broken, Walk};
use tokio::sync::Mutex;

use crate::workers::{Workers, every};

const LOOK_EVERY: Duration = Duration::from_secs(60);
/// After so many walks along what is new the whole trail is walked once more: old rows can be changed, too.
const WALKS_BETWEEN: u32 = 60;
/// How often a walk is taken up again because the trail grew meanwhile.
const CATCH_UPS: u32 = 10;
/// What can be wrong with the trail, as the metrics call it.
const WAYS: [&str; 4] = ["missing", "changed", "cut_off", "rewritten"];

/// Looks at what is sealed and what is chained.
#[derive(Clone)]
pub struct Custodian {
    columns: Vec<Arc<dyn SealedColumn>>,
    vault: Arc<dyn SecretVault>,
    trail: Arc<dyn AuditTrail>,
    been: Arc<Mutex<Been>>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custody {
    /// Values under keys that the ring does not have, or that are no sealed values.
    pub unreadable_rows: u64,
    /// What is wrong with the audit trail.
    pub broken: Option<Broken>,
}

/// Where it has been.
struct Been {
    walk: Walk,
    walks: u32,
    /// Keys that had values once: their gauges are set to nothing when they have none any more.
    keys: BTreeSet<String>,
}

impl Custodian {
    /// A custodian that rests.
    #[must_use]
    pub fn new(
        columns: Vec<Arc<dyn SealedColumn>>,
        vault: Arc<dyn SecretVault>,
        trail: Arc<dyn AuditTrail>,
    ) -> Self {
        let been = Been { walk: Walk::new(None), walks: 0, keys: BTreeSet::new() };
        Self { columns, vault, trail, been: Arc::new(Mutex::new(been)) }
    }

    /// Starts the work.
    pub fn start(&self, workers: &mut Workers) {
        let custodian = self.clone();
        workers.spawn(|stop| {
            every(LOOK_EVERY, stop, move || {
                let custodian = custodian.clone();
                async move { custodian.look().await.map(drop) }
            })
        });
    }

    /// Puts into the metrics how things stand.
    ///
    /// # Errors
    /// When storage does not do its part.
    pub async fn look(&self) -> Result<Custody, BoxError> {
        let mut been = self.been.lock().await;
        let unreadable_rows = self.count_sealed(&mut been).await?;
        let found = self.walk(&mut been).await?;
        let way = found.as_ref().err().map(way);
        for word in WAYS {
            let is_it = if way == Some(word) { 1.0 } else { 0.0 };
            metrics::gauge!("audit_chain_broken", "how" => word).set(is_it);
        }
        match &found {
            Ok(rows) => {
                metrics::gauge!("audit_chain_rows").set(f64::from(u32::try_from(*rows).unwrap_or(u32::MAX)));
            }
            Err(broken) => {
                tracing::error!(%broken, "the audit trail of the setups is broken");
                // From the beginning next time: it may have been mended, and is not believed before that.
                been.walk = Walk::new(None);
            }
        }
        Ok(Custody { unreadable_rows, broken: found.err() })
    }

    /// Counts them by their keys; how many cannot be opened.
    async fn count_sealed(&self, been: &mut Been) -> Result<u64, StoreError> {
        let mut rows: BTreeMap<String, u64> = been.keys.iter().map(|key| (key.clone(), 0)).collect();
        // Keys of the ring are told from the beginning, also while nothing is sealed.
        rows.extend(
            self.vault.key_ids().into_iter().filter(|key| !key.is_empty()).map(|key| (key.to_owned(), 0)),
        );
        for column in &self.columns {
            for used in column.keys_in_use().await? {
                *rows.entry(used.key.unwrap_or_default()).or_default() += used.rows;
            }
        }
        let ring: BTreeSet<&str> = self.vault.key_ids().into_iter().collect();
        let in_ring = |key: &str| !key.is_empty() && ring.contains(key);
        let unreadable = rows.iter().filter(|(key, _)| !in_ring(key)).map(|(_, rows)| rows).sum();
        for (key, rows) in &rows {
            let known = if in_ring(key) { "true" } else { "false" };
            let rows = f64::from(u32::try_from(*rows).unwrap_or(u32::MAX));
            metrics::gauge!("sealed_rows", "key" => key.clone(), "in_ring" => known).set(rows);
        }
        been.keys.extend(rows.into_keys());
        Ok(unreadable)
    }

    /// Walks along what is new, or now and then along everything; the number of rows.
    async fn walk(&self, been: &mut Been) -> Result<Result<i64, Broken>, StoreError> {
        been.walks = been.walks.wrapping_add(1);
        if been.walks.is_multiple_of(WALKS_BETWEEN) {
            been.walk = Walk::new(None);
        }
        for _ in 0..CATCH_UPS {
            // Before the rows: what is added meanwhile lies behind this head, and not before it.
            let head = self.trail.head().await?;
            if let Err(broken) = self.catch_up(&mut been.walk).await? {
                return Ok(Err(broken));
            }
            let (reached, _) = been.walk.position();
            let grew = self.trail.head().await? != head;
            if !grew || head.is_some_and(|(number, _)| reached < number) {
                return Ok(been.walk.clone().end(head));
            }
        }
        // It grows faster than it can be walked; nothing that was seen is wrong.
        Ok(Ok(been.walk.position().0))
    }

    /// Whether the row at which the last walk ended is what it was: the end is where rows are cut off.
    async fn still_there(&self, walk: &Walk) -> Result<Result<(), Broken>, StoreError> {
        let (number, hash) = walk.position();
        if number == 0 {
            return Ok(Ok(()));
        }
        let before = number.saturating_sub(1);
        let found = self.trail.rows((before > 0).then_some(before), one()).await?;
        Ok(match found.first() {
            Some(entry) if (entry.row.number, entry.hash) == (number, hash) => Ok(()),
            Some(entry) if entry.row.number == number => Err(Broken::Changed(number)),
            Some(_) | None => Err(Broken::CutOff { found: before, head: number }),
        })
    }

    async fn catch_up(&self, walk: &mut Walk) -> Result<Result<(), Broken>, StoreError> {
        if let Err(broken) = self.still_there(walk).await? {
            return Ok(Err(broken));
        }
        let page = Limit::try_new(Limit::MAX).unwrap_or_default();
        loop {
            let (number, _) = walk.position();
            let rows = self.trail.rows((number > 0).then_some(number), page).await?;
            for entry in &rows {
                if let Err(broken) = walk.step(entry) {
                    return Ok(Err(broken));
                }
            }
            if rows.len() < usize::from(page.get()) {
                return Ok(Ok(()));
            }
        }
    }
}

/// The limit of one row.
fn one() -> Limit {
    Limit::try_new(1).unwrap_or_default()
}

const fn way(broken: &Broken) -> &'static str {
    match broken {
        Broken::Missing { .. } => "missing",
        Broken::Changed(_) => "changed",
        Broken::CutOff { .. } => "cut_off",
        Broken::Rewritten(_) => "rewritten",
    }
}
