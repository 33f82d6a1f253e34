//! A person's account, as it is stored and as it is shown.

use guiche_kernel::{Caller, Epoch, Timestamp, UserId};

use crate::{Email, PasswordHash};

/// An account as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Identifies the account for ever.
    pub id: UserId,
    /// The name under which its owner signs in, as typed at registration.
    pub email: Email,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// An account about to be stored. It starts in [`Epoch::FIRST`].
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Made by the use case, so that the id is known before anything is written.
    pub id: UserId,
    /// Must be free; compared by [`Email::key`].
    pub email: Email,
    /// Of the password chosen at registration.
    pub password_hash: PasswordHash,
    /// When it is registered.
    pub created_at: Timestamp,
}

/// What a sign-in is checked against.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Whose they are.
    pub user_id: UserId,
    /// Of the present password.
    pub password_hash: PasswordHash,
    /// The account's present epoch. A session opened on the strength of these credentials carries it, so that storage
    /// refuses the session if the password was changed between the check and the opening.
    pub epoch: Epoch,
}

impl Credentials {
    /// Whoever has shown the password behind these credentials.
    #[must_use]
    pub const fn caller(&self) -> Caller {
        Caller { user_id: self.user_id, epoch: self.epoch }
    }
}
