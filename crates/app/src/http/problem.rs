//! Errors as RFC 9457 problem documents. There is one error type for all handlers: it knows what the client may see
//! and keeps, apart from that, what only the log may.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use guiche_kernel::BoxError;
use serde::Serialize;
use serde_json::{Map, Value};

use super::codes::Code;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An answer other than the one asked for.
#[derive(Debug)]
pub struct ApiError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    source: Option<BoxError>,
    request_id: Option<String>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// Where it is: a JSON Pointer into the body.
    pub pointer: String,
    /// What is wrong, in a word.
    pub code: String,
    /// What is wrong, in a sentence that does not quote the value.
    pub detail: String,
}

impl FieldProblem {
    /// A problem of the field at the pointer.
    pub fn new(pointer: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.into(), detail: detail.into() }
    }
}

impl ApiError {
    /// An error with a sentence for people. From status 500 on the sentence goes to the log only.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            members: Map::new(),
            headers: Vec::new(),
            source: None,
            request_id: None,
        }))
    }

    /// A defect of ours; the source is for the log.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        Self::new(Code::InternalError, "a defect").caused_by(source)
    }

    /// A request that cannot be understood.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Code::MalformedRequest, detail)
    }

    /// A request that cannot be understood at one place.
    pub fn malformed_at(problem: FieldProblem) -> Self {
        let detail = problem.detail.clone();
        Self::malformed(detail).with("errors", [problem])
    }

    /// Required fields are absent or `null`; names as the client writes them.
    pub fn missing<S: Into<String>>(fields: impl IntoIterator<Item = S>) -> Self {
        let fields: Vec<String> = fields.into_iter().map(Into::into).collect();
        let detail = format!("Required: {}.", fields.join(", "));
        Self::new(Code::MissingRequiredFields, detail).with("missing", fields)
    }

    /// Fields are present and wrong.
    #[must_use]
    pub fn invalid_fields(problems: Vec<FieldProblem>) -> Self {
        Self::new(Code::InvalidFields, "See errors for each field.").with("errors", problems)
    }

    /// There is no such thing, or it is somebody else's.
    #[must_use]
    pub fn not_found(code: Code) -> Self {
        Self::new(code, "It does not exist, or it is not yours.")
    }

    /// The method is not one of those of the resource.
    #[must_use]
    pub fn method_not_allowed(allow: &str) -> Self {
        Self::new(Code::MethodNotAllowed, format!("Allowed: {allow}.")).header(header::ALLOW, allow)
    }

    /// Adds an extension member. What cannot be written as JSON is left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.members.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// Says when to try again, in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header(header::RETRY_AFTER, &seconds.max(1).to_string())
    }

    /// Keeps what caused it for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The error for an answer that cannot pass the boundary any more and so must carry its own request id.
    pub(super) fn for_request(mut self, request_id: &str) -> Self {
        self.0.request_id = Some(request_id.to_owned());
        self
    }

    /// The error and all its causes, for the log.
    pub(super) fn chain(&self) -> String {
        let mut chain = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            chain.push_str(": ");
            chain.push_str(&error.to_string());
            source = error.source();
        }
        chain
    }

    /// The document and its headers.
    pub(super) fn to_response(&self, request_id: Option<&str>) -> HttpResponse {
        let code = self.0.code;
        let request_id = request_id.or(self.0.request_id.as_deref());
        let detail =
            if code.status().is_server_error() { code.opaque_detail() } else { self.0.detail.as_str() };
        let document = Document {
            kind: format!("urn:guiche:problem:{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            detail,
            code: code.as_str(),
            request_id,
            members: &self.0.members,
        };
        let mut response = HttpResponse::build(code.status());
        for (name, value) in &self.0.headers {
            response.append_header((name.clone(), value.clone()));
        }
        if let Some(request_id) = request_id {
            response.insert_header((super::context::REQUEST_ID, request_id));
        }
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        response.insert_header((header::CONTENT_TYPE, MEDIA_TYPE));
        response.body(serde_json::to_vec(&document).unwrap_or_default())
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.detail)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.to_response(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_errors() {
        let words: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.status().as_u16() >= 400));
    }

    #[test]
    fn a_fault_shows_nothing_and_the_log_gets_everything() {
        let error = ApiError::internal("disk on fire").for_request("r1");
        assert_eq!(error.chain(), "internal_error: a defect: disk on fire");
        let body = error.error_response().into_body();
        let body =
            String::from_utf8(futures::executor::block_on(actix_web::body::to_bytes(body)).unwrap().to_vec());
        let body = body.unwrap();
        assert!(!body.contains("fire") && !body.contains("a defect"), "{body}");
        assert!(body.contains("\"request_id\":\"r1\""), "{body}");
    }
}
