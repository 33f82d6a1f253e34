//! The domain's words as the documentation lists them: a new one is documented by itself.

use guiche_lightning_setup::{SetupStatus, Step, StepState};
use guiche_tickets::TicketStatus;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// How it stands with somebody who has no setup, or none any more.
pub(super) const NOT_CONFIGURED: &str = "not_configured";
/// How far a step got that nobody has come to yet.
pub(super) const PENDING: &str = "pending";

macro_rules! words {
    ($($name:ident of $words:expr, $description:literal;)+) => {$(
        #[doc = $description]
        #[derive(Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let schema = ObjectBuilder::new().schema_type(Type::String);
                schema.description(Some($description)).enum_values(Some($words)).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

words! {
    PaymentStatus of TicketStatus::ALL.iter().map(|word| word.as_str()), "Where a ticket stands.";
    InvoiceStatus of guiche_tickets::InvoiceStatus::ALL.iter().map(|word| word.as_str()), "Where an invoice stands.";
    SetupState of SetupStatus::ALL.map(setup_status), "How a setup stands.";
    StepName of Step::ALL.map(Step::as_str), "A step of a setup.";
    StepProgress of std::iter::once(PENDING).chain(StepState::ALL.map(StepState::as_str)), "How far a step got.";
}

/// The API's word: what was removed is as if it had never been.
pub(super) const fn setup_status(status: SetupStatus) -> &'static str {
    if matches!(status, SetupStatus::Removed) { NOT_CONFIGURED } else { status.as_str() }
}
