//! From the text of a connection to a connection: libpq's parameters, our settings, TLS.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::tls::{self, SslMode};
use crate::{ConnectError, PgOptions};

/// The parameters that a URL may have; the first two are ours, the others the driver's.
const PARAMETERS: [&str; 20] = [
    "sslmode",
    "sslrootcert",
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

impl PgOptions {
    /// Whether the text of a connection can be understood, without connecting and without reading a file.
    ///
    /// # Errors
    /// [`ConnectError::Url`], which names a wrong parameter, and repeats no value.
    pub fn check_url(url: &SecretString) -> Result<(), ConnectError> {
        Parts::of(url.expose_secret())?.config().map(drop)
    }
}

/// The driver waits for two hours, by which time a firewall has forgotten a connection that rests in its pool, and whoever
/// takes it waits for an answer that never comes.
const KEEPALIVES_IDLE: Duration = Duration::from_mins(1);

/// The half of a connection that somebody has to drive.
type BareConnection = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Makes connections of one login.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Arc<Config>,
    tls: MakeRustlsConnect,
}

impl Connector {
    /// Connections for serving, with the timeouts of the options.
    pub(crate) fn serving(url: &SecretString, options: &PgOptions) -> Result<Self, ConnectError> {
        let settings = [
            ("statement_timeout", options.statement_timeout),
            ("lock_timeout", options.lock_timeout),
            ("idle_in_transaction_session_timeout", options.idle_in_transaction_timeout),
        ];
        let mut text = String::from(COMMON_SETTINGS);
        for (name, timeout) in settings {
            text.push_str(&format!(" -c {name}={}", timeout.as_millis()));
        }
        let mut connector = Self::plain(url, &text)?;
        let config = Arc::make_mut(&mut connector.config);
        config.connect_timeout(options.connect_timeout);
        config.application_name(&options.application_name);
        Ok(connector)
    }

    /// Connections for migrating, which may take its time.
    pub(crate) fn migrating(url: &SecretString) -> Result<Self, ConnectError> {
        let mut connector = Self::plain(url, &format!("{COMMON_SETTINGS} -c lock_timeout=30s"))?;
        Arc::make_mut(&mut connector.config).application_name("guiche migrate");
        Ok(connector)
    }

    fn plain(url: &SecretString, settings: &str) -> Result<Self, ConnectError> {
        let parts = Parts::of(url.expose_secret())?;
        let mut config = parts.config()?;
        // The path of a socket is not a network: there is nothing to encrypt and no name to verify (as libpq).
        let only_sockets = !config.get_hosts().is_empty()
            && config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)))
            && config.get_hostaddrs().is_empty();
        let mode = if only_sockets { SslMode::Disable } else { parts.ssl_mode };
        config.ssl_mode(mode.insistence());
        let options = match config.get_options() {
            Some(theirs) => format!("{theirs} {settings}"),
            None => settings.to_owned(),
        };
        config.options(&options);
        Ok(Self { config: Arc::new(config), tls: tls::connector(mode, parts.root_certificates.as_deref())? })
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        let connected = self.connect_bare().await;
        let (client, connection) =
            connected.map_err(|refusal| ConnectionError::BadConnection(reason(&refusal)))?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await
    }

    /// Connects, for whoever drives the connection and hears what the server says unasked.
    pub(crate) async fn connect_bare(&self) -> Result<(Client, BareConnection), tokio_postgres::Error> {
        self.config.connect(self.tls.clone()).await
    }

    /// Asks the server to end what a connection is doing; without an answer, its own timeouts will.
    pub(crate) async fn cancel(&self, token: tokio_postgres::CancelToken) {
        if let Err(refusal) = token.cancel_query(self.tls.clone()).await {
            tracing::debug!(reason = %refusal, "a statement could not be cancelled");
        }
    }

    /// The login, for error messages.
    pub(crate) fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }
}

/// `pg_temp` last, so that nothing of ours can be shadowed. A server whose client is gone stops working for it.
const COMMON_SETTINGS: &str = "-c search_path=public,pg_temp -c client_connection_check_interval=1s";

/// The server's words, or what kind of failure it was; never what was sent.
pub(crate) fn reason(refusal: &tokio_postgres::Error) -> String {
    if let Some(answer) = refusal.as_db_error() {
        return format!("{} ({})", answer.message(), answer.code().code());
    }
    let refusal: &dyn std::error::Error = refusal;
    let causes = std::iter::successors(Some(refusal), |cause| cause.source()).map(ToString::to_string);
    causes.collect::<Vec<_>>().join(": ")
}

/// A URL without what tokio-postgres does not understand.
struct Parts {
    url: SecretString,
    ssl_mode: SslMode,
    root_certificates: Option<PathBuf>,
    says_keepalives_idle: bool,
}

impl Parts {
    fn of(url: &str) -> Result<Self, ConnectError> {
        let refused = |reason: &str| ConnectError::Url(reason.to_owned());
        if !["postgresql://", "postgres://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(refused("must start with postgresql://"));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        // What then looks like a parameter may be half a password.
        if query.contains('@') {
            return Err(refused(
                "has a ? before an @; in a password write %3F for ?, and elsewhere %40 for @",
            ));
        }
        let (mut ssl_mode, mut root_certificates, mut kept) = (SslMode::Prefer, None, Vec::new());
        let mut says_keepalives_idle = false;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = url::form_urlencoded::parse(pair.as_bytes())
                .next()
                .ok_or_else(|| refused("has a parameter that cannot be read"))?;
            match &*name {
                "sslmode" => {
                    ssl_mode = SslMode::parse(&value).ok_or_else(|| refused(
                        "has an unknown sslmode; known are: disable, allow, prefer, require, verify-ca, verify-full",
                    ))?;
                }
                "sslrootcert" => root_certificates = Some(PathBuf::from(&*value)),
                known if PARAMETERS.contains(&known) => {
                    says_keepalives_idle |= known == "keepalives_idle";
                    kept.push(pair);
                }
                unknown => {
                    let parameters = PARAMETERS.join(", ");
                    return Err(ConnectError::Url(format!(
                        "has an unknown parameter {unknown:?}; known are: {parameters}"
                    )));
                }
            }
        }
        let separator = if kept.is_empty() { "" } else { "?" };
        let url = format!("{base}{separator}{}", kept.join("&"));
        Ok(Self { url: url.into(), ssl_mode, root_certificates, says_keepalives_idle })
    }

    /// The driver's view of it. Of the driver's refusal only the name of a parameter is repeated.
    fn config(&self) -> Result<Config, ConnectError> {
        let mut config: Config =
            self.url.expose_secret().parse().map_err(|refusal: tokio_postgres::Error| {
                let cause = std::error::Error::source(&refusal).map(ToString::to_string).unwrap_or_default();
                let named = PARAMETERS.iter().find(|name| cause.contains(&format!("`{name}`")));
                ConnectError::Url(named.map_or_else(
                    || "cannot be read; it is like postgresql://user:password@host:5432/database".to_owned(),
                    |name| format!("has an invalid {name}"),
                ))
            })?;
        if !self.says_keepalives_idle {
            config.keepalives_idle(KEEPALIVES_IDLE);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> Parts {
        Parts::of(url).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    #[test]
    fn what_the_driver_cannot_read_is_taken_out() {
        let full =
            parts("postgres://u:p%3Fq@h/d?application_name=x&sslmode=verify-full&sslrootcert=%2Fca.pem");
        assert_eq!(full.url.expose_secret(), "postgres://u:p%3Fq@h/d?application_name=x");
        assert_eq!(full.ssl_mode, SslMode::VerifyFull);
        assert_eq!(full.root_certificates, Some(PathBuf::from("/ca.pem")));
        assert_eq!(parts("postgresql:///d?sslmode=disable").url.expose_secret(), "postgresql:///d");
        assert_eq!(parts("postgresql:///d").ssl_mode, SslMode::Prefer);
    }

    #[test]
    fn a_connection_that_rests_is_kept_alive() {
        let idle = |url: &str| parts(url).config().unwrap().get_keepalives_idle();
        assert_eq!(idle("postgres://u@h/d"), KEEPALIVES_IDLE);
        assert_eq!(idle("postgres://u:keepalives_idle=1@h/d"), KEEPALIVES_IDLE);
        assert_eq!(idle("postgres://u@h/d?keepalives_idle=7"), Duration::from_secs(7));
    }

    #[test]
    fn what_makes_no_sense_is_refused_without_repeating_it() {
        for url in [
            "mysql://u:secret@h/d",
            "host=h password=secret",
            "postgres://u:secret@h/d?sslmode=verify_full",
            "postgres://u:secret@h/d?sslmode=",
            "postgres://u:secret@h/d?no_such_parameter=1",
            "postgres://u:secret@h:port/d",
        ] {
            let refused =
                Connector::migrating(&url.into()).err().unwrap_or_else(|| panic!("{url} was accepted"));
            let text = format!("{refused} {refused:?}");
            assert!(matches!(refused, ConnectError::Url(_)) && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let refusal = |url: &str| PgOptions::check_url(&url.into()).unwrap_err().to_string();
        let unknown = refusal("postgres://u:secret@h/d?sslmod=require");
        assert!(unknown.contains("unknown parameter \"sslmod\"; known are: sslmode, "), "{unknown}");
        assert_eq!(refusal("postgres://u@h:port/d"), "the database URL has an invalid port");
        assert_eq!(
            refusal("postgres://u@h/d?connect_timeout=soon"),
            "the database URL has an invalid connect_timeout"
        );
        let cut = refusal("postgres://u:half?secret=x@h/d");
        assert!(cut.contains("%3F") && !cut.contains("secret"), "{cut}");
    }

    #[test]
    fn every_known_parameter_is_understood_by_the_driver() {
        for name in PARAMETERS {
            let value = match name {
                "sslmode" | "channel_binding" => "require",
                "hostaddr" => "127.0.0.1",
                "load_balance_hosts" => "random",
                "sslnegotiation" => "postgres",
                "target_session_attrs" => "any",
                _ => "1",
            };
            let url = format!("postgres://u@h/d?{name}={value}");
            assert!(PgOptions::check_url(&url.into()).is_ok(), "{name}");
        }
        let file = "postgres://u@h/d?sslmode=verify-full&sslrootcert=/nowhere.pem".into();
        assert!(PgOptions::check_url(&file).is_ok(), "no file is read");
    }

    #[test]
    fn a_socket_needs_no_certificates() {
        let socket =
            "postgresql://guiche_app@%2Fnowhere/d?sslmode=verify-full&sslrootcert=/nowhere.pem".into();
        assert!(Connector::migrating(&socket).is_ok());
        let network =
            "postgresql://guiche_app@localhost/d?sslmode=verify-full&sslrootcert=/nowhere.pem".into();
        assert!(matches!(Connector::migrating(&network), Err(ConnectError::RootCertificates(_))));
    }
}
