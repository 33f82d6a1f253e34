//! The command line. Standard output carries only what was asked for; everything else goes to standard error. The exit
//! code is 2 for a wrong command line or configuration, 1 for a failure, and 0 otherwise.
//!
//! One file per command: its options, and a `run` that returns what went wrong instead of printing it.

mod audit;
mod check_config;
mod completions;
mod demo;
mod doctor;
mod failure;
mod healthcheck;
mod keys;
mod lightning;
mod migrate;
mod moments;
mod openapi;
mod operations;
mod output;
mod progress;
mod reconcile;
mod refunds;
mod serve;
mod settings;
mod users;
mod webhooks;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use guiche_adapter_postgres::{PgAdministration, PgStores};

use crate::administration::Administration;
use crate::config::Config;
use crate::database::Database;
use crate::logging;
use failure::Failure;
use progress::busy;
use settings::Given;

#[derive(Debug, Parser)]
#[command(name = "guiche", version, about = "Tickets for public services, paid over the Lightning Network")]
#[command(
    after_help = "Without a command it serves. Example:\n  guiche --config /etc/guiche/guiche.toml serve"
)]
struct Cli {
    /// A TOML file with settings; the environment wins over it
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API until SIGTERM or SIGINT; SIGHUP reads the providers' keys again
    #[command(after_help = "Example:\n  LISTEN_ADDR=127.0.0.1:8081 guiche serve")]
    Serve,
    /// Bring the database to this version
    #[command(
        after_help = "Example:\n  DATABASE_OWNER_URL=postgresql://guiche_owner@db/guiche guiche migrate"
    )]
    Migrate,
    /// Print the configuration in effect, without its secrets, or say what is wrong with it
    #[command(after_help = "Example:\n  guiche check-config --config guiche.toml")]
    CheckConfig,
    /// Ask a running server whether it serves: for HEALTHCHECK and scripts
    Healthcheck(healthcheck::Options),
    /// Walk through a citizen's whole journey, against a running office or one made for the occasion
    Demo(demo::Options),
    /// Look at everything that serving needs, and tell the cure for what is missing
    Doctor(doctor::Options),
    /// Change what the office offers, as the owner of the tables
    #[command(subcommand)]
    Operations(operations::Command),
    /// Do what a citizen has a right to, as the owner of the tables
    #[command(subcommand)]
    Users(users::Command),
    /// The keys under which secrets are sealed at rest
    #[command(subcommand)]
    Keys(keys::Command),
    /// The audit trail of Lightning setups
    #[command(subcommand)]
    Audit(audit::Command),
    /// The nodes and stores of Lightning addresses, against what the providers have
    #[command(subcommand)]
    Lightning(lightning::Command),
    /// Ask the provider about unpaid invoices, whatever their age
    Reconcile(reconcile::Options),
    /// Money that must go back
    #[command(subcommand)]
    Refunds(refunds::Command),
    /// Print what a shell needs to complete the command line
    Completions(completions::Options),
    /// Who is told of events, and how that goes
    Webhooks(webhooks::Options),
    /// Print the OpenAPI document
    #[command(after_help = "Example:\n  guiche openapi > docs/openapi.json")]
    Openapi,
}

/// Runs the command line on the given environment.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let given = Given::new(cli.config, environment);
    match dispatch(&cli.command.unwrap_or(Command::Serve), &given) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn dispatch(command: &Command, given: &Given) -> Result<(), Failure> {
    match command {
        Command::Serve => serve::run(given),
        Command::Migrate => migrate::run(given),
        Command::CheckConfig => check_config::run(given),
        Command::Healthcheck(options) => healthcheck::run(options, given),
        Command::Demo(options) => demo::run(options, given),
        Command::Doctor(options) => doctor::run(options, given),
        Command::Operations(command) => operations::run(command, given),
        Command::Users(command) => users::run(command, given),
        Command::Keys(command) => keys::run(command, given),
        Command::Audit(command) => audit::run(command, given),
        Command::Lightning(command) => lightning::run(command, given),
        Command::Reconcile(options) => reconcile::run(options, given),
        Command::Refunds(command) => refunds::run(command, given),
        Command::Completions(options) => completions::run(options),
        Command::Webhooks(options) => webhooks::run(options, given),
        Command::Openapi => openapi::run(),
    }
}

/// Several threads, because the migrations block theirs.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Does something on the database as the server's workers do, whether or not a server runs, and closes it whatever came of
/// it.
fn beside_the_server<T>(
    given: &Given,
    work: impl AsyncFnOnce(&Config, &PgStores) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut config = given.config()?;
    // Standard error is for whoever typed this.
    "warn".clone_into(&mut config.log.filter);
    logging::start(&config.log)?;
    runtime()?.block_on(async {
        let opening = busy("opening the database".to_owned());
        let database = Database::open(&config).await?;
        drop(opening);
        let outcome = work(&config, &database.stores).await;
        database.close().await?;
        outcome
    })
}

/// Does something as the owner of the tables, and closes the database whatever came of it.
fn administered<T>(
    given: &Given,
    work: impl AsyncFnOnce(&PgAdministration) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut config = given.as_owner()?;
    // Standard error is for whoever typed this.
    "warn".clone_into(&mut config.log.filter);
    logging::start(&config.log)?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    runtime()?.block_on(async {
        let opening = busy("opening the database".to_owned());
        let administration = Administration::open(&config).await?;
        drop(opening);
        let outcome = work(&administration.database).await;
        administration.close().await?;
        outcome
    })
}
