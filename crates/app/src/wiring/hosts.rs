//! Who runs nodes and stores: the only `match` on their adapters.

use std::sync::Arc;

use guiche_adapter_btcpay::fake as btcpay_fake;
use guiche_adapter_btcpay::{BtcPay, BtcPaySettings};
use guiche_adapter_voltage::fake as voltage_fake;
use guiche_adapter_voltage::{Network, NodeOrder, NodeType, Purchase, Voltage, VoltageSettings};
use guiche_kernel::BoxError;
use guiche_lightning_setup::{NodeHost, NodeWallet, ReceiveGateway, StoreHost};
use guiche_outbound::{Loopback, Outside};
use lightning_invoice::Currency;

use super::World;
use crate::config::{Account, Config, Hosts, LightningSettings};
use crate::lightning::{Fakes, Watched};
use crate::observed::Observations;
use crate::reload::KeyFiles;
use crate::telemetry;

/// What `/readyz` and the metrics call them.
const NODE_HOST: &str = "node_host";
const NODE: &str = "node";
const STORE_HOST: &str = "store_host";

/// The providers of a setup, watched.
pub(super) struct HostPorts {
    pub(super) nodes: Arc<dyn NodeHost>,
    pub(super) wallets: Arc<dyn NodeWallet>,
    pub(super) stores: Arc<dyn StoreHost>,
    pub(super) gateway: Arc<dyn ReceiveGateway>,
    /// The network of the nodes.
    pub(super) currency: Currency,
    /// How they are, by name.
    pub(super) seen: [(&'static str, Arc<Observations>); 2],
    pub(super) key_files: KeyFiles,
    /// Where they are played.
    pub(super) fakes: Option<Arc<Fakes>>,
}

pub(super) async fn hosts(
    config: &Config,
    lightning: &LightningSettings,
    world: &World,
) -> Result<HostPorts, BoxError> {
    match &lightning.hosts {
        Hosts::Fakes => {
            let fakes = Fakes::start(&config.data_dir, Arc::clone(&world.clock)).await?;
            let order = NodeOrder {
                network: Network::Testnet,
                node_type: NodeType::Lite,
                purchase: Purchase::Trial,
                whitelist: Vec::new(),
            };
            let account = |url, key: &str| Account { url, api_keys: vec![key.into()], key_file: None };
            let voltage = account(fakes.voltage_url()?, voltage_fake::DEFAULT_KEY);
            let btcpay = account(fakes.btcpay_url()?, btcpay_fake::DEFAULT_KEY);
            let mut ports = live(config, &voltage, &btcpay, &fakes.node_url(), order, world)?;
            (ports.currency, ports.fakes) = (Currency::Regtest, Some(fakes));
            Ok(ports)
        }
        Hosts::Live(hosts) => {
            live(config, &hosts.voltage, &hosts.btcpay, &hosts.node_url, hosts.order.clone(), world)
        }
    }
}

fn live(
    config: &Config,
    voltage: &Account,
    btcpay: &Account,
    node_url: &str,
    order: NodeOrder,
    world: &World,
) -> Result<HostPorts, BoxError> {
    let loopback = if config.is_production() { Loopback::Refused } else { Loopback::PlainAllowed };
    let currency = match order.network {
        Network::Mainnet => Currency::Bitcoin,
        Network::Testnet => Currency::BitcoinTestnet,
        Network::Mutinynet => Currency::Signet,
    };
    let mut key_files = KeyFiles::default();

    let mut settings = VoltageSettings::new(voltage.url.clone(), loopback, voltage.api_keys.clone(), order);
    node_url.clone_into(&mut settings.node_url);
    settings.on_circuit = Some(telemetry::follow_circuit(NODE_HOST));
    let nodes = Voltage::try_new(settings, outside(world))?;
    let (circuit, holder) = (Arc::clone(&nodes), Arc::clone(&nodes));
    let nodes_seen = Observations::with_circuit(NODE_HOST, move || circuit.circuit());
    if let Some(file) = &voltage.key_file {
        key_files.add(file.clone(), move |keys| Ok(holder.replace_keys(keys)?));
    }

    let mut settings = BtcPaySettings::new(btcpay.url.clone(), loopback, btcpay.api_keys.clone());
    node_url.clone_into(&mut settings.node_url);
    settings.on_circuit = Some(telemetry::follow_circuit(STORE_HOST));
    let stores = BtcPay::try_new(settings, outside(world))?;
    let (circuit, holder) = (Arc::clone(&stores), Arc::clone(&stores));
    let stores_seen = Observations::with_circuit(STORE_HOST, move || circuit.circuit());
    if let Some(file) = &btcpay.key_file {
        key_files.add(file.clone(), move |keys| Ok(holder.replace_keys(keys)?));
    }

    let (wallets, gateway) = (Arc::clone(&nodes), Arc::clone(&stores));
    Ok(HostPorts {
        nodes: Watched::<dyn NodeHost>::new(nodes, &nodes_seen),
        wallets: Watched::<dyn NodeWallet>::new(wallets, &Observations::of(NODE)),
        stores: Watched::<dyn StoreHost>::new(stores, &stores_seen),
        gateway: Watched::<dyn ReceiveGateway>::new(gateway, &stores_seen),
        currency,
        seen: [(NODE_HOST, nodes_seen), (STORE_HOST, stores_seen)],
        key_files,
        fakes: None,
    })
}

fn outside(world: &World) -> Outside {
    let World { clock, timer, randomness } = world.clone();
    Outside { clock, timer, randomness }
}
