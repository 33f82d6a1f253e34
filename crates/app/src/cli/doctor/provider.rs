//! The payment provider, as far as it can be asked without making an invoice.

use reqwest::StatusCode;
use url::Url;

use super::machine::PATIENCE;
use super::report::Finding;
use crate::config::{Config, Spark};
use crate::web;

const CHECK: &str = "payment-provider";

pub(super) async fn provider(config: &Config) -> Finding {
    match &config.spark {
        Spark::Stub => Finding::ok(CHECK, "the stub: invoices are real, money is not".to_owned()),
        Spark::Live { url, .. } => judge(url, health(url).await),
    }
}

/// What the gateway's `/health` is answered with; it needs no key. `None` when there is no answer.
async fn health(url: &Url) -> Option<StatusCode> {
    let mut health = url.clone();
    health.path_segments_mut().ok()?.pop_if_empty().push("health");
    let client = web::client_for(url).timeout(PATIENCE).build().ok()?;
    Some(client.get(health).send().await.ok()?.status())
}

fn judge(url: &Url, answer: Option<StatusCode>) -> Finding {
    match answer {
        Some(status) if status.is_success() => Finding::ok(CHECK, format!("{url} answers, and is well")),
        Some(StatusCode::SERVICE_UNAVAILABLE) => Finding::warning(
            CHECK,
            format!("{url} answers, but its wallet is not open: no ticket can be opened now"),
            "see what its /health and its log say",
        ),
        Some(status) => Finding::warning(
            CHECK,
            format!("{url} answers with {}: perhaps it is no gateway", status.as_u16()),
            "set SPARK_API_URL to the gateway's address, without /v1",
        ),
        None => Finding::failure(
            CHECK,
            format!("{url} does not answer"),
            "set SPARK_API_URL to the gateway, and see that it runs and can be reached from here",
        ),
    }
}
