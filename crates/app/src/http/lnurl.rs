//! Lightning addresses as wallets ask for them: LNURL-pay at the root (LUD-06, 12, 16, 21).
//!
//! Wallets read one shape of error, under HTTP 200: `{"status": "ERROR", "reason": …}`. Those in browsers need
//! `Access-Control-Allow-Origin: *` on every answer.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use guiche_lightning_setup::lnurl::{Lnurl, LnurlError, Payee};
use serde::Serialize;
use serde_json::json;

use super::api::dto::{CallbackQuery, PayAnswerDto, PayParamsDto, PayVerifiedDto};
use super::boundary::Surface;
use super::context::RequestContext;
use super::problem::ApiError;
use super::routes::RouteTable;
use crate::http::api::refusals;

const PARAMS: &str = "/.well-known/lnurlp/{name}";
const CALLBACK: &str = "/lnurlp/{name}/callback";
const CALLBACK_OF_VERIFY: &str = "/lnurlp/verify/callback";
const VERIFY: &str = "/lnurlp/verify/{payment_hash}";

/// What wallets are served by.
pub struct Counter {
    /// The use cases.
    pub lnurl: Arc<Lnurl>,
}

/// The routes, where the setup is on.
#[must_use]
pub fn routes(counter: Counter) -> RouteTable {
    let preflights = [PARAMS, CALLBACK, VERIFY, CALLBACK_OF_VERIFY].into_iter();
    let table = table().get(CALLBACK_OF_VERIFY, callback_of_verify).undocumented().state(Arc::new(counter));
    preflights.fold(table, |table, path| table.add(Method::OPTIONS, path, preflight).undocumented())
}

/// The routes alone, as the documentation needs them.
pub(in crate::http) fn table() -> RouteTable {
    RouteTable::new().get(PARAMS, params).get(CALLBACK, callback).get(VERIFY, verify)
}

/// What may be paid to a Lightning address, and how (LUD-06, LUD-16).
#[utoipa::path(get, path = "/.well-known/lnurlp/{name}", tag = "lnurl",
    operation_id = "lnurl_params", params(("name" = String, Path)), responses(
        (status = 200, body = PayParamsDto, description = "what may be paid, or why nothing can be",
            headers(("Access-Control-Allow-Origin" = String, description = "`*`"))),
        refusals::Lnurl,
))]
pub(in crate::http) async fn params(
    request: HttpRequest,
    counter: Data<Counter>,
    surface: Data<Surface>,
    context: RequestContext,
) -> Result<HttpResponse, ApiError> {
    admit(&surface, &context)?;
    let told = match counter.payee(&request, "name") {
        Some(payee) => counter.lnurl.params(&payee).await,
        None => Err(LnurlError::UnknownAddress),
    };
    Ok(answer("params", told))
}

/// An invoice for a payer (LUD-06, LUD-12).
#[utoipa::path(get, path = "/lnurlp/{name}/callback", tag = "lnurl",
    operation_id = "lnurl_callback", params(("name" = String, Path), CallbackQuery), responses(
        (status = 200, body = PayAnswerDto, description = "the invoice, or why there is none",
            headers(("Access-Control-Allow-Origin" = String, description = "`*`"))),
        refusals::Lnurl,
))]
pub(in crate::http) async fn callback(
    request: HttpRequest,
    counter: Data<Counter>,
    surface: Data<Surface>,
    context: RequestContext,
) -> Result<HttpResponse, ApiError> {
    admit(&surface, &context)?;
    Ok(counter.invoice(counter.payee(&request, "name"), request.query_string()).await)
}

/// Whether an invoice was paid (LUD-21).
#[utoipa::path(get, path = "/lnurlp/verify/{payment_hash}", tag = "lnurl",
    operation_id = "lnurl_verify", params(("payment_hash" = String, Path)), responses(
        (status = 200, body = PayVerifiedDto, description = "whether it was paid, or why that is not told",
            headers(("Access-Control-Allow-Origin" = String, description = "`*`"))),
        refusals::Lnurl,
))]
pub(in crate::http) async fn verify(
    request: HttpRequest,
    counter: Data<Counter>,
    surface: Data<Surface>,
    context: RequestContext,
) -> Result<HttpResponse, ApiError> {
    admit(&surface, &context)?;
    Ok(answer("verify", counter.lnurl.verify(request.match_info().query("payment_hash")).await))
}

/// Somebody may be called `verify`: the callback of their address, which would be taken for a question about a payment.
pub(in crate::http) async fn callback_of_verify(
    request: HttpRequest,
    counter: Data<Counter>,
    surface: Data<Surface>,
    context: RequestContext,
) -> Result<HttpResponse, ApiError> {
    admit(&surface, &context)?;
    Ok(counter.invoice(counter.named(&request, "verify"), request.query_string()).await)
}

/// A browser asks whether it may ask.
pub(in crate::http) async fn preflight() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "*"))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
        .insert_header((header::ALLOW, "GET, HEAD, OPTIONS"))
        .finish()
}

impl Counter {
    fn payee(&self, request: &HttpRequest, parameter: &str) -> Option<Payee> {
        // The router leaves an escaped plus as it is.
        let name = request.match_info().query(parameter).replace("%2B", "+").replace("%2b", "+");
        self.named(request, &name)
    }

    /// The host that was asked says at which of our domains somebody is looked for.
    fn named(&self, request: &HttpRequest, name: &str) -> Option<Payee> {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        // HTTP/2 and absolute URIs say it in the request line.
        let host = host.or_else(|| request.uri().authority().map(|it| it.as_str())).unwrap_or_default();
        self.lnurl.payee(name, host_name(host))
    }

    async fn invoice(&self, payee: Option<Payee>, query: &str) -> HttpResponse {
        // Leniently: wallets add parameters of their own. NUL is nothing that could be kept, or read.
        let value = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.replace('\0', ""))
        };
        let told = match payee {
            Some(payee) => {
                self.lnurl.invoice(&payee, value("amount").as_deref(), value("comment").as_deref()).await
            }
            None => Err(LnurlError::UnknownAddress),
        };
        answer("callback", told)
    }
}

/// `host` of `host:port`; an address in brackets is no domain of ours.
fn host_name(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Each question may cost a call to a provider. Wallets that look for it find the reason in their own word, too.
fn admit(surface: &Surface, context: &RequestContext) -> Result<(), ApiError> {
    surface.limits.count_lnurl(context.client).map_err(|refusal| {
        let reason = "Muitas perguntas; tente mais tarde. / Too many requests; try again later.";
        refusal.with("reason", reason).header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
    })
}

fn answer<T: Serialize>(route: &'static str, told: Result<T, LnurlError>) -> HttpResponse {
    let (outcome, body) = match told {
        Ok(told) => ("ok", json!(told)),
        Err(refusal) => (outcome_of(&refusal), json!({ "status": "ERROR", "reason": refusal.to_string() })),
    };
    metrics::counter!("lnurl_requests_total", "route" => route, "outcome" => outcome).increment(1);
    HttpResponse::Ok()
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((HeaderName::from_static("access-control-expose-headers"), "*"))
        .json(body)
}

/// The answer is a 200 whatever happened, so what is not the wallet's doing is told to the log here.
fn outcome_of(refusal: &LnurlError) -> &'static str {
    let (outcome, cause): (_, &dyn std::error::Error) = match refusal {
        LnurlError::UnknownAddress
        | LnurlError::InvalidAmount
        | LnurlError::AmountOutOfBounds { .. }
        | LnurlError::CommentTooLong
        | LnurlError::UnknownInvoice => return "refused",
        LnurlError::CannotReceive => return "cannot_receive",
        LnurlError::Provider(cause) => ("provider", cause),
        LnurlError::Refused(cause) => ("bad_invoice", cause),
        LnurlError::Store(cause) => ("storage", cause),
    };
    tracing::error!(error = %cause, outcome, "a wallet got no answer");
    outcome
}

#[cfg(test)]
mod tests {
    use super::host_name;

    #[test]
    fn a_port_is_no_part_of_the_name() {
        for (host, name) in [
            ("guiche.test", "guiche.test"),
            ("guiche.test:8080", "guiche.test"),
            ("[::1]:80", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(host_name(host), name);
        }
    }
}
