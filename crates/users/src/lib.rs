#![doc = include_str!("../README.md")]

mod account;
mod email;
mod error;
mod password;
mod ports;
mod service;
mod session;

#[cfg(feature = "testing")]
pub mod testing;

pub use account::{Account, Credentials, NewAccount};
pub use email::{Email, InvalidEmail};
pub use error::{FieldError, HashingError, RefreshRefusal, SigningError, TokenRefusal, UserError};
pub use password::{Password, PasswordFlaw, PasswordHash, PresentedPassword};
#[cfg(feature = "testing")]
pub use ports::{MockPasswordHasher, MockTokenSigner};
pub use ports::{PasswordHasher, TokenSigner, UserStore};
pub use service::{AccountPorts, Accounts, SessionSettings, Tokens};
pub use session::{
    AccessClaims, FamilyId, MalformedRefreshToken, NewRefreshToken, NewSession, RefreshToken, Rotation,
    TokenHash, TokenId,
};
