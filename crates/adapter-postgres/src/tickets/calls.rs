//! The functions of the database that tickets need.

use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use guiche_kernel::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::query::sql_call;
use crate::schema::ticket_readings;

sql_call! {
    pub(super) struct FindTicket = "find_ticket" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        ticket: Uuid => SqlUuid,
    } -> ticket_readings::SqlType
}

sql_call! {
    /// Rows with the place of who asked, from 1.
    pub(super) struct FindTickets = "find_tickets" {
        users: Vec<Uuid> => Array<SqlUuid>,
        epochs: Vec<i32> => Array<Integer>,
        tickets: Vec<Uuid> => Array<SqlUuid>,
    } -> (BigInt, ticket_readings::SqlType)
}

sql_call! {
    pub(super) struct LockTicket = "lock_ticket" {
        ticket: Uuid => SqlUuid,
    } -> ticket_readings::SqlType
}

sql_call! {
    pub(super) struct TicketOf<'a> = "ticket_of" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        hash: &'a [u8] => Binary,
    } -> (SqlUuid,)
}

sql_call! {
    pub(super) struct ListTickets = "list_tickets" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        status: Option<&'static str> => Nullable<Text>,
        after: Option<Timestamp> => Nullable<Timestamptz>,
        after_id: Option<Uuid> => Nullable<SqlUuid>,
        offset: i64 => BigInt,
        limit: i64 => BigInt,
    } -> ListColumns
}

/// The total, which is there even when nothing is listed, and a ticket.
type ListColumns = (
    BigInt,
    Nullable<SqlUuid>,
    Nullable<Integer>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
);

sql_call! {
    /// Rows with the place of who asked, from 1.
    pub(super) struct ListTicketsOf = "list_tickets_of" {
        users: Vec<Uuid> => Array<SqlUuid>,
        epochs: Vec<i32> => Array<Integer>,
        after: Vec<Option<Timestamp>> => Array<Nullable<Timestamptz>>,
        after_ids: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>,
        offsets: Vec<i64> => Array<BigInt>,
        limits: Vec<i64> => Array<BigInt>,
    } -> (BigInt, ListColumns)
}

sql_call! {
    pub(super) struct OpenTicket<'a> = "open_ticket" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        ticket: Uuid => SqlUuid,
        owner: Uuid => SqlUuid,
        operation: i32 => Integer,
        operation_name: &'a str => Text,
        amount: i64 => BigInt,
        form: &'a Value => Jsonb,
        created_at: Timestamp => Timestamptz,
        updated_at: Timestamp => Timestamptz,
        hash: &'a [u8] => Binary,
        provider_id: &'a str => Text,
        bolt11: &'a str => Text,
        issued_at: Timestamp => Timestamptz,
        expires_at: Timestamp => Timestamptz,
        event_ids: Vec<Uuid> => Array<SqlUuid>,
        kinds: Vec<&'static str> => Array<Text>,
        moments: Vec<Timestamp> => Array<Timestamptz>,
        statuses: Vec<&'static str> => Array<Text>,
        versions: Vec<i64> => Array<BigInt>,
        event_hashes: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
        route: Option<&'a str> => Nullable<Text>,
        key: Option<&'a str> => Nullable<Text>,
        subject: Option<Uuid> => Nullable<SqlUuid>,
    } -> (Text,)
}

sql_call! {
    #[derive(Default)]
    pub(super) struct OpenTickets<'a> = "open_tickets" {
        users: Vec<Uuid> => Array<SqlUuid>,
        epochs: Vec<i32> => Array<Integer>,
        tickets: Vec<Uuid> => Array<SqlUuid>,
        owners: Vec<Uuid> => Array<SqlUuid>,
        operations: Vec<i32> => Array<Integer>,
        operation_names: Vec<&'a str> => Array<Text>,
        amounts: Vec<i64> => Array<BigInt>,
        forms: Vec<&'a Value> => Array<Jsonb>,
        created_at: Vec<Timestamp> => Array<Timestamptz>,
        updated_at: Vec<Timestamp> => Array<Timestamptz>,
        hashes: Vec<&'a [u8]> => Array<Binary>,
        provider_ids: Vec<&'a str> => Array<Text>,
        bolt11s: Vec<&'a str> => Array<Text>,
        issued_at: Vec<Timestamp> => Array<Timestamptz>,
        expires_at: Vec<Timestamp> => Array<Timestamptz>,
        routes: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        keys: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        subjects: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>,
        event_places: Vec<i32> => Array<Integer>,
        event_ids: Vec<Uuid> => Array<SqlUuid>,
        kinds: Vec<&'static str> => Array<Text>,
        moments: Vec<Timestamp> => Array<Timestamptz>,
        statuses: Vec<&'static str> => Array<Text>,
        versions: Vec<i64> => Array<BigInt>,
        event_hashes: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
    } -> (Array<Bool>,)
}

sql_call! {
    pub(super) struct InsertTicket<'a> = "insert_ticket" {
        ticket: Uuid => SqlUuid,
        owner: Uuid => SqlUuid,
        operation: i32 => Integer,
        operation_name: &'a str => Text,
        amount: i64 => BigInt,
        form: Value => Jsonb,
        status: &'static str => Text,
        version: i64 => BigInt,
        created_at: Timestamp => Timestamptz,
        updated_at: Timestamp => Timestamptz,
        cancelled_at: Option<Timestamp> => Nullable<Timestamptz>,
        processing_at: Option<Timestamp> => Nullable<Timestamptz>,
        completed_at: Option<Timestamp> => Nullable<Timestamptz>,
        expires_at: Timestamp => Timestamptz,
        paid_at: Option<Timestamp> => Nullable<Timestamptz>,
        hashes: Vec<&'a [u8]> => Array<Binary>,
        provider_ids: Vec<&'a str> => Array<Text>,
        bolt11s: Vec<&'a str> => Array<Text>,
        issued: Vec<Timestamp> => Array<Timestamptz>,
        expires: Vec<Timestamp> => Array<Timestamptz>,
        statuses: Vec<&'static str> => Array<Text>,
        paid: Vec<Option<Timestamp>> => Array<Nullable<Timestamptz>>,
        preimages: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
        refunded: Vec<Option<Timestamp>> => Array<Nullable<Timestamptz>>,
    } -> (Text,)
}

sql_call! {
    pub(super) struct SaveTicket<'a> = "save_ticket" {
        ticket: Uuid => SqlUuid,
        expected_version: i64 => BigInt,
        version: i64 => BigInt,
        status: &'static str => Text,
        updated_at: Timestamp => Timestamptz,
        cancelled_at: Option<Timestamp> => Nullable<Timestamptz>,
        processing_at: Option<Timestamp> => Nullable<Timestamptz>,
        completed_at: Option<Timestamp> => Nullable<Timestamptz>,
        expires_at: Timestamp => Timestamptz,
        paid_at: Option<Timestamp> => Nullable<Timestamptz>,
        changed_hashes: Vec<&'a [u8]> => Array<Binary>,
        old_statuses: Vec<&'static str> => Array<Text>,
        changed_statuses: Vec<&'static str> => Array<Text>,
        changed_paid: Vec<Option<Timestamp>> => Array<Nullable<Timestamptz>>,
        changed_preimages: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
        changed_refunded: Vec<Option<Timestamp>> => Array<Nullable<Timestamptz>>,
        first_ordinal: i32 => Integer,
        hashes: Vec<&'a [u8]> => Array<Binary>,
        provider_ids: Vec<&'a str> => Array<Text>,
        bolt11s: Vec<&'a str> => Array<Text>,
        issued: Vec<Timestamp> => Array<Timestamptz>,
        expires: Vec<Timestamp> => Array<Timestamptz>,
        statuses: Vec<&'static str> => Array<Text>,
        paid: Vec<Option<Timestamp>> => Array<Nullable<Timestamptz>>,
        preimages: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
        refunded: Vec<Option<Timestamp>> => Array<Nullable<Timestamptz>>,
    } -> (Text,)
}

sql_call! {
    pub(super) struct PushEvents<'a> = "push_events" {
        ids: Vec<Uuid> => Array<SqlUuid>,
        kinds: Vec<&'static str> => Array<Text>,
        moments: Vec<Timestamp> => Array<Timestamptz>,
        tickets: Vec<Uuid> => Array<SqlUuid>,
        users: Vec<Uuid> => Array<SqlUuid>,
        amounts: Vec<i64> => Array<BigInt>,
        operations: Vec<i32> => Array<Integer>,
        statuses: Vec<&'static str> => Array<Text>,
        versions: Vec<i64> => Array<BigInt>,
        hashes: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
    } -> ()
}

sql_call! {
    pub(super) struct ClaimKey<'a> = "claim_key" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        route: String => Text,
        key: &'a str => Text,
        fingerprint: &'a [u8] => Binary,
        subject: Uuid => SqlUuid,
        now: Timestamp => Timestamptz,
        claimed_until: Timestamp => Timestamptz,
        renew_before: Timestamp => Timestamptz,
    } -> (
        Text,
        Nullable<SqlUuid>,
        Nullable<Timestamptz>,
        Nullable<Timestamptz>,
        Nullable<SqlUuid>,
        Nullable<Binary>,
    )
}

sql_call! {
    pub(super) struct FindDone<'a> = "find_done" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        route: String => Text,
        key: &'a str => Text,
        fingerprint: &'a [u8] => Binary,
    } -> (SqlUuid, Binary)
}

sql_call! {
    pub(super) struct ReleaseKey<'a> = "release_key" {
        user: Uuid => SqlUuid,
        epoch: i32 => Integer,
        route: String => Text,
        key: &'a str => Text,
        subject: Uuid => SqlUuid,
        claimed_until: Timestamp => Timestamptz,
        forget: bool => Bool,
    } -> ()
}

sql_call! {
    pub(super) struct CompleteKey<'a> = "complete_key" {
        route: String => Text,
        key: &'a str => Text,
        subject: Uuid => SqlUuid,
        ticket: Uuid => SqlUuid,
        hash: &'a [u8] => Binary,
    } -> (Bool,)
}

sql_call! {
    pub(super) struct PruneClaims = "prune_claims" {
        before: Timestamp => Timestamptz,
        limit: i64 => BigInt,
    } -> (BigInt,)
}
