//! The refusals that many routes share, for the documentation.

use utoipa::IntoResponses;

use crate::http::openapi::Problem;

/// What any route may answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers")]
pub(super) enum Any {
    /// `rate_limited`
    #[response(status = 429, content_type = "application/problem+json")]
    RateLimited(#[to_schema] Problem),
    /// `database_unavailable`, `timed_out`
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}

/// What a route with a body may answer besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers")]
pub(super) enum Body {
    /// `malformed_request`, `missing_required_fields`, `invalid_idempotency_key`
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Problem),
    /// `payload_too_large`
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Problem),
    /// `unsupported_media_type`
    #[response(status = 415, content_type = "application/problem+json")]
    MediaType(#[to_schema] Problem),
}

/// What a route that needs a login may answer besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers")]
pub(super) enum Login {
    /// `unauthorized`
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Problem),
}
