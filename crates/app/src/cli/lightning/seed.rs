//! `guiche lightning seed`: the words that bring a node's money back, for whoever holds the key ring.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use guiche_kernel::BoxError;
use guiche_lightning_setup::{KeptWallet, SetupId};
use secrecy::ExposeSecret as _;

use super::{setup_id, with_setups};
use crate::cli::failure::Failure;
use crate::cli::settings::Given;

#[derive(Debug, Args)]
#[command(
    after_help = "Only on a terminal, and only with --i-am-alone: whoever sees the words has the money. They are \
    opened with SERVICE_ENCRYPTION_KEYS, also those of attempts that were undone. The audit trail and the setup's owner \
    are told that they were shown.\n\n\
    Example:\n  guiche lightning seed --setup 0195f3a4-7c1e-7c3a-8d5e-0123456789ab --i-am-alone"
)]
pub(in crate::cli) struct Options {
    /// The setup
    #[arg(long, value_name = "ID", value_parser = setup_id)]
    setup: SetupId,
    /// Nobody else sees this screen, and nothing records it
    #[arg(long)]
    i_am_alone: bool,
}

pub(super) fn run(options: &Options, given: &Given) -> Result<(), Failure> {
    if !options.i_am_alone {
        return Err("whoever sees the words has the money: say --i-am-alone once you are".into());
    }
    if !io::stdout().is_terminal() {
        return Err("seeds are shown on a terminal and nowhere else".into());
    }
    let (wallets, broken) = with_setups(given, async |setups| {
        let kept = setups.wallets(options.setup).await?;
        let (opened, broken): (Vec<_>, Vec<_>) = kept.into_iter().partition(|wallet| wallet.secrets.is_ok());
        Ok((opened, broken))
    })?;
    if wallets.is_empty() && broken.is_empty() {
        return Err(format!("no seed was ever kept for setup {}", options.setup).into());
    }
    for wallet in &wallets {
        show(wallet)?;
    }
    match broken.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(unopened(first).into()),
    }
}

/// Each secret straight to the terminal, and into no text that outlives this.
fn show(wallet: &KeptWallet) -> io::Result<()> {
    let Ok(secrets) = &wallet.secrets else { return Ok(()) };
    let mut screen = io::stdout().lock();
    writeln!(screen, "attempt {}, node {}", wallet.attempt, wallet.node.as_deref().unwrap_or("unknown"))?;
    writeln!(screen, "  seed      {}", secrets.seed.words().expose_secret())?;
    writeln!(screen, "  password  {}", secrets.password.text().expose_secret())?;
    screen.flush()
}

fn unopened(wallet: &KeptWallet) -> BoxError {
    let reason = wallet.secrets.as_ref().err().map(ToString::to_string).unwrap_or_default();
    format!(
        "the seed of attempt {} does not open: {reason} (SERVICE_ENCRYPTION_KEYS=id:key,id:key; the first seals, all open)",
        wallet.attempt
    )
    .into()
}
