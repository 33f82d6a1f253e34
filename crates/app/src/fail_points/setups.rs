//! The points around the ports of setups. What only the operator's commands call has none.

use std::num::NonZeroU16;
use std::sync::Arc;

use async_trait::async_trait;
use guiche_kernel::{Caller, Limit, StoreError, Timestamp};
use guiche_lightning_setup::{
    Amendment, AuditRow, Begin, Begun, Holdings, HostError, Lease, LightningAddress, Listed, Macaroon,
    NodeEndpoint, NodeHost, NodeState, NodeWallet, ResourceName, Seed, Services, Setup, SetupFault, SetupId,
    SetupPorts, SetupStatus, SetupStore, Step, StepRecord, StepState, StoreHost, WalletPassword,
    WebhookSecret,
};

use super::{Call, FailPoints, Plant};

pub(super) fn around(points: &Arc<FailPoints>, ports: SetupPorts) -> SetupPorts {
    let SetupPorts { store, nodes, wallets, stores, .. } = ports;
    SetupPorts {
        store: Arc::new(Pointed { inner: store, points: Arc::clone(points) }),
        nodes: Arc::new(Pointed { inner: nodes, points: Arc::clone(points) }),
        wallets: Arc::new(Pointed { inner: wallets, points: Arc::clone(points) }),
        stores: Arc::new(Pointed { inner: stores, points: Arc::clone(points) }),
        ..ports
    }
}

/// A port with its points.
struct Pointed<P: ?Sized> {
    inner: Arc<P>,
    points: Arc<FailPoints>,
}

impl<P: Send + Sync + ?Sized> Pointed<P> {
    async fn around<T: Send>(&self, call: Call, work: impl Future<Output = T> + Send) -> T {
        self.points.around(call, work).await
    }

    /// What a provider says that it is asked by name; nothing, where a planted mistake does not ask.
    async fn find(
        &self,
        call: Call,
        work: impl Future<Output = Result<Vec<String>, HostError>> + Send,
    ) -> Result<Vec<String>, HostError> {
        if self.points.has(Plant::RepeatedWithoutAsking) {
            return Ok(Vec::new());
        }
        self.around(call, work).await
    }
}

#[async_trait]
impl NodeHost for Pointed<dyn NodeHost> {
    async fn create_node(&self, name: &ResourceName, alias: &LightningAddress) -> Result<String, HostError> {
        self.around(Call::CreateNode, self.inner.create_node(name, alias)).await
    }

    async fn find_nodes(&self, name: &ResourceName) -> Result<Vec<String>, HostError> {
        self.find(Call::FindNodes, self.inner.find_nodes(name)).await
    }

    async fn list_nodes(&self) -> Result<Vec<Listed>, HostError> {
        self.inner.list_nodes().await
    }

    async fn node(&self, id: &str) -> Result<NodeState, HostError> {
        self.around(Call::Node, self.inner.node(id)).await
    }

    async fn delete_node(&self, id: &str) -> Result<(), HostError> {
        if !self.points.has(Plant::UndoneBeforeDeleted) {
            return self.around(Call::DeleteNode, self.inner.delete_node(id)).await;
        }
        let (points, inner, id) = (Arc::clone(&self.points), Arc::clone(&self.inner), id.to_owned());
        tokio::spawn(async move { points.around(Call::DeleteNode, inner.delete_node(&id)).await });
        Ok(())
    }
}

#[async_trait]
impl NodeWallet for Pointed<dyn NodeWallet> {
    async fn generate_seed(&self, endpoint: &NodeEndpoint) -> Result<Seed, HostError> {
        self.around(Call::GenerateSeed, self.inner.generate_seed(endpoint)).await
    }

    async fn init_wallet(
        &self,
        endpoint: &NodeEndpoint,
        seed: &Seed,
        password: &WalletPassword,
    ) -> Result<Macaroon, HostError> {
        self.around(Call::InitWallet, self.inner.init_wallet(endpoint, seed, password)).await
    }

    async fn is_serving(&self, endpoint: &NodeEndpoint) -> Result<bool, HostError> {
        self.around(Call::IsServing, self.inner.is_serving(endpoint)).await
    }

    async fn bake_receive_macaroon(
        &self,
        endpoint: &NodeEndpoint,
        admin: &Macaroon,
    ) -> Result<Macaroon, HostError> {
        self.around(Call::BakeMacaroon, self.inner.bake_receive_macaroon(endpoint, admin)).await
    }

    async fn holdings(&self, endpoint: &NodeEndpoint, admin: &Macaroon) -> Result<Holdings, HostError> {
        self.around(Call::Holdings, self.inner.holdings(endpoint, admin)).await
    }

    async fn unlock(&self, endpoint: &NodeEndpoint, password: &WalletPassword) -> Result<(), HostError> {
        self.inner.unlock(endpoint, password).await
    }
}

#[async_trait]
impl StoreHost for Pointed<dyn StoreHost> {
    async fn create_store(&self, name: &ResourceName) -> Result<String, HostError> {
        self.around(Call::CreateStore, self.inner.create_store(name)).await
    }

    async fn find_stores(&self, name: &ResourceName) -> Result<Vec<String>, HostError> {
        self.find(Call::FindStores, self.inner.find_stores(name)).await
    }

    async fn list_stores(&self) -> Result<Vec<Listed>, HostError> {
        self.inner.list_stores().await
    }

    async fn store_exists(&self, store: &str) -> Result<bool, HostError> {
        self.inner.store_exists(store).await
    }

    async fn connect_node(
        &self,
        store: &str,
        endpoint: &NodeEndpoint,
        receive: &Macaroon,
    ) -> Result<(), HostError> {
        self.around(Call::ConnectNode, self.inner.connect_node(store, endpoint, receive)).await
    }

    async fn reaches_node(&self, store: &str) -> Result<bool, HostError> {
        self.around(Call::ReachesNode, self.inner.reaches_node(store)).await
    }

    async fn disconnect_node(&self, store: &str) -> Result<(), HostError> {
        self.around(Call::DisconnectNode, self.inner.disconnect_node(store)).await
    }

    async fn register_webhook(
        &self,
        store: &str,
        url: &str,
        secret: &WebhookSecret,
    ) -> Result<String, HostError> {
        self.around(Call::RegisterWebhook, self.inner.register_webhook(store, url, secret)).await
    }

    async fn find_webhooks(&self, store: &str, url: &str) -> Result<Vec<String>, HostError> {
        self.find(Call::FindWebhooks, self.inner.find_webhooks(store, url)).await
    }

    async fn delete_webhook(&self, store: &str, webhook: &str) -> Result<(), HostError> {
        self.around(Call::DeleteWebhook, self.inner.delete_webhook(store, webhook)).await
    }

    async fn delete_store(&self, store: &str) -> Result<(), HostError> {
        self.around(Call::DeleteStore, self.inner.delete_store(store)).await
    }
}

#[async_trait]
impl SetupStore for Pointed<dyn SetupStore> {
    async fn begin(&self, caller: Caller, begin: &Begin) -> Result<Begun, StoreError> {
        self.inner.begin(caller, begin).await
    }

    async fn find(&self, caller: Caller) -> Result<Option<Setup>, StoreError> {
        self.inner.find(caller).await
    }

    async fn tear_down(
        &self,
        caller: Caller,
        id: SetupId,
        from: &[SetupStatus],
        now: Timestamp,
    ) -> Result<Option<Setup>, StoreError> {
        self.inner.tear_down(caller, id, from, now).await
    }

    async fn log(
        &self,
        caller: Caller,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.inner.log(caller, before, limit).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: NonZeroU16,
    ) -> Result<Vec<(Lease, Setup)>, StoreError> {
        self.inner.claim(now, leased_until, most).await
    }

    async fn claim_one(
        &self,
        id: SetupId,
        now: Timestamp,
        leased_until: Timestamp,
    ) -> Result<Option<(Lease, Setup)>, StoreError> {
        self.inner.claim_one(id, now, leased_until).await
    }

    async fn record(
        &self,
        lease: &Lease,
        records: &[StepRecord],
        leased_until: Timestamp,
    ) -> Result<(), StoreError> {
        let is_intent = |it: &StepRecord| it.step == Step::NodeCreated && it.state == StepState::Intended;
        if records.iter().any(is_intent) && self.points.has(Plant::NodeWithoutIntent) {
            return Ok(());
        }
        self.inner.record(lease, records, leased_until).await
    }

    async fn roll_back(&self, lease: &Lease, fault: &SetupFault, now: Timestamp) -> Result<(), StoreError> {
        self.around(Call::RollBack, self.inner.roll_back(lease, fault, now)).await
    }

    async fn complete(
        &self,
        lease: &Lease,
        last: &[StepRecord],
        services: &Services,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.around(Call::Complete, self.inner.complete(lease, last, services, now)).await
    }

    async fn close(&self, lease: &Lease, status: SetupStatus, now: Timestamp) -> Result<(), StoreError> {
        self.around(Call::Close, self.inner.close(lease, status, now)).await
    }

    async fn rest(&self, lease: &Lease, due_at: Timestamp) -> Result<(), StoreError> {
        self.inner.rest(lease, due_at).await
    }

    async fn get(&self, id: SetupId) -> Result<Option<Setup>, StoreError> {
        self.inner.get(id).await
    }

    async fn list(&self, after: Option<SetupId>, limit: Limit) -> Result<Vec<Setup>, StoreError> {
        self.inner.list(after, limit).await
    }

    async fn count(&self) -> Result<Vec<(SetupStatus, u64)>, StoreError> {
        self.inner.count().await
    }

    async fn amend(&self, amendment: &Amendment, now: Timestamp) -> Result<(), StoreError> {
        self.inner.amend(amendment, now).await
    }
}
