//! Accounts and sessions.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use guiche_kernel::{Caller, Epoch};
use guiche_users::{Accounts, PresentedPassword, Tokens, UserError};

use super::SignedIn;
use super::dto::{
    LoginBody, LoginForm, Me, PasswordBody, PreferHeader, RefreshBody, RegisterBody, Registered, TokenPair,
};
use super::lightning::SetupDesk;
use super::refusals;
use crate::http::boundary::Surface;
use crate::http::context::{RequestContext, set_user};
use crate::http::extract::{Json, Login, Prefer};
use crate::http::problem::ApiError;
use crate::require;

/// Registers an account, and begins the setup of its Lightning address if one is asked for. Whatever becomes of that, the
/// account is registered; the answer waits for it as long as `Prefer: wait=` says.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "accounts", params(PreferHeader), request_body = RegisterBody, responses(
    (status = 201, body = Registered, description = "registered"),
    refusals::Register,
))]
pub(in crate::http) async fn register(
    accounts: Data<Accounts>,
    surface: Data<Surface>,
    desk: Data<SetupDesk>,
    context: RequestContext,
    prefer: Prefer,
    body: Json<RegisterBody>,
) -> Result<HttpResponse, ApiError> {
    surface.limits.count_registration(context.client)?;
    let RegisterBody { lightning_address, .. } = &*body;
    let (wanted, (email, password)) =
        (lightning_address.clone(), require!(body.into_inner(), email, password)?);
    let wanted = desk.parse(wanted.as_deref())?;
    let account = accounts.register(&email, password).await?;
    let caller = Caller { user_id: account.id, epoch: Epoch::FIRST };
    let setup = desk.welcome(caller, wanted, prefer).await;
    Ok(HttpResponse::Created().json(Registered::new(account, setup)))
}

/// Signs in: the OAuth2 password form, or JSON.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "accounts",
    request_body(content((LoginForm = "application/x-www-form-urlencoded"), (LoginBody = "application/json"))),
    responses(
        (status = 200, body = TokenPair, description = "signed in", headers(("Cache-Control" = String, description = "`no-store`"))),
        refusals::Login,
))]
pub(in crate::http) async fn login(
    accounts: Data<Accounts>,
    surface: Data<Surface>,
    context: RequestContext,
    request: HttpRequest,
    login: Login,
) -> Result<HttpResponse, ApiError> {
    let attempt = surface.limits.try_login(context.client, &login.email)?;
    let outcome = accounts.login(&login.email, &PresentedPassword::new(login.password)).await;
    // Only a wrong password counts; a success does not, nor what could not be judged.
    if !matches!(outcome, Err(UserError::InvalidCredentials)) {
        attempt.take_back();
    }
    Ok(signed_in(&request, outcome?))
}

/// Spends a refresh token for a new pair. One that was spent before ends its whole session.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "accounts", request_body = RefreshBody, responses(
    (status = 200, body = TokenPair, description = "signed in", headers(("Cache-Control" = String, description = "`no-store`"))),
    refusals::Refresh,
))]
pub(in crate::http) async fn refresh(
    accounts: Data<Accounts>,
    request: HttpRequest,
    body: Json<RefreshBody>,
) -> Result<HttpResponse, ApiError> {
    let token = require!(body.into_inner(), refresh_token)?;
    Ok(signed_in(&request, accounts.refresh(&token).await?))
}

/// Ends the session to which a refresh token belongs.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "accounts", request_body = RefreshBody, responses(
    (status = 204, description = "ended; the same for a token that is not known"), refusals::Logout,
))]
pub(in crate::http) async fn logout(
    accounts: Data<Accounts>,
    body: Json<RefreshBody>,
) -> Result<HttpResponse, ApiError> {
    let token = require!(body.into_inner(), refresh_token)?;
    accounts.logout(&token).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Changes the password and ends every session, access tokens included.
#[utoipa::path(put, path = "/api/v1/auth/password", tag = "accounts", security(("bearer" = [])),
    request_body = PasswordBody, responses(
        (status = 204, description = "changed; every session has ended"),
        refusals::ChangePassword,
))]
pub(in crate::http) async fn change_password(
    accounts: Data<Accounts>,
    surface: Data<Surface>,
    context: RequestContext,
    SignedIn(caller): SignedIn,
    body: Json<PasswordBody>,
) -> Result<HttpResponse, ApiError> {
    let (current, new) = require!(body.into_inner(), current_password, new_password)?;
    // A stolen access token must not be a way to guess the password.
    let attempt = surface.limits.try_login(context.client, &caller.user_id.to_string())?;
    let outcome = accounts.change_password(&caller, &PresentedPassword::new(current), new).await;
    if !matches!(outcome, Err(UserError::InvalidCredentials)) {
        attempt.take_back();
    }
    outcome?;
    Ok(HttpResponse::NoContent().finish())
}

/// One's own account.
#[utoipa::path(get, path = "/api/v1/auth/me", tag = "accounts",
    operation_id = "get_me", security(("bearer" = [])), responses(
    (status = 200, body = Me, description = "your account"), refusals::Me,
))]
pub(in crate::http) async fn me(
    accounts: Data<Accounts>,
    desk: Data<SetupDesk>,
    SignedIn(caller): SignedIn,
) -> Result<HttpResponse, ApiError> {
    let account = accounts.me(&caller).await?;
    Ok(HttpResponse::Ok().json(Me::new(account, desk.address(caller).await?)))
}

fn signed_in(request: &HttpRequest, tokens: Tokens) -> HttpResponse {
    set_user(request, tokens.caller.user_id);
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(TokenPair::from(tokens))
}
