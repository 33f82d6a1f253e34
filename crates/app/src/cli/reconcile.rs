//! `guiche reconcile`: asks the provider about unpaid invoices of any age, also those that no watcher asks about any more.

use std::sync::Arc;

use clap::{ArgGroup, Args};
use futures::stream::{self, StreamExt as _};
use guiche_kernel::{Clock as _, Limit, StoreError, Timestamp};
use guiche_tickets::{DueLook, Reconciled, TicketError, TicketId, Tickets};
use serde_json::json;

use super::beside_the_server;
use super::failure::{Failure, chain};
use super::moments::{Since, since};
use super::output::print;
use super::progress::{Counted, counted};
use super::settings::Given;
use crate::system::SystemClock;
use crate::wiring::{self, World};

/// How many questions are under way at once.
const AT_ONCE: usize = 16;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 1 when the provider did not answer about all of them; what it did answer is kept.\n\n\
    Example:\n  guiche reconcile --since 7d\n  guiche reconcile --ticket 0195f3a4-7c1e-7c3a-8d5e-0123456789ab"
)]
#[command(group(ArgGroup::new("which").required(true).args(["ticket", "since"])))]
pub(super) struct Options {
    /// Only the invoices of this ticket
    #[arg(long, value_name = "ID")]
    ticket: Option<TicketId>,
    /// All invoices issued since then: a moment like 2026-11-22T08:00:00Z, or a duration like 24h or 7d
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Since>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What came of all the questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    asked: u64,
    paid: u64,
    refunds_due: u64,
    expired: u64,
    unanswered: u64,
    /// Those whose answer could not be written down.
    failed: u64,
}

pub(super) fn run(options: &Options, given: &Given) -> Result<(), Failure> {
    let totals = beside_the_server(given, async |config, stores| {
        let tickets = wiring::tickets(config, stores, &World::real())?;
        match (options.ticket, options.since) {
            (Some(ticket), _) => of_ticket(&tickets, ticket).await,
            (None, since) => {
                // The group of options lets nobody through without one.
                let since = since.ok_or("say --ticket or --since")?;
                issued_since(&tickets, since.moment(SystemClock.now())).await
            }
        }
    })?;
    print(&if options.json { totals.in_json() } else { totals.in_text() })?;
    if totals.unanswered + totals.failed > 0 { Err(Failure::Told) } else { Ok(()) }
}

async fn of_ticket(tickets: &Arc<Tickets>, id: TicketId) -> Result<Totals, Failure> {
    let unpaid = tickets.unpaid_of(id).await?;
    let progress = counted("asking the provider".to_owned(), u64::try_from(unpaid.len())?);
    let mut totals = Totals::default();
    ask(tickets, unpaid, &mut totals, &progress).await?;
    Ok(totals)
}

async fn issued_since(tickets: &Arc<Tickets>, since: Timestamp) -> Result<Totals, Failure> {
    let progress = counted("asking the provider".to_owned(), tickets.count_unpaid(since).await?);
    let (limit, mut after, mut totals) = (Limit::try_new(Limit::MAX)?, None, Totals::default());
    loop {
        let page = tickets.unpaid(since, after, limit).await?;
        let Some(last) = page.last() else { return Ok(totals) };
        after = Some((last.issued_at, last.payment_hash));
        ask(tickets, page, &mut totals, &progress).await?;
    }
}

/// Asks about each of them. One that cannot be written down keeps the others from nothing, unless storage is away.
async fn ask(
    tickets: &Arc<Tickets>,
    looks: Vec<DueLook>,
    totals: &mut Totals,
    progress: &Counted,
) -> Result<(), Failure> {
    let asking = looks.into_iter().map(|look| {
        let tickets = Arc::clone(tickets);
        async move { (look.ticket_id, tickets.reconcile_invoice(&look).await) }
    });
    let mut asked = stream::iter(asking).buffer_unordered(AT_ONCE);
    while let Some((ticket, outcome)) = asked.next().await {
        match outcome {
            Ok(outcome) => totals.count(outcome),
            Err(away @ TicketError::Store(StoreError::Unavailable(_))) => return Err(away.into()),
            Err(refusal) => {
                totals.asked += 1;
                totals.failed += 1;
                progress.tell(&format!("ticket {ticket}: {}", chain(&refusal)));
            }
        }
        progress.passed(1);
    }
    Ok(())
}

impl Totals {
    fn count(&mut self, outcome: Reconciled) {
        self.asked += 1;
        match outcome {
            Reconciled::Paid => self.paid += 1,
            Reconciled::RefundDue => {
                self.paid += 1;
                self.refunds_due += 1;
            }
            Reconciled::Expired => self.expired += 1,
            Reconciled::Unpaid | Reconciled::Gone => {}
            Reconciled::Unanswered => self.unanswered += 1,
        }
    }

    fn in_text(&self) -> String {
        let Self { asked, paid, refunds_due, expired, unanswered, failed } = self;
        let mut text = format!(
            "asked about {asked} invoices: {paid} found paid ({refunds_due} of them must go back), {expired} closed \
             unpaid, {unanswered} unanswered"
        );
        if *failed > 0 {
            text.push_str(&format!(", {failed} not written down"));
        }
        text.push('\n');
        text
    }

    fn in_json(&self) -> String {
        let object = json!({
            "asked": self.asked,
            "found_paid": self.paid,
            "refunds_due": self.refunds_due,
            "expired": self.expired,
            "unanswered": self.unanswered,
            "failed": self.failed,
        });
        format!("{object:#}\n")
    }
}
