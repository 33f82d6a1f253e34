//! `guiche refunds`: money that must go back. The office pays it back by hand; here it sees what is due, and notes what
//! went.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use clap::{Args, Subcommand};
use guiche_kernel::{BoxError, Limit, Sats};
use guiche_tickets::{Invoice, InvoiceStatus, PaymentHash, RefundDue, Ticket, TicketId, Tickets};
use serde_json::json;

use super::beside_the_server;
use super::failure::Failure;
use super::moments::shown;
use super::output::{print, table};
use super::settings::Given;
use crate::wiring::{self, World};
use crate::workers::REFUND_REASONS;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the payments that must go back, oldest first
    #[command(after_help = "Example:\n  guiche refunds list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Note that money went back; it pays nothing by itself
    MarkRefunded(MarkRefunded),
}

#[derive(Debug, Args)]
#[command(after_help = "What was noted already stays as it is, and is no failure.\n\n\
    Example:\n  guiche refunds mark-refunded 0195f3a4-7c1e-7c3a-8d5e-0123456789ab --yes")]
pub(super) struct MarkRefunded {
    /// The ticket
    ticket: TicketId,
    /// The invoice that was paid; needed where the ticket has several whose money must go back
    #[arg(long, value_name = "HASH")]
    invoice: Option<PaymentHash>,
    /// Do not ask; needed where nobody can be asked
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(command: &Command, given: &Given) -> Result<(), Failure> {
    let told = beside_the_server(given, async |config, stores| {
        let tickets = wiring::tickets(config, stores, &World::real())?;
        match command {
            Command::List { json } => list(&tickets, *json).await,
            Command::MarkRefunded(options) => mark_refunded(&tickets, options).await,
        }
    })?;
    Ok(print(&told)?)
}

async fn list(tickets: &Arc<Tickets>, as_json: bool) -> Result<String, Failure> {
    let (limit, mut refunds) = (Limit::try_new(Limit::MAX)?, Vec::<RefundDue>::new());
    loop {
        let after = refunds.last().map(|last| (last.paid_at, last.payment_hash));
        let page = tickets.refunds_due(after, limit).await?;
        if page.is_empty() {
            break;
        }
        refunds.extend(page);
    }
    if as_json { in_json(&refunds) } else { Ok(in_text(&refunds)) }
}

fn in_text(refunds: &[RefundDue]) -> String {
    if refunds.is_empty() {
        return "no refund is due\n".to_owned();
    }
    let row = |refund: &RefundDue| {
        [
            refund.ticket_id.to_string(),
            refund.payment_hash.to_string(),
            reason(refund.reason).replace('_', " "),
            refund.amount.get().to_string(),
            shown(refund.paid_at),
        ]
    };
    let rows: Vec<_> = refunds.iter().map(row).collect();
    let total: u128 = refunds.iter().map(|refund| u128::from(refund.amount.get())).sum();
    let lines = table(["TICKET", "INVOICE", "REASON", "SATS", "PAID AT"], &rows);
    let plural = if refunds.len() == 1 { "refund is" } else { "refunds are" };
    format!("{lines}{} {plural} due, {total} sats\n", refunds.len())
}

fn in_json(refunds: &[RefundDue]) -> Result<String, Failure> {
    let value = |refund: &RefundDue| {
        json!({
            "ticket_id": refund.ticket_id.to_string(),
            "user_id": refund.owner.to_string(),
            "payment_hash": refund.payment_hash.to_string(),
            "reason": reason(refund.reason),
            "amount_sats": refund.amount.get(),
            "paid_at": shown(refund.paid_at),
        })
    };
    let all: Vec<_> = refunds.iter().map(value).collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&all)?))
}

fn reason(status: InvoiceStatus) -> &'static str {
    REFUND_REASONS.iter().find(|(known, _)| *known == status).map_or(status.as_str(), |(_, word)| word)
}

async fn mark_refunded(tickets: &Arc<Tickets>, options: &MarkRefunded) -> Result<String, Failure> {
    let asks = !options.yes;
    if asks && !io::stdin().is_terminal() {
        return Err("nobody can be asked here: say --yes once the money went back".into());
    }
    let ticket = tickets.of_anybody(options.ticket).await?;
    let found = Refund::find(&ticket, options.invoice)?;
    let (id, hash, amount) = (options.ticket, found.payment_hash, found.amount);
    if let Refund { refunded_at: Some(at), .. } = found {
        return Ok(format!("noted already: {amount} of invoice {hash} went back at {at}\n"));
    }
    if asks {
        confirm(&format!("Did {amount} of invoice {hash} go back to whoever paid? Type yes: "))?;
    }
    tickets.mark_refunded(id, &hash).await?;
    Ok(format!("noted: {amount} of invoice {hash} of ticket {id} went back\n"))
}

/// A payment of a ticket that must go back, or went.
#[derive(Debug)]
struct Refund {
    payment_hash: PaymentHash,
    amount: Sats,
    refunded_at: Option<String>,
}

impl Refund {
    /// The one that is named; else the only one that is due; else, when nothing is due any more, the last that went back.
    fn find(ticket: &Ticket, named: Option<PaymentHash>) -> Result<Self, BoxError> {
        let all: Vec<Self> = ticket.invoices().iter().filter_map(Self::of).collect();
        if let Some(named) = named {
            let found = all.into_iter().find(|refund| refund.payment_hash == named);
            return found.ok_or_else(|| {
                format!("no refund is due on invoice {named} of ticket {}", ticket.id()).into()
            });
        }
        let (mut due, mut gone): (Vec<Self>, Vec<Self>) =
            all.into_iter().partition(|refund| refund.refunded_at.is_none());
        if due.len() > 1 {
            let hashes: Vec<_> = due.iter().map(|refund| refund.payment_hash.to_string()).collect();
            return Err(
                format!("several refunds are due; name one with --invoice: {}", hashes.join(", ")).into()
            );
        }
        let found = due.pop().or_else(|| gone.pop());
        found.ok_or_else(|| format!("no refund is due on ticket {}", ticket.id()).into())
    }

    fn of(invoice: &Invoice) -> Option<Self> {
        let payment = invoice.payment.filter(|_| invoice.status != InvoiceStatus::Paid)?;
        Some(Self {
            payment_hash: invoice.payment_hash,
            amount: invoice.amount,
            refunded_at: payment.refunded_at.map(shown),
        })
    }
}

fn confirm(question: &str) -> Result<(), BoxError> {
    eprint!("{question}");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err("not confirmed; nothing was changed".into()) }
}
