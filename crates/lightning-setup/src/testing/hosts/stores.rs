//! The store host.

use async_trait::async_trait;
use secrecy::ExposeSecret as _;

use super::{MemoryHosts, Store, is, listed, named};
use crate::{
    FaultKind, HostError, Listed, Macaroon, NodeEndpoint, Provider, ResourceName, StoreHost, WebhookSecret,
};

#[async_trait]
impl StoreHost for MemoryHosts {
    async fn create_store(&self, name: &ResourceName) -> Result<String, HostError> {
        let name = name.as_str().to_owned();
        self.call(Provider::StoreHost, "create_store", move |state| {
            let id = format!("store-{}", state.id());
            state.stores.insert(id.clone(), Store::new(&name));
            Ok(id)
        })
        .await
    }

    async fn find_stores(&self, name: &ResourceName) -> Result<Vec<String>, HostError> {
        let name = name.as_str().to_owned();
        self.call(Provider::StoreHost, "find_stores", move |state| {
            Ok(named(state.stores.iter().map(|(id, store)| (id, &store.name)), &name))
        })
        .await
    }

    async fn list_stores(&self) -> Result<Vec<Listed>, HostError> {
        self.call(Provider::StoreHost, "list_stores", |state| {
            Ok(listed(state.stores.iter().map(|(id, store)| (id, &store.name))))
        })
        .await
    }

    async fn store_exists(&self, store: &str) -> Result<bool, HostError> {
        let id = store.to_owned();
        self.call(Provider::StoreHost, "store_exists", move |state| Ok(state.stores.contains_key(&id))).await
    }

    async fn connect_node(
        &self,
        store: &str,
        endpoint: &NodeEndpoint,
        receive: &Macaroon,
    ) -> Result<(), HostError> {
        let (id, node) = (store.to_owned(), (endpoint.clone(), receive.hex().expose_secret().to_owned()));
        self.call(Provider::StoreHost, "connect_node", move |state| {
            state.stores.get_mut(&id).ok_or(FaultKind::Refused)?.node = Some(node);
            Ok(())
        })
        .await
    }

    async fn reaches_node(&self, store: &str) -> Result<bool, HostError> {
        let id = store.to_owned();
        self.call(Provider::StoreHost, "reaches_node", move |state| {
            let Some((endpoint, given)) = state.stores.get(&id).ok_or(FaultKind::Refused)?.node.clone()
            else {
                return Ok(false);
            };
            Ok(state.at(&endpoint).is_ok_and(|(id, _)| is(&given, &format!("receive on {id}"))))
        })
        .await
    }

    async fn disconnect_node(&self, store: &str) -> Result<(), HostError> {
        let id = store.to_owned();
        self.call(Provider::StoreHost, "disconnect_node", move |state| {
            if let Some(store) = state.stores.get_mut(&id) {
                store.node = None;
            }
            Ok(())
        })
        .await
    }

    async fn register_webhook(
        &self,
        store: &str,
        url: &str,
        secret: &WebhookSecret,
    ) -> Result<String, HostError> {
        let (id, hook) = (store.to_owned(), (url.to_owned(), secret.text().expose_secret().to_owned()));
        self.call(Provider::StoreHost, "register_webhook", move |state| {
            let webhook = format!("webhook-{}", state.id());
            state.stores.get_mut(&id).ok_or(FaultKind::Refused)?.webhooks.insert(webhook.clone(), hook);
            Ok(webhook)
        })
        .await
    }

    async fn find_webhooks(&self, store: &str, url: &str) -> Result<Vec<String>, HostError> {
        let (id, url) = (store.to_owned(), url.to_owned());
        self.call(Provider::StoreHost, "find_webhooks", move |state| {
            let store = state.stores.get(&id);
            Ok(store
                .map_or_else(Vec::new, |it| named(it.webhooks.iter().map(|(id, hook)| (id, &hook.0)), &url)))
        })
        .await
    }

    async fn delete_webhook(&self, store: &str, webhook: &str) -> Result<(), HostError> {
        let (id, webhook) = (store.to_owned(), webhook.to_owned());
        self.call(Provider::StoreHost, "delete_webhook", move |state| {
            if let Some(store) = state.stores.get_mut(&id) {
                store.webhooks.remove(&webhook);
            }
            Ok(())
        })
        .await
    }

    async fn delete_store(&self, store: &str) -> Result<(), HostError> {
        let id = store.to_owned();
        self.call(Provider::StoreHost, "delete_store", move |state| {
            state.stores.remove(&id);
            Ok(())
        })
        .await
    }
}
