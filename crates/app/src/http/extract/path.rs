//! Parameters of the path.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use std::future::{Ready, ready};

use crate::http::codes::Code;
use crate::http::problem::ApiError;

/// The parameters as a `T`. A path that cannot be read names nothing, so the answer is 404 with the code of the
/// resource: a client with a mangled id need not tell the two apart.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T> Path<T> {
    /// The parameters.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Path<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // The router decodes leniently; what it had to patch, or what holds a NUL, is not a name of ours.
        let sound = request
            .match_info()
            .iter()
            .all(|(_, value)| !value.contains(['\0', char::REPLACEMENT_CHARACTER]) && !value.contains("%00"));
        let parsed = actix_web::web::Path::<T>::extract(request).into_inner();
        ready(match parsed {
            Ok(parsed) if sound => Ok(Self(parsed.into_inner())),
            _ => Err(ApiError::not_found(code_of(&request.match_pattern().unwrap_or_default()))),
        })
    }
}

fn code_of(pattern: &str) -> Code {
    let resource = pattern.strip_prefix("/api/v1/").and_then(|rest| rest.split('/').next());
    match resource {
        Some("tickets") => Code::TicketNotFound,
        Some("lightning") => Code::SetupNotFound,
        Some("operations") => Code::OperationNotFound,
        Some(_) | None => Code::NotFound,
    }
}
