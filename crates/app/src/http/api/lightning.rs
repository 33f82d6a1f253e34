//! The caller's Lightning address: its setup, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::Data;
use guiche_kernel::{Caller, Limit};
use guiche_lightning_setup::{LightningAddress, Setup, SetupError, SetupFault, SetupStatus};

use super::dto::{LogPage, LogQuery, PreferHeader, SetupBody, SetupDto};
use super::refusals;
use super::{SignedIn, cursor};
use crate::http::codes::Code;
use crate::http::errors::SOON;
use crate::http::extract::{Json, Prefer, Query};
use crate::http::problem::{ApiError, FieldProblem};
use crate::lightning::Desk;

const SETUP: &str = "/api/v1/lightning/setup";
const LOG: &str = "/api/v1/lightning/setup/log";
/// How long an answer waits for the end of a setup, if the client does not say.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The desk, where the setup is on.
pub(in crate::http) struct SetupDesk(pub(super) Option<Arc<Desk>>);

impl SetupDesk {
    /// The desk; 404 where the setup is off.
    fn open(&self) -> Result<&Desk, ApiError> {
        self.0.as_deref().ok_or_else(|| ApiError::not_found(Code::NotFound))
    }

    /// Reads what somebody asks for as their address, before anything is changed.
    pub(super) fn parse(&self, wanted: Option<&str>) -> Result<Option<LightningAddress>, ApiError> {
        let Some(wanted) = wanted else { return Ok(None) };
        let Some(desk) = &self.0 else {
            let detail = "this service gives no Lightning addresses";
            return Err(ApiError::invalid_fields(vec![FieldProblem::new(
                "/lightning_address",
                "not_available",
                detail,
            )]));
        };
        Ok(Some(desk.setups().parse(wanted)?))
    }

    /// Begins the setup of somebody who was registered just now.
    pub(super) async fn welcome(
        &self,
        caller: Caller,
        wanted: Option<LightningAddress>,
        prefer: Prefer,
    ) -> Option<Result<Setup, SetupError>> {
        let (desk, wanted) = (self.0.as_ref()?, wanted?);
        Some(desk.begin(caller, Some(wanted), prefer.wait_or(PATIENCE)).await)
    }

    /// Where somebody receives, if their address is served.
    pub(super) async fn address(&self, caller: Caller) -> Result<Option<LightningAddress>, ApiError> {
        let Some(desk) = &self.0 else { return Ok(None) };
        let setup = desk.setups().find(caller).await?;
        Ok(setup.filter(|setup| setup.status == SetupStatus::FullyConfigured).map(|setup| setup.address))
    }
}

/// Sets up a Lightning address with a node and a store of its own. Waits for the end as long as `Prefer: wait=` says.
#[utoipa::path(post, path = "/api/v1/lightning/setup", tag = "lightning",
    operation_id = "begin_setup", security(("bearer" = [])), params(PreferHeader), request_body = SetupBody,
    responses(
        (status = 201, body = SetupDto, description = "done: the address receives", headers(("Location" = String, description = "where the setup is"))),
        (status = 202, body = SetupDto, description = "under way", headers(("Location" = String, description = "where the setup is"))),
        refusals::BeginSetup,
))]
pub(in crate::http) async fn begin(
    desk: Data<SetupDesk>,
    SignedIn(caller): SignedIn,
    prefer: Prefer,
    body: Json<SetupBody>,
) -> Result<HttpResponse, ApiError> {
    let open = desk.open()?;
    let wanted = desk.parse(body.into_inner().lightning_address.as_deref())?;
    answer(open, &open.begin(caller, wanted, prefer.wait_or(PATIENCE)).await?, prefer).await
}

/// How the caller's setup stands.
#[utoipa::path(get, path = "/api/v1/lightning/setup", tag = "lightning",
    operation_id = "get_setup", security(("bearer" = [])), responses(
        (status = 200, body = SetupDto, description = "how it stands; `not_configured` when there is none"),
        refusals::GetSetup,
))]
pub(in crate::http) async fn get(
    desk: Data<SetupDesk>,
    SignedIn(caller): SignedIn,
) -> Result<HttpResponse, ApiError> {
    let desk = desk.open()?;
    Ok(HttpResponse::Ok().json(match desk.setups().find(caller).await? {
        Some(setup) => SetupDto::new(&setup, desk.holdings(&setup).await),
        None => SetupDto::none(),
    }))
}

/// Tries a failed setup again, with the same address.
#[utoipa::path(post, path = "/api/v1/lightning/setup/retry", tag = "lightning",
    operation_id = "retry_setup", security(("bearer" = [])), params(PreferHeader), responses(
        (status = 201, body = SetupDto, description = "done: the address receives", headers(("Location" = String, description = "where the setup is"))),
        (status = 202, body = SetupDto, description = "under way", headers(("Location" = String, description = "where the setup is"))),
        refusals::RetrySetup,
))]
pub(in crate::http) async fn retry(
    desk: Data<SetupDesk>,
    SignedIn(caller): SignedIn,
    prefer: Prefer,
) -> Result<HttpResponse, ApiError> {
    let desk = desk.open()?;
    answer(desk, &desk.retry(caller, prefer.wait_or(PATIENCE)).await?, prefer).await
}

/// Tears down what the caller's setup built. A node that holds anything is left alone.
#[utoipa::path(delete, path = "/api/v1/lightning/setup", tag = "lightning",
    operation_id = "remove_setup", security(("bearer" = [])), responses(
        (status = 202, body = SetupDto, description = "being torn down"),
        refusals::RemoveSetup,
))]
pub(in crate::http) async fn remove(
    desk: Data<SetupDesk>,
    SignedIn(caller): SignedIn,
) -> Result<HttpResponse, ApiError> {
    let setup = desk.open()?.remove(caller).await?;
    Ok(HttpResponse::Accepted().json(SetupDto::new(&setup, None)))
}

/// The caller's audit trail, newest first.
#[utoipa::path(get, path = "/api/v1/lightning/setup/log", tag = "lightning",
    operation_id = "list_setup_log", security(("bearer" = [])), params(LogQuery), responses(
        (status = 200, body = LogPage, description = "a page", headers(("Link" = String, description = "`rel=\"next\"` when there is a next page"))),
        refusals::ListSetupLog,
))]
pub(in crate::http) async fn log(
    desk: Data<SetupDesk>,
    SignedIn(caller): SignedIn,
    query: Query<LogQuery>,
) -> Result<HttpResponse, ApiError> {
    let desk = desk.open()?;
    let (before, limit) = parse_query(&query.into_inner())?;
    let rows = desk.setups().log(caller, before, limit).await?;
    // A full page may be the last one; the next one is empty then.
    let last = rows.last().filter(|_| rows.len() == usize::from(limit.get()));
    let next_cursor = last.map(|row| cursor::encode_number(row.number));
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = &next_cursor {
        response.insert_header((
            header::LINK,
            format!("<{LOG}?limit={}&cursor={cursor}>; rel=\"next\"", limit.get()),
        ));
    }
    Ok(response.json(LogPage::new(rows, next_cursor)))
}

/// What somebody is told who waited for a setup.
async fn answer(desk: &Desk, setup: &Setup, prefer: Prefer) -> Result<HttpResponse, ApiError> {
    let mut response = match setup.status {
        SetupStatus::FullyConfigured => HttpResponse::Created(),
        SetupStatus::InProgress | SetupStatus::RollingBack | SetupStatus::Removed => HttpResponse::Accepted(),
        SetupStatus::Failed | SetupStatus::NeedsAttention => return Err(failed(setup)),
    };
    response.insert_header((header::LOCATION, SETUP));
    if let Some(applied) = prefer.applied() {
        response.insert_header((HeaderName::from_static("preference-applied"), applied));
    }
    Ok(response.json(SetupDto::new(setup, desk.holdings(setup).await)))
}

/// A setup that failed, as an error.
fn failed(setup: &Setup) -> ApiError {
    let fault = setup.fault.clone();
    let code = code_of(fault.as_ref());
    let error = ApiError::new(code, "the setup failed").with("can_retry", setup.status.can_begin());
    let error = if code == Code::SetupProviderUnavailable { error.retry_after(SOON) } else { error };
    error.caused_by(fault.map_or_else(|| "no fault was written down".to_owned(), |fault| fault.to_string()))
}

/// The code of a setup that failed because of this.
pub(super) fn code_of(fault: Option<&SetupFault>) -> Code {
    if fault.is_some_and(SetupFault::is_outage) { Code::SetupProviderUnavailable } else { Code::SetupFailed }
}

fn parse_query(query: &LogQuery) -> Result<(Option<i64>, Limit), ApiError> {
    let refuse = |name: &str, detail: &str| {
        ApiError::malformed_at(FieldProblem::new(format!("/{name}"), "invalid_parameter", detail))
    };
    let limit = query.limit.map(Limit::try_new).transpose();
    let before = query.cursor.as_deref().map(|word| {
        cursor::decode_number(word).ok_or_else(|| refuse("cursor", "Not a cursor of this list."))
    });
    let limit = limit.map_err(|refusal| refuse("limit", &refusal.to_string()))?.unwrap_or_default();
    Ok((before.transpose()?, limit))
}
