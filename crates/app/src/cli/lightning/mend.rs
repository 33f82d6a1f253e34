//! `guiche lightning adopt`, `destroy` and `repair`: what is done about a difference.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use guiche_kernel::BoxError;
use guiche_lightning_setup::drift::{Finding, Kind};
use guiche_lightning_setup::{DriftError, SetupId, Setups};

use super::found::described;
use super::{Resource, setup_id, with_setups};
use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::cli::settings::Given;

#[derive(Debug, Args)]
#[command(
    after_help = "For what bears a name of ours while its setup's journal does not know it, after a restore for \
    instance. The setup needs attention from then on; nothing is destroyed yet.\n\n\
    Example:\n  guiche lightning adopt --node 7b3c1a52-0f7e-4a41-9d38-0123456789ab"
)]
pub(in crate::cli) struct Adopt {
    #[command(flatten)]
    resource: Resource,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Only what bears a name of ours and serves nobody. A node that holds anything, or does not say, \
    is refused without --i-have-the-seed: its channels would be lost, and what is on chain comes back only from the seed \
    (guiche lightning seed).\n\n\
    Example:\n  guiche lightning destroy --store 9YtFsk3bZq --yes"
)]
pub(in crate::cli) struct Destroy {
    #[command(flatten)]
    resource: Resource,
    /// Destroy a node although it holds something, or does not say
    #[arg(long, conflicts_with = "store")]
    i_have_the_seed: bool,
    /// Do not ask; needed where nobody can be asked
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "For rows of an older program: what serves the address is looked up by its name at the providers. \
    Without --apply it only says what would be written.\n\n\
    Example:\n  guiche lightning repair --setup 0195f3a4-7c1e-7c3a-8d5e-0123456789ab --apply"
)]
pub(in crate::cli) struct Repair {
    /// The setup
    #[arg(long, value_name = "ID", value_parser = setup_id)]
    setup: SetupId,
    /// Write it down
    #[arg(long)]
    apply: bool,
}

pub(super) fn adopt(options: &Adopt, given: &Given) -> Result<(), Failure> {
    let (kind, id) = options.resource.named()?;
    let setup = with_setups(given, async |setups| Ok(setups.adopt(kind, id).await?))?;
    let told = format!(
        "adopted: setup {setup} needs attention until the {kind} is gone: guiche lightning destroy --{kind} {id}\n"
    );
    Ok(print(&told)?)
}

pub(super) fn destroy(options: &Destroy, given: &Given) -> Result<(), Failure> {
    let (kind, id) = options.resource.named()?;
    let asks = !options.yes;
    if asks && !io::stdin().is_terminal() {
        return Err("nobody can be asked here: say --yes, or see guiche lightning plan".into());
    }
    with_setups(given, async |setups| {
        if asks {
            // It is decided anew afterwards.
            eprintln!("{}", described(&orphan(setups, kind, id).await?));
            confirm(id)?;
        }
        Ok(setups.destroy(kind, id, options.i_have_the_seed).await?)
    })?;
    Ok(print(&format!("destroyed: {kind} {id}\n"))?)
}

async fn orphan(setups: &Setups, kind: Kind, id: &str) -> Result<Finding, DriftError> {
    let is_it = |finding: &Finding| matches!(finding, Finding::Orphan { kind: its, id: known, .. } if *its == kind && known == id);
    let found = setups.survey().await?.into_iter().find(is_it);
    found.ok_or_else(|| DriftError::NoOrphan(kind, id.to_owned()))
}

fn confirm(id: &str) -> Result<(), BoxError> {
    eprint!("Type its id once more to destroy it for ever: ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim() == id { Ok(()) } else { Err("not confirmed; nothing was changed".into()) }
}

pub(super) fn repair(options: &Repair, given: &Given) -> Result<(), Failure> {
    let found = with_setups(given, async |setups| Ok(setups.repair(options.setup, options.apply).await?))?;
    let verb = if options.apply { "written down" } else { "would be written down" };
    let id = |id: Option<String>| id.unwrap_or_else(|| "none for certain".to_owned());
    let mut told =
        format!("{verb} for setup {}: node {}, store {}\n", found.setup, id(found.node), id(found.store));
    if !options.apply {
        told.push_str("nothing was changed: --apply writes it\n");
    }
    Ok(print(&told)?)
}
