//! `/livez` and `/readyz`. The first only proves that the process answers; the second is what a load balancer asks.

use actix_web::web::Data;
use actix_web::{HttpResponse, Responder};
use serde::Serialize;
use utoipa::ToSchema;

use crate::health::{Health, Report};

/// Not limited, and logged only at `debug`.
pub(super) const PATHS: [&str; 2] = ["/livez", "/readyz"];

/// That the process answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Live {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the process runs.
#[utoipa::path(get, path = "/livez", tag = "health", responses(
    (status = 200, body = Live, description = "it runs"),
))]
pub(super) async fn livez() -> impl Responder {
    HttpResponse::Ok().json(Live { status: "ok" })
}

/// Whether requests should be sent here. A provider in trouble only degrades: reads and payment proofs still work.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, body = Report, description = "ready, possibly degraded"),
    (status = 503, body = Report, description = "database, migrations or shutdown"),
))]
pub(super) async fn readyz(health: Data<Health>) -> impl Responder {
    let report = health.report().await;
    if report.is_ready() {
        HttpResponse::Ok().json(report)
    } else {
        HttpResponse::ServiceUnavailable().json(report)
    }
}
