//! The command line. Standard output carries only what was asked for; everything else goes to standard error. The exit
//! code is 2 for a wrong command line or configuration, 1 for a failure, and 0 otherwise.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use guiche_kernel::BoxError;

use crate::config::{Config, ConfigError, MigrateConfig, Sources};
use crate::{database, http, logging, serve, wiring};

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

#[derive(Debug, Clone, Copy, Subcommand)]
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
    /// Print the OpenAPI document
    #[command(after_help = "Example:\n  guiche openapi > docs/openapi.json")]
    Openapi,
}

/// Why a command did not do its work.
enum Failure {
    Config(ConfigError),
    Other(BoxError),
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
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
    match dispatch(&cli, environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(error)) => {
            for line in error.lines() {
                eprintln!("configuration: {line}");
            }
            ExitCode::from(2)
        }
        Err(Failure::Other(error)) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: &Cli, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<(), Failure> {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Openapi => print(&http::openapi::json()),
        Command::CheckConfig => {
            let config = read_config(cli, environment)?;
            for warning in &config.warnings {
                eprintln!("warning: {warning}");
            }
            print(&config.to_redacted_toml())
        }
        Command::Serve => {
            let config = read_config(cli, environment)?;
            logging::start(&config.log)?;
            logging::log_panics();
            Ok(runtime()?.block_on(serve::serve(&config))?)
        }
        Command::Migrate => {
            let config = MigrateConfig::parse(&sources(cli, environment)?).map_err(Failure::Config)?;
            logging::start(&config.log)?;
            for warning in &config.warnings {
                tracing::warn!("{warning}");
            }
            Ok(runtime()?.block_on(database::bring_up_to_date(&config))?)
        }
    }
}

/// The configuration, if this build can run it.
fn read_config(
    cli: &Cli,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, Failure> {
    Config::parse_for(&sources(cli, environment)?, wiring::refuse_unavailable).map_err(Failure::Config)
}

fn sources(
    cli: &Cli,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Sources, Failure> {
    // A name or a value that is not text can be none of ours, except by mistake: then it reads as wrong, not as absent.
    let lossy = |text: OsString| text.to_string_lossy().into_owned();
    let environment: BTreeMap<String, String> =
        environment.into_iter().map(|(name, value)| (lossy(name), lossy(value))).collect();
    let named = environment.get("GUICHE_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let file = match cli.config.clone().or(named) {
        None => None,
        Some(path) => match std::fs::read_to_string(&path) {
            Ok(text) => Some((path, text)),
            Err(error) => {
                let line = format!("{} cannot be read: {}", path.display(), error.kind());
                return Err(Failure::Config(ConfigError::new(line)));
            }
        },
    };
    Ok(Sources { environment, file })
}

/// Several threads, because the migrations block theirs.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads only the first lines is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Many a message quotes its cause already.
        let text = error.to_string();
        if !chain.contains(&text) {
            chain.push_str(&format!(": {text}"));
        }
        source = error.source();
    }
    chain
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_each_help_has_an_example() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for mut command in command.get_subcommands().filter(|command| command.get_name() != "help").cloned() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example:\n"), "{}", command.get_name());
            assert!(!help.contains("0.0.0.0"), "no example opens a development server to the network");
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug)]
        struct Failed(&'static str, io::Error);
        impl std::fmt::Display for Failed {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl std::error::Error for Failed {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.1)
            }
        }
        let told = |message| chain(&Failed(message, io::Error::other("it is away")));
        assert_eq!(told("cannot open it: it is away; try again"), "cannot open it: it is away; try again");
        assert_eq!(told("cannot open it"), "cannot open it: it is away");
    }

    #[test]
    fn what_this_build_lacks_is_told_with_all_other_reasons() {
        let cli = Cli::try_parse_from(["guiche", "check-config"]).unwrap();
        for (name, value, expected) in [
            ("SPARK_API_URL", "https://spark.example.org", 3),
            ("SPARK_API_URL", "http://spark.example.org", 4),
            ("RUST_LOG", "info", 4),
        ] {
            let environment = [("SPARK_MODE", "live"), ("BCRYPT_COST", "3"), (name, value)];
            let environment = environment.map(|(name, value)| (name.into(), value.into()));
            let Err(Failure::Config(refused)) = read_config(&cli, environment) else { panic!("accepted") };
            let lines = refused.lines();
            assert_eq!(lines.len(), expected, "{lines:?}");
            for part in ["BCRYPT_COST", "SPARK_API_KEY is required", "SPARK_MODE=live is not available"] {
                assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:?}");
            }
        }
    }
}
