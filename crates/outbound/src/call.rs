//! One call, and its answer.

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Fault, ProviderError};
use crate::keys::repeats;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What is asked of a provider. Its headers and its document do not print: they may hold secrets.
#[derive(Clone)]
pub struct Call<'a> {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) segments: Vec<&'a str>,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) secrets: Vec<(Option<HeaderName>, SecretString)>,
    pub(crate) body: Option<Value>,
    pub(crate) repeatable: bool,
    pub(crate) considered: Option<StatusCode>,
    pub(crate) body_bytes: Option<usize>,
}

impl<'a> Call<'a> {
    /// A call of the operation (a word of ours, for errors and logs) at a path below the provider's address.
    #[must_use]
    pub fn new(operation: &'static str, method: Method, segments: &[&'a str]) -> Self {
        let segments = segments.to_vec();
        Self {
            operation,
            method,
            segments,
            headers: Vec::new(),
            secrets: Vec::new(),
            body: None,
            repeatable: false,
            considered: None,
            body_bytes: None,
        }
    }

    /// A reading, which may be repeated.
    #[must_use]
    pub fn get(operation: &'static str, segments: &[&'a str]) -> Self {
        Self::new(operation, Method::GET, segments).repeatable()
    }

    /// A writing, which is made once; what became of it when no answer came is for the caller to find out.
    #[must_use]
    pub fn post(operation: &'static str, segments: &[&'a str]) -> Self {
        Self::new(operation, Method::POST, segments)
    }

    /// Says that a second effect of this call is the same as the first. Only then is it ever repeated.
    #[must_use]
    pub const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Names the call to a provider that promises one effect per name; with that it may be repeated.
    #[must_use]
    pub fn idempotency_key(self, key: &dyn std::fmt::Display) -> Self {
        self.header(IDEMPOTENCY_KEY, key.to_string()).repeatable()
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a header that no library prints, and that no vendor's code may repeat.
    #[must_use]
    pub fn secret_header(mut self, name: HeaderName, value: &SecretString) -> Self {
        self.secrets.push((Some(name), value.clone()));
        self
    }

    /// Says that the document holds a secret, which no vendor's code may repeat.
    #[must_use]
    pub fn holding(mut self, secret: &SecretString) -> Self {
        self.secrets.push((None, secret.clone()));
        self
    }

    /// Takes an answer of up to so many bytes, whatever [`Limits`](crate::Limits) say: for lists.
    #[must_use]
    pub const fn up_to(mut self, body_bytes: usize) -> Self {
        self.body_bytes = Some(body_bytes);
        self
    }

    /// Sends a document.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// By this status of 500 or above the provider itself says no, when it also says why (a [`VendorCode`]): then it is
    /// a refusal and no failure. Without a reason it may be from whoever stands between.
    ///
    /// [`VendorCode`]: crate::VendorCode
    #[must_use]
    pub const fn refused_by(mut self, status: StatusCode) -> Self {
        self.considered = Some(status);
        self
    }

    pub(crate) fn header_values(&self) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let value =
            |(name, value): &(HeaderName, String)| Some((name.clone(), HeaderValue::from_str(value).ok()?));
        let secret = |(name, value): &(Option<HeaderName>, SecretString)| {
            let name = name.clone()?;
            let value = HeaderValue::from_str(value.expose_secret()).map(|mut value| {
                value.set_sensitive(true);
                (name, value)
            });
            Some(value.ok())
        };
        let secrets = self.secrets.iter().filter_map(secret);
        self.headers.iter().map(value).chain(secrets).collect()
    }

    /// Whether a text from outside repeats a secret of this call.
    pub(crate) fn is_repeated_by(&self, text: &str) -> bool {
        self.secrets.iter().any(|(_, secret)| repeats(text, secret.expose_secret()))
    }
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { operation, method, segments, repeatable, .. } = self;
        f.debug_struct("Call")
            .field("operation", operation)
            .field("method", method)
            .field("segments", segments)
            .field("repeatable", repeatable)
            .finish_non_exhaustive()
    }
}

/// An answer with a status between 200 and 299. It does not print: it may hold what must not be seen.
pub struct Answer {
    pub(crate) provider: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// What the answer says.
    ///
    /// # Errors
    /// [`Fault::Unreadable`] when it is not a document of that form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        // The parser's own message quotes what it found.
        serde_json::from_slice(&self.body).map_err(|_| self.unreadable())
    }

    /// Says that the answer makes no sense, for a caller who has read it.
    #[must_use]
    pub const fn unreadable(&self) -> ProviderError {
        ProviderError::new(self.provider, self.operation, Fault::Unreadable { status: self.status.as_u16() })
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { provider, operation, status, body } = self;
        f.debug_struct("Answer")
            .field("provider", provider)
            .field("operation", operation)
            .field("status", status)
            .field("bytes", &body.len())
            .finish()
    }
}
