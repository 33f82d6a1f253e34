//! Requests and answers.

use std::fmt;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::contract;
use crate::support::TestApp;

/// A request to be sent.
pub(crate) struct Call {
    method: Method,
    path: String,
    request: reqwest::RequestBuilder,
}

impl TestApp {
    pub(crate) fn get(&self, path: &str) -> Call {
        self.call("GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.call("POST", path)
    }

    pub(crate) fn put(&self, path: &str) -> Call {
        self.call("PUT", path)
    }

    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        let method: Method = method.parse().unwrap();
        let request = self.client.request(method.clone(), format!("http://{}{path}", self.address));
        Call { method, path: path.to_owned(), request }
    }
}

impl Call {
    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// The `Idempotency-Key`, as given.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.request = self.request.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    pub(crate) fn body(mut self, body: &Value) -> Self {
        self.request = self.request.json(body);
        self
    }

    pub(crate) fn bytes(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        if !content_type.is_empty() {
            self.request = self.request.header("content-type", content_type);
        }
        self.request = self.request.body(body.into());
        self
    }

    pub(crate) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        self.request = self.request.form(fields);
        self
    }

    /// Sends it, and holds the answer against the contract.
    pub(crate) async fn send(self) -> Answer {
        let response = self.request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap().to_vec();
        let answer = Answer { asked: format!("{} {}", self.method, self.path), status, headers, bytes };
        contract::check(self.method.as_str(), &self.path, &answer);
        answer
    }
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// A header that stands at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} stands twice: {self:?}");
        value
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of a good answer.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        self.check_headers();
        self.value()
    }

    /// That it is a good answer without a body.
    #[track_caller]
    pub(crate) fn empty(&self) {
        assert_eq!(self.status, 204, "{self:?}");
        assert!(self.bytes.is_empty(), "{self:?}");
        self.check_headers();
    }

    /// The problem document of that code: all of its standard members are checked.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        self.check_headers();
        let document = self.value();
        assert_eq!(document["code"], code, "{self:?}");
        assert_eq!(document["type"], format!("urn:guiche:problem:{code}"), "{self:?}");
        assert_eq!(document["status"], status, "{self:?}");
        assert_eq!(document["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        for sentence in ["title", "detail"] {
            assert!(document[sentence].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        document
    }

    /// The pointers and codes of the fields that a problem names.
    #[track_caller]
    pub(crate) fn faults(&self, status: u16, code: &str) -> Vec<(String, String)> {
        let document = self.problem(status, code);
        let errors = document["errors"].as_array().unwrap_or_else(|| panic!("no errors: {document}"));
        let fault = |error: &Value| {
            let member = |name: &str| error[name].as_str().unwrap().to_owned();
            assert!(!member("detail").is_empty() && error.as_object().unwrap().len() == 3, "{error}");
            (member("pointer"), member("code"))
        };
        errors.iter().map(fault).collect()
    }

    /// What every answer has.
    #[track_caller]
    fn check_headers(&self) {
        assert!(self.header("x-request-id").is_some_and(|id| !id.is_empty()), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, status, headers, bytes } = self;
        write!(f, "{asked} -> {status} {headers:?} {}", String::from_utf8_lossy(bytes))
    }
}

/// Pairs as [`Answer::faults`] gives them.
pub(crate) fn faults(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned())).collect()
}
