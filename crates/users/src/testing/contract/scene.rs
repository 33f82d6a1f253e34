//! People and sessions for the cases of the store.
#![expect(clippy::expect_used, reason = "a case fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Caller, Epoch, Ids, StoreError, Timestamp, UserId};

use crate::{
    Email, FamilyId, NewAccount, NewRefreshToken, NewSession, PasswordHash, RefreshToken, Rotation,
    TokenHash, UserStore,
};

pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const DAY: Duration = Duration::from_hours(24);

/// When everything happens, unless a case says otherwise; with microseconds, which storage must keep.
pub(super) const NOON: Timestamp = time::macros::datetime!(2026-01-01 12:00:00.123456 UTC);

/// A store, and what is needed to fill it.
pub(super) struct Scene {
    pub(super) store: Arc<dyn UserStore>,
    ids: Ids,
    randomness: Arc<SeededRandomness>,
}

/// A session and its newest refresh token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) family_id: FamilyId,
    pub(super) token: TokenHash,
}

impl Scene {
    pub(super) fn new(store: Arc<dyn UserStore>) -> Self {
        let randomness = Arc::new(SeededRandomness::new(7));
        let ids = Ids::new(Arc::new(ManualClock::at(NOON)), Arc::<SeededRandomness>::clone(&randomness));
        Self { store, ids, randomness }
    }

    pub(super) fn new_account(&self, email: &str) -> NewAccount {
        NewAccount {
            id: UserId::new(self.ids.uuid()),
            email: Email::parse(email).expect("a case uses valid addresses"),
            password_hash: some_hash(1),
            created_at: NOON,
        }
    }

    pub(super) async fn person(&self, email: &str) -> Caller {
        let account = self.new_account(email);
        self.store.register(&account).await.expect("a free address");
        Caller { user_id: account.id, epoch: Epoch::FIRST }
    }

    pub(super) fn token(&self) -> TokenHash {
        RefreshToken::generate(&*self.randomness).hash()
    }

    /// A session that starts at noon; its first token is good for 7 days, and the session for 90.
    pub(super) fn new_session(&self) -> NewSession {
        NewSession {
            family_id: FamilyId::new(self.ids.uuid()),
            token_hash: self.token(),
            issued_at: NOON,
            expires_at: NOON + 7 * DAY,
            ends_at: NOON + 90 * DAY,
        }
    }

    pub(super) async fn sign_in(&self, caller: &Caller) -> Session {
        let session = self.new_session();
        self.store.open_session(caller, session).await.expect("a caller in the present epoch");
        Session { family_id: session.family_id, token: session.token_hash }
    }

    /// Shows the token at a moment, with a successor that would be good for 7 days from then on.
    pub(super) async fn rotate(&self, token: &TokenHash, now: Timestamp) -> (Rotation, TokenHash) {
        let token_hash = self.token();
        let outcome =
            self.store.rotate(token, NewRefreshToken { token_hash, expires_at: now + 7 * DAY }, now).await;
        (outcome.expect("an answer, not an error"), token_hash)
    }

    /// Rotates and returns the session with its new token.
    pub(super) async fn rotated(&self, session: &Session, now: Timestamp) -> Session {
        let (outcome, token) = self.rotate(&session.token, now).await;
        assert!(matches!(outcome, Rotation::Rotated { .. }), "a usable token rotates, but: {outcome:?}");
        Session { token, ..*session }
    }

    /// What an unused token answers a minute after noon.
    pub(super) async fn answer(&self, token: &TokenHash) -> Rotation {
        self.rotate(token, NOON + MINUTE).await.0
    }

    pub(super) async fn assert_usable(&self, session: &Session) {
        assert!(
            matches!(self.answer(&session.token).await, Rotation::Rotated { .. }),
            "this session is alive"
        );
    }
}

/// Hashes of the form that bcrypt has, so that a store may check it; never compared with a password here.
pub(super) fn some_hash(n: u8) -> PasswordHash {
    PasswordHash::new(format!("$2b$12${n:0>53}"))
}

pub(super) fn assert_revoked<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Revoked)), "Revoked was promised, but: {outcome:?}");
}

pub(super) fn assert_duplicate<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Duplicate)), "Duplicate was promised, but: {outcome:?}");
}
