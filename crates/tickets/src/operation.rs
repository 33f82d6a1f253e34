//! What can be bought at the window: operations of the office, priced in satoshis, each with its form.

use std::fmt;
use std::sync::Arc;

use guiche_kernel::Sats;

use crate::Form;

/// Identifies an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(i32);

impl OperationId {
    /// Wraps the number.
    #[must_use]
    pub const fn new(id: i32) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An operation of the office, such as the renewal of a driver's licence.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Identifies it.
    pub id: OperationId,
    /// Its stable machine name, e.g. `driver_license_renewal`.
    pub name: String,
    /// A sentence for people.
    pub description: String,
    /// What it costs now; a ticket keeps the price of the moment it was opened.
    pub price: Sats,
    /// What must be filled in.
    pub form: Arc<Form>,
}
