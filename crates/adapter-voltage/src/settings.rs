//! Where Voltage is, what is ordered there, and how it is to be treated.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use guiche_lightning_setup::UnknownWord;
use guiche_outbound::{
    AddressError, BreakerSettings, CertificateDer, CircuitListener, KeyListError, Limits, Loopback,
    RetryPolicy, SetupError, TemplateError,
};
use secrecy::SecretString;
use url::Url;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Voltage's word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord(text.to_owned())),
                }
            }
        }
    };
}

words!(
    /// On which network nodes are ordered.
    Network {
        /// Real money.
        Mainnet = "mainnet",
        /// Play money.
        Testnet = "testnet",
        /// Play money with a block every 30 seconds; not in the vendor's own document.
        Mutinynet = "mutinynet",
    }
);

words!(
    /// Which kind of node.
    NodeType {
        /// With a whole node of Bitcoin behind it.
        Standard = "standard",
        /// A light one.
        Lite = "lite",
    }
);

words!(
    /// How a node is paid for.
    Purchase {
        /// For a few days.
        Trial = "trial",
        /// By subscription.
        Paid = "paid",
        /// By the hour.
        OnDemand = "ondemand",
    }
);

/// What is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOrder {
    /// On which network.
    pub network: Network,
    /// Which kind.
    pub node_type: NodeType,
    /// How it is paid for.
    pub purchase: Purchase,
    /// The only addresses from which a node may be called: ours and the store host's. Empty: from anywhere.
    pub whitelist: Vec<IpAddr>,
}

/// Where Voltage is, what is ordered there, and how it is to be treated.
pub struct VoltageSettings {
    /// The address of its API, with a path before `/node` if there is one.
    pub url: Url,
    /// Where a node's own interface is; `{host}` stands for what Voltage calls its API endpoint.
    pub node_url: String,
    /// Whether both may be called without TLS on this machine; never in production.
    pub loopback: Loopback,
    /// The account's keys. The first is used, and the next when it is refused.
    pub keys: Vec<SecretString>,
    /// What is ordered.
    pub order: NodeOrder,
    /// Bounds of time and size; a call never takes more than 18 seconds in all.
    pub limits: Limits,
    /// How calls that change nothing are repeated.
    pub retry: RetryPolicy,
    /// When Voltage is left alone.
    pub breaker: BreakerSettings,
    /// Certificate authorities that are trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Who is told what becomes of the circuit to Voltage.
    pub on_circuit: Option<CircuitListener>,
}

impl VoltageSettings {
    /// Where nodes at Voltage are.
    pub const NODE_URL: &str = "https://{host}:8080";

    /// The usual bounds. One attempt may take long: ordering a node and making its wallet are not repeated, and a lost
    /// answer costs a node.
    #[must_use]
    pub fn new(url: Url, loopback: Loopback, keys: Vec<SecretString>, order: NodeOrder) -> Self {
        let [attempt, total] = [15, 18].map(Duration::from_secs);
        Self {
            url,
            node_url: Self::NODE_URL.to_owned(),
            loopback,
            keys,
            order,
            limits: Limits { attempt, total, ..Limits::default() },
            retry: RetryPolicy::default(),
            breaker: BreakerSettings::default(),
            extra_roots: Vec::new(),
            on_circuit: None,
        }
    }
}

/// Why there is no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VoltageSetupError {
    /// The address of Voltage.
    #[error("VOLTAGE_API_URL: {0}")]
    Address(#[from] AddressError),
    /// The addresses of nodes.
    #[error("VOLTAGE_LND_URL: {0}")]
    NodeUrl(#[source] TemplateError),
    /// The keys.
    #[error("VOLTAGE_API_KEY: {0}")]
    Keys(#[from] KeyListError),
    /// The rest.
    #[error(transparent)]
    Client(#[from] SetupError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_voltages_own() {
        for network in [Network::Mainnet, Network::Testnet, Network::Mutinynet] {
            assert_eq!(network.as_str().parse(), Ok(network));
        }
        assert_eq!("ondemand".parse(), Ok(Purchase::OnDemand));
        assert_eq!("Lite".parse::<NodeType>(), Err(UnknownWord("Lite".to_owned())));
    }
}
