//! A world with something to lose, and the routes that read bodies.

use serde_json::Value;

use crate::client::Call;
use crate::contract;
use crate::lightning::Address;
use crate::pushes;
use crate::support::{TestApp, User, text};

/// A world with something to lose.
pub(super) struct Scene {
    pub(super) app: TestApp,
    pub(super) user: User,
    pub(super) ticket: Value,
    pub(super) address: Address,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let app = TestApp::start().await;
        let user = app.user().await;
        let ticket = app.open(&user).await;
        // Somebody else's, so that the user's own can still be begun.
        let payee = app.user().await;
        let address = app.set_up(&payee, "payee").await;
        Self { app, user, ticket, address }
    }

    /// The path of a route, with the parameters of things that exist.
    pub(super) fn path(&self, pattern: &str) -> String {
        let id =
            if pattern.contains("/operations/") { "1".to_owned() } else { text(&self.ticket, "ticket_id") };
        pattern
            .replace("{id}", &id)
            .replace("{name}", if pattern.contains("lnurlp") { "payee" } else { "driver_license_renewal" })
            .replace("{address_id}", &self.address.id)
            .replace("{payment_hash}", &text(&self.ticket, "payment_hash"))
            .replace("{file:.*}", "index.html")
    }

    pub(super) fn call(&self, method: &str, pattern: &str) -> Call {
        self.app.call(method, &self.path(pattern)).token(&self.user.token)
    }

    /// A call with a body, from somebody who may make it: who signs what they send have signed this.
    pub(super) fn call_with(&self, route: &Route, body: impl Into<Vec<u8>>) -> Call {
        let body = body.into();
        match route.signed {
            Some(Signed::ByGateway) => {
                pushes::signed(&self.app, &pushes::headers_for(&self.app, "hostile", &body), body)
            }
            Some(Signed::ByStore) => self.address.message(&self.app, body),
            None => self.call_in_the_open(route, body),
        }
    }

    fn call_in_the_open(&self, route: &Route, body: Vec<u8>) -> Call {
        self.call(&route.method, &route.path).bytes("application/json", body)
    }
}

/// A route that reads a body, and the fields of that body.
pub(super) struct Route {
    pub(super) method: String,
    pub(super) path: String,
    /// The body is signed, in place of a token in the head.
    pub(super) signed: Option<Signed>,
    pub(super) fields: Vec<String>,
    /// Those that must be there.
    pub(super) required: Vec<String>,
}

/// Whose signature a body needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signed {
    ByGateway,
    /// Stores send more than what is described, and are told less of what is wrong.
    ByStore,
}

impl Route {
    /// All of them.
    pub(super) fn all() -> Vec<Self> {
        let of_operation = |(method, path, operation): (String, String, Value)| {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let pointer = schema["$ref"].as_str()?.trim_start_matches('#').to_owned();
            let schema = contract::DOCUMENT.pointer(&pointer).unwrap();
            let fields = schema["properties"].as_object().unwrap().keys().cloned().collect();
            let required = schema["required"].as_array().into_iter().flatten();
            let required = required.map(|name| name.as_str().unwrap().to_owned()).collect();
            let is_signed = |way: &str| operation["security"][0].get(way).is_some();
            let by_store = is_signed("btcpay").then_some(Signed::ByStore);
            let signed = is_signed("webhook").then_some(Signed::ByGateway).or(by_store);
            Some(Self { method, path, signed, fields, required })
        };
        let routes: Vec<Self> = contract::operations().into_iter().filter_map(of_operation).collect();
        assert!(routes.len() >= 7, "a body was lost");
        routes
    }

    /// A body that is well-formed, if not welcome, with one field of the given JSON text.
    pub(super) fn body(&self, field: &str, json: &str) -> String {
        let others = self.fields.iter().filter(|name| *name != field).map(|name| format!("{name:?}: null, "));
        format!("{{{}{field:?}: {json}}}", others.collect::<String>())
    }
}
