//! Where a provider is, and how names become parts of a path.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

/// Everything but RFC 3986's unreserved characters: an id with a slash or a colon stays one segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whether calls may go unencrypted to this very machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    /// `http` to a loopback address is fine: development.
    PlainAllowed,
    /// `https` only, always.
    Refused,
}

/// The base address of a provider's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Url);

/// Why a provider must not be called at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Its key would travel in plain sight.
    #[error("a provider is called over https only")]
    Unprotected,
    /// Credentials in an address end up in logs.
    #[error("a provider's address must not hold a user name or a password")]
    Credentials,
    /// A query or a fragment belongs to one call, not to all.
    #[error("a provider's address must not hold a query or a fragment")]
    Query,
}

impl Address {
    /// Accepts an address that calls may go to.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn try_new(url: Url, loopback: Loopback) -> Result<Self, AddressError> {
        let plain = url.scheme() == "http" && is_loopback(&url) && loopback == Loopback::PlainAllowed;
        if url.scheme() != "https" && !plain {
            return Err(AddressError::Unprotected);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Query);
        }
        Ok(Self(url))
    }

    /// Whether calls to it are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The address itself.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// The address of something below; each segment is encoded. `None` for a segment that no path can hold: an empty one,
    /// and `.` and `..`, which lead elsewhere however they are encoded.
    #[must_use]
    pub fn join(&self, segments: &[&str]) -> Option<Url> {
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return None;
        }
        let mut path = self.0.path().trim_end_matches('/').to_owned();
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, SEGMENT));
        }
        let mut url = self.0.clone();
        url.set_path(&path);
        Some(url)
    }
}

/// Where the servers are that a provider runs, one for each of its customers: an address with `{host}` in the place of what
/// distinguishes them, such as `https://{host}:8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressTemplate {
    text: String,
    loopback: Loopback,
}

/// Why a text is no such template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// All would be at one address.
    #[error("the address must contain {{host}}")]
    NoHole,
    /// No address at all.
    #[error("this is no address")]
    Unreadable,
    /// An address that must not be called.
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl AddressTemplate {
    const HOLE: &str = "{host}";
    /// RFC 1035.
    const LONGEST_HOST: usize = 253;

    /// Accepts a template all of whose addresses calls may go to.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn try_new(text: &str, loopback: Loopback) -> Result<Self, TemplateError> {
        if !text.contains(Self::HOLE) {
            return Err(TemplateError::NoHole);
        }
        let template = Self { text: text.to_owned(), loopback };
        template.address("host.invalid")?;
        Ok(template)
    }

    /// The address for a host; `None` when it is no host name, so that it can say nothing but which host.
    #[must_use]
    pub fn fill(&self, host: &str) -> Option<Address> {
        Self::is_host(host).then(|| self.address(host).ok()).flatten()
    }

    /// An address of that form, which nobody has.
    ///
    /// # Errors
    /// None for a template that was accepted.
    pub fn example(&self) -> Result<Address, TemplateError> {
        self.address("host.invalid")
    }

    fn address(&self, host: &str) -> Result<Address, TemplateError> {
        let url = self.text.replace(Self::HOLE, host).parse().map_err(|_| TemplateError::Unreadable)?;
        Ok(Address::try_new(url, self.loopback)?)
    }

    fn is_host(host: &str) -> bool {
        let byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(byte);
        host.len() <= Self::LONGEST_HOST && host.split('.').all(label)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str, loopback: Loopback) -> Result<Address, AddressError> {
        Address::try_new(text.parse().unwrap(), loopback)
    }

    #[test]
    fn plain_text_stays_on_the_machine_and_only_where_that_is_allowed() {
        for plain in ["http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:1/x", "http://localhost"] {
            assert!(address(plain, Loopback::PlainAllowed).is_ok_and(|address| !address.is_encrypted()));
            assert_eq!(address(plain, Loopback::Refused), Err(AddressError::Unprotected), "{plain}");
        }
        for away in [
            "http://10.0.0.1",
            "http://example.org",
            "http://localhost.example.org",
            "ftp://localhost",
            "http://[::ffff:10.0.0.1]",
        ] {
            assert_eq!(address(away, Loopback::PlainAllowed), Err(AddressError::Unprotected), "{away}");
        }
        assert!(
            address("https://example.org", Loopback::Refused).is_ok_and(|address| address.is_encrypted())
        );
    }

    #[test]
    fn an_address_holds_no_secrets_and_no_query() {
        for (text, expected) in [
            ("https://user@example.org", AddressError::Credentials),
            ("https://:pass@example.org", AddressError::Credentials),
            ("https://example.org/?key=1", AddressError::Query),
            ("https://example.org/#x", AddressError::Query),
        ] {
            assert_eq!(address(text, Loopback::Refused), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_template_is_filled_with_a_host_and_with_nothing_else() {
        let template = AddressTemplate::try_new("https://{host}:8080", Loopback::Refused).unwrap();
        let url = template.fill("node-1.m.example.org").unwrap();
        assert_eq!(url.url().as_str(), "https://node-1.m.example.org:8080/");
        for bad in
            ["", "a b", "a/b", "user@host", "host:1", "..", "a..b", "{host}", "ê.org", &"a.".repeat(127)]
        {
            assert_eq!(template.fill(bad), None, "{bad}");
        }
        let below =
            AddressTemplate::try_new("http://127.0.0.1:1/lnd/{host}", Loopback::PlainAllowed).unwrap();
        assert_eq!(below.fill("n1").unwrap().url().path(), "/lnd/n1");
        for (text, expected) in [
            ("https://example.org", TemplateError::NoHole),
            ("no address {host}", TemplateError::Unreadable),
            ("http://{host}:8080", TemplateError::Address(AddressError::Unprotected)),
            ("https://key@{host}", TemplateError::Address(AddressError::Credentials)),
        ] {
            assert_eq!(AddressTemplate::try_new(text, Loopback::PlainAllowed), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_segment_stays_one_segment() {
        for base in ["https://example.org/spark", "https://example.org/spark/"] {
            let base = address(base, Loopback::Refused).unwrap();
            for (segment, expected) in [
                ("Request:0195-a_b~c", "Request%3A0195-a_b~c"),
                ("../../health", "..%2F..%2Fhealth"),
                ("%2F?x=#", "%252F%3Fx%3D%23"),
                ("...", "..."),
                ("ê", "%C3%AA"),
            ] {
                let url = base.join(&["v1", segment]).unwrap();
                assert_eq!(url.as_str(), format!("https://example.org/spark/v1/{expected}"));
            }
            for nowhere in ["", ".", ".."] {
                assert_eq!(base.join(&["v1", nowhere]), None);
            }
        }
    }
}
