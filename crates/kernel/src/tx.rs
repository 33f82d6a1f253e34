//! The unit of work: a transaction is an object, repositories hang on it, and dropping it undoes everything.

use std::ops::{Deref, DerefMut};

use async_trait::async_trait;

use crate::StoreError;

/// An open transaction.
///
/// Dropping it (an early return, a timeout, a cancelled request) MUST undo everything, give its row locks back at once,
/// and never leave the previous user's identity on a connection that somebody else will use.
#[async_trait]
pub trait Tx: Send {
    /// Makes everything that was done in this transaction durable, all or nothing.
    ///
    /// # Errors
    /// After [`StoreError::Unavailable`] the outcome is unknown: read before repeating.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;

    /// Undoes everything and hands the connection back in good order.
    ///
    /// # Errors
    /// Whatever the error, nothing was kept.
    async fn rollback(self: Box<Self>) -> Result<(), StoreError>;
}

/// Commits when `outcome` is `Ok`, rolls back when it is `Err`, and returns it.
///
/// # Errors
/// The outcome's own error, or that of the commit. A failed rollback is not reported: the outcome says more, and
/// the transaction is gone either way.
pub async fn finish<T, E>(tx: Box<dyn Tx>, outcome: Result<T, E>) -> Result<T, E>
where
    T: Send,
    E: From<StoreError> + Send,
{
    match outcome {
        Ok(value) => {
            tx.commit().await?;
            Ok(value)
        }
        Err(refusal) => {
            let _ = tx.rollback().await;
            Err(refusal)
        }
    }
}

/// A witness that a row was read under its lock in the present transaction; what `save` asks for, so that nobody can
/// write back a value read earlier. It is a witness and no proof: it can outlive its transaction, so use it at once.
#[derive(Debug)]
pub struct Locked<T>(T);

impl<T> Locked<T> {
    /// For storage adapters only, right after the row lock was taken.
    #[must_use]
    pub const fn after_row_lock(value: T) -> Self {
        Self(value)
    }

    /// Gives the value up, and with it the right to save it.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Locked<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Locked<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
