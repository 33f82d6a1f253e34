//! What comes in and what goes out.

use hyper::HeaderMap;
use hyper::body::Bytes;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) segments: Vec<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    /// `None` when the path is not UTF-8.
    pub(super) fn new(method: String, path: String, headers: HeaderMap, body: Bytes) -> Option<Self> {
        let decoded = |segment| percent_decode_str(segment).decode_utf8().ok().map(|text| text.into_owned());
        let segments = path.trim_start_matches('/').split('/').map(decoded).collect::<Option<_>>()?;
        Some(Self { method, path, segments, headers, body })
    }

    /// `GET`, `POST` and so on.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The parts of the path, decoded.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// A header that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as it came.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The document that was sent, if it is one of that form.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) body: Bytes,
    pub(super) is_json: bool,
    pub(super) retry_after: Option<u64>,
}

impl Reply {
    /// A document.
    #[must_use]
    pub fn document(status: u16, document: &Value) -> Self {
        Self { status, body: document.to_string().into(), is_json: true, retry_after: None }
    }

    /// A document, and all is well.
    #[must_use]
    pub fn ok(document: &Value) -> Self {
        Self::document(200, document)
    }

    /// Nothing to say.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self { status, body: Bytes::new(), is_json: false, retry_after: None }
    }

    /// Something that is no document.
    #[must_use]
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self { status, body: text.into().into(), is_json: false, retry_after: None }
    }
}

/// The connection is to be ended without an answer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection is ended")]
pub struct HangUp;
