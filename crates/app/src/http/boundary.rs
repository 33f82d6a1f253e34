//! The boundary that every request crosses twice. On the way in: an id, the client's address, bounds, the limit per
//! address. On the way out: errors become problem documents with the id, the headers are completed, and the one log
//! line and the metrics are written. In between nothing can escape: not a panic, and not a handler that hangs.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpResponse};
use futures::FutureExt as _;
use guiche_kernel::{Ids, UserId};
use ipnet::IpNet;
use tracing::Instrument as _;

use super::client_addr::client_address;
use super::codes::Code;
use super::context::{REQUEST_ID, RequestContext, SignedIn, Standings, acceptable_id};
use super::limits::{Limits, Standing};
use super::problem::ApiError;
use super::{head, probes};
use crate::telemetry;

/// What the boundary works with; handlers may take it as `Data<Surface>`.
pub struct Surface {
    /// Makes request ids.
    pub ids: Ids,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How often one may ask.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the end of its head to the start of the answer; a stream may go on.
    pub request: Duration,
    /// For its body to arrive.
    pub body: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { request: Duration::from_secs(30), body: Duration::from_secs(10) }
    }
}

/// What the log line says.
struct Summary<'a> {
    request_id: &'a str,
    method: &'a Method,
    route: &'a str,
    user: Option<UserId>,
    started: Instant,
}

/// The outermost middleware.
pub(super) async fn boundary<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let Some(surface) = request.app_data::<Data<Surface>>().cloned() else {
        return Err(ApiError::internal("the boundary has no surface").into());
    };
    let context = context_of(&request, &surface);
    let request_id = Rc::clone(&context.request_id);
    let method = request.method().clone();
    let path = request.path().to_owned();
    // The pattern, never the path: a path may hold what somebody should not have put there.
    let route = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let summary = Summary { request_id: &request_id, method: &method, route: &route, user: None, started };

    let standing = match admit(&request, &context, &surface) {
        Ok(standing) => standing,
        Err(error) => {
            report(&summary, error.code().status(), Some(&error));
            let response = complete(error.to_response(Some(&request_id)), &path, &summary);
            return Ok(request.into_response(response));
        }
    };
    request.extensions_mut().insert(Standings(standing.into_iter().collect()));
    request.extensions_mut().insert(context);

    let span = tracing::info_span!("http.request", request_id = %request_id);
    let call = AssertUnwindSafe(next.call(request)).catch_unwind().instrument(span);
    let outcome =
        match tokio::time::timeout(surface.timeouts.request, call).await {
            Ok(Ok(Ok(response))) => Ok(response.map_into_boxed_body()),
            Ok(Ok(Err(error))) => Err(lost(&error)),
            Ok(Err(panic)) => Err(ApiError::internal(panic_message(&*panic))),
            Err(_) => Err(ApiError::new(Code::TimedOut, "the handler took too long")
                .retry_after(Duration::from_secs(5))),
        };
    match outcome {
        Ok(response) => Ok(leave(response, &path, summary)),
        // The request itself is gone with whatever was cut off, so the error carries all that the answer needs.
        Err(error) => {
            report(&summary, error.code().status(), Some(&error));
            Err(error.for_request(&request_id).into())
        }
    }
}

fn context_of(request: &ServiceRequest, surface: &Surface) -> RequestContext {
    let given =
        request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).and_then(acceptable_id);
    let request_id = given.map_or_else(|| surface.ids.uuid().to_string().into(), Rc::from);
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
    let lines: Vec<&str> = request
        .headers()
        .get_all(header::X_FORWARDED_FOR)
        .map(|value| value.to_str().unwrap_or("?"))
        .collect();
    let client = client_address(peer, lines.into_iter(), &surface.trusted_proxies);
    RequestContext { request_id, client }
}

fn admit(
    request: &ServiceRequest,
    context: &RequestContext,
    surface: &Surface,
) -> Result<Option<Standing>, ApiError> {
    head::check(request.headers(), request.uri().path_and_query().map_or(0, |uri| uri.as_str().len()))?;
    // A probe that is told to slow down would take the replica out.
    if probes::PATHS.contains(&request.path()) {
        Ok(None)
    } else {
        surface.limits.count_address(context.client)
    }
}

fn leave(
    response: ServiceResponse<BoxBody>,
    path: &str,
    mut summary: Summary<'_>,
) -> ServiceResponse<BoxBody> {
    let (request, response) = response.into_parts();
    let extensions = request.extensions();
    summary.user = extensions.get::<SignedIn>().map(|user| user.0);
    let standings = extensions.get::<Standings>().cloned().unwrap_or_default().0;
    drop(extensions);

    let rendered = {
        let ours = response.error().and_then(|error| error.as_error::<ApiError>());
        let foreign = if ours.is_none() { foreign_error(&response) } else { None };
        let error = ours.or(foreign.as_ref());
        report(&summary, error.map_or(response.status(), |error| error.code().status()), error);
        error.map(|error| error.to_response(Some(summary.request_id)))
    };
    let mut response = complete(rendered.unwrap_or(response), path, &summary);
    limit_headers(&mut response, &standings);
    ServiceResponse::new(request, response)
}

/// The framework's own refusal, which is not a problem document.
fn foreign_error(response: &HttpResponse) -> Option<ApiError> {
    let status = response.status();
    let by_a_handler = response.error().is_none() && response.headers().contains_key(header::CONTENT_TYPE);
    if by_a_handler || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let reason = status.canonical_reason().unwrap_or_default();
    let error = ApiError::new(Code::for_status(status), format!("{reason}."));
    Some(match response.error() {
        Some(cause) => error.caused_by(cause.to_string()),
        None => error,
    })
}

/// An error of an inner middleware, whose request is gone.
fn lost(error: &Error) -> ApiError {
    let code = Code::for_status(error.as_response_error().status_code());
    ApiError::new(code, "The request was not handled.").caused_by(error.to_string())
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", message.unwrap_or("without a message"))
}

fn complete(mut response: HttpResponse, path: &str, summary: &Summary<'_>) -> HttpResponse {
    let headers = response.headers_mut();
    head::put(headers, HeaderName::from_static(REQUEST_ID), summary.request_id);
    head::decorate(headers, path);
    if summary.method == Method::HEAD {
        response = response.map_body(|_, body| head::without_content(&body));
    }
    response
}

fn limit_headers(response: &mut HttpResponse, standings: &[Standing]) {
    if standings.is_empty() {
        return;
    }
    let join = |part: fn(&Standing) -> String| standings.iter().map(part).collect::<Vec<_>>().join(", ");
    let headers = response.headers_mut();
    head::put(headers, HeaderName::from_static("ratelimit-policy"), &join(Standing::policy));
    head::put(headers, HeaderName::from_static("ratelimit"), &join(Standing::state));
}

/// The one line about a request: what was refused is a warning, what broke is an error, with all its causes.
fn report(summary: &Summary<'_>, status: StatusCode, error: Option<&ApiError>) {
    let Summary { request_id, method, route, user, started } = summary;
    let elapsed = started.elapsed();
    telemetry::count_request(method, route, status, elapsed);
    let duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
    let status = status.as_u16();
    let user = user.map(tracing::field::display);
    let error = error.map(|error| tracing::field::display(error.chain()));
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(request_id, %method, route, status, duration_ms, user.id = user, error, "request")
        };
    }
    match status {
        // A probe is asked every second, and whoever asks knows what the answer means.
        500.. if probes::PATHS.contains(route) => line!(warn),
        500.. => line!(error),
        400.. => line!(warn),
        _ if probes::PATHS.contains(route) => line!(debug),
        _ => line!(info),
    }
}
