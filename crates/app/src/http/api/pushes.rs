//! Pushes of our Spark gateway: it says that an invoice has changed, so that nobody has to wait for the next look.
//!
//! A push is signed after Standard Webhooks and still only a hint. It never says what happened to an invoice; it makes
//! the next look at it due at once, and wakes a watcher of this process. The look asks the gateway, and decides.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::header::{HeaderMap, WWW_AUTHENTICATE};
use actix_web::web::Data;
use guiche_kernel::Clock;
use guiche_tickets::{InvoiceId, Push, PushNoted, Tickets};
use guiche_webhooks::{
    ID_HEADER, SIGNATURE_HEADER, SignedHeaders, SigningSecret, TIMESTAMP_HEADER, TOLERANCE, verify,
};

use super::dto::{PushBody, PushHeaders};
use super::refusals;
use crate::http::codes::Code;
use crate::http::extract::RawJson;
use crate::http::problem::{ApiError, FieldProblem};
use crate::http::routes::RouteTable;
use crate::workers::Wake;

/// What tells that an invoice has changed. Whatever else a gateway may push one day is taken and not looked at.
const INVOICE_UPDATED: &str = "invoice.updated";
/// As many letters as are kept of the id under which a push is sent again.
const LONGEST_ID: usize = 255;
/// What a request that is not believed is told to prove itself by (RFC 9110 wants a 401 to say).
const CHALLENGE: &str = "Webhook-Signature realm=\"guiche\"";

/// Takes pushes in.
pub struct SparkPushes {
    /// The secrets in force; several while one is replaced.
    pub secrets: Vec<SigningSecret>,
    /// Where a push is noted.
    pub tickets: Arc<Tickets>,
    /// Tells how old a signature is.
    pub clock: Arc<dyn Clock>,
    /// Wakes a watcher for the look that is due then.
    pub watchers: Wake,
}

/// The route, where there is a secret; without one nobody can push.
#[must_use]
pub fn routes(pushes: SparkPushes) -> RouteTable {
    if pushes.secrets.is_empty() { RouteTable::new() } else { table().state(Arc::new(pushes)) }
}

/// The route alone, as the documentation needs it.
pub(in crate::http) fn table() -> RouteTable {
    RouteTable::new().post("/webhooks/spark", spark)
}

/// Takes a push of the Spark gateway (where `WEBHOOK_SECRET_SPARK` is set).
#[utoipa::path(post, path = "/webhooks/spark", tag = "webhooks",
    operation_id = "push_spark", security(("webhook" = [])),
    params(PushHeaders), request_body = PushBody, responses(
        (status = 202, description = "noted: the invoice, if it is one of ours, is looked at now"),
        (status = 200, description = "this push was noted before"),
        refusals::PushSpark,
))]
pub(in crate::http) async fn spark(
    request: HttpRequest,
    pushes: Data<SparkPushes>,
    body: RawJson,
) -> Result<HttpResponse, ApiError> {
    let id = pushes.verified(request.headers(), body.bytes())?;
    let Some(invoice_id) = changed_invoice(body.parse()?)? else {
        count("ignored");
        return Ok(HttpResponse::Accepted().finish());
    };
    Ok(match pushes.note(id, invoice_id).await? {
        PushNoted::Known | PushNoted::Unknown => HttpResponse::Accepted().finish(),
        PushNoted::Duplicate => HttpResponse::Ok().finish(),
    })
}

impl SparkPushes {
    /// The id of a push whose signature is good. What is wrong with another is for the log: the sender of a forgery is
    /// not told how close it came.
    fn verified(&self, headers: &HeaderMap, body: &[u8]) -> Result<String, ApiError> {
        let refuse = |reason: String| {
            count("refused");
            ApiError::new(Code::Unauthorized, "The signature is not good, or too old.")
                .header(WWW_AUTHENTICATE, CHALLENGE)
                .caused_by(reason)
        };
        let signed = signed_headers(headers).ok_or_else(|| refuse("a header is missing".to_owned()))?;
        verify(&self.secrets, &signed, body, self.clock.now(), TOLERANCE)
            .map_err(|unverified| refuse(unverified.to_string()))?;
        if signed.id.chars().count() > LONGEST_ID {
            return Err(ApiError::malformed("The webhook-id may have at most 255 characters."));
        }
        Ok(signed.id)
    }

    async fn note(&self, id: String, invoice_id: InvoiceId) -> Result<PushNoted, ApiError> {
        let push = Push { id, invoice_id, received_at: self.clock.now() };
        let noted = self.tickets.note_push(&push).await?;
        count(match noted {
            PushNoted::Known => "known",
            PushNoted::Unknown => "unknown",
            PushNoted::Duplicate => "duplicate",
        });
        if noted == PushNoted::Known {
            self.watchers.wake();
        }
        Ok(noted)
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("pushes_total", "outcome" => outcome).increment(1);
}

/// The three headers, each of which stands once.
fn signed_headers(headers: &HeaderMap) -> Option<SignedHeaders> {
    let one = |name: &str| {
        let mut values = headers.get_all(name);
        let value = values.next()?.to_str().ok()?.to_owned();
        values.next().is_none().then_some(value)
    };
    Some(SignedHeaders {
        id: one(ID_HEADER)?,
        timestamp: one(TIMESTAMP_HEADER)?,
        signature: one(SIGNATURE_HEADER)?,
    })
}

/// The invoice that the push is about; `None` when it is about something else.
fn changed_invoice(body: PushBody) -> Result<Option<InvoiceId>, ApiError> {
    let PushBody { kind, timestamp, data } = body;
    let (Some(kind), Some(_), Some(data)) = (&kind, &timestamp, &data) else {
        let given = [("type", kind.is_some()), ("timestamp", timestamp.is_some()), ("data", data.is_some())];
        return Err(ApiError::missing(given.into_iter().filter(|(_, given)| !given).map(|(name, _)| name)));
    };
    if kind != INVOICE_UPDATED {
        return Ok(None);
    }
    let id = data.get("invoice_id").and_then(|id| id.as_str()).and_then(|id| InvoiceId::parse(id).ok());
    id.map(Some).ok_or_else(|| {
        let detail = "must name an invoice: 1 to 512 visible ASCII characters";
        ApiError::malformed_at(FieldProblem::new("/data/invoice_id", "invalid_format", detail))
    })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use guiche_kernel::testing::{ManualClock, SeededRandomness};
    use guiche_kernel::{Ids, UserId};
    use guiche_tickets::testing::{
        FakeGateway, MemoryCatalogue, MemoryStore, license_form, license_operation,
    };
    use guiche_tickets::{Network, OpenTicket, OperationId, TicketPorts, TicketSettings};

    use super::*;

    #[tokio::test]
    async fn a_push_about_an_invoice_of_ours_wakes_a_watcher_and_no_other_does() {
        let (clock, store) = (Arc::new(ManualClock::default()), MemoryStore::new());
        let ids = Ids::new(clock.clone(), Arc::new(SeededRandomness::new(1)));
        let caller = store.add_account(UserId::new(ids.uuid()));
        let gateway = Arc::new(FakeGateway::on(Network::Regtest));
        let ports = TicketPorts {
            store: Arc::new(store),
            catalogue: Arc::new(MemoryCatalogue::of(vec![license_operation()])),
            provider: gateway.clone(),
            payer: gateway,
            clock: clock.clone(),
            timer: clock.clone(),
            ids,
        };
        let tickets = Arc::new(Tickets::new(ports, TicketSettings::on(Network::Regtest)));
        let order = OpenTicket { caller, operation: OperationId::new(1), form: license_form(), key: None };
        let opened = tickets.open(order).await.unwrap();
        let ours = tickets.invoice(caller.into(), &opened.payment_hash).await.unwrap().unwrap().id;
        let pushes = SparkPushes { secrets: Vec::new(), tickets, clock, watchers: Wake::default() };
        let woken = async |id: &str, invoice: InvoiceId| {
            pushes.note(id.to_owned(), invoice).await.unwrap();
            pushes.watchers.woken().now_or_never().is_some()
        };
        assert!(!woken("one", InvoiceId::parse("somebody:elses").unwrap()).await);
        assert!(woken("two", ours.clone()).await);
        assert!(!woken("two", ours).await, "a duplicate");
    }
}
