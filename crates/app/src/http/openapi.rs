//! The OpenAPI document, from the handlers' own descriptions. `guiche openapi` prints it, and `docs/openapi.json` is
//! that, committed.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use guiche_webhooks::SIGNATURE_HEADER;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    AllOfBuilder, ContentBuilder, HeaderBuilder, ObjectBuilder, PathItem, Ref, RefOr, Response,
    ResponseBuilder, Type, path::Operation,
};
use utoipa::{Modify, OpenApi, ToSchema};

use super::api::dto::PaymentStatus;
use super::api::{accounts, dev, lightning, live, operations, pushes, stores, tickets};
use super::codes::Code;
use super::context::REQUEST_ID;
use super::openapi_events::{EventsOut, TicketEvent, TicketEventData};
use super::{MEDIA_TYPE, lnurl, probes};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Guichê",
        description = "Tickets for public services, paid over the Lightning Network.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        accounts::register, accounts::login, accounts::refresh, accounts::logout, accounts::change_password, accounts::me,
        operations::list, operations::get, operations::get_by_name,
        tickets::open, tickets::list, tickets::get, live::follow, tickets::confirm_payment, tickets::fresh_invoice, tickets::cancel,
        tickets::payment_proof,
        lightning::begin, lightning::get, lightning::remove, lightning::retry, lightning::log,
        lnurl::params, lnurl::callback, lnurl::verify,
        pushes::spark, stores::btcpay,
        dev::pay,
        probes::livez, probes::readyz,
    ),
    components(schemas(Problem, ProblemField, TicketEvent, TicketEventData)),
    modifiers(&Credentials, &Boundary, &EventsOut),
)]
struct ApiDoc;

/// Every error: RFC 9457. Some codes add members of their own.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the errors are written as")]
pub struct Problem {
    /// `urn:guiche:problem:` and the code.
    #[schema(rename = "type", example = "urn:guiche:problem:malformed_request")]
    kind: String,
    /// The same for every occurrence of the code.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A sentence for people; opaque from 500 on.
    detail: String,
    /// What a program branches on.
    code: String,
    /// Also in the header `x-request-id`.
    request_id: String,
    /// Each field in trouble.
    #[schema(required = false)]
    errors: Vec<ProblemField>,
    /// With `missing_required_fields`: the names of those that were not given.
    #[schema(required = false)]
    missing: Vec<String>,
    /// With `setup_failed` and `setup_provider_unavailable` of a setup: whether another attempt may begin.
    #[schema(required = false)]
    can_retry: bool,
    /// With `invalid_ticket_state` of a ticket: where it stands.
    #[schema(required = false)]
    payment_status: PaymentStatus,
}

/// One field in trouble.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the errors are written as")]
pub struct ProblemField {
    /// A JSON Pointer into the body, or the parameter's name after a slash.
    #[schema(example = "/form_data/cpf")]
    pointer: String,
    /// What is wrong, in a word.
    code: String,
    /// What is wrong, in a sentence.
    detail: String,
}

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let signature = ApiKeyValue::with_description(
            SIGNATURE_HEADER,
            "A signature after Standard Webhooks, with a secret that both sides know.",
        );
        components.add_security_scheme("webhook", SecurityScheme::ApiKey(ApiKey::Header(signature)));
        let signature = ApiKeyValue::with_description(
            "BTCPay-Sig",
            "An HMAC of the body with the secret that this address's store was given.",
        );
        components.add_security_scheme("btcpay", SecurityScheme::ApiKey(ApiKey::Header(signature)));
    }
}

/// What the boundary does to every route: it may refuse the head of a request, it answers when a handler breaks, and
/// it adds headers.
struct Boundary;

const OF_THE_BOUNDARY: [Code; 3] = [Code::UriTooLong, Code::HeadersTooLarge, Code::InternalError];

const HEADERS: [(&str, Type, &str); 5] = [
    (REQUEST_ID, Type::String, "Names the request."),
    (
        RATE_LIMIT,
        Type::String,
        "How each limit stands: `\"name\";r=remaining;t=seconds until it is whole again`.",
    ),
    (RATE_LIMIT_POLICY, Type::String, "Each limit: `\"name\";q=requests;w=seconds`."),
    (RETRY_AFTER, Type::Integer, "Seconds."),
    (
        CHALLENGE,
        Type::String,
        "`Bearer`, with an `error` only if an access token was sent; `Webhook-Signature` or `BTCPay-Sig` where a signature is wanted.",
    ),
];
const RATE_LIMIT: &str = "RateLimit";
const RATE_LIMIT_POLICY: &str = "RateLimit-Policy";
const RETRY_AFTER: &str = "Retry-After";
const CHALLENGE: &str = "WWW-Authenticate";

impl Modify for Boundary {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let headers = &mut document.components.get_or_insert_default().headers;
        for (name, kind, description) in HEADERS {
            let schema = ObjectBuilder::new().schema_type(kind);
            let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
            headers.insert(name.to_owned(), header.into());
        }
        document.paths.paths.values_mut().flat_map(operations_of).for_each(complete);
    }
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn complete(operation: &mut Operation) {
    let answers = &mut operation.responses.responses;
    let limited = answers.contains_key("429");
    for answer in answers.values_mut() {
        let RefOr::T(answer) = answer else { continue };
        if limited {
            refer(answer, RATE_LIMIT);
            refer(answer, RATE_LIMIT_POLICY);
        }
    }
    answers.extend(problems(&OF_THE_BOUNDARY));
    for answer in answers.values_mut() {
        let RefOr::T(answer) = answer else { continue };
        refer(answer, REQUEST_ID);
    }
}

fn refer(answer: &mut Response, header: &str) {
    let place = Ref::new(format!("#/components/headers/{header}"));
    answer.headers.insert(header.to_owned(), RefOr::Ref(place));
}

/// The answers that carry these codes, by status.
pub(super) fn problems(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_str().to_owned()).or_default().push(*code);
    }
    by_status.into_iter().map(|(status, codes)| (status, problem(&codes).into())).collect()
}

/// A problem whose code is one of these.
fn problem(codes: &[Code]) -> Response {
    let describe = |code: &Code| format!("`{}`: {}.", code.as_str(), code.title());
    let description: Vec<_> = codes.iter().map(describe).collect();
    let words = codes.iter().map(|code| code.as_str());
    let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    let narrowed = ObjectBuilder::new().property("code", word);
    let schema = AllOfBuilder::new().item(Ref::from_schema_name("Problem")).item(narrowed);
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new().description(description.join(" "));
    let mut response = response.content(MEDIA_TYPE, content).build();
    codes.iter().filter_map(|code| header_of(*code)).for_each(|header| refer(&mut response, header));
    response
}

fn header_of(code: Code) -> Option<&'static str> {
    match code.status() {
        StatusCode::UNAUTHORIZED => Some(CHALLENGE),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER),
        _ => (code == Code::IdempotencyKeyInUse).then_some(RETRY_AFTER),
    }
}

/// The document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}

/// The document as it is committed: indented, and ending with a newline.
#[must_use]
pub fn json() -> String {
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use guiche_tickets::{InvoiceStatus, TicketStatus};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_and_the_document_agree() {
        let value = serde_json::to_value(document()).unwrap();
        let paths = value["paths"].as_object().unwrap();
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        let all = super::super::routes()
            .merge(super::super::api::table())
            .merge(pushes::table())
            .merge(stores::table())
            .merge(lnurl::table())
            .merge(dev::table());
        assert_eq!(described, all.documented());
    }

    #[test]
    fn every_answer_is_described() {
        let value = serde_json::to_value(document()).unwrap();
        for (path, item) in value["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path}");
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    assert!(
                        answer["description"].is_string(),
                        "{method} {path} {status}: the standard requires one"
                    );
                }
            }
        }
    }

    #[test]
    fn operation_ids_are_unique() {
        let value = serde_json::to_value(document()).unwrap();
        let mut seen = BTreeSet::new();
        for (path, item) in value["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(seen.insert(id.to_owned()), "{method} {path}: {id}");
            }
        }
    }

    #[test]
    fn statuses_are_the_domains_words() {
        let value = serde_json::to_value(document()).unwrap();
        let schemas = &value["components"]["schemas"];
        let tickets: Vec<_> = TicketStatus::ALL.iter().map(|status| status.as_str()).collect();
        let invoices: Vec<_> = InvoiceStatus::ALL.iter().map(|status| status.as_str()).collect();
        assert_eq!(schemas["PaymentStatus"]["enum"], json!(tickets));
        assert_eq!(schemas["InvoiceStatus"]["enum"], json!(invoices));

        let of = |schema: &str, property: &str| schemas[schema]["properties"][property]["$ref"].clone();
        for schema in ["OpenedDto", "TicketDto", "Problem"] {
            assert_eq!(of(schema, "payment_status"), "#/components/schemas/PaymentStatus", "{schema}");
        }
        assert_eq!(of("InvoiceDto", "status"), "#/components/schemas/InvoiceStatus");
        let parameters = value["paths"]["/api/v1/tickets"]["get"]["parameters"].as_array().unwrap();
        let status = parameters.iter().find(|parameter| parameter["name"] == "status").unwrap();
        assert_eq!(status["schema"]["$ref"], "#/components/schemas/PaymentStatus");
    }

    /// `null` counts as missing in a body, and a parameter cannot be it.
    #[test]
    fn requests_have_no_nulls() {
        let value = serde_json::to_value(document()).unwrap();
        for item in value["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    assert!(!parameter["schema"]["type"].is_array(), "{parameter}");
                }
                for content in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                    let name = content.1["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
                    let schema = &value["components"]["schemas"][name];
                    for (field, description) in schema["properties"].as_object().unwrap() {
                        assert!(description["type"].is_string(), "{name}.{field}: {description}");
                        let required =
                            schema["required"].as_array().is_some_and(|names| names.contains(&json!(field)));
                        let optional = ["grant_type", "lightning_address", "originalDeliveryId", "invoiceId"]
                            .contains(&&**field);
                        assert_eq!(required, !optional, "{name}.{field}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_page_lists_every_code() {
        let page = include_str!("../../../../docs/api.md");
        let listed: BTreeSet<_> = page
            .lines()
            .filter_map(|line| {
                line.strip_prefix("| ")?.split_once("` |").map(|(row, _)| row.replace("| `", ""))
            })
            .collect();
        let codes: BTreeSet<_> =
            Code::ALL.iter().map(|code| format!("{} {}", code.status().as_u16(), code.as_str())).collect();
        assert_eq!(listed, codes);
    }

    #[test]
    fn it_is_openapi_3_1_and_stable() {
        let text = json();
        assert!(text.contains("\"openapi\": \"3.1"), "{text}");
        assert_eq!(text, json());
    }
}
