//! The query string.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use std::future::{Ready, ready};

use super::form;
use crate::http::problem::{ApiError, FieldProblem};

/// The query as a `T`. Give `T` `#[serde(deny_unknown_fields)]`; a parameter that stands twice is refused.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T> Query<T> {
    /// The query.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Self))
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    if form::pairs(query.as_bytes()).is_none() {
        return Err(ApiError::malformed("The query is not properly encoded."));
    }
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| {
        let reason = error.inner().to_string();
        let name = error.path().to_string();
        let (code, detail) = if reason.starts_with("unknown field") {
            ("unknown_parameter", "There is no such query parameter.")
        } else if reason.starts_with("duplicate field") {
            ("duplicate_parameter", "A query parameter stands twice.")
        } else {
            ("invalid_parameter", "A query parameter has a value of the wrong form.")
        };
        let pointer = if name == "." { String::new() } else { format!("/{name}") };
        ApiError::malformed_at(FieldProblem::new(pointer, code, detail))
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Page {
        limit: Option<u32>,
        status: Option<String>,
    }

    #[test]
    fn queries() {
        assert_eq!(parse::<Page>("").unwrap(), Page { limit: None, status: None });
        assert_eq!(
            parse::<Page>("limit=5&status=a%20b").unwrap(),
            Page { limit: Some(5), status: Some("a b".into()) }
        );
        for wrong in [
            "limit=x",
            "limit=-1",
            "limit=",
            "limit=5&limit=6",
            "lim=5",
            "status=%FF",
            "status=%00",
            "=",
            "limit=1e1",
        ] {
            let error = parse::<Page>(wrong).unwrap_err();
            assert_eq!(error.code(), crate::http::Code::MalformedRequest, "{wrong}");
        }
    }
}
