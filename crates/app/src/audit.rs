//! The audit trail of Lightning setups, walked along from its first row to its head, while the office is open.

use std::path::Path;

use guiche_kernel::{BoxError, Limit};
use guiche_lightning_setup::audit::{Broken, Checkpoint, Walk};
use guiche_lightning_setup::{AuditEntry, AuditTrail};

/// Where the trail ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The last row's number, which is how many there are; 0 before the first.
    pub number: i64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// Follows the chain to its end, and tells how many rows more are behind us. What is wrong with it is the inner error.
///
/// # Errors
/// Storage's; then nothing is known of the chain.
pub async fn verify(
    trail: &dyn AuditTrail,
    checkpoint: Option<Checkpoint>,
    mut tell: impl FnMut(u64),
) -> Result<Result<End, Broken>, BoxError> {
    let limit = Limit::try_new(Limit::MAX)?;
    let mut walk = Walk::new(checkpoint);
    loop {
        // Rows come while we walk. The head is asked first: up to there, everything must be there.
        let head = trail.head().await?;
        let page = trail.rows(Some(walk.position().0).filter(|number| *number > 0), limit).await?;
        if page.is_empty() {
            let (number, hash) = walk.position();
            return Ok(walk.end(head).map(|_| End { number, hash }));
        }
        tell(u64::try_from(page.len())?);
        if let Err(broken) = steps(&mut walk, &page) {
            return Ok(Err(broken));
        }
    }
}

fn steps(walk: &mut Walk, page: &[AuditEntry]) -> Result<(), Broken> {
    page.iter().try_for_each(|entry| walk.step(entry))
}

/// The last checkpoint of a file, which has one in each line.
///
/// # Errors
/// A file that cannot be read, or whose last line is no checkpoint.
pub fn last_checkpoint(file: &Path) -> Result<Checkpoint, BoxError> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let last = text.lines().rfind(|line| !line.trim().is_empty()).and_then(Checkpoint::from_line);
    last.ok_or_else(|| format!("the last line of {} is no checkpoint", file.display()).into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use guiche_kernel::testing::{ManualClock, SeededRandomness};
    use guiche_kernel::{Caller, Clock as _, Ids, StoreError, UserId};
    use guiche_lightning_setup::testing::MemorySetupStore;
    use guiche_lightning_setup::{
        AddressDomain, AddressName, Begin, Begun, LightningAddress, SetupId, SetupStore,
    };

    use super::*;

    /// So many setups of as many people.
    async fn begin(store: &MemorySetupStore, ids: &Ids, people: usize) {
        for _ in 0..people {
            let (caller, id): (Caller, _) = (store.add_account(UserId::new(ids.uuid())), ids.uuid());
            let name = AddressName::parse(&format!("a{}", &id.simple().to_string()[12..])).unwrap();
            let address = LightningAddress { name, domain: AddressDomain::parse("guiche.test").unwrap() };
            let now = ManualClock::default().now();
            let begin = Begin { id: SetupId::new(id), address, now, reserved_since: now };
            let begun = store.begin(caller, &begin).await.unwrap();
            assert!(matches!(begun, Begun::Started(_)), "{begun:?}");
        }
    }

    fn ids() -> Ids {
        Ids::new(Arc::new(ManualClock::default()), Arc::new(SeededRandomness::new(4)))
    }

    #[tokio::test]
    async fn a_whole_trail_is_told_to_its_end() {
        let (store, ids) = (MemorySetupStore::new(), ids());
        let nothing = verify(&store, None, |_| {}).await.unwrap().unwrap();
        assert_eq!((nothing.number, nothing.hash), (0, [0; 32]));
        begin(&store, &ids, 205).await;
        let mut passed = Vec::new();
        let end = verify(&store, None, |rows| passed.push(rows)).await.unwrap().unwrap();
        assert_eq!((end.number, passed), (205, vec![100, 100, 5]));
        assert_eq!(store.head().await.unwrap(), Some((205, end.hash)));
    }

    /// A trail to which rows come while it is walked along.
    struct Growing(MemorySetupStore, Ids, AtomicUsize);

    #[async_trait]
    impl AuditTrail for Growing {
        async fn rows(&self, after: Option<i64>, limit: Limit) -> Result<Vec<AuditEntry>, StoreError> {
            let rows = self.0.rows(after, limit).await;
            if self.2.fetch_add(1, Ordering::Relaxed) < 3 {
                begin(&self.0, &self.1, 150).await;
            }
            rows
        }
        async fn head(&self) -> Result<Option<(i64, [u8; 32])>, StoreError> {
            self.0.head().await
        }
    }

    #[tokio::test]
    async fn rows_that_come_meanwhile_are_no_damage() {
        let trail = Growing(MemorySetupStore::new(), ids(), AtomicUsize::new(0));
        begin(&trail.0, &trail.1, 1).await;
        let end = verify(&trail, None, |_| {}).await.unwrap().unwrap();
        assert_eq!(end.number, 451);
    }
}
