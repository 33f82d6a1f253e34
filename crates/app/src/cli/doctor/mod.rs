//! `guiche doctor`: everything that `serve` would need, each with its cure. It looks and changes nothing: it makes no
//! directory, migrates nothing, and starts no database.

mod database;
mod lightning;
mod machine;
mod provider;
mod report;

use clap::Args;

use super::failure::Failure;
use super::output::print;
use super::progress::busy;
use super::runtime;
use super::settings::Given;
use crate::config::{Config, JwtKeys};
use report::{Finding, Report};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 when no check failed, and 1 when one did; a configuration that is refused is a \
    failed check. Warnings fail nothing.\n\nExample:\n  guiche doctor --config /etc/guiche/guiche.toml\n  \
    guiche doctor --json"
)]
pub(super) struct Options {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, given: &Given) -> Result<(), Failure> {
    let report = match given.config() {
        Ok(config) => {
            let looking = busy("looking at everything that serve would need".to_owned());
            let report = runtime()?.block_on(examine(&config));
            drop(looking);
            report
        }
        Err(Failure::Config(refused)) => Report::of_refused(refused.lines()),
        Err(other @ (Failure::Other(_) | Failure::Told)) => return Err(other),
    };
    print(&if options.json { report.as_json()? } else { report.as_text() })?;
    if report.has_failed() { Err(Failure::Told) } else { Ok(()) }
}

async fn examine(config: &Config) -> Report {
    let mut report = Report::default();
    report.extend(configuration(config));
    report.add(machine::data_directory(config));
    report.add(machine::secrets(config));
    report.add(machine::port("listen-address", config.http.listen_addr).await);
    report.add(machine::port("metrics-address", config.http.metrics_addr).await);
    report.add(machine::open_files());
    report.add(machine::password_cost(config.bcrypt_cost));
    report.extend(database::examine(config).await);
    report.add(provider::provider(config).await);
    report.add(lightning::hosts(config).await);
    report
}

fn configuration(config: &Config) -> Vec<Finding> {
    let warnings = config
        .warnings
        .iter()
        .map(|warning| Finding::warning("configuration", warning.clone(), "see `guiche check-config`"));
    let keys = match &config.tokens.keys {
        JwtKeys::Generated => "generated secrets".to_owned(),
        JwtKeys::Given(keys) => format!("{} signing keys given", keys.len()),
    };
    let whole = Finding::ok("configuration", format!("{}, {keys}", config.environment));
    std::iter::once(whole).chain(warnings).collect()
}
