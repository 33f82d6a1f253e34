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

/// The challenge of every 401 (RFC 9110 §15.5.2).
pub(super) const REALM: &str = "Bearer realm=\"guiche\"";

/// No token was sent; the challenge then names no error (RFC 6750 §3.1).
#[must_use]
pub fn no_token() -> ApiError {
    ApiError::new(Code::Unauthorized, "Send an access token: Authorization: Bearer ….")
        .header(header::WWW_AUTHENTICATE, REALM)
}

/// A token was sent and is not good, or no longer.
#[must_use]
pub fn refused_token() -> ApiError {
    ApiError::new(Code::Unauthorized, "The access token is not valid, or not any more.")
        .header(header::WWW_AUTHENTICATE, "Bearer realm=\"guiche\", error=\"invalid_token\"")
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;
    use actix_web::test::TestRequest;

    use super::*;

    fn token(headers: &[&str]) -> Result<String, String> {
        let request = headers.iter().fold(TestRequest::default(), |request, value| {
            request.append_header((header::AUTHORIZATION, *value))
        });
        bearer_token(&request.to_http_request()).map(str::to_owned).map_err(|error| {
            let response = error.error_response();
            assert_eq!(response.status(), 401);
            response.headers().get(header::WWW_AUTHENTICATE).unwrap().to_str().unwrap().to_owned()
        })
    }

    #[test]
    fn tokens() {
        assert_eq!(token(&["Bearer abc.def-ghi_"]).as_deref(), Ok("abc.def-ghi_"));
        assert_eq!(token(&["bearer  abc"]).as_deref(), Ok("abc"), "the scheme has no case");
    }

    #[test]
    fn who_sends_none_is_told_of_no_error() {
        for headers in [&[][..], &["Basic YTpi"], &["Bearer"], &[""], &["abc"]] {
            assert_eq!(token(headers).unwrap_err(), "Bearer realm=\"guiche\"", "{headers:?}");
        }
        for headers in [&["Bearer "][..], &["Bearer a", "Bearer a"]] {
            assert_eq!(
                token(headers).unwrap_err(),
                "Bearer realm=\"guiche\", error=\"invalid_token\"",
                "{headers:?}"
            );
        }
    }
}
