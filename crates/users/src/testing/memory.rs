//! The store of accounts and sessions in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use guiche_kernel::{Caller, Epoch, StoreError, Timestamp, UserId};

use crate::{
    Account, Credentials, Email, FamilyId, NewAccount, NewRefreshToken, NewSession, PasswordHash, Rotation,
    TokenHash, UserStore,
};

/// Accounts and sessions in memory. Each method holds one lock from beginning to end and never waits while it does, so
/// methods run one after the other and a dropped future has done all or nothing.
#[derive(Debug, Default)]
pub struct MemoryUserStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    accounts: HashMap<UserId, StoredAccount>,
    families: HashMap<FamilyId, Family>,
    tokens: HashMap<TokenHash, Token>,
}

#[derive(Debug)]
struct StoredAccount {
    account: Account,
    password_hash: PasswordHash,
    epoch: Epoch,
}

#[derive(Debug)]
struct Family {
    user_id: UserId,
    ends_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    family_id: FamilyId,
    expires_at: Timestamp,
    spent: bool,
}

impl MemoryUserStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many sessions were ever opened.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.state().families.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn account_of(&mut self, caller: &Caller) -> Result<&mut StoredAccount, StoreError> {
        self.accounts
            .get_mut(&caller.user_id)
            .filter(|stored| stored.epoch == caller.epoch)
            .ok_or(StoreError::Revoked)
    }

    fn revoke(&mut self, family_id: FamilyId, now: Timestamp) {
        if let Some(family) = self.families.get_mut(&family_id) {
            family.revoked_at.get_or_insert(now);
        }
    }

    fn rotate(
        &mut self,
        presented: &TokenHash,
        successor: NewRefreshToken,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        let Some(token) = self.tokens.get(presented).copied() else { return Ok(Rotation::Unknown) };
        let family_id = token.family_id;
        let family =
            self.families.get(&family_id).ok_or_else(|| StoreError::corrupt("a token without family"))?;
        let user_id = family.user_id;
        if token.spent {
            self.revoke(family_id, now);
            return Ok(Rotation::Reused { user_id, family_id });
        }
        if family.revoked_at.is_some() {
            return Ok(Rotation::Revoked);
        }
        if now >= token.expires_at {
            return Ok(Rotation::Expired);
        }
        if self.tokens.contains_key(&successor.token_hash) {
            return Err(StoreError::Duplicate);
        }
        let stored =
            self.accounts.get(&user_id).ok_or_else(|| StoreError::corrupt("a session without account"))?;
        let caller = Caller { user_id, epoch: stored.epoch };
        let expires_at = successor.expires_at.min(family.ends_at);
        self.tokens.insert(*presented, Token { spent: true, ..token });
        self.tokens.insert(successor.token_hash, Token { family_id, expires_at, spent: false });
        Ok(Rotation::Rotated { caller, family_id, expires_at })
    }
}

#[async_trait]
impl UserStore for MemoryUserStore {
    async fn register(&self, new: &NewAccount) -> Result<(), StoreError> {
        let mut state = self.state();
        let taken = |stored: &StoredAccount| stored.account.email == new.email || stored.account.id == new.id;
        if state.accounts.values().any(taken) {
            return Err(StoreError::Duplicate);
        }
        let account = Account { id: new.id, email: new.email.clone(), created_at: new.created_at };
        let password_hash = new.password_hash.clone();
        state.accounts.insert(new.id, StoredAccount { account, password_hash, epoch: Epoch::FIRST });
        drop(state);
        Ok(())
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
        Ok(self
            .state()
            .accounts
            .values()
            .find(|stored| stored.account.email == *email)
            .map(StoredAccount::credentials))
    }

    async fn get(&self, caller: &Caller) -> Result<Account, StoreError> {
        self.state().account_of(caller).map(|stored| stored.account.clone())
    }

    async fn credentials(&self, caller: &Caller) -> Result<Credentials, StoreError> {
        self.state().account_of(caller).map(|stored| stored.credentials())
    }

    async fn open_session(&self, caller: &Caller, session: NewSession) -> Result<(), StoreError> {
        let mut state = self.state();
        state.account_of(caller)?;
        let NewSession { family_id, token_hash, issued_at: _, expires_at, ends_at } = session;
        if state.families.contains_key(&family_id) || state.tokens.contains_key(&token_hash) {
            return Err(StoreError::Duplicate);
        }
        state.families.insert(family_id, Family { user_id: caller.user_id, ends_at, revoked_at: None });
        state
            .tokens
            .insert(token_hash, Token { family_id, expires_at: expires_at.min(ends_at), spent: false });
        drop(state);
        Ok(())
    }

    async fn rotate(
        &self,
        presented: &TokenHash,
        successor: NewRefreshToken,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        self.state().rotate(presented, successor, now)
    }

    async fn revoke_family_of(&self, token: &TokenHash, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(family_id) = state.tokens.get(token).map(|token| token.family_id) {
            state.revoke(family_id, now);
        }
        drop(state);
        Ok(())
    }

    async fn change_password(
        &self,
        caller: &Caller,
        new_hash: &PasswordHash,
        now: Timestamp,
    ) -> Result<Epoch, StoreError> {
        let mut state = self.state();
        let stored = state.account_of(caller)?;
        stored.password_hash = new_hash.clone();
        stored.epoch = stored.epoch.next();
        let epoch = stored.epoch;
        for family in state.families.values_mut().filter(|family| family.user_id == caller.user_id) {
            family.revoked_at.get_or_insert(now);
        }
        drop(state);
        Ok(epoch)
    }
}

impl StoredAccount {
    fn credentials(&self) -> Credentials {
        Credentials { user_id: self.account.id, password_hash: self.password_hash.clone(), epoch: self.epoch }
    }
}
