//! The OpenAPI document, from the handlers' own descriptions. `guiche openapi` prints it, and `docs/openapi.json` is
//! that, committed.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use super::api::{accounts, dev, operations, tickets};
use super::probes;

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
        tickets::open, tickets::list, tickets::get, tickets::confirm_payment, tickets::fresh_invoice, tickets::cancel,
        tickets::payment_proof,
        dev::pay,
        probes::livez, probes::readyz,
    ),
    components(schemas(Problem, ProblemField)),
    modifiers(&BearerToken),
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
    errors: Option<Vec<ProblemField>>,
    /// Names of the required fields that were not given.
    missing: Option<Vec<String>>,
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

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
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
        let all = super::super::routes().merge(super::super::api::table()).merge(dev::table());
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
    fn it_is_openapi_3_1_and_stable() {
        let text = json();
        assert!(text.contains("\"openapi\": \"3.1"), "{text}");
        assert_eq!(text, json());
    }
}
