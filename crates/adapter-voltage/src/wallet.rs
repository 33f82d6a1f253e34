//! A node's own interface: LND over REST.
//!
//! Bytes travel in base64 there, the macaroon of `initwallet` too; the one that is baked comes in hex, and in hex both are
//! shown in the header.

mod wire;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_lightning_setup::{
    FaultKind, Holdings, HostError, Macaroon, NodeEndpoint, NodeWallet, Provider, Seed, WalletPassword,
};
use guiche_outbound::{Answer, Call, HeaderName, StatusCode};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::Voltage;
use crate::failed::{failed, in_time};

pub(crate) use wire::error_code;

const MACAROON: HeaderName = HeaderName::from_static("grpc-metadata-macaroon");
/// A list of channels says some kilobyte of each.
const LONGEST_LIST: usize = 4 * 1024 * 1024;

/// What the store needs to receive, and nothing that spends or opens channels. It calls `getinfo` too, so invoices alone
/// are not enough; and only where it may read the channels can it say what could be received now, before a payer finds out.
const RECEIVE: [(&str, &str); 7] = [
    ("address", "read"),
    ("address", "write"),
    ("info", "read"),
    ("invoices", "read"),
    ("invoices", "write"),
    ("onchain", "read"),
    ("offchain", "read"),
];

impl Voltage {
    async fn node_call(&self, endpoint: &NodeEndpoint, call: Call<'_>) -> Result<Answer, HostError> {
        // Where an endpoint comes from, it is checked; this one is not from there.
        let address = self
            .node_url
            .fill(&endpoint.0)
            .ok_or_else(|| HostError::new(Provider::Ours, "node_address", FaultKind::Internal))?;
        self.nodes.elsewhere(address).send(&call).await.map_err(|error| failed(Provider::Node, &error))
    }

    async fn look<T: DeserializeOwned>(
        &self,
        endpoint: &NodeEndpoint,
        admin: &Macaroon,
        path: &[&str],
    ) -> Result<T, HostError> {
        let call = Call::get("holdings", path).secret_header(MACAROON, admin.hex()).up_to(LONGEST_LIST);
        let answer = self.node_call(endpoint, call).await?;
        read(&answer)
    }

    async fn state(
        &self,
        endpoint: &NodeEndpoint,
        operation: &'static str,
    ) -> Result<wire::State, HostError> {
        let answer = self.node_call(endpoint, Call::get(operation, &["v1", "state"])).await?;
        read(&answer)
    }
}

#[async_trait]
impl NodeWallet for Voltage {
    async fn generate_seed(&self, endpoint: &NodeEndpoint) -> Result<Seed, HostError> {
        let answer = self.node_call(endpoint, Call::get("generate_seed", &["v1", "genseed"])).await?;
        let seed: wire::GeneratedSeed = read(&answer)?;
        seed.words().ok_or_else(|| garbled(&answer))
    }

    async fn init_wallet(
        &self,
        endpoint: &NodeEndpoint,
        seed: &Seed,
        password: &WalletPassword,
    ) -> Result<Macaroon, HostError> {
        let words: Vec<&str> = seed.words().expose_secret().split(' ').collect();
        // Stateless: the node keeps no macaroon on its disk, so whoever reads that cannot spend.
        let call = Call::post("init_wallet", &["v1", "initwallet"]).json(json!({
            "wallet_password": base64(password),
            "cipher_seed_mnemonic": words,
            "stateless_init": true,
        }));
        let call = call.holding(password.text()).holding(&base64(password).into());
        let answer = self.node_call(endpoint, call).await?;
        let made: wire::InitialisedWallet = read(&answer)?;
        Macaroon::from_base64(&made.admin_macaroon).map_err(|_| garbled(&answer))
    }

    async fn is_serving(&self, endpoint: &NodeEndpoint) -> Result<bool, HostError> {
        Ok(self.state(endpoint, "is_serving").await?.is_serving())
    }

    async fn bake_receive_macaroon(
        &self,
        endpoint: &NodeEndpoint,
        admin: &Macaroon,
    ) -> Result<Macaroon, HostError> {
        let permission = |(entity, action)| json!({ "entity": entity, "action": action });
        let call = Call::post("bake_receive_macaroon", &["v1", "macaroon"])
            .secret_header(MACAROON, admin.hex())
            .json(json!({ "permissions": RECEIVE.map(permission) }))
            .repeatable();
        let answer = self.node_call(endpoint, call).await?;
        let baked: wire::BakedMacaroon = read(&answer)?;
        Macaroon::from_hex(&baked.macaroon).map_err(|_| garbled(&answer))
    }

    async fn holdings(&self, endpoint: &NodeEndpoint, admin: &Macaroon) -> Result<Holdings, HostError> {
        let (on_chain, in_channels, open, pending) = tokio::try_join!(
            self.look(endpoint, admin, &["v1", "balance", "blockchain"]),
            self.look(endpoint, admin, &["v1", "balance", "channels"]),
            self.look(endpoint, admin, &["v1", "channels"]),
            self.look(endpoint, admin, &["v1", "channels", "pending"]),
        )?;
        Ok(wire::holdings(&on_chain, &in_channels, &open, &pending))
    }

    async fn unlock(&self, endpoint: &NodeEndpoint, password: &WalletPassword) -> Result<(), HostError> {
        let unlock = async {
            let call = Call::post("unlock", &["v1", "unlockwallet"])
                .json(json!({ "wallet_password": base64(password) }))
                .holding(password.text())
                .holding(&base64(password).into())
                .refused_by(StatusCode::INTERNAL_SERVER_ERROR)
                .repeatable();
            let Err(error) = self.node_call(endpoint, call).await else { return Ok(()) };
            // LND says no in the same words to a wrong password and to a second unlocking. Its state tells them apart.
            match self.state(endpoint, "unlock").await {
                Ok(state) if state.is_unlocked() => Ok(()),
                Ok(state) if state.is_locked() && error.fault.code.is_some() => {
                    let kind = FaultKind::Refused;
                    Err(HostError {
                        fault: guiche_lightning_setup::SetupFault { kind, ..error.fault },
                        ..error
                    })
                }
                _ => Err(error),
            }
        };
        in_time(Provider::Node, "unlock", unlock).await
    }
}

fn base64(password: &WalletPassword) -> String {
    STANDARD.encode(password.text().expose_secret())
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, HostError> {
    answer.json().map_err(|error| failed(Provider::Node, &error))
}

fn garbled(answer: &Answer) -> HostError {
    failed(Provider::Node, &answer.unreadable())
}
