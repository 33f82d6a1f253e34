//! The node host, and the nodes themselves.

use async_trait::async_trait;
use secrecy::ExposeSecret as _;

use super::{LOOKS, MemoryHosts, Node, Wallet, endpoint, is, listed, macaroon, named};
use crate::{
    FaultKind, Holdings, HostError, LightningAddress, Listed, Macaroon, NodeEndpoint, NodeHost, NodeState,
    NodeWallet, Provider, ResourceName, Seed, WalletPassword,
};

#[async_trait]
impl NodeHost for MemoryHosts {
    async fn create_node(&self, name: &ResourceName, _: &LightningAddress) -> Result<String, HostError> {
        let name = name.as_str().to_owned();
        self.call(Provider::NodeHost, "create_node", move |state| {
            let id = format!("node-{}", state.id());
            state.nodes.insert(id.clone(), Node::new(&name));
            Ok(id)
        })
        .await
    }

    async fn find_nodes(&self, name: &ResourceName) -> Result<Vec<String>, HostError> {
        let name = name.as_str().to_owned();
        self.call(Provider::NodeHost, "find_nodes", move |state| {
            Ok(named(state.nodes.iter().map(|(id, node)| (id, &node.name)), &name))
        })
        .await
    }

    async fn list_nodes(&self) -> Result<Vec<Listed>, HostError> {
        self.call(Provider::NodeHost, "list_nodes", |state| {
            Ok(listed(state.nodes.iter().map(|(id, node)| (id, &node.name))))
        })
        .await
    }

    async fn node(&self, id: &str) -> Result<NodeState, HostError> {
        let id = id.to_owned();
        self.call(Provider::NodeHost, "node", move |state| {
            let Some(node) = state.nodes.get_mut(&id) else { return Ok(NodeState::Gone) };
            node.looks = node.looks.saturating_add(1);
            let endpoint = endpoint(&id);
            Ok(match &node.wallet {
                Some(wallet) if wallet.is_locked => NodeState::Locked(endpoint),
                Some(_) => NodeState::Running(endpoint),
                None if node.looks <= LOOKS => NodeState::Preparing,
                None => NodeState::WaitingForWallet(endpoint),
            })
        })
        .await
    }

    async fn delete_node(&self, id: &str) -> Result<(), HostError> {
        let id = id.to_owned();
        self.call(Provider::NodeHost, "delete_node", move |state| {
            state.nodes.remove(&id);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl NodeWallet for MemoryHosts {
    async fn generate_seed(&self, endpoint: &NodeEndpoint) -> Result<Seed, HostError> {
        let endpoint = endpoint.clone();
        self.call(Provider::Node, "generate_seed", move |state| {
            state.at(&endpoint)?;
            // The same number, told in letters, makes the same seed.
            let number = |digit: char| char::from_digit(digit.to_digit(10)? + 10, 20);
            let last: String = state.id().to_string().chars().filter_map(number).collect();
            let words = [vec!["abandon"; 23], vec![&*last]].concat();
            Seed::parse(&words.join(" ").into()).map_err(|_| FaultKind::Garbled)
        })
        .await
    }

    async fn init_wallet(
        &self,
        endpoint: &NodeEndpoint,
        _: &Seed,
        password: &WalletPassword,
    ) -> Result<Macaroon, HostError> {
        let (endpoint, password) = (endpoint.clone(), password.text().expose_secret().to_owned());
        self.call(Provider::Node, "init_wallet", move |state| {
            let (id, node) = state.at(&endpoint)?;
            if node.wallet.is_some() || password.len() < 8 {
                return Err(FaultKind::Refused);
            }
            node.wallet = Some(Wallet { password, looks: 0, is_locked: false });
            macaroon(&format!("admin of {id}"))
        })
        .await
    }

    async fn is_serving(&self, endpoint: &NodeEndpoint) -> Result<bool, HostError> {
        let endpoint = endpoint.clone();
        self.call(Provider::Node, "is_serving", move |state| {
            let (_, node) = state.at(&endpoint)?;
            let Some(wallet) = node.wallet.as_mut().filter(|wallet| !wallet.is_locked) else {
                return Ok(false);
            };
            wallet.looks = wallet.looks.saturating_add(1);
            Ok(wallet.looks > LOOKS)
        })
        .await
    }

    async fn bake_receive_macaroon(
        &self,
        endpoint: &NodeEndpoint,
        admin: &Macaroon,
    ) -> Result<Macaroon, HostError> {
        let (endpoint, admin) = (endpoint.clone(), admin.hex().expose_secret().to_owned());
        self.call(Provider::Node, "bake_receive_macaroon", move |state| {
            let (id, _) = state.serving(&endpoint)?;
            if !is(&admin, &format!("admin of {id}")) {
                return Err(FaultKind::Refused);
            }
            macaroon(&format!("receive on {id}"))
        })
        .await
    }

    async fn holdings(&self, endpoint: &NodeEndpoint, admin: &Macaroon) -> Result<Holdings, HostError> {
        let (endpoint, admin) = (endpoint.clone(), admin.hex().expose_secret().to_owned());
        self.call(Provider::Node, "holdings", move |state| {
            let (id, node) = state.serving(&endpoint)?;
            if is(&admin, &format!("admin of {id}")) { Ok(node.holdings) } else { Err(FaultKind::Refused) }
        })
        .await
    }

    async fn unlock(&self, endpoint: &NodeEndpoint, password: &WalletPassword) -> Result<(), HostError> {
        let (endpoint, password) = (endpoint.clone(), password.text().expose_secret().to_owned());
        self.call(Provider::Node, "unlock", move |state| {
            let wallet = state.at(&endpoint)?.1.wallet.as_mut().ok_or(FaultKind::Refused)?;
            if wallet.is_locked {
                if wallet.password != password {
                    return Err(FaultKind::Refused);
                }
                (wallet.is_locked, wallet.looks) = (false, 0);
            }
            Ok(())
        })
        .await
    }
}
