//! The domain's words as the documentation lists them: a new one is documented by itself.

use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! words {
    ($($name:ident of $domain:ty, $description:literal;)+) => {$(
        #[doc = $description]
        #[derive(Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = <$domain>::ALL.iter().map(|word| word.as_str());
                let schema = ObjectBuilder::new().schema_type(Type::String);
                schema.description(Some($description)).enum_values(Some(words)).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

words! {
    PaymentStatus of guiche_tickets::TicketStatus, "Where a ticket stands.";
    InvoiceStatus of guiche_tickets::InvoiceStatus, "Where an invoice stands.";
}
