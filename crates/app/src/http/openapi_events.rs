//! The events that others are told of, as the document's `webhooks`: one for each kind in the catalogue.

use guiche_webhooks::{EventType, ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use time::OffsetDateTime;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{
    AllOfBuilder, ContentBuilder, HttpMethod, ObjectBuilder, PathItem, PathsBuilder, Ref, Required,
    ResponseBuilder, Type,
};
use utoipa::{Modify, ToSchema};
use uuid::Uuid;

use super::api::dto::PaymentStatus;

/// What happened to a ticket, as an endpoint is told of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub(super) struct TicketEvent {
    /// Which of the catalogue.
    #[schema(rename = "type", example = "ticket.paid")]
    kind: String,
    /// When it happened; not when it is sent.
    timestamp: OffsetDateTime,
    /// To what.
    data: TicketEventData,
}

/// The ticket that an event tells of. No form data: whoever may see that asks for the ticket.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the domain writes")]
pub(super) struct TicketEventData {
    /// The ticket.
    ticket_id: Uuid,
    /// Whose it is.
    user_id: Uuid,
    /// What was bought.
    operation_id: i32,
    /// Its machine name at the opening.
    #[schema(example = "driver_license_renewal")]
    operation_name: String,
    /// The ticket's price.
    amount_sats: i64,
    /// Where the ticket stands after the event.
    payment_status: PaymentStatus,
    /// The ticket's version after the event: the higher one is the later.
    version: i64,
    /// The invoice concerned, where one is.
    #[schema(required = false)]
    payment_hash: String,
}

/// Adds the catalogue to the document.
pub(super) struct EventsOut;

impl Modify for EventsOut {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let known = EventType::ALL.iter();
        let all = known.fold(PathsBuilder::new(), |all, kind| all.path(kind.as_str(), described(*kind)));
        document.webhooks = Some(all.build());
    }
}

fn described(kind: EventType) -> PathItem {
    let fine = ResponseBuilder::new().description("Taken. Any other 2xx says the same.");
    let gone = ResponseBuilder::new().description("Send nothing more: the endpoint is disabled.");
    let later = ResponseBuilder::new().description(
        "Whatever else is answered, and no answer within 15 s: it is sent again, under the same id.",
    );
    let mut operation = OperationBuilder::new()
        .operation_id(Some(kind.as_str().replace('.', "_")))
        .tag("events")
        .summary(Some(kind.meaning()))
        .request_body(Some(body(kind)))
        .response("200", fine)
        .response("410", gone)
        .response("default", later);
    for header in headers() {
        operation = operation.parameter(header);
    }
    PathItem::new(HttpMethod::Post, operation)
}

fn body(kind: EventType) -> RequestBody {
    let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind.as_str()]));
    let narrowed = ObjectBuilder::new().property("type", word);
    let general = if kind == EventType::Test { None } else { Some(Ref::from_schema_name("TicketEvent")) };
    let schema = general.into_iter().fold(AllOfBuilder::new(), AllOfBuilder::item).item(narrowed);
    let content = ContentBuilder::new().schema(Some(schema)).build();
    RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build()
}

fn headers() -> [Parameter; 3] {
    let header = |name: &str, description: &str| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build()
    };
    [
        header(ID_HEADER, "Names the event; the same at every attempt. Take each id once."),
        header(TIMESTAMP_HEADER, "When this attempt was signed, in seconds since 1970."),
        header(
            SIGNATURE_HEADER,
            "`v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`; several, separated by spaces, while a \
             secret is replaced.",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use guiche_kernel::{Sats, UserId};
    use guiche_tickets::{TicketEventKind, TicketStatus};
    use guiche_webhooks::{Event, EventData, EventId, TicketData};
    use serde_json::{Value, json};

    use super::super::openapi::document;
    use super::*;

    fn event(kind: EventType, payment_hash: Option<[u8; 32]>) -> Event {
        let data = TicketData {
            ticket_id: Uuid::from_u128(1),
            user_id: UserId::new(Uuid::from_u128(2)),
            operation_id: 1,
            operation_name: "driver_license_renewal".to_owned(),
            amount: Sats::try_new(50_000).unwrap(),
            payment_status: TicketStatus::Paid.as_str().to_owned(),
            version: 2,
            payment_hash,
        };
        let data = if kind == EventType::Test { EventData::Test } else { EventData::Ticket(kind, data) };
        Event { id: EventId::new(Uuid::from_u128(3)), happened_at: OffsetDateTime::UNIX_EPOCH, data }
    }

    /// What is sent is what is described, field by field.
    #[test]
    fn every_event_is_as_the_document_says() {
        let document = serde_json::to_value(document()).unwrap();
        let described = document["webhooks"].as_object().unwrap();
        assert_eq!(described.len(), EventType::ALL.len());
        for kind in EventType::ALL {
            let content = &described[kind.as_str()]["post"]["requestBody"]["content"]["application/json"];
            let schema = json!({
                "components": document["components"],
                "allOf": content["schema"]["allOf"],
            });
            let validator = jsonschema::validator_for(&schema).unwrap();
            for payment_hash in [None, Some([7; 32])] {
                let mut body: Value = serde_json::from_slice(&event(*kind, payment_hash).body()).unwrap();
                assert!(validator.is_valid(&body), "{kind}: {:?}", validator.iter_errors(&body).next());
                if *kind != EventType::Test {
                    let fields = &document["components"]["schemas"]["TicketEventData"]["properties"];
                    for field in body["data"].as_object().unwrap().keys() {
                        assert!(fields[field].is_object(), "{field} is not described");
                    }
                }
                body["type"] = json!("ticket.other");
                assert!(!validator.is_valid(&body), "{kind}");
            }
        }
    }

    /// The two domains do not see each other, and yet must speak of the same events.
    #[test]
    fn the_catalogue_is_that_of_the_tickets() {
        use TicketEventKind as Kind;
        let kinds = [
            Kind::Opened,
            Kind::InvoiceIssued,
            Kind::Paid,
            Kind::Expired,
            Kind::Cancelled,
            Kind::RefundDue,
            Kind::Refunded,
            Kind::Processing,
            Kind::Completed,
        ];
        let told: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
        let known = EventType::ALL.iter().filter(|kind| kind.can_be_subscribed());
        assert_eq!(known.map(|kind| kind.as_str()).collect::<Vec<_>>(), told);
    }

    #[test]
    fn the_page_lists_the_catalogue() {
        let page = include_str!("../../../../docs/webhooks.md");
        let rows: Vec<_> = EventType::ALL
            .iter()
            .map(|kind| format!("| `{}` | {} |", kind.as_str(), kind.meaning()))
            .collect();
        for row in rows {
            assert!(page.contains(&row), "missing: {row}");
        }
    }
}
