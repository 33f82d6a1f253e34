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

diesel::table! {
    outbox (id) {
        id -> Uuid,
        position -> BigInt,
        kind -> Text,
        happened_at -> Timestamptz,
        ticket_id -> Uuid,
        user_id -> Uuid,
        amount_sats -> BigInt,
        operation_id -> Integer,
        status -> Text,
        version -> BigInt,
        payment_hash -> Nullable<Binary>,
        fanned_out -> Bool,
    }
}

diesel::table! {
    webhook_endpoints (id) {
        id -> Uuid,
        url -> Text,
        description -> Text,
        event_types -> Nullable<Array<Text>>,
        secret -> Text,
        previous_secret -> Nullable<Text>,
        previous_until -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        disabled_at -> Nullable<Timestamptz>,
        disabled_reason -> Nullable<Text>,
        failing_since -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_deliveries (event_id, endpoint_id) {
        event_id -> Uuid,
        endpoint_id -> Uuid,
        state -> Text,
        attempts -> Integer,
        created_at -> Timestamptz,
        next_at -> Timestamptz,
        leased_until -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
        last_result -> Nullable<Text>,
    }
}

diesel::table! {
    /// A view: one row per record of a setup's journal, or one without.
    lightning_setup_readings (id) {
        id -> Uuid,
        user_id -> Uuid,
        address -> Text,
        status -> Text,
        goal -> Text,
        attempt -> Integer,
        fault -> Nullable<Jsonb>,
        voltage_node_id -> Nullable<Text>,
        btcpay_store_id -> Nullable<Text>,
        encrypted_voltage_config -> Nullable<Text>,
        encrypted_btcpay_config -> Nullable<Text>,
        begun_at -> Timestamptz,
        activated_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        run -> BigInt,
        step_attempt -> Nullable<Integer>,
        step -> Nullable<Text>,
        step_state -> Nullable<Text>,
        resource -> Nullable<Text>,
        sealed -> Nullable<Text>,
        tries -> Nullable<Integer>,
        since -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    lightning_setup_log (number) {
        number -> BigInt,
        id -> Uuid,
        user_id -> Nullable<Uuid>,
        lightning_address_id -> Uuid,
        operation_type -> Text,
        btcpay_configured -> Bool,
        voltage_configured -> Bool,
        success -> Bool,
        error_message -> Nullable<Text>,
        created_at -> Timestamptz,
        hash -> Binary,
    }
}

diesel::table! {
    lightning_address_invoices (payment_hash) {
        payment_hash -> Binary,
        lightning_address_id -> Uuid,
        user_id -> Uuid,
        store_id -> Text,
        invoice_id -> Text,
        bolt11 -> Text,
        amount_msat -> BigInt,
        comment -> Nullable<Text>,
        issued_at -> Timestamptz,
        expires_at -> Timestamptz,
        paid_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(webhook_deliveries -> outbox (event_id));
diesel::allow_tables_to_appear_in_same_query!(webhook_deliveries, outbox);
