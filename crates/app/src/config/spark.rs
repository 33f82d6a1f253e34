//! The payment provider: which one, where, and with which keys.

use secrecy::SecretString;
use url::Url;

use super::Reader;
use super::key_file::{self, KeyFile};
use super::values::{self, SparkMode};

/// Where invoices come from.
#[derive(Debug, Clone)]
pub enum Spark {
    /// Made here, paid by playing the wallet; never in production.
    Stub,
    /// Made by our Spark gateway.
    Live {
        /// The gateway.
        url: Url,
        /// The keys for it, never empty; the first is used, and the next when it is refused.
        api_keys: Vec<SecretString>,
        /// The file that they stand in, if they do.
        key_file: Option<KeyFile>,
    },
}

impl Reader {
    pub(super) fn spark(&mut self, production: bool) -> Option<Spark> {
        match self.word("SPARK_MODE", SparkMode::Stub) {
            SparkMode::Stub => {
                for name in ["SPARK_API_URL", "SPARK_API_KEY"] {
                    if self.settings.is_set(name) {
                        self.problems.warn(format!("{name} has no effect: SPARK_MODE is stub"));
                    }
                }
                if production {
                    self.problems
                        .refuse("SPARK_MODE=stub is refused in production: nobody would ever be paid");
                }
                Some(Spark::Stub)
            }
            SparkMode::Live => {
                let url = self.provider_url("SPARK_API_URL", production);
                let (api_keys, key_file) = self.key_list("SPARK_API_KEY");
                for name in ["SPARK_API_URL", "SPARK_API_KEY"] {
                    if !self.settings.is_set(name) {
                        self.problems.refuse(format!("{name} is required with SPARK_MODE=live"));
                    }
                }
                // What is missing was refused above; the rest of the configuration is still looked at.
                let url = url.or_else(|| Url::parse("https://missing.invalid").ok())?;
                Some(Spark::Live { url, api_keys, key_file })
            }
        }
    }

    /// A provider's keys, and the file that they stand in.
    pub(super) fn key_list(&mut self, name: &'static str) -> (Vec<SecretString>, Option<KeyFile>) {
        let Some(list) = self.settings.text(name) else { return (Vec::new(), None) };
        let Some(keys) = key_file::keys(list) else {
            self.problems.refuse(key_file::not_keys(name));
            return (Vec::new(), None);
        };
        (keys, self.settings.file(name).map(|path| KeyFile::new(name, path.to_owned())))
    }

    /// A provider's address: its key travels there, so it is `https`, except to this very machine in development.
    pub(super) fn provider_url(&mut self, name: &str, production: bool) -> Option<Url> {
        let expected = "must be an https:// address without a user name or password";
        let url: Url = values::parsed(self.settings.text(name)?, "").ok().or_else(|| {
            self.problems.refuse(format!("{name} {expected}"));
            None
        })?;
        let loopback = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let protected = url.scheme() == "https" || (url.scheme() == "http" && loopback && !production);
        if !protected || !url.username().is_empty() || url.password().is_some() {
            self.problems.refuse(format!("{name} {expected}"));
            return None;
        }
        if url.query().is_some() || url.fragment().is_some() {
            self.problems.refuse(format!("{name} must not hold a query or a fragment"));
            return None;
        }
        Some(url)
    }
}
