//! What tests and harnesses need: a store in memory, a scriptable gateway, mocks, and the suites that every adapter
//! of a port must pass. Nothing here needs an async runtime.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::wildcard_enum_match_arm,
    reason = "test code: a failed expectation is the point"
)]

pub mod contract;
mod gateway;
mod memory;
mod memory_catalogue;
mod memory_claims;
mod memory_looks;
mod memory_tx;

use std::collections::HashSet;
use std::sync::Arc;

use guiche_kernel::Sats;
use serde_json::{Value, json};

use crate::{Form, Operation, OperationId};

pub use crate::ports::MockInvoiceGateway;
pub use gateway::FakeGateway;
pub use memory::MemoryStore;
pub use memory_catalogue::MemoryCatalogue;

/// The form of the driver's licence renewal.
#[must_use]
pub fn license_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "required": ["cpf", "cnh_number", "cnh_mirror"],
        "properties": {
            "cpf": {"type": "string", "format": "cpf"},
            "cnh_number": {"type": "string", "format": "cnh"},
            "cnh_mirror": {"type": "string", "pattern": "^[0-9]{9,11}$"},
            "note": {"type": "string", "maxLength": 200},
        },
    })
}

/// A filled-in form that passes [`license_schema`].
#[must_use]
pub fn license_form() -> serde_json::Map<String, Value> {
    let mut form = serde_json::Map::new();
    for (name, value) in
        [("cpf", "529.982.247-25"), ("cnh_number", "02650306461"), ("cnh_mirror", "123456789")]
    {
        form.insert(name.to_owned(), value.into());
    }
    form
}

/// The driver's licence renewal, at 50 000 sats.
#[must_use]
pub fn license_operation() -> Operation {
    Operation {
        id: OperationId::new(1),
        name: "driver_license_renewal".to_owned(),
        description: "Renewal of a driver's licence".to_owned(),
        price: Sats::try_new(50_000).expect("in range"),
        form: Arc::new(Form::parse(license_schema()).expect("a valid schema")),
    }
}

/// Whether a macro's list of cases names every public case of a suite's source text, and nothing twice.
#[must_use]
pub fn lists_every_case(source: &str, listed: &[&str]) -> bool {
    let defined: HashSet<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub async fn "))
        .filter_map(|rest| rest.split(['(', '<']).next())
        .collect();
    let unique: HashSet<&str> = listed.iter().copied().collect();
    unique == defined && unique.len() == listed.len() && !listed.is_empty()
}
