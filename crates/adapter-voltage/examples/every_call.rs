//! Makes every call to Voltage, those that are refused too, through whatever stands at the first address; the nodes are at
//! the second one, which is the fake's own. `.ci/providers` puts a validator there that knows the vendor's document.
//!
//! `cargo run --features fake --example every_call -- http://127.0.0.1:4010 http://127.0.0.1:8092`

use std::error::Error;
use std::sync::Arc;

use guiche_adapter_voltage::fake::{self, DEFAULT_KEY};
use guiche_adapter_voltage::{Network, NodeOrder, NodeType, Purchase, Voltage, VoltageSettings};
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_lightning_setup::{
    AddressDomain, AddressName, LightningAddress, NodeHost as _, NodeState, NodeWallet as _, ResourceName,
    SetupId, WalletPassword,
};
use guiche_outbound::fake::local_client;
use guiche_outbound::{Loopback, Outside};
use serde_json::Value;
use uuid::Uuid;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(nodes)) = (arguments.next(), arguments.next()) else {
        return Err("usage: every_call ADDRESS ADDRESS-OF-THE-FAKE".into());
    };
    let (voltage, stranger) = (client(&url, &nodes, DEFAULT_KEY)?, client(&url, &nodes, "no-key")?);
    let name = ResourceName::of(SetupId::new(Uuid::from_u128(1)), 1);
    let alias = LightningAddress {
        name: AddressName::parse("ana")?,
        domain: AddressDomain::parse("pay.example.org")?,
    };

    let id = voltage.create_node(&name, &alias).await?;
    expect(voltage.find_nodes(&name).await? == [id.clone()], "the node is found")?;
    expect(voltage.list_nodes().await?.len() == 1, "the node is listed")?;
    let NodeState::WaitingForWallet(endpoint) = voltage.node(&id).await? else {
        return Err("the node waits for its wallet".into());
    };
    let seed = voltage.generate_seed(&endpoint).await?;
    let admin =
        voltage.init_wallet(&endpoint, &seed, &WalletPassword::from_text("0123456789".into())).await?;
    expect(voltage.is_serving(&endpoint).await?, "the node serves")?;
    voltage.bake_receive_macaroon(&endpoint, &admin).await?;
    expect(voltage.holdings(&endpoint, &admin).await?.is_empty(), "the node is empty")?;
    expect(matches!(voltage.node(&id).await?, NodeState::Running(_)), "the node runs")?;
    voltage.delete_node(&id).await?;
    // What does not exist is refused with 400, a key that is unknown with 401: these answers conform too.
    expect(voltage.node(&id).await? == NodeState::Gone, "the node is gone")?;
    voltage.delete_node(&id).await?;
    let refused = stranger.list_nodes().await.err().and_then(|error| error.fault.status);
    expect(refused == Some(401), "a wrong key is refused")?;
    let state: Value = local_client()?.get(format!("{nodes}/_fake/state")).send().await?.json().await?;
    for operation in ["create_node", "list_nodes", "node", "delete_node"] {
        expect(state.pointer(&format!("/calls/{operation}")).is_some(), operation)?;
    }
    Ok(())
}

fn client(url: &str, nodes: &str, key: &str) -> Outcome<Arc<Voltage>> {
    let order = NodeOrder {
        network: Network::Testnet,
        node_type: NodeType::Standard,
        purchase: Purchase::OnDemand,
        whitelist: vec!["192.0.2.7".parse()?],
    };
    let mut settings = VoltageSettings::new(url.parse()?, Loopback::PlainAllowed, vec![key.into()], order);
    settings.node_url = fake::node_url(nodes);
    let clock = Arc::new(ManualClock::default());
    let randomness = Arc::new(SeededRandomness::new(1));
    Ok(Voltage::try_new(settings, Outside { clock: clock.clone(), timer: clock, randomness })?)
}

fn expect(is_so: bool, what: &str) -> Outcome {
    if is_so { Ok(()) } else { Err(format!("not so: {what}").into()) }
}
