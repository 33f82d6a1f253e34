//! The use cases: register, sign in, refresh, sign out, change the password.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::{Caller, Clock, Ids, Randomness, StoreError, Timestamp, UserId};
use secrecy::SecretString;

use crate::session::after;
use crate::{
    AccessClaims, Account, Email, FamilyId, FieldError, NewAccount, NewRefreshToken, NewSession, Password,
    PasswordFlaw, PasswordHasher, PresentedPassword, RefreshRefusal, RefreshToken, Rotation, TokenId,
    TokenSigner, UserError, UserStore,
};

/// The ports behind [`Accounts`].
#[derive(Clone)]
pub struct AccountPorts {
    /// Keeps accounts and sessions.
    pub store: Arc<dyn UserStore>,
    /// Hashes and compares passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Signs and checks access tokens.
    pub signer: Arc<dyn TokenSigner>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and refresh tokens.
    pub randomness: Arc<dyn Randomness>,
}

/// How long tokens and sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSettings {
    /// Of an access token, cut to whole seconds. Sign-out does not end access tokens, so this is how long one outlives it.
    pub access_ttl: Duration,
    /// Of a refresh token that nobody uses: the longest absence that does not need a new sign-in.
    pub refresh_ttl: Duration,
    /// Of a whole session, however often it is refreshed. Without this bound whoever copied a token could keep a
    /// session alive for ever once its owner had stopped using it, because then no reuse would show the theft.
    pub session_ttl: Duration,
}

impl SessionSettings {
    const DAY: Duration = Duration::from_hours(24);

    /// These lifetimes of tokens, in sessions of 90 days, or as long as one refresh token lives if that is longer.
    #[must_use]
    pub fn new(access_ttl: Duration, refresh_ttl: Duration) -> Self {
        Self { access_ttl, refresh_ttl, session_ttl: refresh_ttl.max(Self::DAY * 90) }
    }
}

impl Default for SessionSettings {
    /// 30 minutes, 7 days, 90 days.
    fn default() -> Self {
        Self::new(Duration::from_mins(30), Self::DAY * 7)
    }
}

/// What a client gets when it signs in or refreshes.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Whose they are.
    pub caller: Caller,
    /// Shown with every call.
    pub access_token: SecretString,
    /// How long the access token is good from now on.
    pub access_expires_in: Duration,
    /// Good once, for the next pair.
    pub refresh_token: RefreshToken,
    /// The first moment at which the refresh token is no longer good.
    pub refresh_expires_at: Timestamp,
}

/// Accounts and sessions.
#[derive(Clone)]
pub struct Accounts {
    ports: AccountPorts,
    ids: Ids,
    settings: SessionSettings,
}

impl Accounts {
    /// The use cases over the given ports.
    #[must_use]
    pub fn new(ports: AccountPorts, settings: SessionSettings) -> Self {
        let ids = Ids::new(Arc::clone(&ports.clock), Arc::clone(&ports.randomness));
        Self { ports, ids, settings }
    }

    /// Makes an account. The password is hashed before storage is asked, so that a taken address takes as long as a free
    /// one; that it is taken is then said openly, because a registration form cannot hide it.
    ///
    /// # Errors
    /// [`UserError::InvalidFields`] with every wrong field (`/email`, `/password`), [`UserError::EmailTaken`],
    /// [`UserError::Busy`], and what is broken.
    pub async fn register(&self, email: &str, password: SecretString) -> Result<Account, UserError> {
        let (email, password) = chosen(email, password)?;
        let password_hash = self.ports.hasher.hash(&password).await?;
        let created_at = self.ports.clock.now();
        let new = NewAccount { id: UserId::new(self.ids.uuid()), email, password_hash, created_at };
        match self.ports.store.register(&new).await {
            Ok(()) => Ok(Account { id: new.id, email: new.email, created_at }),
            Err(StoreError::Duplicate) => Err(UserError::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Signs a person in, in a new session. An unknown address, one that is none, and a wrong password are one refusal
    /// after the same work.
    ///
    /// # Errors
    /// [`UserError::InvalidCredentials`], [`UserError::Busy`], and what is broken.
    pub async fn login(&self, email: &str, password: &PresentedPassword) -> Result<Tokens, UserError> {
        let credentials = match Email::parse(email) {
            Ok(email) => self.ports.store.credentials_by_email(&email).await?,
            Err(_) => None,
        };
        let hash = credentials.as_ref().map(|found| &found.password_hash);
        let matches = self.ports.hasher.verify(password, hash).await?;
        let Some(credentials) = credentials.filter(|_| matches) else {
            return Err(UserError::InvalidCredentials);
        };
        self.open_session(credentials.caller()).await
    }

    async fn open_session(&self, caller: Caller) -> Result<Tokens, UserError> {
        let now = self.ports.clock.now();
        let ends_at = after(now, self.settings.session_ttl);
        let expires_at = after(now, self.settings.refresh_ttl).min(ends_at);
        // Signed first: if signing is broken, no session stays behind that nobody holds a token of.
        let access_token = self.access_token(caller, now)?;
        let refresh_token = RefreshToken::generate(&*self.ports.randomness);
        let session = NewSession {
            family_id: FamilyId::new(self.ids.uuid()),
            token_hash: refresh_token.hash(),
            issued_at: now,
            expires_at,
            ends_at,
        };
        match self.ports.store.open_session(&caller, session).await {
            Ok(()) => Ok(self.tokens(caller, access_token, refresh_token, expires_at)),
            // The password was changed between the check and now, so it is the wrong one.
            Err(StoreError::Revoked) => Err(UserError::InvalidCredentials),
            Err(error) => Err(error.into()),
        }
    }

    /// Spends a refresh token for a new pair of tokens in the same session.
    ///
    /// # Errors
    /// [`UserError::InvalidRefreshToken`], after which the client must sign in again, and what is broken. When the
    /// answer is lost on the way the client holds a spent token: showing it again ends the session, as it must,
    /// because storage cannot tell that client from a thief.
    pub async fn refresh(&self, token: &SecretString) -> Result<Tokens, UserError> {
        let presented = RefreshToken::parse(token).map_err(|_| RefreshRefusal::Malformed)?;
        let now = self.ports.clock.now();
        let refresh_token = RefreshToken::generate(&*self.ports.randomness);
        let successor = NewRefreshToken {
            token_hash: refresh_token.hash(),
            expires_at: after(now, self.settings.refresh_ttl),
        };
        let refusal = match self.ports.store.rotate(&presented.hash(), successor, now).await? {
            Rotation::Rotated { caller, family_id: _, expires_at } => {
                let access_token = self.access_token(caller, now)?;
                return Ok(self.tokens(caller, access_token, refresh_token, expires_at));
            }
            Rotation::Reused { user_id, family_id } => RefreshRefusal::Reused { user_id, family_id },
            Rotation::Revoked => RefreshRefusal::Revoked,
            Rotation::Expired => RefreshRefusal::Expired,
            Rotation::Unknown => RefreshRefusal::Unknown,
        };
        Err(refusal.into())
    }

    /// Ends the session to which the refresh token belongs, spent or not. A token that is not known, or no token at all,
    /// is signed out already. Access tokens of the session live on until they expire.
    ///
    /// # Errors
    /// Only what is broken.
    pub async fn logout(&self, token: &SecretString) -> Result<(), UserError> {
        match RefreshToken::parse(token) {
            Ok(token) => Ok(self.ports.store.revoke_family_of(&token.hash(), self.ports.clock.now()).await?),
            Err(_) => Ok(()),
        }
    }

    /// Gives the account another password and ends every session of it, access tokens included, the caller's own too.
    ///
    /// # Errors
    /// [`UserError::InvalidFields`] (`/new_password`), [`UserError::InvalidCredentials`] when the present password is
    /// another, [`UserError::SessionEnded`] (also for the second of two changes at once), [`UserError::Busy`], and
    /// what is broken.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &PresentedPassword,
        new: SecretString,
    ) -> Result<(), UserError> {
        let account = self.ports.store.get(caller).await?;
        let new = Password::parse(new, Some(&account.email)).and_then(|new| {
            if new.expose() == current.expose() { Err(PasswordFlaw::Unchanged) } else { Ok(new) }
        });
        let new =
            new.map_err(|flaw| UserError::InvalidFields(vec![password_error("/new_password", flaw)]))?;
        let credentials = self.ports.store.credentials(caller).await?;
        if !self.ports.hasher.verify(current, Some(&credentials.password_hash)).await? {
            return Err(UserError::InvalidCredentials);
        }
        let new_hash = self.ports.hasher.hash(&new).await?;
        self.ports.store.change_password(caller, &new_hash, self.ports.clock.now()).await?;
        Ok(())
    }

    /// The caller's own account.
    ///
    /// # Errors
    /// [`UserError::SessionEnded`], and what is broken.
    pub async fn me(&self, caller: &Caller) -> Result<Account, UserError> {
        Ok(self.ports.store.get(caller).await?)
    }

    /// Who shows this access token, and until when it is good. Nothing is read from storage: whether the caller's epoch
    /// is still the account's is checked by the first call that storage makes for this caller, and a use of the
    /// claims that asks nothing of storage must not rely on it.
    ///
    /// # Errors
    /// [`UserError::InvalidAccessToken`].
    pub fn authenticate(&self, access_token: &str) -> Result<AccessClaims, UserError> {
        Ok(self.ports.signer.verify(access_token)?)
    }

    fn access_token(&self, caller: Caller, now: Timestamp) -> Result<SecretString, UserError> {
        let claims =
            AccessClaims::issue(caller, TokenId::new(self.ids.uuid()), now, self.settings.access_ttl);
        Ok(self.ports.signer.sign(&claims)?)
    }

    const fn tokens(
        &self,
        caller: Caller,
        access_token: SecretString,
        refresh_token: RefreshToken,
        refresh_expires_at: Timestamp,
    ) -> Tokens {
        let access_expires_in = Duration::from_secs(self.settings.access_ttl.as_secs());
        Tokens { caller, access_token, access_expires_in, refresh_token, refresh_expires_at }
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Checks what a person chose at registration, and names everything that is wrong with it.
fn chosen(email: &str, password: SecretString) -> Result<(Email, Password), UserError> {
    let email = Email::parse(email);
    let password = Password::parse(password, email.as_ref().ok());
    match (email, password) {
        (Ok(email), Ok(password)) => Ok((email, password)),
        (email, password) => {
            let email = email.err().map(|error| FieldError {
                pointer: "/email",
                code: "invalid_email",
                detail: error.to_string(),
            });
            let password = password.err().map(|flaw| password_error("/password", flaw));
            Err(UserError::InvalidFields(email.into_iter().chain(password).collect()))
        }
    }
}

fn password_error(pointer: &'static str, flaw: PasswordFlaw) -> FieldError {
    FieldError { pointer, code: flaw.code(), detail: flaw.to_string() }
}
