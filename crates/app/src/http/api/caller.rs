//! Who is calling: the access token of the request, checked without storage. That its session has not ended is checked
//! by storage, in the round trip that the call makes anyway.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use guiche_kernel::{Caller, Timestamp};
use guiche_users::{AccessClaims, Accounts};

use crate::http::auth;
use crate::http::boundary::Surface;
use crate::http::context::set_user;
use crate::http::problem::ApiError;

/// A caller with a valid access token; an extractor. Counts against the account's rate limit.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn(pub Caller);

impl FromRequest for SignedIn {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(sign_in(request).map(|claims| Self(claims.caller)))
    }
}

/// As [`SignedIn`], with the first moment at which the token is no longer good, for what goes on after its answer began.
#[derive(Debug, Clone, Copy)]
pub struct SignedInUntil(pub Caller, pub Timestamp);

impl FromRequest for SignedInUntil {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(sign_in(request).map(|claims| Self(claims.caller, claims.expires_at)))
    }
}

fn sign_in(request: &HttpRequest) -> Result<AccessClaims, ApiError> {
    let missing = || ApiError::internal("a route that needs a caller has no accounts");
    let accounts = request.app_data::<Data<Accounts>>().ok_or_else(missing)?;
    let surface = request.app_data::<Data<Surface>>().ok_or_else(missing)?;
    let claims = accounts.authenticate(auth::bearer_token(request)?)?;
    let caller = claims.caller;
    set_user(request, caller.user_id);
    surface.limits.count_account(request, caller.user_id)?;
    Ok(claims)
}
