//! How many rows a list may return.

/// A page size between 1 and [`Limit::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

/// The page size is not between 1 and 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit must be between 1 and {}", Limit::MAX)]
pub struct LimitError;

impl Limit {
    /// The largest page.
    pub const MAX: u16 = 100;

    /// A page size.
    ///
    /// # Errors
    /// [`LimitError`] for 0 and for more than [`Limit::MAX`].
    pub const fn try_new(rows: u16) -> Result<Self, LimitError> {
        if rows == 0 || rows > Self::MAX { Err(LimitError) } else { Ok(Self(rows)) }
    }

    /// The number of rows.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}
