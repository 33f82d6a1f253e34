//! Bounds on the head of a request, and the headers of every answer.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::codes::Code;
use super::problem::ApiError;

/// Far below what the server can parse (128 KiB), so that whoever exceeds it still gets a problem document.
const MAXIMUM_HEADER_BYTES: usize = 16 * 1024;
const MAXIMUM_URI_BYTES: usize = 8 * 1024;

const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Refuses a head that no honest client sends.
pub(super) fn check(headers: &HeaderMap, uri_length: usize) -> Result<(), ApiError> {
    if uri_length > MAXIMUM_URI_BYTES {
        return Err(ApiError::new(Code::UriTooLong, format!("At most {MAXIMUM_URI_BYTES} bytes.")));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > MAXIMUM_HEADER_BYTES {
        return Err(ApiError::new(Code::HeadersTooLarge, format!("At most {MAXIMUM_HEADER_BYTES} bytes.")));
    }
    Ok(())
}

/// Adds what every answer carries, unless the handler has said otherwise. HSTS is the business of whoever ends TLS.
pub(super) fn decorate(headers: &mut HeaderMap, path: &str) {
    let docs = path == "/docs" || path.starts_with("/docs/");
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(headers, header::REFERRER_POLICY, "no-referrer");
    put(headers, header::CONTENT_SECURITY_POLICY, if docs { DOCS_POLICY } else { POLICY });
    if !docs {
        put(headers, header::CACHE_CONTROL, "no-store");
    }
}

pub(super) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if !headers.contains_key(&name)
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(name, value);
    }
}

/// The body of an answer to `HEAD`: its size, and nothing of it. A stream is dropped at once.
pub(super) fn without_content(body: &BoxBody) -> BoxBody {
    BoxBody::new(SizeOnly(body.size()))
}

struct SizeOnly(BodySize);

impl MessageBody for SizeOnly {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
