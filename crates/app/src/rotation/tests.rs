//! The rotation over a column in memory, where others are as fast as a test wants them to be.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use guiche_adapter_crypto::{KeyRing, SealingKey};
use guiche_kernel::{Sealed, SecretPlace};
use secrecy::{ExposeSecret as _, SecretBox, SecretSlice};

use super::*;
use crate::system::OsRandomness;

/// What somebody else does at the moment of writing.
type Meddler = Box<dyn FnOnce(&mut BTreeMap<Uuid, Sealed>) -> Result<(), StoreError> + Send>;

#[derive(Default)]
struct Column {
    rows: Mutex<BTreeMap<Uuid, Sealed>>,
    meddlers: Mutex<Vec<Meddler>>,
}

fn place(owner: Uuid) -> SecretPlace {
    SecretPlace { service: "webhooks", column: "webhook_endpoints.secret", owner }
}

fn ring(ids: &[&str]) -> Arc<dyn SecretVault> {
    let key = |id: &&str| {
        let mut secret = [7; 32];
        secret.iter_mut().zip(id.bytes()).for_each(|(byte, of_id)| *byte = of_id);
        SealingKey { id: (*id).to_owned(), secret: Arc::new(SecretBox::new(Box::new(secret))) }
    };
    Arc::new(KeyRing::try_new(ids.iter().map(key).collect(), Arc::new(OsRandomness)).unwrap())
}

fn secret(row: u128) -> SecretSlice<u8> {
    row.to_be_bytes().to_vec().into()
}

fn sealed(under: &str, row: u128) -> Sealed {
    ring(&[under]).seal(place(Uuid::from_u128(row)), &secret(row)).unwrap()
}

impl Column {
    fn under(key: &str, rows: u128) -> Arc<Self> {
        let column = Self::default();
        column.lock().extend((1..=rows).map(|row| (Uuid::from_u128(row), sealed(key, row))));
        Arc::new(column)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Sealed>> {
        self.rows.lock().unwrap()
    }

    fn meddle(
        &self,
        with: impl FnOnce(&mut BTreeMap<Uuid, Sealed>) -> Result<(), StoreError> + Send + 'static,
    ) {
        self.meddlers.lock().unwrap().push(Box::new(with));
    }

    fn keys(&self) -> Vec<String> {
        self.lock().values().map(|sealed| sealed.key_id().unwrap_or("none").to_owned()).collect()
    }

    async fn rotate(self: &Arc<Self>, batch: u16) -> (Rotated, Vec<Step>) {
        let columns: Vec<Arc<dyn SealedColumn>> = vec![Arc::<Self>::clone(self)];
        let rotation = Rotation::new(columns, ring(&["new", "old"]), NonZeroU16::new(batch).unwrap());
        let mut steps = Vec::new();
        let rotated = rotation.run(|step| steps.push(step)).await.unwrap();
        (rotated, steps)
    }
}

#[async_trait]
impl SealedColumn for Column {
    fn name(&self) -> &'static str {
        "webhook_endpoints.secret"
    }

    fn place(&self, owner: Uuid) -> SecretPlace {
        place(owner)
    }

    async fn keys_in_use(&self) -> Result<Vec<KeyUse>, StoreError> {
        Ok(Vec::new())
    }

    async fn not_under(
        &self,
        keys: &[&str],
        after: Option<Uuid>,
        most: NonZeroU16,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let rows = self.lock();
        let found = rows.iter().filter(|(row, sealed)| {
            after.is_none_or(|after| **row > after) && !sealed.key_id().is_some_and(|key| keys.contains(&key))
        });
        let row =
            |(row, sealed): (&Uuid, &Sealed)| SealedRow { row: *row, owner: *row, sealed: sealed.clone() };
        Ok(found.take(most.get().into()).map(row).collect())
    }

    async fn replace(&self, changes: &[Resealed]) -> Result<u64, StoreError> {
        let meddler = self.meddlers.lock().unwrap().pop();
        let mut rows = self.lock();
        meddler.map_or(Ok(()), |meddler| meddler(&mut rows))?;
        let mut replaced = 0;
        for change in changes {
            if let Some(sealed) = rows.get_mut(&change.row).filter(|sealed| **sealed == change.old) {
                sealed.clone_from(&change.new);
                replaced += 1;
            }
        }
        Ok(replaced)
    }
}

#[tokio::test]
async fn whatever_the_batch_every_secret_is_the_same_under_the_primary_key() {
    for batch in [1, 3, 10, 11] {
        let column = Column::under("old", 10);
        let (rotated, steps) = column.rotate(batch).await;
        assert_eq!(rotated, Rotated { resealed: 10, ..Rotated::default() }, "{batch}");
        let passed: u64 =
            steps.iter().map(|step| if let Step::Passed(rows) = step { *rows } else { 0 }).sum();
        assert_eq!(passed, 10, "{batch}");
        for (row, sealed) in &*column.lock() {
            let opened = ring(&["new"]).open(place(*row), sealed).unwrap();
            assert_eq!(opened.expose_secret(), secret(row.as_u128()).expose_secret(), "{batch}");
        }
        let (again, steps) = column.rotate(batch).await;
        assert_eq!((again, steps), (Rotated::default(), Vec::new()), "there is nothing left to do");
    }
}

#[tokio::test]
async fn what_somebody_else_changes_meanwhile_is_never_overwritten() {
    let column = Column::under("old", 3);
    let theirs = sealed("new", 2);
    let written = theirs.clone();
    column.meddle(move |rows| {
        rows.insert(Uuid::from_u128(2), written);
        rows.remove(&Uuid::from_u128(3));
        Ok(())
    });
    let (rotated, _) = column.rotate(10).await;
    assert_eq!(rotated, Rotated { resealed: 1, overtaken: 2, refused: 0 });
    assert_eq!(column.lock().get(&Uuid::from_u128(2)), Some(&theirs));
    assert_eq!(column.keys(), ["new", "new"]);
}

#[tokio::test]
async fn what_does_not_open_is_told_and_left_and_holds_up_no_other() {
    let column = Column::under("old", 4);
    let moved = sealed("old", 1);
    column.lock().insert(Uuid::from_u128(2), moved.clone());
    column.lock().insert(Uuid::from_u128(3), Sealed::from_text("v1.old.short"));
    let (rotated, steps) = column.rotate(1).await;
    assert_eq!(rotated, Rotated { resealed: 2, overtaken: 0, refused: 2 });
    let refused = |row, reason| Step::Refused {
        column: "webhook_endpoints.secret".to_owned(),
        row: Uuid::from_u128(row),
        reason,
    };
    for expected in [refused(2, SealError::Refused("old".to_owned())), refused(3, SealError::Malformed)] {
        assert!(steps.contains(&expected), "{expected:?}: {steps:?}");
    }
    assert_eq!(column.lock().get(&Uuid::from_u128(2)), Some(&moved));
    assert_eq!(column.keys(), ["new", "old", "old", "new"]);
}

#[tokio::test]
async fn a_batch_that_met_others_is_tried_again() {
    let column = Column::under("old", 2);
    for _ in 1..TRIES {
        column.meddle(|_| Err(StoreError::Conflict));
    }
    let (rotated, _) = column.rotate(10).await;
    assert_eq!(rotated.resealed, 2);
}
