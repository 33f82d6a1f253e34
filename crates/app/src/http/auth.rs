//! Bearer tokens as RFC 6750 has them: read from the header only, and challenged properly when absent or refused.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::codes::Code;
use super::problem::ApiError;

/// The token that the request carries.
///
/// # Errors
/// [`Code::Unauthorized`] with a challenge, when there is none or there are several.
pub fn bearer_token(request: &HttpRequest) -> Result<&str, ApiError> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let Some(value) = values.next() else { return Err(no_token()) };
    if values.next().is_some() {
        return Err(refused_token());
    }
    let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return Err(no_token());
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(no_token());
    }
    let token = token.trim_matches(' ');
    if token.is_empty() { Err(refused_token()) } else { Ok(token) }
}

/// No token was sent; the challenge then names no error (RFC 6750 §3.1).
#[must_use]
pub fn no_token() -> ApiError {
    ApiError::new(Code::Unauthorized, "Send an access token: Authorization: Bearer ….")
        .header(header::WWW_AUTHENTICATE, "Bearer realm=\"guiche\"")
}

/// A token was sent and is not good, or no longer.
#[must_use]
pub fn refused_token() -> ApiError {
    ApiError::new(Code::Unauthorized, "The access token is not valid, or not any more.")
        .header(header::WWW_AUTHENTICATE, "Bearer realm=\"guiche\", error=\"invalid_token\"")
}
