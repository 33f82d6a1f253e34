//! Money is whole satoshis. There are no fractions, no floats and no other currency in the domain.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in satoshis, between 0 and 21 million bitcoin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Sats(u64);

/// The amount is more than all the bitcoin there will ever be, or negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of satoshis between 0 and {}", Sats::MAX.0)]
pub struct SatsError;

impl Sats {
    /// All the bitcoin there will ever be, in satoshis.
    pub const MAX: Self = Self(2_100_000_000_000_000);

    /// An amount, if it is one that can exist.
    ///
    /// # Errors
    /// [`SatsError`] above [`Sats::MAX`].
    pub const fn try_new(sats: u64) -> Result<Self, SatsError> {
        if sats > Self::MAX.0 { Err(SatsError) } else { Ok(Self(sats)) }
    }

    /// The number of satoshis.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The same amount in millisatoshis, the unit of BOLT11; it always fits.
    #[must_use]
    pub const fn as_msats(self) -> u64 {
        self.0.saturating_mul(1000)
    }
}

impl TryFrom<u64> for Sats {
    type Error = SatsError;
    fn try_from(sats: u64) -> Result<Self, SatsError> {
        Self::try_new(sats)
    }
}

impl TryFrom<i64> for Sats {
    type Error = SatsError;
    fn try_from(sats: i64) -> Result<Self, SatsError> {
        u64::try_from(sats).map_err(|_| SatsError).and_then(Self::try_new)
    }
}

impl From<Sats> for u64 {
    fn from(sats: Sats) -> Self {
        sats.0
    }
}

impl From<Sats> for i64 {
    fn from(sats: Sats) -> Self {
        // Sats::MAX is far below i64::MAX.
        Self::try_from(sats.0).unwrap_or(Self::MAX)
    }
}

impl fmt::Display for Sats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sats", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_21_million_bitcoin_and_not_one_satoshi_more() {
        assert_eq!(Sats::try_new(2_100_000_000_000_000), Ok(Sats::MAX));
        assert_eq!(Sats::try_new(2_100_000_000_000_001), Err(SatsError));
        assert_eq!(Sats::try_from(-1_i64), Err(SatsError));
        assert_eq!(Sats::MAX.as_msats(), 2_100_000_000_000_000_000);
    }

    #[test]
    fn deserialising_checks_the_bound_too() {
        let none = serde::de::value::U64Deserializer::<serde::de::value::Error>::new(u64::MAX);
        assert!(Sats::deserialize(none).is_err());
    }
}
