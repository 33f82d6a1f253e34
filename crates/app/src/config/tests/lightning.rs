//! The set of settings that turns the Lightning setup on.

use guiche_adapter_voltage::{Network as NodeNetwork, NodeOrder, NodeType, Purchase};
use guiche_lightning_setup::AddressDomain;

use super::*;

const SET: [(&str, &str); 4] = [
    ("VOLTAGE_API_URL", "https://api.voltage.example"),
    ("VOLTAGE_API_KEY", "vt_secret1,vt_secret2"),
    ("BTCPAY_URL", "https://btcpay.example/"),
    ("BTCPAY_API_KEY", "secret3"),
];
/// What production wants besides.
const PLACE: [(&str, &str); 3] = [
    ("LIGHTNING_DOMAINS", "pay.example.org, example.org"),
    ("PUBLIC_URL", "https://guiche.example.org/"),
    ("SERVICE_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
];

fn on(config: &Config) -> &LightningSettings {
    let LightningSetup::On(settings) = &config.lightning else { panic!("{:?}", config.lightning) };
    settings
}

fn live(config: &Config) -> &LiveHosts {
    let Hosts::Live(hosts) = &on(config).hosts else { panic!("fakes") };
    hosts
}

/// The set and the place, changed by the given ones.
fn whole(changes: &[(&'static str, &'static str)]) -> Sources {
    production(&[&SET[..], &PLACE[..], changes].concat())
}

#[test]
fn without_the_set_development_runs_on_fakes_and_production_goes_without() {
    let config = Config::parse(&sources(&[("LISTEN_ADDR", "0.0.0.0:8081")])).unwrap();
    let settings = on(&config);
    assert!(matches!(settings.hosts, Hosts::Fakes));
    assert_eq!(settings.domains, [AddressDomain::parse("guiche.test").unwrap()]);
    assert_eq!(settings.public_url, "http://127.0.0.1:8081");
    let config =
        Config::parse(&production(&[("PUBLIC_URL", "https://x.test"), ("VOLTAGE_NETWORK", "mainnet")]))
            .unwrap();
    assert!(matches!(config.lightning, LightningSetup::Off));
    let told =
        |name: &str| config.warnings.iter().any(|line| line.starts_with(&format!("{name} has no effect")));
    assert!(told("PUBLIC_URL") && told("VOLTAGE_NETWORK"), "{:?}", config.warnings);
}

#[test]
fn half_a_set_is_refused_everywhere() {
    for (absent, _) in SET {
        let rest: Vec<_> = SET.into_iter().filter(|(name, _)| *name != absent).collect();
        for found in [refusals(&sources(&rest)), refusals(&production(&rest))] {
            let line = format!("{absent} must be set, too");
            assert!(found.iter().any(|found| found.starts_with(&line)), "{absent}: {found:?}");
        }
    }
}

#[test]
fn the_whole_set_is_on_with_the_defaults_of_the_environment() {
    let config = Config::parse(&whole(&[])).unwrap();
    let (settings, hosts) = (on(&config), live(&config));
    assert_eq!(settings.domains.len(), 2);
    assert_eq!(settings.public_url, "https://guiche.example.org");
    assert_eq!(hosts.node_url, "https://{host}:8080");
    let order = NodeOrder {
        network: NodeNetwork::Mainnet,
        node_type: NodeType::Lite,
        purchase: Purchase::OnDemand,
        whitelist: Vec::new(),
    };
    assert_eq!(hosts.order, order);
    assert_eq!((hosts.voltage.api_keys.len(), hosts.btcpay.api_keys.len()), (2, 1));
    let config = Config::parse(&sources(&SET)).unwrap();
    assert_eq!(live(&config).order.network, NodeNetwork::Testnet);
    assert_eq!(on(&config).public_url, "http://127.0.0.1:8080");
}

#[test]
fn each_unsafe_setting_is_one_line() {
    let template = "VOLTAGE_LND_URL must be an https:// address with {api_endpoint} for the node's host";
    for ((name, value), expected) in [
        (
            ("LIGHTNING_DOMAINS", ""),
            "LIGHTNING_DOMAINS is required in production when the Lightning setup is on",
        ),
        (("PUBLIC_URL", ""), "PUBLIC_URL is required in production when the Lightning setup is on"),
        (
            ("SERVICE_ENCRYPTION_KEY", ""),
            "SERVICE_ENCRYPTION_KEYS is required in production when VOLTAGE_… and BTCPAY_… are set: seeds and \
             macaroons are sealed under them",
        ),
        (
            ("VOLTAGE_API_URL", "http://127.0.0.1:1"),
            "VOLTAGE_API_URL must be an https:// address without a user name or password",
        ),
        (
            ("BTCPAY_URL", "http://localhost"),
            "BTCPAY_URL must be an https:// address without a user name or password",
        ),
        (
            ("PUBLIC_URL", "http://x.test"),
            "PUBLIC_URL must be an https:// address without a user name or password",
        ),
        (("VOLTAGE_LND_URL", "https://node.test:8080"), template),
        (("VOLTAGE_LND_URL", "http://127.0.0.1:1/{api_endpoint}"), template),
        (("VOLTAGE_NETWORK", "regtest"), "VOLTAGE_NETWORK must be one of: mainnet, testnet, mutinynet"),
        (("VOLTAGE_WHITELIST", "10.0.0.0/8"), "VOLTAGE_WHITELIST must be IP addresses, separated by commas"),
        (
            ("VOLTAGE_API_KEY", "two words"),
            "VOLTAGE_API_KEY must be keys without spaces, separated by commas",
        ),
        (
            ("LIGHTNING_DOMAINS", "no_host"),
            "LIGHTNING_DOMAINS must be host names like pay.example.org, separated by commas",
        ),
        (("LIGHTNING_DOMAINS", "a.test,A.test"), "LIGHTNING_DOMAINS names a domain twice"),
    ] {
        assert_eq!(refusals(&whole(&[(name, value)])), [expected], "{name}={value}");
    }
}

#[test]
fn in_development_this_machine_may_be_spoken_to_in_the_clear() {
    let config = Config::parse(&sources(&[
        ("VOLTAGE_API_URL", "http://127.0.0.1:8092"),
        ("VOLTAGE_API_KEY", "k"),
        ("VOLTAGE_LND_URL", "http://127.0.0.1:8092/lnd/{api_endpoint}"),
        ("BTCPAY_URL", "http://[::1]:8093"),
        ("BTCPAY_API_KEY", "k"),
    ]));
    assert_eq!(live(&config.unwrap()).node_url, "http://127.0.0.1:8092/lnd/{host}");
}

#[test]
fn it_is_printed_without_its_keys_and_says_the_same() {
    let config = Config::parse(&whole(&[("VOLTAGE_WHITELIST", "192.0.2.1, 2001:db8::1")])).unwrap();
    let printed = config.to_redacted_toml();
    let shown = format!("{printed}{config:?}");
    assert!(!shown.contains("secret1") && !shown.contains("secret3"), "{shown}");
    for line in [
        r#"voltage_api_key = "[redacted],[redacted]""#,
        r#"voltage_lnd_url = "https://{api_endpoint}:8080""#,
        r#"voltage_whitelist = ["192.0.2.1", "2001:db8::1"]"#,
        r#"lightning_domains = ["pay.example.org", "example.org"]"#,
    ] {
        assert!(printed.lines().any(|found| found == line), "{line} in\n{printed}");
    }
}
