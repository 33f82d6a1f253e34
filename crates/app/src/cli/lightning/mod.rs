//! `guiche lightning`: the nodes and stores of people's addresses, as the database has them and as they are at the
//! providers, and what an operator does about a difference.

mod found;
mod mend;
mod plan;
mod seed;

use clap::{Args, Subcommand};
use guiche_lightning_setup::drift::Kind;
use guiche_lightning_setup::{SetupId, Setups};

use super::beside_the_server;
use super::failure::Failure;
use super::settings::Given;
use crate::wiring::{self, World};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Compare the database with both providers; changes nothing
    Plan(plan::Options),
    /// Write something outside that bears a name of ours into its setup's journal, so that it is undone
    Adopt(mend::Adopt),
    /// Destroy something outside that bears a name of ours and serves nobody
    Destroy(mend::Destroy),
    /// Look up what serves an address of which that is not written down
    Repair(mend::Repair),
    /// Show the seeds and wallet passwords of a setup, on a terminal
    Seed(seed::Options),
}

/// One node or one store, by its provider's id.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Resource {
    /// A node, by its id at Voltage
    #[arg(long, value_name = "ID")]
    node: Option<String>,
    /// A store, by its id at the BTCPay Server
    #[arg(long, value_name = "ID")]
    store: Option<String>,
}

impl Resource {
    fn named(&self) -> Result<(Kind, &str), Failure> {
        let node = self.node.as_deref().map(|id| (Kind::Node, id));
        let store = self.store.as_deref().map(|id| (Kind::Store, id));
        node.or(store).ok_or_else(|| "name a --node or a --store".into())
    }
}

pub(super) fn run(command: &Command, given: &Given) -> Result<(), Failure> {
    match command {
        Command::Plan(options) => plan::run(options, given),
        Command::Adopt(options) => mend::adopt(options, given),
        Command::Destroy(options) => mend::destroy(options, given),
        Command::Repair(options) => mend::repair(options, given),
        Command::Seed(options) => seed::run(options, given),
    }
}

/// Does something with the setups beside the server, if this office has any.
fn with_setups<T>(
    given: &Given,
    work: impl AsyncFnOnce(&Setups) -> Result<T, Failure>,
) -> Result<T, Failure> {
    beside_the_server(given, async |config, stores| {
        let beside = wiring::setups(config, stores, &World::real()).await?;
        let beside = beside.ok_or(
            "the Lightning setup is off: VOLTAGE_API_URL, VOLTAGE_API_KEY, BTCPAY_URL and BTCPAY_API_KEY are not set",
        )?;
        work(&beside.setups).await
    })
}

/// A setup as commands name it.
fn setup_id(text: &str) -> Result<SetupId, String> {
    text.parse().map_err(|_| "not the id of a setup".to_owned())
}
