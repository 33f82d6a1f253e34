//! `guiche audit`: whether the audit trail of Lightning setups is whole, and a point of it to be kept elsewhere.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use guiche_adapter_postgres::PgStores;
use guiche_kernel::Clock as _;
use guiche_lightning_setup::audit::Checkpoint;

use super::beside_the_server;
use super::failure::Failure;
use super::output::print_all;
use super::progress::counted;
use super::settings::Given;
use crate::audit::{self, End};
use crate::system::SystemClock;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look whether a row of the audit trail was changed, left out, moved or cut off
    Verify(Verify),
    /// Take the end of the trail down in a line, to be kept where nobody who reaches the database can write
    Checkpoint(TakeCheckpoint),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 1, and the row's number, when the trail is not what was written. Whoever can rewrite \
    the whole trail is found out by a checkpoint only.\n\n\
    Example:\n  guiche audit verify --checkpoint /mnt/elsewhere/guiche-audit.txt"
)]
pub(super) struct Verify {
    /// A file of checkpoints, of which the last one must lie on the way
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The trail is verified first, beyond the last checkpoint of the file if there is one; of a broken one no \
    checkpoint is taken.\n\n\
    Example:\n  guiche audit checkpoint --out /mnt/elsewhere/guiche-audit.txt"
)]
pub(super) struct TakeCheckpoint {
    /// Add the line to this file, and print nothing
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(command: &Command, given: &Given) -> Result<(), Failure> {
    match command {
        Command::Verify(options) => {
            let checkpoint = options.checkpoint.as_deref().map(audit::last_checkpoint).transpose()?;
            let end = beside_the_server(given, async |_, stores| verified(stores, checkpoint).await)?;
            print_all(&format!("whole: {} rows, {}\n", end.number, seen(options.checkpoint.is_some())))?;
            Ok(())
        }
        Command::Checkpoint(options) => {
            let known = options.out.as_deref().filter(|file| file.exists());
            let known = known.map(audit::last_checkpoint).transpose()?;
            let end = beside_the_server(given, async |_, stores| verified(stores, known).await)?;
            if end.number == 0 {
                return Err("the audit trail has no rows: there is nothing to take down".into());
            }
            let taken = Checkpoint { number: end.number, hash: end.hash, taken_at: SystemClock.now() };
            keep(&taken, options.out.as_deref())
        }
    }
}

const fn seen(checkpoint: bool) -> &'static str {
    if checkpoint { "and the checkpoint lies on the way" } else { "without a checkpoint to compare with" }
}

/// Follows the trail to its end; the failure names the row.
async fn verified(stores: &PgStores, checkpoint: Option<Checkpoint>) -> Result<End, Failure> {
    let trail = stores.audit_trail();
    let total = trail.head().await?.map_or(0, |(number, _)| number);
    let progress = counted("following the audit trail".to_owned(), u64::try_from(total)?);
    let outcome = audit::verify(&*trail, checkpoint, |rows| progress.passed(rows)).await?;
    drop(progress);
    outcome.map_err(|broken| format!("the audit trail is broken: {broken}").into())
}

fn keep(checkpoint: &Checkpoint, out: Option<&Path>) -> Result<(), Failure> {
    let line = format!("{}\n", checkpoint.to_line());
    let Some(file) = out else {
        return Ok(print_all(&line)?);
    };
    let write = || {
        let mut file = OpenOptions::new().append(true).create(true).open(file)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| format!("cannot write to {}: {error}", file.display()).into())
}
