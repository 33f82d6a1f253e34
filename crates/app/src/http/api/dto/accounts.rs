//! Accounts and sessions on the wire.

use guiche_kernel::Timestamp;
use guiche_lightning_setup::{LightningAddress, Setup, SetupError};
use guiche_users::{Account, Tokens};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::WelcomeDto;

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterBody {
    /// The name to sign in with; compared without regard to case.
    #[schema(required = true, value_type = String, example = "ana@example.org")]
    pub email: Option<String>,
    /// 10 to 72 bytes, and not one of the common ones.
    #[schema(required = true, value_type = String, format = Password)]
    pub password: Option<SecretString>,
    /// A Lightning address to be set up at once: as in `POST /lightning/setup`.
    #[schema(required = false, value_type = String, example = "ana")]
    pub lightning_address: Option<String>,
}

/// A new account.
#[derive(Serialize, ToSchema)]
pub struct Registered {
    #[serde(flatten)]
    account: AccountDto,
    /// What became of the Lightning address; only when one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lightning_setup: Option<WelcomeDto>,
}

impl Registered {
    /// With what became of the setup, if one was begun.
    pub fn new(account: Account, setup: Option<Result<Setup, SetupError>>) -> Self {
        Self { account: account.into(), lightning_setup: setup.map(WelcomeDto::from) }
    }
}

/// An account.
#[derive(Serialize, ToSchema)]
pub struct AccountDto {
    id: Uuid,
    email: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Account> for AccountDto {
    fn from(account: Account) -> Self {
        let email = account.email.as_str().to_owned();
        Self { id: account.id.as_uuid(), email, created_at: account.created_at }
    }
}

/// One's own account.
#[derive(Serialize, ToSchema)]
pub struct Me {
    #[serde(flatten)]
    account: AccountDto,
    /// Where the account receives Lightning payments; `null` until that is set up.
    #[schema(required = true)]
    lightning_address: Option<String>,
}

impl Me {
    /// With the address, if there is one.
    pub fn new(account: Account, address: Option<LightningAddress>) -> Self {
        Self { account: account.into(), lightning_address: address.map(|address| address.to_string()) }
    }
}

/// E-mail and password; as a form, the e-mail is called `username` (OAuth2 password grant).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what the login extractor reads")]
pub struct LoginBody {
    email: String,
    #[schema(format = Password)]
    password: String,
}

/// The form of the OAuth2 password grant.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the login extractor reads")]
pub struct LoginForm {
    username: String,
    #[schema(format = Password)]
    password: String,
    /// `password`, if given.
    #[schema(required = false, pattern = "^password$")]
    grant_type: String,
}

/// A pair of tokens.
#[derive(Serialize, ToSchema)]
pub struct TokenPair {
    /// For the header `Authorization: Bearer …`.
    access_token: String,
    /// Good once, for the next pair.
    refresh_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(example = 1800)]
    expires_in: u64,
}

impl From<Tokens> for TokenPair {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access_token.expose_secret().to_owned(),
            refresh_token: tokens.refresh_token.expose().to_owned(),
            token_type: "bearer",
            expires_in: tokens.access_expires_in.as_secs(),
        }
    }
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshBody {
    /// As the last login or refresh gave it.
    #[schema(required = true, value_type = String)]
    pub refresh_token: Option<SecretString>,
}

/// A change of the password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    /// The present one.
    #[schema(required = true, value_type = String, format = Password)]
    pub current_password: Option<SecretString>,
    /// 10 to 72 bytes, and not one of the common ones.
    #[schema(required = true, value_type = String, format = Password)]
    pub new_password: Option<SecretString>,
}
