//! Identifiers: `UUIDv7`, made here and never by the database, so that an id is known before anything is written.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::{Clock, Randomness};

/// Declares an identifier: a `UUIDv7` that cannot be mistaken for another kind of identifier.
///
/// ```
/// guiche_kernel::id! {
///     /// Identifies a parcel.
///     pub struct ParcelId;
/// }
/// let id: ParcelId = "0195f3a4-7c1e-7c3a-8d5e-0123456789ab".parse()?;
/// assert_eq!(id.to_string(), "0195f3a4-7c1e-7c3a-8d5e-0123456789ab");
/// # Ok::<(), uuid::Error>(())
/// ```
#[macro_export]
macro_rules! id {
    ($(#[$doc:meta])* $vis:vis struct $name:ident;) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord,
            ::serde::Serialize, ::serde::Deserialize,
        )]
        #[serde(transparent)]
        $vis struct $name(::uuid::Uuid);

        impl $name {
            /// Wraps an identifier that was made elsewhere (storage, a token, a path).
            #[must_use]
            pub const fn new(uuid: ::uuid::Uuid) -> Self {
                Self(uuid)
            }

            /// The bare identifier, for storage and the wire.
            #[must_use]
            pub const fn as_uuid(&self) -> ::uuid::Uuid {
                self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

crate::id! {
    /// Identifies an account.
    pub struct UserId;
}

/// Makes identifiers from the injected clock and randomness.
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

impl Ids {
    /// A maker of identifiers over the given ports.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { clock, randomness }
    }

    /// A fresh `UUIDv7` (RFC 9562 §5.7): 48 bits of milliseconds, the rest random. Two ids of one millisecond are not
    /// ordered among themselves, so nothing may rely on the order of ids alone.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let mut random = [0_u8; 10];
        self.randomness.fill(&mut random);
        let millis = u64::try_from(self.clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}
