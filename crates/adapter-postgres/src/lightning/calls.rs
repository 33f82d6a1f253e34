//! The functions of the database that Lightning setups need.

use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use guiche_kernel::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::query::sql_call;
use crate::schema::{lightning_setup_log, lightning_setup_readings};

sql_call! {
    pub(super) struct Begin<'a> = "begin_lightning_setup" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        id: Uuid => SqlUuid,
        address: &'a str => Text,
        now: Timestamp => Timestamptz,
        reserved_since: Timestamp => Timestamptz,
    } -> (Text, lightning_setup_readings::SqlType)
}

sql_call! {
    pub(super) struct Find = "find_lightning_setup" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
    } -> lightning_setup_readings::SqlType
}

sql_call! {
    pub(super) struct TearDown = "tear_down_lightning_setup" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        id: Uuid => SqlUuid,
        from: Vec<&'static str> => Array<Text>,
        now: Timestamp => Timestamptz,
    } -> lightning_setup_readings::SqlType
}

sql_call! {
    pub(super) struct ListLog = "list_lightning_setup_log" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        before: Option<i64> => Nullable<BigInt>,
        limit: i64 => BigInt,
    } -> lightning_setup_log::SqlType
}

sql_call! {
    pub(super) struct ListSetups = "list_lightning_setups" {
        after: Option<Uuid> => Nullable<SqlUuid>,
        limit: i64 => BigInt,
    } -> lightning_setup_readings::SqlType
}

sql_call! {
    pub(super) struct Claim = "claim_lightning_setups" {
        now: Timestamp => Timestamptz,
        leased_until: Timestamp => Timestamptz,
        limit: i64 => BigInt,
    } -> lightning_setup_readings::SqlType
}

sql_call! {
    pub(super) struct ClaimOne = "claim_lightning_setup" {
        id: Uuid => SqlUuid,
        now: Timestamp => Timestamptz,
        leased_until: Timestamp => Timestamptz,
    } -> lightning_setup_readings::SqlType
}

sql_call! {
    pub(super) struct Record<'a> = "record_lightning_steps" {
        id: Uuid => SqlUuid,
        run: i64 => BigInt,
        attempts: Vec<i32> => Array<Integer>,
        steps: Vec<&'static str> => Array<Text>,
        states: Vec<&'static str> => Array<Text>,
        resources: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        sealed: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        tries: Vec<i32> => Array<Integer>,
        since: Vec<Timestamp> => Array<Timestamptz>,
        leased_until: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    pub(super) struct RollBack = "roll_back_lightning_setup" {
        id: Uuid => SqlUuid,
        run: i64 => BigInt,
        fault: Value => Jsonb,
        now: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    pub(super) struct Complete<'a> = "complete_lightning_steps" {
        id: Uuid => SqlUuid,
        run: i64 => BigInt,
        attempts: Vec<i32> => Array<Integer>,
        steps: Vec<&'static str> => Array<Text>,
        states: Vec<&'static str> => Array<Text>,
        resources: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        sealed: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        tries: Vec<i32> => Array<Integer>,
        since: Vec<Timestamp> => Array<Timestamptz>,
        node_id: &'a str => Text,
        store_id: &'a str => Text,
        node_config: Option<&'a str> => Nullable<Text>,
        store_config: Option<&'a str> => Nullable<Text>,
        now: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    pub(super) struct Close = "close_lightning_setup" {
        id: Uuid => SqlUuid,
        run: i64 => BigInt,
        status: &'static str => Text,
        now: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    pub(super) struct Rest = "rest_lightning_setup" {
        id: Uuid => SqlUuid,
        run: i64 => BigInt,
        due_at: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    pub(super) struct Resolve = "resolve_lightning_orphan" {
        id: Uuid => SqlUuid,
        attempt: i32 => Integer,
        step: &'static str => Text,
        now: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    pub(super) struct Adopt<'a> = "adopt_lightning_orphan" {
        id: Uuid => SqlUuid,
        attempt: i32 => Integer,
        step: &'static str => Text,
        resource: Option<&'a str> => Nullable<Text>,
        sealed: Option<&'a str> => Nullable<Text>,
        now: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    pub(super) struct Repair<'a> = "repair_lightning_setup" {
        id: Uuid => SqlUuid,
        node_id: Option<&'a str> => Nullable<Text>,
        store_id: Option<&'a str> => Nullable<Text>,
        now: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    pub(super) struct ShowSeed = "note_lightning_seed_shown" {
        id: Uuid => SqlUuid,
        now: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    pub(super) struct AppendLog<'a> = "append_lightning_setup_log" {
        id: Uuid => SqlUuid,
        operation: &'static str => Text,
        success: bool => Bool,
        error: Option<&'a str> => Nullable<Text>,
        now: Timestamp => Timestamptz,
    } -> ()
}

sql_call! {
    pub(super) struct ActiveAddress = "active_lightning_address" {
        address: String => Text,
    } -> (SqlUuid, Text)
}

sql_call! {
    pub(super) struct KeepInvoice<'a> = "keep_lightning_invoice" {
        hash: &'a [u8] => Binary,
        setup: Uuid => SqlUuid,
        store_id: &'a str => Text,
        invoice_id: &'a str => Text,
        bolt11: &'a str => Text,
        amount_msat: i64 => BigInt,
        comment: Option<&'a str> => Nullable<Text>,
        issued_at: Timestamp => Timestamptz,
        expires_at: Timestamp => Timestamptz,
        paid_at: Option<Timestamp> => Nullable<Timestamptz>,
    } -> (Bool,)
}

sql_call! {
    pub(super) struct NoteDelivery<'a> = "note_lightning_delivery" {
        setup: Uuid => SqlUuid,
        delivery: &'a str => Text,
        now: Timestamp => Timestamptz,
    } -> (Bool,)
}

sql_call! {
    pub(super) struct Prune = "prune_lightning" {
        before: Timestamp => Timestamptz,
        limit: i64 => BigInt,
    } -> (BigInt,)
}
