//! The watcher's part of the store, on the workers' login.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use guiche_kernel::{Limit, StoreError, Timestamp, UserId};
use guiche_tickets::{DueLook, InvoiceStatus, NextLook, PaymentHash, Push, PushNoted, RefundDue, TicketId};
use uuid::Uuid;

use super::rows;
use crate::pool::PgPool;
use crate::query::{PRUNED_AT_ONCE, in_batches, one, sql_call};

type Look = (SqlUuid, Binary, Text, Bool, Timestamptz, Timestamptz, Timestamptz);

sql_call! {
    struct ClaimLooks = "claim_looks" {
        now: Timestamp => Timestamptz,
        leased_until: Timestamp => Timestamptz,
        limit: i64 => BigInt,
    } -> Look
}

sql_call! {
    struct RescheduleLooks<'a> = "reschedule_looks" {
        leased_until: Timestamp => Timestamptz,
        hashes: Vec<&'a [u8]> => Array<Binary>,
        at: Vec<Option<Timestamp>> => Array<Nullable<Timestamptz>>,
    } -> ()
}

sql_call! {
    struct NotePush<'a> = "note_push" {
        id: &'a str => Text,
        invoice: &'a str => Text,
        now: Timestamp => Timestamptz,
    } -> (Text,)
}

sql_call! {
    struct ListUnpaid<'a> = "list_unpaid" {
        since: Timestamp => Timestamptz,
        after: Option<Timestamp> => Nullable<Timestamptz>,
        after_hash: Option<&'a [u8]> => Nullable<Binary>,
        limit: i64 => BigInt,
    } -> Look
}

sql_call! {
    struct CountUnpaid = "count_unpaid" {
        since: Timestamp => Timestamptz,
    } -> (BigInt,)
}

sql_call! {
    struct ListRefunds<'a> = "list_refunds" {
        after: Option<Timestamp> => Nullable<Timestamptz>,
        after_hash: Option<&'a [u8]> => Nullable<Binary>,
        limit: i64 => BigInt,
    } -> (SqlUuid, SqlUuid, Binary, Text, BigInt, Timestamptz)
}

sql_call! {
    struct PrunePushes = "prune_pushes" {
        before: Timestamp => Timestamptz,
        limit: i64 => BigInt,
    } -> (BigInt,)
}

/// After which row of a list the page begins.
pub(super) type After = Option<(Timestamp, PaymentHash)>;

#[derive(Queryable)]
struct LookRow {
    ticket_id: Uuid,
    payment_hash: Vec<u8>,
    provider_invoice_id: String,
    open: bool,
    issued_at: Timestamp,
    expires_at: Timestamp,
    due_at: Timestamp,
}

impl TryFrom<LookRow> for DueLook {
    type Error = StoreError;

    fn try_from(row: LookRow) -> Result<Self, StoreError> {
        Ok(Self {
            ticket_id: TicketId::new(row.ticket_id),
            payment_hash: rows::hash(&row.payment_hash)?,
            invoice_id: rows::provider_id(&row.provider_invoice_id)?,
            open: row.open,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            due_at: row.due_at,
        })
    }
}

pub(super) async fn claim(
    worker: &PgPool,
    now: Timestamp,
    leased_until: Timestamp,
    most: u16,
) -> Result<Vec<DueLook>, StoreError> {
    let rows: Vec<LookRow> = worker.rows(ClaimLooks { now, leased_until, limit: most.into() }).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn reschedule(
    worker: &PgPool,
    leased_until: Timestamp,
    looks: &[NextLook],
) -> Result<(), StoreError> {
    let call = RescheduleLooks {
        leased_until,
        hashes: looks.iter().map(|look| look.payment_hash.as_bytes().as_slice()).collect(),
        at: looks.iter().map(|look| look.at).collect(),
    };
    worker.run(call).await.map(drop)
}

pub(super) async fn note_push(worker: &PgPool, push: &Push) -> Result<PushNoted, StoreError> {
    let call = NotePush { id: &push.id, invoice: push.invoice_id.as_str(), now: push.received_at };
    let (noted,): (String,) = one(worker.rows(call).await?)?;
    match noted.as_str() {
        "known" => Ok(PushNoted::Known),
        "unknown" => Ok(PushNoted::Unknown),
        "duplicate" => Ok(PushNoted::Duplicate),
        _ => Err(StoreError::corrupt("an unknown outcome of a push")),
    }
}

pub(super) async fn list_unpaid(
    worker: &PgPool,
    since: Timestamp,
    after: After,
    limit: Limit,
) -> Result<Vec<DueLook>, StoreError> {
    let (after, hash) = after.unzip();
    let after_hash = hash.as_ref().map(|hash| hash.as_bytes().as_slice());
    let call = ListUnpaid { since, after, after_hash, limit: limit.get().into() };
    let rows: Vec<LookRow> = worker.rows(call).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn count_unpaid(worker: &PgPool, since: Timestamp) -> Result<u64, StoreError> {
    let (count,): (i64,) = one(worker.rows(CountUnpaid { since }).await?)?;
    u64::try_from(count).map_err(|_| StoreError::corrupt("a negative count"))
}

#[derive(Queryable)]
struct RefundRow {
    ticket_id: Uuid,
    user_id: Uuid,
    payment_hash: Vec<u8>,
    status: String,
    amount_sats: i64,
    paid_at: Timestamp,
}

pub(super) async fn list_refunds(
    worker: &PgPool,
    after: After,
    limit: Limit,
) -> Result<Vec<RefundDue>, StoreError> {
    let (after, hash) = after.unzip();
    let after_hash = hash.as_ref().map(|hash| hash.as_bytes().as_slice());
    let rows: Vec<RefundRow> =
        worker.rows(ListRefunds { after, after_hash, limit: limit.get().into() }).await?;
    rows.into_iter()
        .map(|row| {
            Ok(RefundDue {
                ticket_id: TicketId::new(row.ticket_id),
                owner: UserId::new(row.user_id),
                payment_hash: rows::hash(&row.payment_hash)?,
                reason: rows::word(&row.status)?,
                amount: rows::sats(row.amount_sats)?,
                paid_at: row.paid_at,
            })
        })
        .collect()
}

/// The condition is the one of the index, word for word.
pub(super) async fn count_refunds(worker: &PgPool) -> Result<Vec<(InvoiceStatus, u64)>, StoreError> {
    const COUNT: &str = "
        SELECT i.status::text AS reason, count(*) AS total FROM invoices i
        WHERE i.status IN ('paid_late', 'paid_after_cancel', 'paid_surplus') AND i.refunded_at IS NULL
        GROUP BY i.status";
    let rows: Vec<RefundCount> = worker.rows(diesel::sql_query(COUNT)).await?;
    let counted = |row: RefundCount| {
        let total = u64::try_from(row.total).map_err(|_| StoreError::corrupt("a negative count"))?;
        Ok((rows::word(&row.reason)?, total))
    };
    rows.into_iter().map(counted).collect()
}

#[derive(QueryableByName)]
struct RefundCount {
    #[diesel(sql_type = Text)]
    reason: String,
    #[diesel(sql_type = BigInt)]
    total: i64,
}

pub(super) async fn prune_pushes(worker: &PgPool, before: Timestamp) -> Result<u64, StoreError> {
    in_batches(|| worker.rows(PrunePushes { before, limit: PRUNED_AT_ONCE })).await
}
