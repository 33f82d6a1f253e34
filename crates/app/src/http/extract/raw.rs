//! A JSON body as the bytes that were sent, for whoever has to verify them before anybody reads them.

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use futures::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::body::{self, MediaType};
use super::strict;
use crate::http::codes::Code;
use crate::http::problem::ApiError;

/// The bytes of a body that says it is JSON.
#[derive(Debug)]
pub struct RawJson(Bytes);

impl RawJson {
    /// The bytes, as they came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The body as a `T`, as [`Json`](super::Json) would have it.
    ///
    /// # Errors
    /// [`Code::MalformedRequest`].
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        strict::from_slice(&self.0)
    }
}

impl FromRequest for RawJson {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if body::media_type(&request)? != MediaType::Json {
                let detail = "Send the body with Content-Type: application/json.";
                return Err(ApiError::new(Code::UnsupportedMediaType, detail));
            }
            body::read(&request, payload).await.map(Self)
        })
    }
}
