//! The suites that every adapter of a port passes: here those of the providers, in [`store`] those of storage. The list of cases stands once, in the macro below; an
//! adapter adds one line and a constructor:
//!
//! ```text
//! guiche_lightning_setup::node_host_contract!(world);       // async fn world() -> impl NodeHostFixture
//! guiche_lightning_setup::node_wallet_contract!(world);     // async fn world() -> impl NodeWalletFixture
//! guiche_lightning_setup::store_host_contract!(world);      // async fn world() -> impl StoreHostFixture
//! guiche_lightning_setup::receive_gateway_contract!(world); // async fn world() -> impl ReceiveGatewayFixture
//! ```
//!
//! Each suite stands in a module of its own, because each makes a test of every case.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test code: a failed expectation is the point"
)]

mod node_host;
mod node_wallet;
mod receive_gateway;
pub mod store;
mod store_host;

use std::sync::Arc;

use async_trait::async_trait;
use guiche_kernel::Clock;
use uuid::Uuid;

use crate::{
    AddressDomain, AddressName, Holdings, LightningAddress, Macaroon, NodeEndpoint, NodeHost, NodeWallet,
    ReceiveGateway, ResourceName, SetupId, StoreHost,
};

pub use node_host::*;
pub use node_wallet::*;
pub use receive_gateway::*;
pub use store::SetupFixture;
pub use store_host::*;

/// A host of nodes of its own for one case.
#[async_trait]
pub trait NodeHostFixture: Send + Sync {
    /// The host under test.
    fn host(&self) -> Arc<dyn NodeHost>;
    /// Lets everything that is under way come to its end.
    async fn settle(&self);
    /// Orders a node as somebody else does who shares the account; returns its id.
    async fn foreign_node(&self, name: &str) -> String;
}

/// Nodes of its own for one case.
#[async_trait]
pub trait NodeWalletFixture: Send + Sync {
    /// The interface under test.
    fn wallet(&self) -> Arc<dyn NodeWallet>;
    /// A new node that waits for its wallet.
    async fn node(&self) -> NodeEndpoint;
    /// Lets everything that is under way come to its end.
    async fn settle(&self);
    /// Restarts a node that has a wallet, which is locked from then on.
    async fn restart(&self, endpoint: &NodeEndpoint);
    /// Has a node hold that.
    async fn fund(&self, endpoint: &NodeEndpoint, holdings: Holdings);
}

/// A host of stores of its own for one case.
#[async_trait]
pub trait StoreHostFixture: Send + Sync {
    /// The host under test.
    fn stores(&self) -> Arc<dyn StoreHost>;
    /// Makes a store as somebody else does who shares the account; returns its id.
    async fn foreign_store(&self, name: &str) -> String;
    /// A node that serves, and a macaroon of it that may receive.
    async fn node(&self) -> (NodeEndpoint, Macaroon);
    /// From now on the node does not answer.
    async fn take_down(&self, endpoint: &NodeEndpoint);
}

/// Stores with nodes, of its own for one case.
#[async_trait]
pub trait ReceiveGatewayFixture: Send + Sync {
    /// The gateway under test.
    fn gateway(&self) -> Arc<dyn ReceiveGateway>;
    /// The clock that the gateway goes by.
    fn clock(&self) -> Arc<dyn Clock>;
    /// A new store that reaches its node.
    async fn store(&self) -> String;
    /// Pays an invoice now, as a wallet does.
    async fn pay(&self, store: &str, id: &str);
}

/// A name that we give.
pub(super) fn name(setup: u128, attempt: u32) -> ResourceName {
    ResourceName::of(SetupId::new(Uuid::from_u128(setup)), attempt)
}

/// The longest address that there is.
pub fn alias() -> LightningAddress {
    LightningAddress {
        name: AddressName::parse(&"a".repeat(32)).expect("a name"),
        domain: AddressDomain::parse("pay.example.org").expect("a domain"),
    }
}

/// Ids that no provider gave: well-formed, and not.
pub(super) const NEVER_GIVEN: [&str; 4] =
    ["7b12b510-8633-4c49-af2b-9cb5b73d6feeN", "9CiNzKoANXxmk5ayZngSXrHTiVvvgCrwrpFQd4m2K776", "x", "0"];

/// Declares one suite: the list of its cases, the macro that adapters call, and the test that no case is missing.
macro_rules! suite {
    ($(#[$doc:meta])* $macro:ident, $list:ident, $($case:ident),+ $(,)?) => {
        /// The names of the suite's cases.
        pub const $list: &[&str] = &[$(stringify!($case)),+];
        suite!(@macro ($) $(#[$doc])* $macro, $($case),+);
    };
    (@macro ($d:tt) $(#[$doc:meta])* $macro:ident, $($case:ident),+) => {
        $(#[$doc])*
        #[macro_export]
        macro_rules! $macro {
            ($d make:path) => {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let fixture = $d make().await;
                        $crate::testing::contract::$case(&fixture).await;
                    }
                )+
            };
        }
    };
}

suite!(
    /// One test per promise of [`NodeHost`](crate::NodeHost); the argument is an `async fn() -> impl NodeHostFixture`.
    node_host_contract, NODE_HOST_CASES,
    an_ordered_node_is_found_by_exactly_its_name,
    every_node_of_a_name_is_found,
    an_ordered_node_comes_to_wait_for_its_wallet,
    the_list_has_every_node_and_tells_ours_apart,
    a_node_that_was_never_ordered_is_gone,
    a_deleted_node_is_gone_for_every_question,
    deleting_takes_one_node_only,
);

suite!(
    /// One test per promise of [`NodeWallet`](crate::NodeWallet); the argument is an `async fn() -> impl NodeWalletFixture`.
    node_wallet_contract, NODE_WALLET_CASES,
    seeds_are_fresh,
    a_node_serves_when_it_has_its_wallet_and_not_before,
    a_wallet_is_made_once,
    a_receive_macaroon_is_not_the_one_that_may_do_everything,
    a_macaroon_that_may_receive_bakes_nothing,
    a_macaroon_of_another_node_opens_nothing,
    a_new_node_holds_nothing,
    what_a_node_holds_is_told,
    a_restarted_node_is_unlocked_with_its_password_only,
);

suite!(
    /// One test per promise of [`StoreHost`](crate::StoreHost); the argument is an `async fn() -> impl StoreHostFixture`.
    store_host_contract, STORE_HOST_CASES,
    a_store_is_found_by_exactly_its_name,
    every_store_of_a_name_is_found,
    the_list_has_every_store_and_tells_ours_apart,
    a_store_that_was_never_made_is_gone,
    a_deleted_store_is_gone_for_every_question,
    a_store_reaches_the_node_that_it_is_connected_to,
    a_store_without_a_node_reaches_none,
    a_webhook_is_found_by_exactly_its_address,
    a_deleted_webhook_is_gone,
);

suite!(
    /// One test per promise of [`ReceiveGateway`](crate::ReceiveGateway); the argument is an
    /// `async fn() -> impl ReceiveGatewayFixture`.
    receive_gateway_contract, RECEIVE_GATEWAY_CASES,
    an_issued_invoice_is_found_by_its_id,
    every_issuing_is_another_invoice,
    an_invoice_that_was_never_issued_is_unknown,
    an_invoice_belongs_to_its_store,
    nothing_is_paid_before_somebody_pays,
    a_paid_invoice_says_so_for_ever_and_proves_it,
    a_store_that_is_unknown_issues_nothing,
);

#[cfg(test)]
mod tests {
    /// The cases of a suite are its public functions: none is left out of its list.
    #[test]
    fn no_case_is_missing() {
        for (source, list) in [
            (include_str!("contract/node_host.rs"), super::NODE_HOST_CASES),
            (include_str!("contract/node_wallet.rs"), super::NODE_WALLET_CASES),
            (include_str!("contract/store_host.rs"), super::STORE_HOST_CASES),
            (include_str!("contract/receive_gateway.rs"), super::RECEIVE_GATEWAY_CASES),
        ] {
            let cases =
                source.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next());
            assert_eq!(cases.collect::<Vec<_>>(), list);
        }
    }
}
