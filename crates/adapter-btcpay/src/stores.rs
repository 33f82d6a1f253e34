//! Stores, the nodes that they receive through, and their webhooks.

use async_trait::async_trait;
use guiche_lightning_setup::{
    HostError, Listed, Macaroon, NodeEndpoint, Provider, ResourceName, StoreHost, WebhookSecret,
};
use guiche_outbound::{Answer, Call, Method, ProviderError, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::failed::in_time;
use crate::webhook::EVENTS;
use crate::{BtcPay, garbled, has_code, is_id, store_failed, unfit};

/// A list names every store of the account, with some two kilobytes of settings each.
const LONGEST_LIST: usize = 32 * 1024 * 1024;
/// Bitcoin on Lightning, as payment methods are called since 2.0.
const LIGHTNING: &str = "BTC-LN";

#[derive(Deserialize)]
struct Made {
    id: String,
}

#[derive(Deserialize)]
struct Store {
    id: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Webhook {
    id: String,
    #[serde(default)]
    url: String,
}

/// The path of something of a store.
macro_rules! of_store {
    ($store:expr $(, $rest:expr)*) => { &["api", "v1", "stores", $store $(, $rest)*] };
}

impl BtcPay {
    /// Every store of the account.
    async fn stores(&self, operation: &'static str) -> Result<Vec<Store>, HostError> {
        let list = async {
            let call = Call::get(operation, &["api", "v1", "stores"]).up_to(LONGEST_LIST);
            let answer = match self.send(&call).await {
                Ok(answer) => answer,
                // Some versions say "you may not" to an account without any store.
                Err(error) => return self.gone(operation, &error).await.map(|()| Vec::new()),
            };
            let stores: Vec<Store> = answer.json().map_err(|error| store_failed(&error))?;
            if stores.iter().all(|store| is_id(&store.id)) { Ok(stores) } else { Err(garbled(&answer)) }
        };
        in_time(Provider::StoreHost, operation, list).await
    }

    /// A call for a store; `None` when the store is gone.
    async fn unless_gone(
        &self,
        operation: &'static str,
        call: Call<'_>,
        is_gone_too: fn(&ProviderError) -> bool,
    ) -> Result<Option<Answer>, HostError> {
        let call = async {
            match self.send(&call).await {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if is_gone_too(&error) => Ok(None),
                Err(error) => self.gone(operation, &error).await.map(|()| None),
            }
        };
        in_time(Provider::StoreHost, operation, call).await
    }

    /// How the server finds the node. The whole is as secret as the macaroon in it.
    fn connection_string(&self, endpoint: &NodeEndpoint, receive: &Macaroon) -> Option<SecretString> {
        let server = self.node_url.fill(&endpoint.0)?;
        let macaroon = receive.hex().expose_secret();
        // Without it the server refuses an address without TLS, which there is in development only.
        let insecure = if server.is_encrypted() { "" } else { ";allowinsecure=true" };
        Some(format!("type=lnd-rest;server={};macaroon={macaroon}{insecure}", server.url()).into())
    }
}

#[async_trait]
impl StoreHost for BtcPay {
    async fn create_store(&self, name: &ResourceName) -> Result<String, HostError> {
        let call = Call::post("create_store", &["api", "v1", "stores"]);
        made(&self.call(call.json(json!({ "name": name.as_str() }))).await?)
    }

    async fn find_stores(&self, name: &ResourceName) -> Result<Vec<String>, HostError> {
        let stores = self.stores("find_stores").await?.into_iter();
        Ok(stores.filter(|store| store.name == name.as_str()).map(|store| store.id).collect())
    }

    async fn list_stores(&self) -> Result<Vec<Listed>, HostError> {
        let stores = self.stores("list_stores").await?.into_iter();
        Ok(stores.map(|store| Listed { id: store.id, name: store.name }).collect())
    }

    async fn store_exists(&self, store: &str) -> Result<bool, HostError> {
        let exists = async {
            let call = Call::get("store_exists", of_store!(store));
            if self.unless_gone("store_exists", call, |_| false).await?.is_none() {
                return Ok(false);
            }
            // To an administrator's key the server also shows stores that are no longer the account's; its list does not.
            Ok(self.stores("store_exists").await?.iter().any(|known| known.id == store))
        };
        in_time(Provider::StoreHost, "store_exists", exists).await
    }

    async fn connect_node(
        &self,
        store: &str,
        endpoint: &NodeEndpoint,
        receive: &Macaroon,
    ) -> Result<(), HostError> {
        let connection = self.connection_string(endpoint, receive).ok_or_else(|| unfit("connect_node"))?;
        let path = of_store!(store, "payment-methods", LIGHTNING);
        let call = Call::new("connect_node", Method::PUT, path).repeatable().json(json!({
            "enabled": true,
            "config": { "connectionString": connection.expose_secret() },
        }));
        self.call(call.holding(receive.hex())).await.map(drop)
    }

    async fn reaches_node(&self, store: &str) -> Result<bool, HostError> {
        // 503 without the server's word for it is somebody else's: the server itself is out of reach.
        let call = Call::get("reaches_node", of_store!(store, "lightning", "BTC", "info"))
            .refused_by(StatusCode::SERVICE_UNAVAILABLE);
        let says_no = |error: &ProviderError| {
            has_code(error, 503, "lightning-node-unavailable")
                || has_code(error, 404, "lightning-not-configured")
        };
        match self.send(&call).await {
            Ok(_) => Ok(true),
            Err(error) if says_no(&error) => Ok(false),
            Err(error) => Err(store_failed(&error)),
        }
    }

    async fn disconnect_node(&self, store: &str) -> Result<(), HostError> {
        let path = of_store!(store, "payment-methods", LIGHTNING);
        let call = Call::new("disconnect_node", Method::DELETE, path).repeatable();
        let is_gone = |error: &ProviderError| has_code(error, 404, "paymentmethod-not-found");
        self.unless_gone("disconnect_node", call, is_gone).await.map(drop)
    }

    async fn register_webhook(
        &self,
        store: &str,
        url: &str,
        secret: &WebhookSecret,
    ) -> Result<String, HostError> {
        let call = Call::post("register_webhook", of_store!(store, "webhooks")).json(json!({
            "url": url,
            "enabled": true,
            "automaticRedelivery": true,
            "secret": secret.text().expose_secret(),
            "authorizedEvents": { "everything": false, "specificEvents": EVENTS },
        }));
        made(&self.call(call.holding(secret.text())).await?)
    }

    async fn find_webhooks(&self, store: &str, url: &str) -> Result<Vec<String>, HostError> {
        let call = Call::get("find_webhooks", of_store!(store, "webhooks"));
        let Some(answer) = self.unless_gone("find_webhooks", call, |_| false).await? else {
            return Ok(Vec::new());
        };
        let webhooks: Vec<Webhook> = answer.json().map_err(|error| store_failed(&error))?;
        if !webhooks.iter().all(|webhook| is_id(&webhook.id)) {
            return Err(garbled(&answer));
        }
        let to_us = webhooks.into_iter().filter(|webhook| webhook.url == url);
        Ok(to_us.map(|webhook| webhook.id).collect())
    }

    async fn delete_webhook(&self, store: &str, webhook: &str) -> Result<(), HostError> {
        let path = of_store!(store, "webhooks", webhook);
        let call = Call::new("delete_webhook", Method::DELETE, path).repeatable();
        let is_gone = |error: &ProviderError| has_code(error, 404, "webhook-not-found");
        self.unless_gone("delete_webhook", call, is_gone).await.map(drop)
    }

    async fn delete_store(&self, store: &str) -> Result<(), HostError> {
        let call = Call::new("delete_store", Method::DELETE, of_store!(store)).repeatable();
        self.unless_gone("delete_store", call, |_| false).await.map(drop)
    }
}

/// The id of what was made.
fn made(answer: &Answer) -> Result<String, HostError> {
    let Made { id } = answer.json().map_err(|error| store_failed(&error))?;
    if is_id(&id) { Ok(id) } else { Err(garbled(answer)) }
}
