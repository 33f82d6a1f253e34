//! A JSON body.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::body::{self, MediaType};
use super::strict;
use crate::http::codes::Code;
use crate::http::problem::ApiError;

/// The body as a `T`. Give `T` `#[serde(deny_unknown_fields)]` and `Option` fields (see [`require!`](crate::require)).
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T> Json<T> {
    /// The body.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Json<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if body::media_type(&request)? != MediaType::Json {
                let detail = "Send the body with Content-Type: application/json.";
                return Err(ApiError::new(Code::UnsupportedMediaType, detail));
            }
            strict::from_slice(&body::read(&request, payload).await?).map(Self)
        })
    }
}
