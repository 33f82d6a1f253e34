//! What each route may refuse, for the documentation: codes, from which statuses, words and headers follow.

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
/// A route with a parameter in its path: an empty one leads nowhere.
const PATH: &[Code] = &[Code::NotFound];

macro_rules! refusals {
    ($($name:ident: [$($shared:ident),+] $($code:ident),*;)+) => {$(
        pub(in crate::http) enum $name {}

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
    GetOperation: [ANY, PATH] OperationNotFound;
    OpenTicket: [ANY, BODY, LOGIN] InvalidIdempotencyKey, OperationNotFound, IdempotencyKeyInUse,
        InvalidFields, IdempotencyKeyReused, InvoiceCreationFailed, PaymentProviderUnavailable;
    ListTickets: [ANY, LOGIN] MalformedRequest;
    GetTicket: [ANY, LOGIN, PATH] TicketNotFound;
    FollowTicket: [ANY, LOGIN, PATH] MalformedRequest, TicketNotFound;
    ConfirmPayment: [ANY, LOGIN, PATH] TicketNotFound, PaymentProviderUnavailable;
    FreshInvoice: [ANY, LOGIN, PATH] InvalidIdempotencyKey, TicketNotFound, InvalidTicketState,
        IdempotencyKeyInUse, InvoiceCreationFailed, PaymentProviderUnavailable;
    CancelTicket: [ANY, LOGIN, PATH] TicketNotFound, InvalidTicketState, PaymentProviderUnavailable;
    ProvePayment: [ANY, BODY, LOGIN, PATH] TicketNotFound, InvalidFields;
    BeginSetup: [ANY, BODY, LOGIN] NotFound, AddressTaken, SetupInProgress, SetupAlreadyComplete, InvalidFields,
        SetupFailed, SetupProviderUnavailable;
    GetSetup: [ANY, LOGIN] NotFound;
    RetrySetup: [ANY, LOGIN] NotFound, SetupNotFound, AddressTaken, SetupInProgress, SetupAlreadyComplete,
        NothingToRetry, SetupFailed, SetupProviderUnavailable;
    RemoveSetup: [ANY, LOGIN] NotFound, SetupNotFound, SetupInProgress, NodeHasFunds;
    ListSetupLog: [ANY, LOGIN] MalformedRequest, NotFound;
    PushBtcPay: [ANY, BODY] Unauthorized, NotFound, SetupProviderUnavailable;
    Lnurl: [ANY, PATH];
    PushSpark: [ANY, BODY] Unauthorized, NotFound;
    PayInvoice: [ANY, PATH] MalformedRequest, InvalidTicketState;
}
