//! Names to addresses that were judged. The client connects to what this gives out, and to nothing else.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::AllowPrivate;

/// Looks names up, without judging.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The addresses of a name.
    ///
    /// # Errors
    /// When it has none, or nobody can be asked.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// As the system does it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why a name leads to no connection. The client wraps it, and the sender finds it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAddress {
    #[error("the name has no address")]
    Unknown,
    #[error("the name leads to addresses that are not allowed")]
    Refused,
}

/// Gives out what may be called.
#[derive(Clone)]
pub(crate) struct JudgingResolver {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) allow: Arc<AllowPrivate>,
}

impl Resolve for JudgingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { lookup, allow } = self.clone();
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await.unwrap_or_default();
            if found.is_empty() {
                return Err(NoAddress::Unknown.into());
            }
            let admitted: Vec<_> = found.into_iter().filter(|address| allow.admits(*address)).collect();
            if admitted.is_empty() {
                return Err(NoAddress::Refused.into());
            }
            // The client puts the port of the URL in.
            let addresses: Addrs = Box::new(admitted.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
