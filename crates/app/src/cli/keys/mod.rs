//! `guiche keys`: under which keys secrets are sealed at rest, and putting all of them under the first one.

mod standing;

use std::num::NonZeroU16;
use std::sync::Arc;

use clap::{Args, Subcommand};
use guiche_adapter_postgres::PgStores;
use guiche_kernel::{SecretVault, StoreError};

use super::beside_the_server;
use super::failure::Failure;
use super::output::print;
use super::progress::counted;
use super::settings::Given;
use crate::config::{Config, SealingKeys};
use crate::rotation::{self, Rotated, Rotation, Step};
use crate::sealing;
use crate::wiring::World;
use standing::Standing;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell which keys are in use, and which may be dropped
    #[command(after_help = "Exit code 1 when something is sealed under a key that is not in the ring.\n\n\
        Example:\n  guiche keys status --json")]
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Seal everything anew under the first key of the ring, while the office is open
    Rotate(Rotate),
}

#[derive(Debug, Args)]
#[command(after_help = "Every server must know both keys before one of them is put in front: \
    SERVICE_ENCRYPTION_KEYS=new:<key>,old:<key>. A run that was cut off is begun again: it goes on where it ended.\n\n\
    Example:\n  guiche keys rotate --batch 500")]
pub(super) struct Rotate {
    /// How many values are sealed anew in one transaction
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
}

pub(super) fn run(command: &Command, given: &Given) -> Result<(), Failure> {
    beside_the_server(given, async |config, stores| match command {
        Command::Status { json } => status(config, stores, *json).await,
        Command::Rotate(options) => rotate(config, stores, options).await,
    })
}

async fn status(config: &Config, stores: &PgStores, as_json: bool) -> Result<(), Failure> {
    let vault = sealing::vault(config, &World::real().randomness)?;
    let standing = Standing::look(stores, &*vault).await?;
    let strays = standing.strays(&*vault).await?;
    print(&if as_json { standing.in_json(&strays) } else { standing.in_text() })?;
    if standing.missing().is_empty() {
        return Ok(());
    }
    if !as_json {
        strays.iter().for_each(|stray| eprintln!("{stray}"));
    }
    Err(Failure::Other(standing.refusal()))
}

async fn rotate(config: &Config, stores: &PgStores, options: &Rotate) -> Result<(), Failure> {
    if matches!(config.sealing, SealingKeys::Absent) {
        return Err(
            "SERVICE_ENCRYPTION_KEYS=new:<key>,old:<key> is required: there is no key to seal under".into()
        );
    }
    let vault = sealing::vault(config, &World::real().randomness)?;
    let before = Standing::look(stores, &*vault).await?;
    if before.lacks_a_key() {
        return Err(Failure::Other(before.refusal()));
    }
    let rotated = rotate_all(stores, &vault, &before, options.batch).await?;
    let after = Standing::look(stores, &*vault).await?;
    let Rotated { resealed, overtaken, refused } = rotated;
    print(&format!(
        "sealed anew under {:?}: {resealed}; changed by somebody else meanwhile: {overtaken}; not opened: {refused}\n{}\n",
        vault.primary_key_id(),
        after.what_may_be_dropped(),
    ))?;
    if refused > 0 { Err(Failure::Told) } else { Ok(()) }
}

async fn rotate_all(
    stores: &PgStores,
    vault: &Arc<dyn SecretVault>,
    before: &Standing,
    batch: u16,
) -> Result<Rotated, Failure> {
    let batch = NonZeroU16::new(batch).unwrap_or(NonZeroU16::MIN);
    let progress = counted("sealing anew".to_owned(), before.not_under_primary());
    let rotation = Rotation::new(stores.sealed_columns(), Arc::clone(vault), batch);
    let outcome = rotation.run(|step| match step {
        Step::Passed(rows) => progress.passed(rows),
        Step::Refused { column, row, reason } => progress.tell(&format!("{column} of {row}: {reason}")),
    });
    Ok(outcome.await?)
}

impl Standing {
    async fn look(stores: &PgStores, vault: &dyn SecretVault) -> Result<Self, StoreError> {
        Ok(Self::of(rotation::in_use(&stores.sealed_columns()).await?, vault))
    }
}
