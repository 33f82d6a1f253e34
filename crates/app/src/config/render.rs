//! The configuration on paper, for `guiche check-config`: every setting in effect, none of the secrets.

use std::fmt::Display;

use guiche_adapter_webhooks::AllowPrivate;

use super::lightning::shown;
use super::{Account, Config, Database, Hosts, JwtKeys, LightningSetup, Rate, SealingKeys, Spark, database};

pub(super) const REDACTED: &str = "[redacted]";

pub(super) fn to_toml(config: &Config) -> String {
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| drop(table.insert(key.to_owned(), value));
    put("guiche_env", text(&config.environment));
    put("guiche_data_dir", text(&config.data_dir.display()));
    put("listen_addr", text(&config.http.listen_addr));
    put("metrics_addr", text(&config.http.metrics_addr));
    let proxies = config.http.trusted_proxies.iter().map(|network| text(network)).collect();
    put("trusted_proxies", toml::Value::Array(proxies));
    put("rate_limit_address", rate(config.http.limits.address));
    put("rate_limit_account", rate(config.http.limits.account));
    put("rate_limit_login", rate(config.http.limits.login));
    put("rate_limit_lnurl", rate(config.http.limits.lnurl));
    match &config.database {
        Database::Server { app, worker } => {
            put("database_url", database::redacted(app).into());
            put("database_worker_url", database::redacted(worker).into());
        }
        Database::Embedded => {
            put("guiche_embedded_install", config.acquire.install.word().into());
            if let Some(archive) = &config.acquire.archive {
                put("guiche_postgres_archive", text(&archive.source()));
                put("guiche_postgres_archive_sha256", archive.sha256().into());
            }
        }
    }
    if let JwtKeys::Given(keys) = &config.tokens.keys {
        let list: Vec<_> = keys.iter().map(|key| format!("{}:{REDACTED}", key.id)).collect();
        put("jwt_secret_keys", list.join(",").into());
    }
    put("jwt_algorithm", text(&config.tokens.algorithm));
    put("access_token_expire_minutes", whole(config.tokens.access_lifetime.as_secs() / 60));
    put("refresh_token_expire_days", whole(config.tokens.refresh_lifetime.as_secs() / 86_400));
    put("bcrypt_cost", whole(config.bcrypt_cost.into()));
    match &config.spark {
        Spark::Stub => put("spark_mode", "stub".into()),
        Spark::Live { url, api_keys, key_file: _ } => {
            put("spark_mode", "live".into());
            put("spark_api_url", text(url));
            put("spark_api_key", vec![REDACTED; api_keys.len()].join(",").into());
        }
    }
    if !config.push_secrets.is_empty() {
        put("webhook_secret_spark", vec![REDACTED; config.push_secrets.len()].join(",").into());
    }
    put("lightning_network", text(&config.network));
    lightning(&config.lightning, &mut put);
    if let SealingKeys::Given(keys) = &config.sealing {
        let list: Vec<_> = keys.iter().map(|key| format!("{}:{REDACTED}", key.id)).collect();
        put("service_encryption_keys", list.join(",").into());
    }
    match &config.webhooks_allow_private {
        AllowPrivate::Nothing => {}
        AllowPrivate::Everything => put("webhooks_allow_private", "true".into()),
        AllowPrivate::Networks(networks) => {
            let networks = networks.iter().map(|network| text(network)).collect();
            put("webhooks_allow_private", toml::Value::Array(networks));
        }
    }
    put("rust_log", config.log.filter.clone().into());
    if let Some(format) = config.log.format {
        put("log_format", text(&format));
    }
    match &config.database {
        Database::Server { .. } => table.to_string(),
        // A comment, because nothing is set: it is what happens without. Quoted, so that no path ends the comment.
        Database::Embedded => {
            let home = config.data_dir.join("postgres");
            format!("# No database is set: a private PostgreSQL runs in {home:?}.\n{table}")
        }
    }
}

fn lightning(setup: &LightningSetup, put: &mut impl FnMut(&str, toml::Value)) {
    let LightningSetup::On(settings) = setup else { return };
    put("lightning_domains", list(&settings.domains));
    put("public_url", settings.public_url.clone().into());
    let Hosts::Live(hosts) = &settings.hosts else { return };
    put("voltage_api_url", text(&hosts.voltage.url));
    put("voltage_api_key", keys(&hosts.voltage));
    put("voltage_lnd_url", shown(&hosts.node_url).into());
    put("voltage_network", hosts.order.network.as_str().into());
    put("voltage_node_type", hosts.order.node_type.as_str().into());
    put("voltage_purchased_type", hosts.order.purchase.as_str().into());
    put("voltage_whitelist", list(&hosts.order.whitelist));
    put("btcpay_url", text(&hosts.btcpay.url));
    put("btcpay_api_key", keys(&hosts.btcpay));
}

fn keys(account: &Account) -> toml::Value {
    vec![REDACTED; account.api_keys.len()].join(",").into()
}

fn list<T: Display>(items: &[T]) -> toml::Value {
    toml::Value::Array(items.iter().map(|item| text(item)).collect())
}

fn text(value: &dyn Display) -> toml::Value {
    value.to_string().into()
}

fn whole(value: u64) -> toml::Value {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}

fn rate(rate: Option<Rate>) -> toml::Value {
    rate.map_or_else(|| "0".to_owned(), |rate| rate.to_string()).into()
}
