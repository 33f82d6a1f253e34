//! Who runs nodes and stores, as far as it can be seen without a key: whether they answer at all.

use url::Url;

use super::machine::PATIENCE;
use super::report::Finding;
use crate::config::{Config, Hosts, LightningSetup};
use crate::web;

const CHECK: &str = "lightning-setup";

pub(super) async fn hosts(config: &Config) -> Finding {
    let LightningSetup::On(settings) = &config.lightning else {
        return Finding::ok(CHECK, "off: VOLTAGE_API_URL and the rest of its set are not set".to_owned());
    };
    let hosts = match &settings.hosts {
        Hosts::Fakes => {
            return Finding::ok(CHECK, "nodes and stores are played, and hold no money".to_owned());
        }
        Hosts::Live(hosts) => hosts,
    };
    let (nodes, stores) = (&hosts.voltage.url, &hosts.btcpay.url);
    for (url, setting) in [(nodes, "VOLTAGE_API_URL"), (stores, "BTCPAY_URL")] {
        if !answers(url).await {
            let cure =
                format!("set {setting} to where it is, and see that it runs and can be reached from here");
            return Finding::failure(CHECK, format!("{url} does not answer"), cure);
        }
    }
    Finding::ok(CHECK, format!("{nodes} and {stores} answer"))
}

async fn answers(url: &Url) -> bool {
    let Ok(client) = web::client_for(url).timeout(PATIENCE).build() else { return false };
    client.get(url.clone()).send().await.is_ok()
}
