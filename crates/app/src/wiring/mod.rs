//! The one place that knows every adapter: it turns a configuration into the parts that serve.

mod hosts;
mod lightning;

pub use lightning::{SetupsBeside, setups};

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_adapter_crypto::{BcryptCost, BcryptHasher, BcryptSettings, JwtKey, JwtSettings, JwtSigner};
use guiche_adapter_postgres::PgStores;
use guiche_adapter_spark::{LiveSettings, SparkLive, SparkStub, StubSettings};
use guiche_kernel::{BoxError, Clock, Ids, Randomness, Timer};
use guiche_outbound::{Loopback, Outside};
use guiche_tickets::{InvoiceGateway, Network, TicketPorts, TicketSettings, Tickets};
use guiche_users::{AccountPorts, Accounts, SessionSettings};
use guiche_webhooks::Webhooks;
use secrecy::ExposeSecret as _;

use crate::catalogue::RememberedCatalogue;
use crate::config::{self, Config, ConfigError, GeneratedSecrets, JwtKeys, Spark};
use crate::database::Database;
#[cfg(feature = "fail-points")]
use crate::fail_points::FailPoints;
use crate::health::{Check, Finding, Health, State};
use crate::http::api::live::Stage;
use crate::http::api::pushes::SparkPushes;
use crate::http::api::stores::StoreMessages;
use crate::http::api::{self, UseCases};
use crate::http::lnurl::Counter;
use crate::http::{self, Limits, RouteTable, ServerSettings, Surface, Timeouts};
use crate::lightning::{Custodian, Fakes, Installer};
use crate::live::{Live, StreamBounds};
use crate::observed::Observations;
use crate::reload::KeyFiles;
use crate::sealing;
use crate::shutdown::Shutdown;
use crate::system::{OsRandomness, SystemClock, monotonic};
use crate::telemetry;
use crate::telling::{self, Messenger};
use crate::workers::{Office, Workers};

/// Who issues our access tokens, and whom they are for.
const ISSUER: &str = "guiche";
const AUDIENCE: &str = "guiche-api";

/// The parts of a running service.
pub struct Wired {
    /// The routes with the state of their handlers.
    pub table: RouteTable,
    /// What the boundary works with.
    pub surface: Arc<Surface>,
    /// What runs besides the requests: so far only the watch over a private database.
    pub workers: Workers,
    /// What the office does by itself; it rests until it is started.
    pub office: Office,
    /// What tells others; it rests until it is started.
    pub messenger: Messenger,
    /// What makes the steps of setups, where the setup is on; it rests until it is started.
    pub installer: Option<Installer>,
    /// What looks after sealed values and the audit trail; it rests until it is started.
    pub custodian: Custodian,
    /// The providers of the setup, where they are played.
    pub fakes: Option<Arc<Fakes>>,
    /// The providers' keys that are read again when the process is told so.
    pub key_files: KeyFiles,
    /// Events out, for whoever takes its steps one by one.
    pub webhooks: Arc<Webhooks>,
    /// To be closed last.
    pub database: Database,
}

/// The world outside: what a test replaces to be in charge of time and chance.
#[derive(Clone)]
pub struct World {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Waiting, on the same clock.
    pub timer: Arc<dyn Timer>,
    /// Chance, fit for keys.
    pub randomness: Arc<dyn Randomness>,
}

impl World {
    /// The machine's own.
    #[must_use]
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            timer: Arc::new(SystemClock),
            randomness: Arc::new(OsRandomness),
        }
    }
}

/// Refuses what the configuration may say and this build cannot do.
///
/// # Errors
/// One line for each such setting.
pub fn refuse_unavailable(config: &Config) -> Result<(), ConfigError> {
    #[cfg(feature = "fail-points")]
    if config.is_production() {
        return Err(ConfigError::new(
            "GUICHE_ENV must not be production: this build has fail points, which are for tests",
        ));
    }
    match config.spark {
        Spark::Stub if network(config) != SparkStub::NETWORK => Err(ConfigError::new(
            "LIGHTNING_NETWORK must be regtest with SPARK_MODE=stub: the stub issues nothing else",
        )),
        Spark::Stub | Spark::Live { .. } => Ok(()),
    }
}

/// Makes the parts.
///
/// # Errors
/// When something that is needed at start cannot be reached or refuses.
pub async fn wire(config: &Config, shutdown: &Shutdown, world: World) -> Result<Wired, BoxError> {
    refuse_unavailable(config)?;
    let payments = payments(config, &world)?;
    let vault = sealing::vault(config, &world.randomness)?;
    let outside = world.clone();
    let World { clock, timer, randomness } = world;
    let ids = Ids::new(Arc::clone(&clock), Arc::clone(&randomness));
    // What can fail without the database comes first: a start that is refused should not have begun one.
    let signer = signer(config, &*randomness, Arc::clone(&clock))?;
    let hasher = hasher(config, Arc::clone(&randomness))?;
    let database = Database::open(config).await?;
    let stores = &database.stores;
    let webhooks = telling::assemble(config, stores, Arc::clone(&vault), &outside)?;
    // A missing key would be noticed by whoever waits for an event, in silence.
    webhooks.check_secrets().await.map_err(sealing::explained)?;
    let lightning = lightning::lightning(config, stores, &vault, &outside).await?;
    let custodian = Custodian::new(stores.sealed_columns(), vault, stores.audit_trail());

    let accounts = Accounts::new(
        AccountPorts { store: stores.users(), hasher, signer, clock: Arc::clone(&clock), randomness },
        SessionSettings::new(config.tokens.access_lifetime, config.tokens.refresh_lifetime),
    );
    let catalogue = Arc::new(RememberedCatalogue::new(stores.operations(), Arc::clone(&clock)));
    let ports = TicketPorts {
        store: stores.tickets(),
        catalogue: Arc::<RememberedCatalogue>::clone(&catalogue),
        provider: payments.provider,
        payer: payments.payer,
        clock: Arc::clone(&clock),
        timer: Arc::clone(&timer),
        ids: ids.clone(),
    };
    #[cfg(feature = "fail-points")]
    let ports = FailPoints::from_environment().around_tickets(ports);
    let tickets = Arc::new(Tickets::new(ports, TicketSettings::on(network(config))));
    let surface = Surface {
        ids,
        trusted_proxies: config.http.trusted_proxies.clone(),
        limits: Limits::new(config.http.limits, &monotonic()),
        timeouts: Timeouts::default(),
    };
    let mut health = Health::new(shutdown.clone(), Arc::clone(&clock))
        .with("database", Arc::new(DatabaseCheck(stores.clone())))
        .with("migrations", Arc::new(MigrationsCheck(stores.clone())))
        .with("payments", payments.seen);

    let mut workers = Workers::default();
    database.watch(&mut workers);
    let bounds = StreamBounds::for_streams(ServerSettings::default().streams());
    let live = Live::new(bounds, shutdown.clone());
    let (listener, heard) = (Arc::clone(&live), stores.clone());
    workers.spawn(|stop| listener.listen(heard, stop));
    let stage = Arc::new(Stage { live, clock: Arc::clone(&clock), timer });
    let office = Office::new(Arc::clone(&tickets), stores.clone(), Arc::clone(&clock));
    let pushes = SparkPushes {
        secrets: config.push_secrets.clone(),
        tickets: Arc::clone(&tickets),
        clock,
        watchers: office.wake(),
    };
    let messenger = Messenger::new(Arc::clone(&webhooks));

    let desk = lightning.as_ref().map(|lightning| Arc::clone(&lightning.desk));
    let mut table = http::routes()
        .merge(api::routes(UseCases { accounts: Arc::new(accounts), tickets, catalogue, stage, desk }))
        .merge(payments.routes)
        .merge(api::pushes::routes(pushes));
    let mut key_files = payments.key_files;
    let (mut installer, mut fakes) = (None, None);
    if let Some(lightning) = lightning {
        let messages =
            StoreMessages { desk: Arc::clone(&lightning.desk), lnurl: Arc::clone(&lightning.lnurl) };
        table = table
            .merge(http::lnurl::routes(Counter { lnurl: lightning.lnurl }))
            .merge(api::stores::routes(messages));
        for (name, seen) in lightning.seen {
            health = health.with(name, seen);
        }
        key_files.extend(lightning.key_files);
        (installer, fakes) = (Some(lightning.installer), lightning.fakes);
    }
    if let Some(fakes) = fakes.clone() {
        workers.spawn(|stop| fakes.keep(stop));
    }
    Ok(Wired {
        table: table.state(Arc::new(health)).state(Arc::new(shutdown.clone())),
        surface: Arc::new(surface),
        workers,
        office,
        messenger,
        installer,
        custodian,
        fakes,
        key_files,
        webhooks,
        database,
    })
}

/// The window alone, for a command beside the server: it asks the same provider and keeps the same books.
///
/// # Errors
/// When the provider's settings make no sense.
pub fn tickets(config: &Config, stores: &PgStores, world: &World) -> Result<Arc<Tickets>, BoxError> {
    let payments = payments(config, world)?;
    let World { clock, timer, randomness } = world.clone();
    let ids = Ids::new(Arc::clone(&clock), randomness);
    let catalogue = stores.operations();
    let Payments { provider, payer, .. } = payments;
    let ports = TicketPorts { store: stores.tickets(), catalogue, provider, payer, clock, timer, ids };
    Ok(Arc::new(Tickets::new(ports, TicketSettings::on(network(config)))))
}

/// The Lightning provider in its two views, and the routes that come with it.
struct Payments {
    provider: Arc<dyn InvoiceGateway>,
    payer: Arc<dyn InvoiceGateway>,
    seen: Arc<Observations>,
    routes: RouteTable,
    key_files: KeyFiles,
}

/// The only `match` on the payment adapters.
fn payments(config: &Config, world: &World) -> Result<Payments, BoxError> {
    let World { clock, timer, randomness } = world.clone();
    match &config.spark {
        Spark::Stub => {
            let secret =
                GeneratedSecrets::below(&config.data_dir).get_or_create("spark-stub", &*randomness)?;
            let ledger = config.data_dir.join("spark-stub.ledger");
            let stub = SparkStub::open(StubSettings { secret, ledger }, clock)?;
            let seen = Observations::of("spark-stub");
            Ok(Payments {
                provider: seen.watch(stub.provider_view()),
                payer: seen.watch(stub.payer_view()),
                seen,
                routes: api::dev::routes(stub),
                key_files: KeyFiles::default(),
            })
        }
        Spark::Live { url, api_keys, key_file } => {
            let loopback = if config.is_production() { Loopback::Refused } else { Loopback::PlainAllowed };
            let mut settings = LiveSettings::new(url.clone(), loopback, api_keys.clone());
            settings.on_circuit = Some(telemetry::follow_circuit(SparkLive::PROVIDER));
            let live = SparkLive::try_new(settings, Outside { clock, timer, randomness })?;
            let circuit = Arc::clone(&live);
            let seen = Observations::with_circuit(SparkLive::PROVIDER, move || circuit.circuit());
            let mut key_files = KeyFiles::default();
            if let Some(file) = key_file {
                let holder = Arc::clone(&live);
                key_files.add(file.clone(), move |keys| Ok(holder.replace_keys(keys)?));
            }
            // Whoever asks, the provider's answer is the same one: no look ever pays.
            Ok(Payments {
                provider: seen.watch(live.clone()),
                payer: seen.watch(live),
                seen,
                routes: RouteTable::new(),
                key_files,
            })
        }
    }
}

fn signer(
    config: &Config,
    randomness: &dyn Randomness,
    clock: Arc<dyn Clock>,
) -> Result<Arc<JwtSigner>, BoxError> {
    let keys = match &config.tokens.keys {
        JwtKeys::Generated => {
            let secret = GeneratedSecrets::below(&config.data_dir).get_or_create("jwt", randomness)?;
            let secret = STANDARD.encode(secret.expose_secret()).into();
            vec![JwtKey { id: "generated".to_owned(), secret }]
        }
        JwtKeys::Given(keys) => {
            keys.iter().map(|key| JwtKey { id: key.id.clone(), secret: key.secret.clone() }).collect()
        }
    };
    let algorithm = config.tokens.algorithm.to_string().parse()?;
    let settings = JwtSettings { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), algorithm };
    Ok(Arc::new(JwtSigner::try_new(settings, &keys, clock)?))
}

fn hasher(config: &Config, randomness: Arc<dyn Randomness>) -> Result<Arc<BcryptHasher>, BoxError> {
    let settings =
        BcryptSettings { cost: BcryptCost::try_new(config.bcrypt_cost)?, ..BcryptSettings::default() };
    Ok(Arc::new(BcryptHasher::new(settings, randomness)))
}

fn network(config: &Config) -> Network {
    match config.network {
        config::Network::Mainnet => Network::Mainnet,
        config::Network::Testnet => Network::Testnet,
        config::Network::Signet => Network::Signet,
        config::Network::Regtest => Network::Regtest,
    }
}

struct DatabaseCheck(PgStores);

#[async_trait]
impl Check for DatabaseCheck {
    async fn check(&self) -> Finding {
        finding(self.0.ping().await.is_ok())
    }
    fn when_silent(&self) -> State {
        State::Down
    }
}

struct MigrationsCheck(PgStores);

#[async_trait]
impl Check for MigrationsCheck {
    async fn check(&self) -> Finding {
        finding(self.0.migrations_pending().await.is_ok_and(|pending| pending.is_empty()))
    }
    fn when_silent(&self) -> State {
        State::Down
    }
}

fn finding(works: bool) -> Finding {
    Finding::of(if works { State::Ok } else { State::Down })
}
