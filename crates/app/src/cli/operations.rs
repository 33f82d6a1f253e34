//! `guiche operations`: what the office offers. Running servers notice within a second or so.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use guiche_kernel::{Sats, StoreError};
use guiche_tickets::{CatalogueEntry, NewOperation, OperationName};
use serde_json::{Value, json};

use super::administered;
use super::failure::Failure;
use super::output::{print, table};
use super::settings::Given;

/// Where the form is read from standard input.
const STDIN: &str = "-";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Offer an operation
    Add(Add),
    /// List the operations
    List(List),
    /// Offer an operation no longer; tickets that were opened stay
    #[command(after_help = "Example:\n  guiche operations deactivate passport_renewal")]
    Deactivate(Named),
    /// Offer an operation again
    #[command(after_help = "Example:\n  guiche operations activate passport_renewal")]
    Activate(Named),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  guiche operations add --name passport_renewal --price-sats 75000 \\\n    \
    --description 'Renewal of a passport (renovação do passaporte).' --form passport.json"
)]
pub(super) struct Add {
    /// The machine name: 1 to 63 of a-z, 0-9 and _, beginning with a letter; it can never be used again
    #[arg(long, value_parser = OperationName::parse)]
    name: OperationName,
    /// A sentence for the citizens
    #[arg(long, value_name = "TEXT")]
    description: String,
    /// The price in satoshis; tickets keep the price at which they were opened
    #[arg(long, value_name = "SATS", value_parser = clap::value_parser!(u64).range(1..=Sats::MAX.get()))]
    price_sats: u64,
    /// The form as JSON Schema 2020-12, with the formats cpf and cnh; - is standard input
    #[arg(long, value_name = "FILE")]
    form: PathBuf,
    /// Check everything and change nothing; the database is not asked
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  guiche operations list --all --json")]
pub(super) struct List {
    /// Also those that are no longer offered
    #[arg(long)]
    all: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The operation's machine name
    #[arg(value_parser = OperationName::parse)]
    name: OperationName,
}

pub(super) fn run(command: &Command, given: &Given) -> Result<(), Failure> {
    match command {
        Command::Add(options) => add(options, given),
        Command::List(options) => list(options, given),
        Command::Deactivate(named) => set_active(&named.name, false, given),
        Command::Activate(named) => set_active(&named.name, true, given),
    }
}

fn add(options: &Add, given: &Given) -> Result<(), Failure> {
    let schema = read_form(&options.form)?;
    let new = NewOperation::try_new(options.name.as_str(), &options.description, options.price_sats, schema)?;
    let what = format!("{}, {}", new.name, new.price);
    if options.dry_run {
        return Ok(print(&format!("{what}: it can be offered; nothing was changed\n"))?);
    }
    let added = administered(given, async |database| match database.catalogue().add(&new).await {
        Err(StoreError::Duplicate) => {
            Err(format!("the name {} was given before; `guiche operations list --all` shows it", new.name)
                .into())
        }
        other => Ok(other?),
    })?;
    Ok(print(&format!("operation {added} is offered: {what}\n"))?)
}

fn read_form(path: &Path) -> Result<Value, Failure> {
    let shown = path.display();
    let mut text = String::new();
    let read = if path.as_os_str() == STDIN {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| format!("the form {shown} cannot be read: {error}"))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("the form {shown} is not JSON: {error}"))?)
}

fn list(options: &List, given: &Given) -> Result<(), Failure> {
    let entries = administered(given, async |database| Ok(database.catalogue().entries().await?))?;
    let shown: Vec<_> = entries.into_iter().filter(|entry| options.all || entry.active).collect();
    let text = if options.json { as_json(&shown)? } else { as_table(&shown) };
    Ok(print(&text)?)
}

fn as_json(entries: &[CatalogueEntry]) -> Result<String, Failure> {
    let entry = |entry: &CatalogueEntry| {
        json!({
            "id": entry.id.get(),
            "name": entry.name,
            "description": entry.description,
            "price_sats": entry.price.get(),
            "active": entry.active,
        })
    };
    let list: Vec<_> = entries.iter().map(entry).collect();
    Ok(format!("{}\n", serde_json::to_string_pretty(&list)?))
}

fn as_table(entries: &[CatalogueEntry]) -> String {
    let row = |entry: &CatalogueEntry| {
        let offered = if entry.active { "yes" } else { "no" };
        let (id, price) = (entry.id.to_string(), entry.price.get().to_string());
        [id, entry.name.clone(), price, offered.to_owned(), entry.description.clone()]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    table(["ID", "NAME", "SATS", "OFFERED", "DESCRIPTION"], &rows)
}

fn set_active(name: &OperationName, active: bool, given: &Given) -> Result<(), Failure> {
    let known =
        administered(given, async |database| Ok(database.catalogue().set_active(name, active).await?))?;
    if !known {
        return Err(format!("no operation is called {name}").into());
    }
    let word = if active { "is offered" } else { "is no longer offered" };
    Ok(print(&format!("{name} {word}\n"))?)
}
