//! Who asks for something: storage enforces it, so it travels with every call that touches a person's rows.

use crate::UserId;

/// How often an account has revoked everything it had issued. Access tokens carry the epoch they were issued in;
/// storage refuses a caller whose epoch is not the account's present one ([`StoreError::Revoked`](crate::StoreError::Revoked)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(i32);

impl Epoch {
    /// The epoch of a new account.
    pub const FIRST: Self = Self(0);

    /// An epoch as storage or a token carries it.
    #[must_use]
    pub const fn new(value: i32) -> Self {
        Self(value)
    }

    /// The number, for storage and tokens.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A signed-in person, as their access token describes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Whose rows may be seen.
    pub user_id: UserId,
    /// The epoch of the access token; storage compares it in the same round trip that sets the user.
    pub epoch: Epoch,
}

/// On whose behalf storage is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person, who sees and changes only their own rows.
    User(Caller),
    /// A background worker of the office, which sees every row and has no account.
    Worker,
}

impl From<Caller> for Actor {
    fn from(caller: Caller) -> Self {
        Self::User(caller)
    }
}
