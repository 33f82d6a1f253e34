//! `guiche users`: what a citizen has a right to.

use std::io::{self, IsTerminal as _, Write as _};

use clap::{Args, Subcommand};
use guiche_adapter_postgres::{Forgotten, HeldSetup, PgAdministration, PgForgetting};
use guiche_kernel::{BoxError, Clock as _, Timestamp};
use guiche_tickets::Ticket;
use guiche_tickets::forgetting::{Hold, MoneyRecord, hold, money_records};
use guiche_users::Email;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::administered;
use super::failure::Failure;
use super::output::print_all;
use super::settings::Given;
use crate::system::SystemClock;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Forget a citizen: the account, and everything that belongs to it
    Delete(Delete),
}

#[derive(Debug, Args)]
#[command(after_help = "Refused, with the reasons, while money may still move, a service is owed, or \
    a Lightning address is not torn down. The payments of \
    the tickets that go are part of the JSON: they belong into the office's books.\n\n\
    Example:\n  guiche users delete ana@example.org --dry-run\n  \
    guiche users delete ana@example.org --yes --json > books/ana.json")]
pub(super) struct Delete {
    /// The citizen's address
    #[arg(value_parser = Email::parse)]
    email: Email,
    /// Tell what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Do not ask; needed where nobody can be asked
    #[arg(long)]
    yes: bool,
}

/// Why a Lightning setup holds its owner.
const SETUP_HOLDS: &str = "its node may exist and hold money; it must be torn down first";

/// What is done with what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Look,
    Delete,
}

pub(super) fn run(command: &Command, given: &Given) -> Result<(), Failure> {
    match command {
        Command::Delete(options) => delete(options, given),
    }
}

fn delete(options: &Delete, given: &Given) -> Result<(), Failure> {
    let asks = !options.yes && !options.dry_run;
    if asks && !io::stdin().is_terminal() {
        return Err("nobody can be asked here: say --yes, or --dry-run to see what would go".into());
    }
    administered(given, async |database| {
        if options.dry_run {
            return forget(database, options, Mode::Look).await;
        }
        if asks {
            // Nothing is held while somebody thinks; it is decided anew afterwards.
            forget(database, options, Mode::Look).await?;
            confirm(&options.email)?;
        }
        forget(database, options, Mode::Delete).await
    })
}

async fn forget(database: &PgAdministration, options: &Delete, mode: Mode) -> Result<(), Failure> {
    let email = &options.email;
    let Some(mut forgetting) = database.begin_forgetting(email).await? else {
        return Err(format!("nobody has the address {}", email.as_str()).into());
    };
    let now = SystemClock.now();
    let held: Vec<_> =
        forgetting.tickets().iter().filter_map(|ticket| Some((ticket, hold(ticket, now)?))).collect();
    let setups: Vec<_> = forgetting.setups().iter().filter(|setup| !setup.status.lets_go()).collect();
    if !held.is_empty() || !setups.is_empty() {
        let told = if options.json {
            refusal_as_json(options, &held, &setups)
        } else {
            refusal_as_text(&held, &setups)
        };
        forgetting.rollback().await?;
        tell_refusal(options, &told?)?;
        return Err(Failure::Told);
    }
    let money: Vec<_> = forgetting.tickets().iter().flat_map(money_records).collect();
    let forgotten = forgetting.forget().await?;
    let told = if options.json {
        as_json(options, mode, &forgotten, &money, &forgetting)?
    } else {
        as_text(options, mode, &forgotten, &money)
    };
    // Before the commit: whoever has to keep the books must not lose them to a full disk.
    print_all(&told)?;
    match mode {
        Mode::Look => forgetting.rollback().await?,
        Mode::Delete => forgetting.commit().await?,
    }
    Ok(())
}

fn confirm(email: &Email) -> Result<(), BoxError> {
    eprint!("Type the address once more to delete all this for ever: ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if Email::parse(answer.trim()).is_ok_and(|typed| typed.key() == email.key()) {
        Ok(())
    } else {
        Err("not confirmed; nothing was changed".into())
    }
}

fn as_text(options: &Delete, mode: Mode, forgotten: &Forgotten, money: &[MoneyRecord]) -> String {
    let verb = match mode {
        Mode::Look => "would be deleted",
        Mode::Delete => "is deleted",
    };
    let mut text = format!("{} {verb}, with", options.email.as_str());
    for (count, what) in counts(forgotten) {
        text.push_str(&format!(" {count} {what},"));
    }
    text.pop();
    text.push_str(".\n");
    if !money.is_empty() {
        text.push_str(&format!("{} payments belong into the books: see --json.\n", money.len()));
    }
    text
}

fn counts(forgotten: &Forgotten) -> [(i64, &'static str); 6] {
    [
        (forgotten.tickets, "tickets"),
        (forgotten.invoices, "invoices"),
        (forgotten.events, "events"),
        (forgotten.claims, "idempotency keys"),
        (forgotten.sessions, "sessions"),
        (forgotten.setups, "Lightning setups"),
    ]
}

fn as_json(
    options: &Delete,
    mode: Mode,
    forgotten: &Forgotten,
    money: &[MoneyRecord],
    forgetting: &PgForgetting,
) -> Result<String, Failure> {
    let money = money.iter().map(|record| {
        Ok(json!({
            "ticket_id": record.ticket_id.to_string(),
            "payment_hash": record.payment_hash.to_string(),
            "amount_sats": record.amount.get(),
            "paid_at": moment(record.paid_at)?,
            "refunded_at": record.refunded_at.map(moment).transpose()?,
        }))
    });
    let object = json!({
        "email": options.email.as_str(),
        "user_id": forgetting.user().to_string(),
        "deleted": mode == Mode::Delete,
        "counts": {
            "tickets": forgotten.tickets, "invoices": forgotten.invoices, "events": forgotten.events,
            "idempotency_keys": forgotten.claims, "sessions": forgotten.sessions, "lightning_setups": forgotten.setups,
        },
        "money": money.collect::<Result<Vec<Value>, BoxError>>()?,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&object)?))
}

fn refusal_as_json(
    options: &Delete,
    held: &[(&Ticket, Hold)],
    setups: &[&HeldSetup],
) -> Result<String, Failure> {
    let holds = held.iter().map(|(ticket, hold)| {
        json!({
            "ticket_id": ticket.id().to_string(),
            "payment_status": ticket.status().as_str(),
            "code": hold.code(),
            "detail": hold.to_string(),
        })
    });
    let setups = setups.iter().map(|setup| {
        json!({
            "lightning_address": setup.address,
            "status": setup.status.as_str(),
            "code": "lightning_setup",
            "detail": SETUP_HOLDS,
        })
    });
    let holds: Vec<_> = holds.chain(setups).collect();
    let object = json!({"email": options.email.as_str(), "deleted": false, "holds": holds});
    Ok(format!("{}\n", serde_json::to_string_pretty(&object)?))
}

fn refusal_as_text(held: &[(&Ticket, Hold)], setups: &[&HeldSetup]) -> Result<String, Failure> {
    let mut text = "refused, and nothing was changed:\n".to_owned();
    for (ticket, hold) in held {
        text.push_str(&format!("  ticket {} ({}): {hold}\n", ticket.id(), ticket.status().as_str()));
    }
    for setup in setups {
        text.push_str(&format!(
            "  Lightning address {} ({}): {SETUP_HOLDS}\n",
            setup.address,
            setup.status.as_str()
        ));
    }
    Ok(text)
}

/// What a program asked for goes to standard output; what a person has to be told, to standard error.
fn tell_refusal(options: &Delete, told: &str) -> Result<(), Failure> {
    if options.json {
        print_all(told)?;
    } else {
        eprint!("{told}");
    }
    Ok(())
}

fn moment(at: Timestamp) -> Result<String, BoxError> {
    Ok(at.format(&Rfc3339)?)
}
