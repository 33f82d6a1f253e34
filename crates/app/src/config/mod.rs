//! The configuration: typed, complete and safe for its environment, or refused with every reason at once.
//!
//! It comes from the environment and from a TOML file; a key of the file is the variable's name in lower case. Parsing
//! reads nothing but what it is handed (and the files that `*_FILE` settings name), so it can be tested without a
//! process of its own. What this build cannot do yet is for `wiring` to refuse; [`Config::parse_for`] asks it.

mod database;
mod generated;
mod key_file;
mod keys;
mod lightning;
mod names;
mod problems;
mod pushes;
mod render;
mod sealing;
mod sources;
mod spark;
mod values;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use guiche_adapter_embedded_postgres::Acquire;
use guiche_adapter_webhooks::AllowPrivate;
use guiche_webhooks::SigningSecret;
use ipnet::IpNet;

pub use database::{Database, MigrationTarget};
pub use generated::{GeneratedSecrets, Secret32};
pub use key_file::KeyFile;
pub use keys::{JwtKey, JwtKeys, SINGLE_KEY_ID};
pub use lightning::{Account, Hosts, LightningSettings, LightningSetup, LiveHosts};
pub use problems::ConfigError;
pub use sealing::SealingKeys;
pub use sources::Sources;
pub use spark::Spark;
pub use values::{Environment, JwtAlgorithm, LogFormat, Network, Rate};

use problems::Problems;
use sources::Settings;
use values::Words;

/// Everything the serving process is told from outside.
#[derive(Debug, Clone)]
pub struct Config {
    /// The kind of deployment.
    pub environment: Environment,
    /// Where generated secrets, the embedded cluster and the stub's ledger live.
    pub data_dir: PathBuf,
    /// The listeners and who may speak for others.
    pub http: Http,
    /// The database.
    pub database: Database,
    /// Where the binaries of a private server come from.
    pub acquire: Acquire,
    /// How access and refresh tokens are made.
    pub tokens: Tokens,
    /// The work factor of password hashes.
    pub bcrypt_cost: u32,
    /// The payment provider.
    pub spark: Spark,
    /// What the Spark gateway signs its pushes with; none: there are no pushes.
    pub push_secrets: Vec<SigningSecret>,
    /// The network whose invoices are accepted.
    pub network: Network,
    /// The setup of Lightning addresses.
    pub lightning: LightningSetup,
    /// Under which secrets are sealed at rest.
    pub sealing: SealingKeys,
    /// Which private addresses may be told of events.
    pub webhooks_allow_private: AllowPrivate,
    /// What is logged, and how.
    pub log: Log,
    /// What the operator should know, though it stops nothing; to be logged once at start.
    pub warnings: Vec<String>,
}

/// The listeners.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where the API listens.
    pub listen_addr: SocketAddr,
    /// Where `/metrics` listens.
    pub metrics_addr: SocketAddr,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How often one may ask.
    pub limits: RateLimits,
}

/// The rate limits; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests of one address.
    pub address: Option<Rate>,
    /// Requests of one account.
    pub account: Option<Rate>,
    /// Failed logins, of one address and on one account.
    pub login: Option<Rate>,
    /// Questions of wallets about Lightning addresses, of one address.
    pub lnurl: Option<Rate>,
}

/// How sessions work.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The keys of access tokens.
    pub keys: JwtKeys,
    /// Their algorithm; tokens of any other are refused.
    pub algorithm: JwtAlgorithm,
    /// How long an access token lives.
    pub access_lifetime: Duration,
    /// How long a refresh token lives.
    pub refresh_lifetime: Duration,
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct Log {
    /// Directives as in `RUST_LOG`.
    pub filter: String,
    /// The form of a line; `None` leaves it to whether somebody watches.
    pub format: Option<LogFormat>,
}

/// What `guiche migrate` is told: it needs neither keys nor providers, so a migration job is given none.
#[derive(Debug, Clone)]
pub struct MigrateConfig {
    /// The kind of deployment.
    pub environment: Environment,
    /// Where the embedded cluster lives.
    pub data_dir: PathBuf,
    /// The database, as the owner of its tables.
    pub target: MigrationTarget,
    /// Where the binaries of a private server come from.
    pub acquire: Acquire,
    /// What is logged, and how.
    pub log: Log,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

impl Config {
    /// Understands the sources.
    ///
    /// # Errors
    /// Every reason why this configuration must not run.
    pub fn parse(sources: &Sources) -> Result<Self, ConfigError> {
        Self::parse_for(sources, |_| Ok(()))
    }

    /// As [`parse`](Self::parse), and asks for refusals of a build's own. It is asked about what could be read even when
    /// other reasons are known already, so that all of them are told at once.
    ///
    /// # Errors
    /// Every reason why this configuration must not run, the build's included.
    pub fn parse_for(
        sources: &Sources,
        refuse_unavailable: impl FnOnce(&Self) -> Result<(), ConfigError>,
    ) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(sources);
        let config = reader.config();
        if let Some(config) = &config
            && let Err(unavailable) = refuse_unavailable(config)
        {
            for line in unavailable.lines() {
                reader.problems.refuse(line);
            }
        }
        let (mut config, warnings) = reader.problems.finish(config)?;
        config.warnings = warnings;
        Ok(config)
    }

    /// The configuration as a TOML file that would say the same, without its secrets.
    #[must_use]
    pub fn to_redacted_toml(&self) -> String {
        render::to_toml(self)
    }

    /// Whether unsafe settings are refused.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }
}

impl MigrateConfig {
    /// Understands the sources, as far as migrations need them.
    ///
    /// # Errors
    /// Every reason why no migration may be tried.
    pub fn parse(sources: &Sources) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(sources);
        let environment = reader.word("GUICHE_ENV", Environment::Development);
        let production = environment == Environment::Production;
        let target = database::migration_target(&reader.settings, production, &mut reader.problems);
        let embedded = matches!(target, MigrationTarget::Embedded);
        let config = Self {
            environment,
            data_dir: reader.data_dir(),
            target,
            acquire: database::acquire(&reader.settings, embedded, &mut reader.problems),
            log: reader.log(),
            warnings: Vec::new(),
        };
        let (mut config, warnings) = reader.problems.finish(Some(config))?;
        config.warnings = warnings;
        Ok(config)
    }
}

struct Reader {
    settings: Settings,
    problems: Problems,
}

impl Reader {
    fn new(sources: &Sources) -> Self {
        let mut problems = Problems::default();
        let settings = Settings::merge(sources, &mut problems);
        Self { settings, problems }
    }

    fn config(&mut self) -> Option<Config> {
        let environment = self.word("GUICHE_ENV", Environment::Development);
        let production = environment == Environment::Production;
        let spark = self.spark(production);
        let network = match spark {
            Some(Spark::Live { .. }) => Network::Mainnet,
            Some(Spark::Stub) | None => Network::Regtest,
        };
        let http = self.http();
        let database = database::database(&self.settings, production, &mut self.problems);
        let embedded = matches!(database, Database::Embedded);
        let sealing = sealing::sealing_keys(&self.settings, production, &mut self.problems);
        let config = Config {
            environment,
            data_dir: self.data_dir(),
            database,
            acquire: database::acquire(&self.settings, embedded, &mut self.problems),
            tokens: self.tokens(production),
            bcrypt_cost: self.bcrypt_cost(production),
            network: self.word("LIGHTNING_NETWORK", network),
            lightning: self.lightning(production, http.listen_addr, &sealing),
            sealing,
            webhooks_allow_private: self.webhooks_allow_private(production),
            push_secrets: pushes::secrets(&self.settings, "WEBHOOK_SECRET_SPARK", &mut self.problems),
            log: self.log(),
            warnings: Vec::new(),
            http,
            spark: spark?,
        };
        if !production && !config.http.listen_addr.ip().to_canonical().is_loopback() {
            self.problems.warn(
                "LISTEN_ADDR is reachable from the network, and this is a development environment: whoever reaches \
                 it can play the wallet and pay without money; set GUICHE_ENV=production, or listen on 127.0.0.1",
            );
        }
        Some(config)
    }

    fn http(&mut self) -> Http {
        Http {
            listen_addr: self.address("LISTEN_ADDR", SocketAddr::from(([127, 0, 0, 1], 8080))),
            metrics_addr: self.address("METRICS_ADDR", SocketAddr::from(([127, 0, 0, 1], 9090))),
            trusted_proxies: self.trusted_proxies(),
            limits: RateLimits {
                address: self.value("RATE_LIMIT_ADDRESS", "1200/60", values::rate).flatten(),
                account: self.value("RATE_LIMIT_ACCOUNT", "600/60", values::rate).flatten(),
                login: self.value("RATE_LIMIT_LOGIN", "10/60", values::rate).flatten(),
                lnurl: self.value("RATE_LIMIT_LNURL", "60/60", values::rate).flatten(),
            },
        }
    }

    fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let networks = self.value("TRUSTED_PROXIES", "", values::networks).unwrap_or_default();
        if networks.iter().any(|network| network.prefix_len() == 0) {
            self.problems
                .refuse("TRUSTED_PROXIES trusts everybody: any client could then choose its own address");
        }
        networks
    }

    fn webhooks_allow_private(&mut self, production: bool) -> AllowPrivate {
        let allowed = self.value("WEBHOOKS_ALLOW_PRIVATE", "", values::allow_private).unwrap_or_default();
        if production && allowed == AllowPrivate::Everything {
            self.problems.warn(
                "WEBHOOKS_ALLOW_PRIVATE=true lets webhooks reach every address of the private network; name the \
                 networks instead",
            );
        }
        allowed
    }

    fn tokens(&mut self, production: bool) -> Tokens {
        let minutes = self.number("ACCESS_TOKEN_EXPIRE_MINUTES", 30, 1..=1440);
        let days = self.number("REFRESH_TOKEN_EXPIRE_DAYS", 7, 1..=365);
        let algorithm = self.word("JWT_ALGORITHM", JwtAlgorithm::Hs256);
        Tokens {
            keys: keys::jwt_keys(&self.settings, production, algorithm, &mut self.problems),
            algorithm,
            access_lifetime: Duration::from_secs(u64::from(minutes) * 60),
            refresh_lifetime: Duration::from_secs(u64::from(days) * 86_400),
        }
    }

    fn bcrypt_cost(&mut self, production: bool) -> u32 {
        let cost = self.number("BCRYPT_COST", 12, 4..=20);
        if production && cost < 12 {
            self.problems.refuse("BCRYPT_COST must be at least 12 in production");
        }
        cost
    }

    fn data_dir(&self) -> PathBuf {
        self.settings.text("GUICHE_DATA_DIR").unwrap_or(".guiche").into()
    }

    fn log(&mut self) -> Log {
        let filter = self
            .value("RUST_LOG", "info", |text| crate::logging::check_filter(text).map(|()| text.to_owned()));
        let format = self.settings.is_set("LOG_FORMAT").then(|| self.word("LOG_FORMAT", LogFormat::Text));
        Log { filter: filter.unwrap_or_default(), format }
    }

    fn address(&mut self, name: &str, default: SocketAddr) -> SocketAddr {
        let expected = "an address and a port, like 127.0.0.1:8080";
        let default_text = default.to_string();
        self.value(name, &default_text, |text| values::parsed(text, expected)).unwrap_or(default)
    }

    fn number(&mut self, name: &str, default: u32, range: std::ops::RangeInclusive<u32>) -> u32 {
        self.value(name, &default.to_string(), |text| values::number(text, range)).unwrap_or(default)
    }

    fn word<T: Words + Copy>(&mut self, name: &str, default: T) -> T {
        match self.settings.text(name).map(T::parse_word) {
            Some(Ok(value)) => *value,
            Some(Err(reason)) => {
                self.problems.refuse(format!("{name} {reason}"));
                default
            }
            None => default,
        }
    }

    fn value<T>(
        &mut self,
        name: &str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(self.settings.text(name).unwrap_or(default)) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.problems.refuse(format!("{name} {reason}"));
                None
            }
        }
    }
}
