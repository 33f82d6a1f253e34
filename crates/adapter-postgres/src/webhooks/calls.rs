//! The functions of the database that events out need.

use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use guiche_kernel::Timestamp;
use uuid::Uuid;

use crate::query::sql_call;

sql_call! {
    pub(super) struct FanOutEvents = "fan_out_events" {
        now: Timestamp => Timestamptz,
        limit: i64 => BigInt,
    } -> (BigInt, BigInt)
}

sql_call! {
    pub(super) struct ClaimDeliveries = "claim_deliveries" {
        now: Timestamp => Timestamptz,
        leased_until: Timestamp => Timestamptz,
        per_endpoint: i64 => BigInt,
        limit: i64 => BigInt,
    } -> (
        SqlUuid,
        SqlUuid,
        Integer,
        Text,
        Text,
        Nullable<Array<Text>>,
        Text,
        Nullable<Text>,
        Nullable<Timestamptz>,
        Timestamptz,
        Nullable<Timestamptz>,
        Text,
        Timestamptz,
        SqlUuid,
        SqlUuid,
        Integer,
        Text,
        BigInt,
        Text,
        BigInt,
        Nullable<Binary>,
    )
}

sql_call! {
    pub(super) struct RecordDelivery<'a> = "record_delivery" {
        event: Uuid => SqlUuid,
        endpoint: Uuid => SqlUuid,
        leased_until: Timestamp => Timestamptz,
        state: &'a str => Text,
        result: String => Text,
        next_at: Option<Timestamp> => Nullable<Timestamptz>,
        now: Timestamp => Timestamptz,
    } -> (Bool,)
}

sql_call! {
    pub(super) struct DisableEndpoint<'a> = "disable_endpoint" {
        endpoint: Uuid => SqlUuid,
        reason: &'a str => Text,
        failing_since: Option<Timestamp> => Nullable<Timestamptz>,
        now: Timestamp => Timestamptz,
    } -> (Bool,)
}

sql_call! {
    pub(super) struct RedeliverEvent = "redeliver_event" {
        event: Uuid => SqlUuid,
        endpoint: Option<Uuid> => Nullable<SqlUuid>,
        now: Timestamp => Timestamptz,
    } -> (Nullable<BigInt>,)
}

sql_call! {
    pub(super) struct PruneDeliveries = "prune_deliveries" {
        before: Timestamp => Timestamptz,
        limit: i64 => BigInt,
    } -> (BigInt,)
}
