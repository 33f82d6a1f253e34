//! The codes of the contract: each with its one status and its one title. A client branches on the code, so none is
//! ever renamed.

use actix_web::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal;)+) => {
        /// What went wrong, in a word that a program can rely on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $(#[$doc])* $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// The status it comes with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),+ }
            }

            /// The title, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }
        }
    };
}

codes! {
    MalformedRequest = "malformed_request", BAD_REQUEST, "The request cannot be understood";
    MissingRequiredFields = "missing_required_fields", BAD_REQUEST, "Required fields are missing";
    InvalidIdempotencyKey = "invalid_idempotency_key", BAD_REQUEST, "The idempotency key is not valid";
    Unauthorized = "unauthorized", UNAUTHORIZED, "Sign in first";
    InvalidCredentials = "invalid_credentials", UNAUTHORIZED, "Wrong e-mail or password";
    InvalidRefreshToken = "invalid_refresh_token", UNAUTHORIZED, "The refresh token is not valid";
    Forbidden = "forbidden", FORBIDDEN, "Not allowed";
    NotFound = "not_found", NOT_FOUND, "There is no such thing";
    TicketNotFound = "ticket_not_found", NOT_FOUND, "There is no such ticket";
    OperationNotFound = "operation_not_found", NOT_FOUND, "There is no such operation";
    SetupNotFound = "setup_not_found", NOT_FOUND, "There is no such setup";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request took too long to arrive";
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE, "The request body is too large";
    UriTooLong = "uri_too_long", URI_TOO_LONG, "The address is too long";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The media type is not supported";
    EmailTaken = "email_taken", CONFLICT, "The e-mail is taken";
    AddressTaken = "address_taken", CONFLICT, "The Lightning address is taken";
    IdempotencyKeyInUse = "idempotency_key_in_use", CONFLICT, "A request with this key is still running";
    InvalidTicketState = "invalid_ticket_state", CONFLICT, "The ticket's state does not allow this";
    SetupInProgress = "setup_in_progress", CONFLICT, "The setup is still running";
    SetupAlreadyComplete = "setup_already_complete", CONFLICT, "The setup is complete";
    NothingToRetry = "nothing_to_retry", CONFLICT, "There is nothing to retry";
    NodeHasFunds = "node_has_funds", CONFLICT, "The node has funds";
    InvalidFields = "invalid_fields", UNPROCESSABLE_ENTITY, "Some fields are not valid";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The key was used for another request";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The request headers are too large";
    InternalError = "internal_error", INTERNAL_SERVER_ERROR, "Something went wrong here";
    InvoiceCreationFailed = "invoice_creation_failed", BAD_GATEWAY, "The invoice could not be made";
    SetupFailed = "setup_failed", BAD_GATEWAY, "The setup failed";
    PaymentProviderUnavailable = "payment_provider_unavailable", SERVICE_UNAVAILABLE, "Payments are unavailable";
    SetupProviderUnavailable = "setup_provider_unavailable", SERVICE_UNAVAILABLE, "The setup is unavailable";
    DatabaseUnavailable = "database_unavailable", SERVICE_UNAVAILABLE, "Storage is unavailable";
    TimedOut = "timed_out", SERVICE_UNAVAILABLE, "The answer took too long";
}

impl Code {
    /// The code for a status that the framework chose without asking us.
    #[must_use]
    pub fn for_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            413 => Self::PayloadTooLarge,
            414 => Self::UriTooLong,
            415 => Self::UnsupportedMediaType,
            429 => Self::RateLimited,
            431 => Self::HeadersTooLarge,
            503 => Self::TimedOut,
            400..=499 => Self::MalformedRequest,
            _ => Self::InternalError,
        }
    }

    /// The detail of a fault of ours or of a provider's: it says what to do, and nothing of what happened.
    #[must_use]
    pub fn opaque_detail(self) -> &'static str {
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            "Try again later."
        } else {
            "It was not your request; if it happens again, report the request id."
        }
    }
}
