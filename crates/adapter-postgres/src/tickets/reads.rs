//! Reads of citizens that wait at the same moment go to the database together.
//!
//! Each is looked at under its own citizen's identity. Only what was found comes out of a batch: who finds nothing there (no
//! such ticket, an empty page, a session that has ended) is asked about alone, and told what they are told then.

use async_trait::async_trait;
use diesel::Queryable;
use guiche_kernel::{Caller, StoreError, Timestamp};
use guiche_tickets::{
    Cursor, OperationId, PageStart, Ticket, TicketId, TicketPage, TicketQuery, TicketStatus, TicketSummary,
};
use uuid::Uuid;

use super::calls::{FindTicket, FindTickets, ListTickets, ListTicketsOf};
use super::rows::{self, Reading};
use crate::pool::PgPool;
use crate::together::{Place, Question};

/// How many go together. Beyond that a row is not much cheaper.
const TOGETHER: usize = 32;
/// How many batches are under way, usually, and while they are slow. One keeps the batches large; what the database then rests
/// while the next is put together is less than what two small ones cost it.
const TURNS: usize = 1;
const TURNS_WHEN_SLOW: usize = 8;

/// A citizen's ticket.
pub(crate) struct Finding {
    pub(super) caller: Caller,
    pub(super) ticket: TicketId,
}

#[async_trait]
impl Question for Finding {
    type Answer = Option<Ticket>;
    const TOGETHER: usize = TOGETHER;
    const TURNS: usize = TURNS;
    const TURNS_WHEN_SLOW: usize = TURNS_WHEN_SLOW;

    async fn alone(&self, pool: &PgPool) -> Result<Option<Ticket>, StoreError> {
        let (user, epoch) = (self.caller.user_id.as_uuid(), self.caller.epoch.get());
        let readings: Vec<Reading> =
            pool.rows(FindTicket { user, epoch, ticket: self.ticket.as_uuid() }).await?;
        rows::ticket(readings)
    }

    async fn together(all: &[&Self], pool: &PgPool) -> Result<Vec<Place<Self>>, StoreError> {
        if let [only] = all {
            return Ok(vec![Some(only.alone(pool).await)]);
        }
        let call = FindTickets {
            users: all.iter().map(|finding| finding.caller.user_id.as_uuid()).collect(),
            epochs: all.iter().map(|finding| finding.caller.epoch.get()).collect(),
            tickets: all.iter().map(|finding| finding.ticket.as_uuid()).collect(),
        };
        let found: Vec<(i64, Reading)> = pool.rows(call).await?;
        let each = by_place(found, all.len()).into_iter().zip(all);
        Ok(each.map(|(readings, finding)| finding.answered(readings)).collect())
    }
}

impl Finding {
    /// Nothing says nothing. Nor does what is somebody else's, or another ticket: it would be a defect, and is not shown.
    fn answered(&self, readings: Vec<Reading>) -> Place<Self> {
        let ticket = rows::ticket(readings).transpose()?;
        let is_asked_for =
            |ticket: &Ticket| ticket.id() == self.ticket && ticket.record().owner == self.caller.user_id;
        match ticket {
            Ok(ticket) => is_asked_for(&ticket).then_some(Ok(Some(ticket))),
            Err(refusal) => Some(Err(refusal)),
        }
    }
}

/// A page of a citizen's tickets.
pub(crate) struct Listing {
    pub(super) caller: Caller,
    pub(super) query: TicketQuery,
}

impl Listing {
    /// Only lists of every status go together: a status has a query of its own.
    pub(super) const fn has_company(&self) -> bool {
        self.query.status.is_none()
    }

    fn after(&self) -> Option<Cursor> {
        match self.query.start {
            PageStart::After(cursor) => Some(cursor),
            PageStart::Newest | PageStart::Offset(_) => None,
        }
    }

    fn offset(&self) -> i64 {
        match self.query.start {
            PageStart::Offset(rows) => i64::from(rows),
            PageStart::Newest | PageStart::After(_) => 0,
        }
    }

    /// One more than is shown says whether there is another page.
    fn limit(&self) -> i64 {
        i64::from(self.query.limit.get()) + 1
    }

    /// `None` when there is nothing to show, or more than there is in all; then the database has to say so to this one alone.
    fn answered(&self, rows: Vec<ListRow>) -> Place<Self> {
        let whole =
            rows.first().is_some_and(|row| i64::try_from(rows.len()).is_ok_and(|shown| shown <= row.total));
        whole.then(|| self.page(rows))
    }

    fn page(&self, rows: Vec<ListRow>) -> Result<TicketPage, StoreError> {
        let total = rows.first().ok_or_else(|| StoreError::corrupt("a list without its total"))?.total;
        let total = u32::try_from(total).ok().filter(|total| *total <= TicketPage::COUNTED_UP_TO);
        let mut tickets: Vec<TicketSummary> =
            rows.into_iter().filter_map(|row| row.summary().transpose()).collect::<Result<_, _>>()?;
        let limit = usize::from(self.query.limit.get());
        let more = tickets.len() > limit;
        tickets.truncate(limit);
        let last = tickets.last().filter(|_| more);
        let next = last.map(|last| Cursor { created_at: last.created_at, id: last.id });
        Ok(TicketPage { tickets, total, next })
    }
}

#[async_trait]
impl Question for Listing {
    type Answer = TicketPage;
    const TOGETHER: usize = TOGETHER;
    const TURNS: usize = TURNS;
    const TURNS_WHEN_SLOW: usize = TURNS_WHEN_SLOW;

    async fn alone(&self, pool: &PgPool) -> Result<TicketPage, StoreError> {
        let after = self.after();
        let call = ListTickets {
            user: self.caller.user_id.as_uuid(),
            epoch: self.caller.epoch.get(),
            status: self.query.status.map(TicketStatus::as_str),
            after: after.map(|cursor| cursor.created_at),
            after_id: after.map(|cursor| cursor.id.as_uuid()),
            offset: self.offset(),
            limit: self.limit(),
        };
        self.page(pool.rows(call).await?)
    }

    async fn together(all: &[&Self], pool: &PgPool) -> Result<Vec<Place<Self>>, StoreError> {
        if let [only] = all {
            return Ok(vec![Some(only.alone(pool).await)]);
        }
        let after = || all.iter().map(|listing| listing.after());
        let call = ListTicketsOf {
            users: all.iter().map(|listing| listing.caller.user_id.as_uuid()).collect(),
            epochs: all.iter().map(|listing| listing.caller.epoch.get()).collect(),
            after: after().map(|cursor| cursor.map(|cursor| cursor.created_at)).collect(),
            after_ids: after().map(|cursor| cursor.map(|cursor| cursor.id.as_uuid())).collect(),
            offsets: all.iter().map(|listing| listing.offset()).collect(),
            limits: all.iter().map(|listing| listing.limit()).collect(),
        };
        let listed: Vec<(i64, ListRow)> = pool.rows(call).await?;
        let each = by_place(listed, all.len()).into_iter().zip(all);
        Ok(each.map(|(rows, listing)| listing.answered(rows)).collect())
    }
}

/// The rows of each place, which the database counts from 1; in the order in which they came.
fn by_place<R>(rows: Vec<(i64, R)>, places: usize) -> Vec<Vec<R>> {
    let mut of_each: Vec<Vec<R>> = (0..places).map(|_| Vec::new()).collect();
    for (place, row) in rows {
        let place = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        if let Some(of_one) = place.and_then(|place| of_each.get_mut(place)) {
            of_one.push(row);
        }
    }
    of_each
}

/// A row of `list_tickets`; of an empty page there is one, with the total alone.
#[derive(Queryable)]
struct ListRow {
    total: i64,
    id: Option<Uuid>,
    operation_id: Option<i32>,
    operation_name: Option<String>,
    status: Option<String>,
    amount_sats: Option<i64>,
    created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    paid_at: Option<Timestamp>,
}

impl ListRow {
    fn summary(self) -> Result<Option<TicketSummary>, StoreError> {
        let Some(id) = self.id else { return Ok(None) };
        let absent = || StoreError::corrupt("a listed ticket lacks a column");
        Ok(Some(TicketSummary {
            id: TicketId::new(id),
            operation_id: OperationId::new(self.operation_id.ok_or_else(absent)?),
            operation_name: self.operation_name.ok_or_else(absent)?,
            status: rows::word(&self.status.ok_or_else(absent)?)?,
            amount: rows::sats(self.amount_sats.ok_or_else(absent)?)?,
            created_at: self.created_at.ok_or_else(absent)?,
            expires_at: self.expires_at.ok_or_else(absent)?,
            paid_at: self.paid_at,
        }))
    }
}
