//! Reading a body: no more of it than allowed, and no longer than allowed.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{HttpMessage as _, HttpRequest};
use futures::StreamExt as _;

use crate::http::boundary::Surface;
use crate::http::codes::Code;
use crate::http::problem::ApiError;

/// The most bytes that any body of the API may have.
pub(super) const MAXIMUM_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    Json,
    Form,
}

/// The media type of the body; anything else, an encoding, or another charset than UTF-8 is refused.
pub(super) fn media_type(request: &HttpRequest) -> Result<MediaType, ApiError> {
    let refuse = |detail: &str| Err(ApiError::new(Code::UnsupportedMediaType, detail));
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return refuse("Send the body without a content encoding.");
    }
    if request.headers().get_all(header::CONTENT_TYPE).count() > 1 {
        return refuse("Send one Content-Type.");
    }
    let Ok(Some(mime)) = request.mime_type() else {
        return refuse("Send the body with Content-Type: application/json.");
    };
    if mime.get_param("charset").is_some_and(|charset| !charset.as_str().eq_ignore_ascii_case("utf-8")) {
        return refuse("Send the body in UTF-8.");
    }
    let suffix = mime.suffix().map(|suffix| suffix.as_str());
    match (mime.type_().as_str(), mime.subtype().as_str()) {
        ("application", "json") => Ok(MediaType::Json),
        ("application", _) if suffix == Some("json") => Ok(MediaType::Json),
        ("application", "x-www-form-urlencoded") => Ok(MediaType::Form),
        _ => refuse("Send the body with Content-Type: application/json."),
    }
}

/// The whole body.
pub(super) async fn read(request: &HttpRequest, payload: Payload) -> Result<Bytes, ApiError> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > MAXIMUM_BYTES) {
        return Err(too_large());
    }
    let patience = request.app_data::<actix_web::web::Data<Surface>>().map(|surface| surface.timeouts.body);
    match patience {
        Some(patience) => tokio::time::timeout(patience, collect(payload))
            .await
            .unwrap_or_else(|_| Err(ApiError::new(Code::RequestTimeout, "The body did not arrive in time."))),
        None => collect(payload).await,
    }
}

async fn collect(mut payload: Payload) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|error| ApiError::malformed("The body broke off.").caused_by(error.to_string()))?;
        if body.len() + chunk.len() > MAXIMUM_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large() -> ApiError {
    ApiError::new(Code::PayloadTooLarge, format!("At most {MAXIMUM_BYTES} bytes."))
}
