//! The rotation of the sealing keys: everything that is not sealed under the primary key is sealed anew, while the office
//! is open.
//!
//! A batch is read, sealed in memory, and written back where it still is what was read. Nothing is locked in between, so
//! whoever serves waits for nobody; whoever changes a value meanwhile wins; and wherever this is cut off, every value is
//! sealed under one key or the other. While a batch is written, the next one is read.

use std::num::NonZeroU16;
use std::sync::Arc;

use guiche_kernel::{
    BoxError, KeyUse, Resealed, SealError, SealedColumn, SealedRow, SecretVault, StoreError,
};
use uuid::Uuid;

/// How often a batch is tried again that met others at the same rows.
const TRIES: u32 = 5;

/// What goes on, for whoever looks on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// So many values more are behind us.
    Passed(u64),
    /// This value does not open; it stays as it is.
    Refused {
        /// The table and the column.
        column: String,
        /// The row's key.
        row: Uuid,
        /// Why it does not open.
        reason: SealError,
    },
}

/// What came of a rotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Values that were sealed anew.
    pub resealed: u64,
    /// Values that somebody else changed meanwhile, a second rotation for instance; theirs count.
    pub overtaken: u64,
    /// Values that do not open.
    pub refused: u64,
}

/// The values under each key in each column.
pub type InUse = Vec<(Arc<dyn SealedColumn>, Vec<KeyUse>)>;

/// Which keys are in use, column by column.
///
/// # Errors
/// [`StoreError`].
pub async fn in_use(columns: &[Arc<dyn SealedColumn>]) -> Result<InUse, StoreError> {
    let mut found = Vec::with_capacity(columns.len());
    for column in columns {
        found.push((Arc::clone(column), column.keys_in_use().await?));
    }
    Ok(found)
}

/// The rotation of one column after the other.
pub struct Rotation {
    columns: Vec<Arc<dyn SealedColumn>>,
    vault: Arc<dyn SecretVault>,
    batch: NonZeroU16,
}

impl Rotation {
    /// A rotation in batches of so many rows.
    #[must_use]
    pub fn new(columns: Vec<Arc<dyn SealedColumn>>, vault: Arc<dyn SecretVault>, batch: NonZeroU16) -> Self {
        Self { columns, vault, batch }
    }

    /// Seals anew whatever is not under the primary key, and tells how it goes on. May run again, or twice at once.
    ///
    /// # Errors
    /// [`StoreError`]; what was written until then stays, and a second run goes on from there.
    pub async fn run(&self, mut tell: impl FnMut(Step)) -> Result<Rotated, BoxError> {
        let mut rotated = Rotated::default();
        for column in &self.columns {
            self.rotate(column, &mut rotated, &mut tell).await?;
        }
        Ok(rotated)
    }

    async fn rotate(
        &self,
        column: &Arc<dyn SealedColumn>,
        rotated: &mut Rotated,
        tell: &mut impl FnMut(Step),
    ) -> Result<(), BoxError> {
        let mut page = self.page(column, None).await?;
        while let Some(last) = page.last().map(|row| row.row) {
            let rows = u64::try_from(page.len())?;
            let (vault, of) = (Arc::clone(&self.vault), Arc::clone(column));
            let sealing = tokio::task::spawn_blocking(move || reseal(&*vault, &*of, page));
            let written = async {
                let (changes, refused) = sealing.await?;
                let replaced = replace(&**column, &changes).await?;
                Ok::<_, BoxError>((replaced, u64::try_from(changes.len())?, refused))
            };
            let (written, next) = tokio::join!(written, self.page(column, Some(last)));
            let (replaced, changes, refused) = written?;
            rotated.resealed += replaced;
            rotated.overtaken += changes.saturating_sub(replaced);
            rotated.refused += u64::try_from(refused.len())?;
            for (row, reason) in refused {
                tell(Step::Refused { column: column.name().to_owned(), row, reason });
            }
            tell(Step::Passed(rows));
            page = next?;
        }
        Ok(())
    }

    async fn page(
        &self,
        column: &Arc<dyn SealedColumn>,
        after: Option<Uuid>,
    ) -> Result<Vec<SealedRow>, StoreError> {
        column.not_under(&[self.vault.primary_key_id()], after, self.batch).await
    }
}

/// The values sealed anew, and the rows whose values do not open. Work for the processor, and nothing else.
fn reseal(
    vault: &dyn SecretVault,
    column: &dyn SealedColumn,
    page: Vec<SealedRow>,
) -> (Vec<Resealed>, Vec<(Uuid, SealError)>) {
    let (mut changes, mut refused) = (Vec::with_capacity(page.len()), Vec::new());
    for SealedRow { row, owner, sealed } in page {
        let place = column.place(owner);
        match vault.open(place, &sealed).and_then(|secret| vault.seal(place, &secret)) {
            Ok(new) => changes.push(Resealed { row, old: sealed, new }),
            Err(reason) => refused.push((row, reason)),
        }
    }
    (changes, refused)
}

async fn replace(column: &dyn SealedColumn, changes: &[Resealed]) -> Result<u64, StoreError> {
    if changes.is_empty() {
        return Ok(0);
    }
    for _ in 1..TRIES {
        match column.replace(changes).await {
            // Others held the rows for too long; nothing of the batch was written.
            Err(StoreError::Conflict) => {}
            outcome => return outcome,
        }
    }
    column.replace(changes).await
}

#[cfg(test)]
mod tests;
