//! What each route may refuse, for the documentation: lists of codes, from which statuses, words and headers follow.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

use crate::http::codes::Code;
use crate::http::openapi::problems;

/// Any route, besides what the boundary refuses everywhere.
const ANY: &[Code] = &[Code::RateLimited, Code::DatabaseUnavailable, Code::TimedOut];
/// A route that reads a body.
const BODY: &[Code] = &[
    Code::MalformedRequest,
    Code::MissingRequiredFields,
    Code::RequestTimeout,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
];
/// A route that needs a login.
const LOGIN: &[Code] = &[Code::Unauthorized];

macro_rules! refusals {
    ($($name:ident: [$($shared:ident),+] $($code:ident),*;)+) => {$(
        pub(super) enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problems(&[$($shared,)+ &[$(Code::$code),*]].concat())
            }
        }
    )+};
}

refusals! {
    Register: [ANY, BODY] EmailTaken, InvalidFields;
    Login: [ANY, BODY] InvalidCredentials;
    Refresh: [ANY, BODY] InvalidRefreshToken;
    Logout: [ANY, BODY];
    ChangePassword: [ANY, BODY, LOGIN] InvalidCredentials, InvalidFields;
    Me: [ANY, LOGIN];
    ListOperations: [ANY];
    GetOperation: [ANY] OperationNotFound;
    OpenTicket: [ANY, BODY, LOGIN] InvalidIdempotencyKey, OperationNotFound, IdempotencyKeyInUse, InvalidFields,
        IdempotencyKeyReused, InvoiceCreationFailed, PaymentProviderUnavailable;
    ListTickets: [ANY, LOGIN] MalformedRequest;
    GetTicket: [ANY, LOGIN] TicketNotFound;
    ConfirmPayment: [ANY, LOGIN] TicketNotFound, PaymentProviderUnavailable;
    FreshInvoice: [ANY, LOGIN] InvalidIdempotencyKey, TicketNotFound, InvalidTicketState, IdempotencyKeyInUse,
        InvoiceCreationFailed, PaymentProviderUnavailable;
    CancelTicket: [ANY, LOGIN] TicketNotFound, InvalidTicketState, PaymentProviderUnavailable;
    ProvePayment: [ANY, BODY, LOGIN] TicketNotFound, InvalidFields;
    PayInvoice: [ANY] MalformedRequest, NotFound, InvalidTicketState;
}
