//! The setup of Lightning addresses, put together.

use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_postgres::PgStores;
use guiche_kernel::{BoxError, SecretVault};
use guiche_lightning_setup::lnurl::{Lnurl, LnurlPorts, LnurlSettings};
use guiche_lightning_setup::{Policy, SetupPlace, SetupPorts, SetupStore, Setups};

use super::World;
use super::hosts::{HostPorts, hosts};
use crate::config::{Config, LightningSettings, LightningSetup};
#[cfg(feature = "fail-points")]
use crate::fail_points::FailPoints;
use crate::lightning::{Desk, Fakes, Installer, Journal};
use crate::observed::Observations;
use crate::reload::KeyFiles;
use crate::sealing;

/// One satoshi: stores with a node of another kind make no invoice below it.
const MIN_MSAT: u64 = 1_000;
/// 0.1 BTC: what a node of the smallest kind could ever receive at once.
const MAX_MSAT: u64 = 10_000_000_000;
/// Wallets cut a comment, or refuse it, by this (LUD-12).
const COMMENT_CHARS: u16 = 255;
const INVOICE_LIVES: Duration = Duration::from_secs(15 * 60);

/// The parts, where the setup is on.
pub(super) struct Lightning {
    pub(super) desk: Arc<Desk>,
    pub(super) lnurl: Arc<Lnurl>,
    pub(super) installer: Installer,
    pub(super) seen: [(&'static str, Arc<Observations>); 2],
    pub(super) key_files: KeyFiles,
    pub(super) fakes: Option<Arc<Fakes>>,
}

/// The parts; `None` where the setup is off.
pub(super) async fn lightning(
    config: &Config,
    stores: &PgStores,
    vault: &Arc<dyn SecretVault>,
    world: &World,
) -> Result<Option<Lightning>, BoxError> {
    let LightningSetup::On(settings) = &config.lightning else { return Ok(None) };
    let hosts = hosts(config, settings, world).await?;
    let clock = Arc::clone(&world.clock);
    let journal = Journal::new(stores.setups());
    let setups = use_cases(settings, journal.clone(), &hosts, vault, world);
    let HostPorts { gateway, currency, seen, key_files, fakes, .. } = hosts;
    let ports = LnurlPorts { book: stores.address_book(), gateway, clock: Arc::clone(&clock) };
    let lnurl = Arc::new(Lnurl::new(
        ports,
        LnurlSettings {
            domains: settings.domains.clone(),
            public_url: settings.public_url.clone(),
            min_msat: MIN_MSAT,
            max_msat: MAX_MSAT,
            comment_chars: COMMENT_CHARS,
            expiry: INVOICE_LIVES,
            currency,
        },
    ));
    let installer = Installer::new(setups.clone(), journal, Arc::clone(&lnurl), clock);
    let desk = Arc::new(Desk::new(setups, &installer));
    Ok(Some(Lightning { desk, lnurl, installer, seen, key_files, fakes }))
}

/// The use cases alone, and what they need as long as they are used.
pub struct SetupsBeside {
    /// The use cases.
    pub setups: Setups,
    /// The providers, where this process plays them.
    pub fakes: Option<Arc<Fakes>>,
}

/// The use cases alone, for a command beside the server; `None` where the setup is off.
///
/// # Errors
/// When the providers' settings make no sense, or nobody can play them.
pub async fn setups(
    config: &Config,
    stores: &PgStores,
    world: &World,
) -> Result<Option<SetupsBeside>, BoxError> {
    let LightningSetup::On(settings) = &config.lightning else { return Ok(None) };
    let vault = sealing::vault(config, &world.randomness)?;
    let hosts = hosts(config, settings, world).await?;
    let setups = use_cases(settings, stores.setups(), &hosts, &vault, world);
    Ok(Some(SetupsBeside { setups, fakes: hosts.fakes }))
}

fn use_cases(
    settings: &LightningSettings,
    store: Arc<dyn SetupStore>,
    hosts: &HostPorts,
    vault: &Arc<dyn SecretVault>,
    world: &World,
) -> Setups {
    let World { clock, randomness, .. } = world.clone();
    let ports = SetupPorts {
        store,
        nodes: Arc::clone(&hosts.nodes),
        wallets: Arc::clone(&hosts.wallets),
        stores: Arc::clone(&hosts.stores),
        vault: Arc::clone(vault),
        clock,
        randomness,
    };
    #[cfg(feature = "fail-points")]
    let ports = FailPoints::from_environment().around_setups(ports);
    let place = SetupPlace { domains: settings.domains.clone(), public_url: settings.public_url.clone() };
    Setups::new(ports, Policy::default(), place)
}
