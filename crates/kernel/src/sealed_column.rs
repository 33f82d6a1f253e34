//! The columns that hold sealed values, as a port: so that a key can be replaced without knowing what it protects.

use std::num::NonZeroU16;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{Sealed, SecretPlace, StoreError};

/// A sealed value and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// The row's key.
    pub row: Uuid,
    /// Whose it is, which is part of its place.
    pub owner: Uuid,
    /// The value.
    pub sealed: Sealed,
}

/// A value that was sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// The row's key.
    pub row: Uuid,
    /// What was read.
    pub old: Sealed,
    /// What is to be there instead.
    pub new: Sealed,
}

/// How many values of a column are sealed under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The key's id; `None` for what is no sealed value.
    pub key: Option<String>,
    /// How many.
    pub rows: u64,
}

/// A column of storage that holds sealed values.
#[async_trait]
pub trait SealedColumn: Send + Sync {
    /// Its table and its own name, e.g. `webhook_endpoints.secret`: for people.
    fn name(&self) -> &str;

    /// The place for which the values of this owner are sealed. Two columns may share one.
    fn place(&self, owner: Uuid) -> SecretPlace;

    /// How many values there are under each key, in the order of the keys' ids; absent values are not counted.
    async fn keys_in_use(&self) -> Result<Vec<KeyUse>, StoreError>;

    /// A page of the values that are sealed under none of these keys, by the rows' keys, after the given row. What is no
    /// sealed value at all is among them. Nothing is locked.
    async fn not_under(
        &self,
        keys: &[&str],
        after: Option<Uuid>,
        most: NonZeroU16,
    ) -> Result<Vec<SealedRow>, StoreError>;

    /// Puts each new value in the place of its old one, all in one transaction, and returns how many. A row whose value
    /// is not the old one any more MUST stay as it is: somebody was faster, and theirs counts.
    async fn replace(&self, changes: &[Resealed]) -> Result<u64, StoreError>;
}
