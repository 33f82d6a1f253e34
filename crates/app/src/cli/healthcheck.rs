//! `guiche healthcheck`: whether a server serves, told by an exit code, for images that have no `curl`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use url::Url;

use super::failure::Failure;
use super::runtime;
use super::settings::Given;
use crate::web;

/// A server that takes longer is not one that serves; the readiness checks themselves take at most as long.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 when it serves (also degraded), 1 when it does not.\n\n\
    Example:\n  guiche healthcheck --url http://127.0.0.1:8080")]
pub(super) struct Options {
    /// The server; by default the one at LISTEN_ADDR on this machine
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
}

pub(super) fn run(options: &Options, given: &Given) -> Result<(), Failure> {
    let base = match &options.url {
        Some(url) => url.clone(),
        None => configured(given)?,
    };
    runtime()?.block_on(ask(&base.join("/readyz")?))
}

/// The server that this very configuration starts. A configuration that is refused starts none: that is no wrong command
/// line, but a server that does not serve.
fn configured(given: &Given) -> Result<Url, Failure> {
    let config = given.config().map_err(|failure| match failure {
        Failure::Config(error) => {
            let first = error.lines().first().cloned().unwrap_or_default();
            Failure::from(format!("the configuration is refused ({first}); see `guiche check-config`"))
        }
        other @ (Failure::Other(_) | Failure::Told) => other,
    })?;
    Ok(Url::parse(&format!("http://{}", reachable(config.http.listen_addr)?))?)
}

/// Where a listener on that address is reached from its own machine.
fn reachable(listening: SocketAddr) -> Result<SocketAddr, Failure> {
    if listening.port() == 0 {
        return Err("LISTEN_ADDR leaves the port to the system; say where the server is with --url".into());
    }
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    Ok(SocketAddr::new(ip, listening.port()))
}

async fn ask(url: &Url) -> Result<(), Failure> {
    let client = web::client_for(url).timeout(PATIENCE).build()?;
    let response = client.get(url.clone()).send().await.map_err(|error| {
        let why = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        format!("{url} {why}")
    })?;
    match response.status().as_u16() {
        200 => Ok(()),
        503 => Err(format!("{url} says that it cannot serve now (503)").into()),
        status => {
            Err(format!("{url} answers with {status}: that is not a Guichê, or not this one's path").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_at_home() {
        for (listening, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("127.0.0.1:81", "127.0.0.1:81"),
            ("192.0.2.7:81", "192.0.2.7:81"),
        ] {
            assert_eq!(reachable(listening.parse().unwrap()).unwrap(), asked.parse().unwrap());
        }
        assert!(reachable("127.0.0.1:0".parse().unwrap()).is_err());
    }
}
