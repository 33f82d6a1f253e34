//! The tables and views that are read by diesel's query builder; a test compares them with the database's catalogue.

diesel::table! {
    operations (id) {
        id -> Integer,
        name -> Text,
        description -> Text,
        price_sats -> BigInt,
        form_schema -> Jsonb,
        active -> Bool,
    }
}

diesel::table! {
    invoices (payment_hash) {
        payment_hash -> Binary,
        ticket_id -> Uuid,
        user_id -> Uuid,
        amount_sats -> BigInt,
        ordinal -> Integer,
        provider_invoice_id -> Text,
        bolt11 -> Text,
        issued_at -> Timestamptz,
        expires_at -> Timestamptz,
        status -> Text,
        paid_at -> Nullable<Timestamptz>,
        preimage -> Nullable<Binary>,
        refunded_at -> Nullable<Timestamptz>,
        leased_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// A view: one row per invoice of a ticket.
    ticket_readings (payment_hash) {
        id -> Uuid,
        user_id -> Uuid,
        operation_id -> Integer,
        operation_name -> Text,
        amount_sats -> BigInt,
        form_data -> Jsonb,
        status -> Text,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        cancelled_at -> Nullable<Timestamptz>,
        processing_at -> Nullable<Timestamptz>,
        completed_at -> Nullable<Timestamptz>,
        payment_hash -> Binary,
        ordinal -> Integer,
        provider_invoice_id -> Text,
        bolt11 -> Text,
        invoice_amount_sats -> BigInt,
        issued_at -> Timestamptz,
        expires_at -> Timestamptz,
        invoice_status -> Text,
        paid_at -> Nullable<Timestamptz>,
        preimage -> Nullable<Binary>,
        refunded_at -> Nullable<Timestamptz>,
    }
}
