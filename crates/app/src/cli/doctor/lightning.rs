//! Who runs nodes and stores, as far as it can be seen without a key: whether they answer at all.

use url::Url;

use super::machine::PATIENCE;
use super::report::Finding;
use crate::config::{Config, Hosts, LightningSetup};
use crate::web;

const CHECK: &str = "lightning-setup";

pub(super) async fn hosts(config: &Config) -> Vec<Finding> {
    let LightningSetup::On(settings) = &config.lightning else {
        let off = "off: VOLTAGE_API_URL and the rest of its set are not set";
        return vec![Finding::ok(CHECK, off.to_owned())];
    };
    match &settings.hosts {
        Hosts::Fakes => vec![Finding::ok(CHECK, "nodes and stores are played, and hold no money".to_owned())],
        Hosts::Live(hosts) => {
            let cure = "set VOLTAGE_API_URL to Voltage's interface, and see that it can be reached from here";
            let nodes = answers("node-host", &hosts.voltage.url, cure).await;
            let cure =
                "set BTCPAY_URL to the BTCPay Server, and see that it runs and can be reached from here";
            vec![nodes, answers("store-host", &hosts.btcpay.url, cure).await]
        }
    }
}

async fn answers(check: &'static str, url: &Url, cure: &'static str) -> Finding {
    let answer = match web::client_for(url).timeout(PATIENCE).build() {
        Ok(client) => client.get(url.clone()).send().await.map(drop),
        Err(error) => Err(error),
    };
    match answer {
        Ok(()) => Finding::ok(check, format!("{url} answers")),
        Err(_) => Finding::failure(check, format!("{url} does not answer"), cure),
    }
}
