//! The command line. Standard output carries only what was asked for; everything else goes to standard error. The exit
//! code is 2 for a wrong command line or configuration, 1 for a failure, and 0 otherwise.
//!
//! One file per command: its options, and a `run` that returns what went wrong instead of printing it.

mod check_config;
mod failure;
mod healthcheck;
mod migrate;
mod openapi;
mod output;
mod serve;
mod settings;
mod webhooks;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;
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
    /// Serve the API until SIGTERM or SIGINT
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
        Command::Webhooks(options) => webhooks::run(options, given),
        Command::Openapi => openapi::run(),
    }
}

/// Several threads, because the migrations block theirs.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
