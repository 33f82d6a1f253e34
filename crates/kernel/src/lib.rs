//! The words that every domain of Guichê shares.
//!
//! Money, ids, time, randomness, who acts, what storage may refuse, and the transaction as an object. Nothing here
//! does I/O, and nothing here knows tickets, users or HTTP; a domain crate needs this crate and pure libraries only.

mod actor;
mod error;
mod ids;
mod money;
mod page;
mod random;
mod sealed_column;
mod time_port;
mod tx;
mod vault;

#[cfg(feature = "testing")]
pub mod testing;

pub use actor::{Actor, Caller, Epoch};
pub use error::{BoxError, ErrorKind, StoreError};
pub use ids::{Ids, UserId};
pub use money::{Sats, SatsError};
pub use page::{Limit, LimitError};
pub use random::Randomness;
pub use sealed_column::{KeyUse, Resealed, SealedColumn, SealedRow};
pub use time_port::{Clock, Timer, Timestamp, truncate_to_micros};
pub use tx::{Locked, Tx, finish};
pub use vault::{SealError, Sealed, SecretPlace, SecretVault};
