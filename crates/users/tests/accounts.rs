//! The use cases on the memory store, with time under control.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{BoxError, Clock, ErrorKind, Randomness, StoreError};
use guiche_users::testing::{FakeHasher, FakeSigner, MemoryUserStore};
use guiche_users::{
    AccountPorts, Accounts, FieldError, HashingError, MockPasswordHasher, MockTokenSigner, PasswordHash,
    PresentedPassword, RefreshRefusal, SessionSettings, SigningError, TokenRefusal, Tokens, UserError,
};
use secrecy::{ExposeSecret, SecretString};

const DAY: Duration = Duration::from_hours(24);
const EMAIL: &str = "Ana@Example.org";
const PASSWORD: &str = "correct horse battery";

struct Office {
    accounts: Accounts,
    ports: AccountPorts,
    clock: Arc<ManualClock>,
}

impl Office {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let as_port: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let randomness: Arc<dyn Randomness> = Arc::new(SeededRandomness::new(1));
        let ports = AccountPorts {
            store: Arc::new(MemoryUserStore::new()),
            hasher: Arc::new(FakeHasher::default()),
            signer: Arc::new(FakeSigner::new(Arc::clone(&as_port))),
            clock: as_port,
            randomness,
        };
        Self { accounts: Accounts::new(ports.clone(), SessionSettings::default()), ports, clock }
    }

    /// The same office with a hasher whose calls are counted.
    fn hashing_with(&self, hasher: MockPasswordHasher) -> Accounts {
        let ports = AccountPorts { hasher: Arc::new(hasher), ..self.ports.clone() };
        Accounts::new(ports, SessionSettings::default())
    }

    async fn with_ana() -> Self {
        let office = Self::new();
        office.accounts.register(EMAIL, PASSWORD.into()).await.unwrap();
        office
    }

    async fn sign_in(&self) -> Tokens {
        self.accounts.login(EMAIL, &PASSWORD.into()).await.unwrap()
    }
}

fn shown(tokens: &Tokens) -> SecretString {
    tokens.refresh_token.expose().into()
}

fn fields(error: UserError) -> Vec<(&'static str, &'static str)> {
    let UserError::InvalidFields(fields) = error else { panic!("{error:?}") };
    fields.iter().map(|FieldError { pointer, code, .. }| (*pointer, *code)).collect()
}

#[tokio::test]
async fn a_registered_person_signs_in_and_is_recognised() {
    let office = Office::new();
    let account = office.accounts.register(EMAIL, PASSWORD.into()).await.unwrap();
    assert_eq!((account.email.as_str(), account.created_at), (EMAIL, office.clock.now()));
    let tokens = office.accounts.login("ANA@example.org", &PASSWORD.into()).await.unwrap();
    assert_eq!(tokens.access_expires_in, Duration::from_mins(30));
    assert_eq!(tokens.refresh_expires_at, office.clock.now() + 7 * DAY);
    let claims = office.accounts.authenticate(tokens.access_token.expose_secret()).unwrap();
    assert_eq!((claims.caller, claims.caller.user_id), (tokens.caller, account.id));
    assert_eq!(claims.expires_at, office.clock.now() + Duration::from_mins(30));
    assert_eq!(office.accounts.me(&claims.caller).await.unwrap(), account);
}

#[tokio::test]
async fn a_registration_names_every_wrong_field() {
    let office = Office::new();
    let refused = |email: &'static str, password: &'static str| {
        let accounts = office.accounts.clone();
        async move { fields(accounts.register(email, password.into()).await.unwrap_err()) }
    };
    assert_eq!(refused("ana", "short").await, [("/email", "invalid_email"), ("/password", "too_short")]);
    assert_eq!(refused("ana", PASSWORD).await, [("/email", "invalid_email")]);
    assert_eq!(refused(EMAIL, "qwertyuiop").await, [("/password", "too_common")]);
    assert_eq!(refused(EMAIL, "ana@example.ORG").await, [("/password", "is_the_email")]);
    assert_eq!(refused(EMAIL, "with a\0NUL in it").await, [("/password", "contains_nul")]);
    let long: &'static str = "xy1".repeat(25).leak();
    assert_eq!(refused(EMAIL, long).await, [("/password", "too_long")]);
    let error = office.accounts.register("ana", "tiny secret\0".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(!format!("{error} {error:?}").contains("tiny"), "nothing that was sent is repeated");
}

#[tokio::test]
async fn a_taken_address_costs_a_hash_as_a_free_one_does() {
    let office = Office::with_ana().await;
    let mut hasher = MockPasswordHasher::new();
    hasher.expect_hash().times(2).returning(|_| Ok(PasswordHash::new("a hash")));
    let accounts = office.hashing_with(hasher);
    let error = accounts.register("ana@EXAMPLE.org", "another password".into()).await.unwrap_err();
    assert!(matches!(error, UserError::EmailTaken) && error.kind() == ErrorKind::Conflict);
    accounts.register("bob@example.org", "another password".into()).await.unwrap();
    assert!(office.accounts.login(EMAIL, &PASSWORD.into()).await.is_ok(), "the first account is as it was");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_one_refusal_after_one_comparison() {
    let office = Office::with_ana().await;
    let long = "x".repeat(5000);
    for (email, password, with_hash) in [
        (EMAIL, "wrong", true),
        (EMAIL, "", true),
        (EMAIL, long.as_str(), true),
        ("nobody@example.org", PASSWORD, false),
        ("not an address", PASSWORD, false),
        ("", "", false),
    ] {
        let mut hasher = MockPasswordHasher::new();
        hasher
            .expect_verify()
            .withf(move |_, hash| hash.is_some() == with_hash)
            .times(1)
            .returning(|_, _| Ok(false));
        let error = office.hashing_with(hasher).login(email, &password.into()).await.unwrap_err();
        assert!(matches!(error, UserError::InvalidCredentials), "{email:?}: {error:?}");
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    }
}

#[tokio::test]
async fn a_hasher_that_says_yes_without_a_hash_opens_nothing() {
    let office = Office::with_ana().await;
    let mut hasher = MockPasswordHasher::new();
    hasher.expect_verify().returning(|_, _| Ok(true));
    let error = office.hashing_with(hasher).login("nobody@example.org", &PASSWORD.into()).await.unwrap_err();
    assert!(matches!(error, UserError::InvalidCredentials));
}

#[tokio::test]
async fn a_storm_of_sign_ins_is_unavailable_and_a_damaged_hash_is_a_defect() {
    let office = Office::with_ana().await;
    let mut hasher = MockPasswordHasher::new();
    hasher.expect_verify().times(1).returning(|_, _| Err(HashingError::Busy));
    hasher.expect_verify().times(1).returning(|_, _| Err(HashingError::Failed("damaged".into())));
    let accounts = office.hashing_with(hasher);
    let busy = accounts.login(EMAIL, &PASSWORD.into()).await.unwrap_err();
    assert!(matches!(busy, UserError::Busy) && busy.kind() == ErrorKind::Unavailable);
    let broken = accounts.login(EMAIL, &PASSWORD.into()).await.unwrap_err();
    assert!(matches!(broken, UserError::Hashing(_)) && broken.kind() == ErrorKind::Internal);
    assert_eq!(broken.to_string(), "hashing failed", "the cause is for the log");
}

#[tokio::test]
async fn when_signing_fails_no_session_is_opened() {
    let store = Arc::new(MemoryUserStore::new());
    let mut signer = MockTokenSigner::new();
    signer.expect_sign().times(1).returning(|_| Err(SigningError("broken".into())));
    let ports = AccountPorts {
        signer: Arc::new(signer),
        store: Arc::<MemoryUserStore>::clone(&store),
        ..Office::new().ports
    };
    let accounts = Accounts::new(ports, SessionSettings::default());
    accounts.register(EMAIL, PASSWORD.into()).await.unwrap();
    let error = accounts.login(EMAIL, &PASSWORD.into()).await.unwrap_err();
    assert_eq!((error.kind(), store.sessions()), (ErrorKind::Internal, 0));
}

#[tokio::test]
async fn an_access_token_ends_by_itself_and_a_foreign_one_is_refused() {
    let office = Office::with_ana().await;
    let tokens = office.sign_in().await;
    let access = tokens.access_token.expose_secret();
    office.clock.advance(Duration::from_mins(30));
    let error = office.accounts.authenticate(access).unwrap_err();
    assert!(matches!(error, UserError::InvalidAccessToken(TokenRefusal::Expired)), "{error:?}");
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Unauthenticated, "the access token has expired".into())
    );
    assert!(office.accounts.authenticate("").is_err());
    assert!(office.accounts.authenticate(&access.replace('0', "1")).is_err());
}

#[tokio::test]
async fn refreshing_keeps_the_session_alive_until_it_ends() {
    let office = Office::with_ana().await;
    let begun = office.clock.now();
    let mut tokens = office.sign_in().await;
    for _ in 0..14 {
        office.clock.advance(6 * DAY);
        let renewed = office.accounts.refresh(&shown(&tokens)).await.unwrap();
        assert_eq!(renewed.caller, tokens.caller);
        assert!(office.accounts.authenticate(renewed.access_token.expose_secret()).is_ok());
        tokens = renewed;
    }
    assert_eq!(tokens.refresh_expires_at, begun + 90 * DAY, "84 days have passed, 6 are left and not 7");
    office.clock.advance(6 * DAY);
    let error = office.accounts.refresh(&shown(&tokens)).await.unwrap_err();
    assert!(matches!(error, UserError::InvalidRefreshToken(RefreshRefusal::Expired)), "{error:?}");
}

#[tokio::test]
async fn the_first_refresh_token_does_not_outlive_its_session() {
    let office = Office::with_ana().await;
    let settings = SessionSettings { session_ttl: DAY, ..SessionSettings::default() };
    let tokens = Accounts::new(office.ports.clone(), settings).login(EMAIL, &PASSWORD.into()).await.unwrap();
    assert_eq!(tokens.refresh_expires_at, office.clock.now() + DAY);
}

#[tokio::test]
async fn a_lifetime_without_measure_is_not_a_panic() {
    let office = Office::with_ana().await;
    let settings = SessionSettings::new(Duration::from_mins(30), Duration::MAX);
    assert_eq!(settings.session_ttl, Duration::MAX, "a session is at least as long as a refresh token");
    let tokens = Accounts::new(office.ports.clone(), settings).login(EMAIL, &PASSWORD.into()).await.unwrap();
    assert!(tokens.refresh_expires_at > office.clock.now() + 365 * DAY);
}

#[tokio::test]
async fn showing_a_spent_refresh_token_ends_the_session_for_thief_and_owner() {
    let office = Office::with_ana().await;
    let tokens = office.sign_in().await;
    let thief = office.accounts.refresh(&shown(&tokens)).await.unwrap();
    let error = office.accounts.refresh(&shown(&tokens)).await.unwrap_err();
    let UserError::InvalidRefreshToken(RefreshRefusal::Reused { user_id, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((user_id, error.kind()), (tokens.caller.user_id, ErrorKind::Unauthenticated));
    let error = office.accounts.refresh(&shown(&thief)).await.unwrap_err();
    assert!(matches!(error, UserError::InvalidRefreshToken(RefreshRefusal::Revoked)), "{error:?}");
    assert!(office.accounts.refresh(&shown(&office.sign_in().await)).await.is_ok(), "a new sign-in works");
}

#[tokio::test]
async fn every_useless_refresh_token_gives_one_and_the_same_sentence() {
    let office = Office::with_ana().await;
    let (idle, spent, ended) = (office.sign_in().await, office.sign_in().await, office.sign_in().await);
    office.accounts.refresh(&shown(&spent)).await.unwrap();
    office.accounts.logout(&shown(&ended)).await.unwrap();
    office.clock.advance(8 * DAY);
    let unknown = SecretString::from(format!("grt_{}", "A".repeat(43)));
    for token in [shown(&idle), shown(&spent), shown(&ended), unknown, "nonsense".into(), "".into()] {
        let error = office.accounts.refresh(&token).await.unwrap_err();
        assert!(matches!(error, UserError::InvalidRefreshToken(_)), "{error:?}");
        assert_eq!(error.to_string(), "the refresh token is not valid");
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_and_can_be_repeated() {
    let office = Office::with_ana().await;
    let (phone, laptop) = (office.sign_in().await, office.sign_in().await);
    for token in [shown(&phone), shown(&phone), "nonsense".into(), "".into()] {
        office.accounts.logout(&token).await.unwrap();
    }
    let error = office.accounts.refresh(&shown(&phone)).await.unwrap_err();
    assert!(matches!(error, UserError::InvalidRefreshToken(RefreshRefusal::Revoked)), "{error:?}");
    assert!(office.accounts.refresh(&shown(&laptop)).await.is_ok());
    assert!(office.accounts.me(&phone.caller).await.is_ok(), "access tokens live until they expire");
}

#[tokio::test]
async fn a_password_change_ends_every_session_and_the_old_password() {
    const NEW: &str = "staple of another kind";
    let office = Office::with_ana().await;
    let (phone, laptop) = (office.sign_in().await, office.sign_in().await);
    office.accounts.change_password(&phone.caller, &PASSWORD.into(), NEW.into()).await.unwrap();
    for tokens in [&phone, &laptop] {
        let error = office.accounts.me(&tokens.caller).await.unwrap_err();
        assert!(matches!(error, UserError::SessionEnded) && error.kind() == ErrorKind::Unauthenticated);
        assert!(office.accounts.refresh(&shown(tokens)).await.is_err());
    }
    let again = office.accounts.change_password(&phone.caller, &PASSWORD.into(), NEW.into()).await;
    assert!(matches!(again, Err(UserError::SessionEnded)));
    assert!(matches!(
        office.accounts.login(EMAIL, &PASSWORD.into()).await,
        Err(UserError::InvalidCredentials)
    ));
    let tokens = office.accounts.login(EMAIL, &NEW.into()).await.unwrap();
    assert!(office.accounts.me(&tokens.caller).await.is_ok());
    assert!(office.accounts.refresh(&shown(&tokens)).await.is_ok());
}

#[tokio::test]
async fn a_refused_password_change_changes_nothing() {
    let office = Office::with_ana().await;
    let tokens = office.sign_in().await;
    let change = |current: &'static str, new: &'static str| {
        let (accounts, caller) = (office.accounts.clone(), tokens.caller);
        async move { accounts.change_password(&caller, &current.into(), new.into()).await.unwrap_err() }
    };
    let wrong = change("wrong", "staple of another kind").await;
    assert!(matches!(wrong, UserError::InvalidCredentials), "{wrong:?}");
    assert_eq!(fields(change(PASSWORD, "short").await), [("/new_password", "too_short")]);
    assert_eq!(fields(change(PASSWORD, "ANA@example.org").await), [("/new_password", "is_the_email")]);
    assert_eq!(fields(change(PASSWORD, PASSWORD).await), [("/new_password", "unchanged")]);
    assert!(office.accounts.me(&tokens.caller).await.is_ok());
    assert!(office.accounts.refresh(&shown(&tokens)).await.is_ok());
    assert!(office.accounts.login(EMAIL, &PASSWORD.into()).await.is_ok());
}

/// A password change that comes between the comparison and the opening of the session.
#[tokio::test]
async fn a_sign_in_that_a_password_change_overtakes_is_refused() {
    struct Overtaken(Arc<dyn guiche_users::PasswordHasher>, Accounts, guiche_kernel::Caller);

    #[async_trait::async_trait]
    impl guiche_users::PasswordHasher for Overtaken {
        async fn hash(&self, password: &guiche_users::Password) -> Result<PasswordHash, HashingError> {
            self.0.hash(password).await
        }

        async fn verify<'a>(
            &self,
            password: &PresentedPassword,
            hash: Option<&'a PasswordHash>,
        ) -> Result<bool, HashingError> {
            let matches = self.0.verify(password, hash).await;
            self.1.change_password(&self.2, &PASSWORD.into(), "staple of another kind".into()).await.unwrap();
            matches
        }
    }

    let office = Office::with_ana().await;
    let caller = office.sign_in().await.caller;
    let hasher = Overtaken(Arc::clone(&office.ports.hasher), office.accounts.clone(), caller);
    let ports = AccountPorts { hasher: Arc::new(hasher), ..office.ports.clone() };
    let overtaken = Accounts::new(ports, SessionSettings::default()).login(EMAIL, &PASSWORD.into()).await;
    assert!(matches!(overtaken, Err(UserError::InvalidCredentials)), "{overtaken:?}");
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let office = Office::with_ana().await;
    let tokens = office.sign_in().await;
    let shown = format!("{tokens:?} {:?}", office.accounts);
    assert!(
        !shown.contains(tokens.refresh_token.expose())
            && !shown.contains(tokens.access_token.expose_secret())
    );
    let credentials = office.ports.store.credentials(&tokens.caller).await.unwrap();
    assert!(!format!("{credentials:?}").contains(credentials.password_hash.expose()));
}

#[test]
fn every_refusal_has_its_kind_and_hides_its_cause() {
    let cause = || BoxError::from("host=db.internal password=hunter2");
    for (error, kind) in [
        (UserError::from(StoreError::Revoked), ErrorKind::Unauthenticated),
        (UserError::from(StoreError::Conflict), ErrorKind::Conflict),
        (UserError::from(StoreError::Unavailable(cause())), ErrorKind::Unavailable),
        (UserError::from(StoreError::Corrupt(cause())), ErrorKind::Internal),
        (UserError::from(HashingError::Busy), ErrorKind::Unavailable),
        (UserError::from(HashingError::Failed(cause())), ErrorKind::Internal),
        (UserError::from(SigningError(cause())), ErrorKind::Internal),
        (UserError::from(TokenRefusal::Untrusted), ErrorKind::Unauthenticated),
        (UserError::from(RefreshRefusal::Unknown), ErrorKind::Unauthenticated),
    ] {
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
