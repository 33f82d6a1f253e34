//! The setup of Lightning addresses: who runs the nodes and the stores, and where the addresses are.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use guiche_adapter_voltage::{Network as NodeNetwork, NodeOrder, NodeType, Purchase, VoltageSettings};
use guiche_lightning_setup::AddressDomain;
use guiche_outbound::{AddressTemplate, Loopback};
use secrecy::SecretString;
use url::Url;

use super::key_file::KeyFile;
use super::values::{self, Words};
use super::{Reader, SealingKeys};

/// Whether people can have a Lightning address set up.
#[derive(Debug, Clone)]
pub enum LightningSetup {
    /// They cannot: there is nobody to run nodes and stores.
    Off,
    /// They can.
    On(Box<LightningSettings>),
}

/// Who does the work, and where the addresses are.
#[derive(Debug, Clone)]
pub struct LightningSettings {
    /// Who runs nodes and stores.
    pub hosts: Hosts,
    /// The domains of addresses, never none; the first is the default.
    pub domains: Vec<AddressDomain>,
    /// The service's own address as the world sees it, without a slash at the end.
    pub public_url: String,
}

/// Who runs nodes and stores.
#[derive(Debug, Clone)]
pub enum Hosts {
    /// Servers of this process that play them; never in production.
    Fakes,
    /// Voltage and a BTCPay Server.
    Live(Box<LiveHosts>),
}

/// Voltage and a BTCPay Server.
#[derive(Debug, Clone)]
pub struct LiveHosts {
    /// Voltage.
    pub voltage: Account,
    /// Where a node's own interface is; `{host}` stands for what Voltage calls its API endpoint.
    pub node_url: String,
    /// What is ordered.
    pub order: NodeOrder,
    /// The BTCPay Server.
    pub btcpay: Account,
}

/// An account at a provider.
#[derive(Debug, Clone)]
pub struct Account {
    /// Where it is.
    pub url: Url,
    /// The keys for it, never none; the first is used, and the next when it is refused.
    pub api_keys: Vec<SecretString>,
    /// The file that they stand in, if they do.
    pub key_file: Option<KeyFile>,
}

/// What makes a whole set.
const ACCOUNTS: [&str; 4] = ["VOLTAGE_API_URL", "VOLTAGE_API_KEY", "BTCPAY_URL", "BTCPAY_API_KEY"];
/// What belongs to the accounts, and says nothing without them.
const DETAILS: [&str; 5] = [
    "VOLTAGE_LND_URL",
    "VOLTAGE_NETWORK",
    "VOLTAGE_NODE_TYPE",
    "VOLTAGE_PURCHASED_TYPE",
    "VOLTAGE_WHITELIST",
];
/// How the contract writes the place for a node's host, and how the adapters do.
const HOLES: (&str, &str) = ("{api_endpoint}", "{host}");

macro_rules! words {
    ($type:ty { $($word:literal => $value:expr),+ $(,)? }) => {
        impl Words for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $value)),+];
        }
    };
}

words!(NodeNetwork { "mainnet" => Self::Mainnet, "testnet" => Self::Testnet, "mutinynet" => Self::Mutinynet });
words!(NodeType { "standard" => Self::Standard, "lite" => Self::Lite });
words!(Purchase { "trial" => Self::Trial, "paid" => Self::Paid, "ondemand" => Self::OnDemand });

impl Reader {
    pub(super) fn lightning(
        &mut self,
        production: bool,
        listen_addr: SocketAddr,
        sealing: &SealingKeys,
    ) -> LightningSetup {
        let missing: Vec<_> = ACCOUNTS.into_iter().filter(|name| !self.settings.is_set(name)).collect();
        let hosts = match missing.as_slice() {
            [] => self.live_hosts(production),
            _ if missing.len() < ACCOUNTS.len() => {
                let (missing, whole) = (missing.join(", "), ACCOUNTS.join(", "));
                self.problems
                    .refuse(format!("{missing} must be set, too: {whole} are one set, or none is set"));
                None
            }
            _ => {
                self.without_effect(&DETAILS);
                (!production).then_some(Hosts::Fakes)
            }
        };
        // What they would be is looked at either way, so that every reason is told at once.
        let (is_on, required) = (hosts.is_some(), production && hosts.is_some());
        if !is_on && missing.len() == ACCOUNTS.len() {
            self.without_effect(&["LIGHTNING_DOMAINS", "PUBLIC_URL"]);
        }
        let domains = self.domains(required);
        let public_url = self.public_url(production, required, listen_addr);
        if required && matches!(sealing, SealingKeys::Absent) {
            self.problems.refuse(
                "SERVICE_ENCRYPTION_KEYS is required in production when VOLTAGE_… and BTCPAY_… are set: seeds and \
                 macaroons are sealed under them",
            );
        }
        match (hosts, domains, public_url) {
            (Some(hosts), Some(domains), Some(public_url)) => {
                LightningSetup::On(Box::new(LightningSettings { hosts, domains, public_url }))
            }
            _ => LightningSetup::Off,
        }
    }

    fn without_effect(&mut self, names: &[&str]) {
        for name in names.iter().filter(|name| self.settings.is_set(name)) {
            self.problems
                .warn(format!("{name} has no effect: VOLTAGE_API_URL and the rest of its set are not set"));
        }
    }

    fn live_hosts(&mut self, production: bool) -> Option<Hosts> {
        let network = if production { NodeNetwork::Mainnet } else { NodeNetwork::Testnet };
        let order = NodeOrder {
            network: self.word("VOLTAGE_NETWORK", network),
            node_type: self.word("VOLTAGE_NODE_TYPE", NodeType::Lite),
            purchase: self.word("VOLTAGE_PURCHASED_TYPE", Purchase::OnDemand),
            whitelist: self.value("VOLTAGE_WHITELIST", "", addresses).unwrap_or_default(),
        };
        if production && order.network != NodeNetwork::Mainnet {
            self.problems.warn("VOLTAGE_NETWORK is not mainnet: people's addresses receive play money");
        }
        let loopback = if production { Loopback::Refused } else { Loopback::PlainAllowed };
        let node_url =
            self.value("VOLTAGE_LND_URL", VoltageSettings::NODE_URL, |text| node_url(text, loopback));
        let voltage = self.account("VOLTAGE_API_URL", "VOLTAGE_API_KEY", production);
        let btcpay = self.account("BTCPAY_URL", "BTCPAY_API_KEY", production);
        let (voltage, node_url, btcpay) = (voltage?, node_url?, btcpay?);
        Some(Hosts::Live(Box::new(LiveHosts { voltage, node_url, order, btcpay })))
    }

    fn account(&mut self, url: &'static str, keys: &'static str, production: bool) -> Option<Account> {
        let url = self.provider_url(url, production);
        let (api_keys, key_file) = self.key_list(keys);
        Some(Account { url: url?, api_keys, key_file }).filter(|account| !account.api_keys.is_empty())
    }

    fn domains(&mut self, required: bool) -> Option<Vec<AddressDomain>> {
        if required && !self.settings.is_set("LIGHTNING_DOMAINS") {
            self.problems
                .refuse("LIGHTNING_DOMAINS is required in production when the Lightning setup is on");
            return None;
        }
        self.value("LIGHTNING_DOMAINS", "guiche.test", domains)
    }

    fn public_url(&mut self, production: bool, required: bool, listen_addr: SocketAddr) -> Option<String> {
        if !self.settings.is_set("PUBLIC_URL") {
            if required {
                self.problems.refuse("PUBLIC_URL is required in production when the Lightning setup is on");
                return None;
            }
            return Some(format!("http://{}", reachable(listen_addr)));
        }
        let url = self.provider_url("PUBLIC_URL", production)?;
        Some(url.as_str().trim_end_matches('/').to_owned())
    }
}

/// Where a server on this very machine is reached that listens there.
fn reachable(listen_addr: SocketAddr) -> SocketAddr {
    if listen_addr.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listen_addr.port())
    } else {
        listen_addr
    }
}

fn domains(text: &str) -> Result<Vec<AddressDomain>, String> {
    let expected = "must be host names like pay.example.org, separated by commas";
    let domains = text.split(',').map(|domain| AddressDomain::parse(domain.trim()));
    let domains: Vec<_> = domains.collect::<Result<_, _>>().map_err(|_| expected.to_owned())?;
    let differs =
        |(place, domain): (usize, &AddressDomain)| !domains.iter().take(place).any(|it| it == domain);
    if domains.iter().enumerate().all(differs) { Ok(domains) } else { Err("names a domain twice".to_owned()) }
}

fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let expected = "IP addresses, separated by commas";
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| values::parsed(item, expected)).collect()
}

/// The template as the adapters want it, if calls may go to every address of it.
fn node_url(text: &str, loopback: Loopback) -> Result<String, String> {
    let template = text.replace(HOLES.0, HOLES.1);
    let judged = AddressTemplate::try_new(&template, loopback);
    judged
        .map(|_| template)
        .map_err(|_| "must be an https:// address with {api_endpoint} for the node's host".to_owned())
}

/// The template as the contract has it.
pub(super) fn shown(node_url: &str) -> String {
    node_url.replace(HOLES.1, HOLES.0)
}
