//! What the points are called.

use std::fmt;

/// What a point belongs to: whose workload reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Opening, settling, watching and delivering.
    Money,
    /// Setting up Lightning addresses, and undoing it.
    Setups,
}

/// The calls around which there are points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// An idempotency key is claimed.
    Claim,
    /// The provider issues an invoice.
    Issue,
    /// A ticket is stored with its invoice, its event and its claim.
    Open,
    /// A ticket is read.
    Find,
    /// The provider is asked about an invoice.
    Status,
    /// A transaction is opened.
    Begin,
    /// A ticket's row is locked.
    Lock,
    /// What changed of a ticket is written.
    Save,
    /// Events are added to a commit.
    Push,
    /// The commit.
    Commit,
    /// Looks that are due are leased; after it only when there were some.
    ClaimLooks,
    /// The next looks are set.
    Reschedule,
    /// Deliveries are ordered for events; after it only when there were some.
    FanOut,
    /// Deliveries that are due are leased; after it only when there were some.
    ClaimDeliveries,
    /// An event is sent.
    Send,
    /// How an attempt ended is written down.
    Record,
    /// A node is ordered.
    CreateNode,
    /// Its host is asked for the nodes of a name.
    FindNodes,
    /// A node's host is asked how it stands.
    Node,
    /// A node makes a seed.
    GenerateSeed,
    /// A node makes its wallet.
    InitWallet,
    /// A node is asked whether it serves.
    IsServing,
    /// A node gives a macaroon that may receive.
    BakeMacaroon,
    /// A store is made.
    CreateStore,
    /// Its host is asked for the stores of a name.
    FindStores,
    /// A store gets its node.
    ConnectNode,
    /// A store's host is asked whether it reaches its node.
    ReachesNode,
    /// A store is told where to tell of its invoices.
    RegisterWebhook,
    /// A store's host is asked for the webhooks to an address.
    FindWebhooks,
    /// What serves an address is written down, and the address is active.
    Complete,
    /// A setup turns from making to undoing.
    RollBack,
    /// A webhook is deleted.
    DeleteWebhook,
    /// A store's node is taken from it.
    DisconnectNode,
    /// A store is deleted.
    DeleteStore,
    /// A node is asked what it holds, before it is deleted.
    Holdings,
    /// A node is deleted.
    DeleteNode,
    /// The undoing ends.
    Close,
}

impl Call {
    /// All of them: those of a ticket's life in the order in which it meets them, then those of a setup's and its undoing.
    pub const ALL: [Self; 37] = [
        Self::Claim,
        Self::Issue,
        Self::Open,
        Self::Find,
        Self::Status,
        Self::Begin,
        Self::Lock,
        Self::Save,
        Self::Push,
        Self::Commit,
        Self::ClaimLooks,
        Self::Reschedule,
        Self::FanOut,
        Self::ClaimDeliveries,
        Self::Send,
        Self::Record,
        Self::CreateNode,
        Self::FindNodes,
        Self::Node,
        Self::GenerateSeed,
        Self::InitWallet,
        Self::IsServing,
        Self::BakeMacaroon,
        Self::CreateStore,
        Self::FindStores,
        Self::ConnectNode,
        Self::ReachesNode,
        Self::RegisterWebhook,
        Self::FindWebhooks,
        Self::Complete,
        Self::RollBack,
        Self::DeleteWebhook,
        Self::DisconnectNode,
        Self::DeleteStore,
        Self::Holdings,
        Self::DeleteNode,
        Self::Close,
    ];

    /// Which workload reaches it.
    #[must_use]
    pub fn part(self) -> Part {
        if self.as_str().starts_with("setup.") { Part::Setups } else { Part::Money }
    }

    /// Port and method.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "store.claim",
            Self::Issue => "gateway.issue",
            Self::Open => "store.open",
            Self::Find => "store.find",
            Self::Status => "gateway.status",
            Self::Begin => "store.begin",
            Self::Lock => "tx.lock",
            Self::Save => "tx.save",
            Self::Push => "outbox.push",
            Self::Commit => "tx.commit",
            Self::ClaimLooks => "store.claim_looks",
            Self::Reschedule => "store.reschedule",
            Self::FanOut => "deliveries.fan_out",
            Self::ClaimDeliveries => "deliveries.claim",
            Self::Send => "sender.send",
            Self::Record => "deliveries.record",
            Self::CreateNode => "setup.create_node",
            Self::FindNodes => "setup.find_nodes",
            Self::Node => "setup.node",
            Self::GenerateSeed => "setup.generate_seed",
            Self::InitWallet => "setup.init_wallet",
            Self::IsServing => "setup.is_serving",
            Self::BakeMacaroon => "setup.bake_receive_macaroon",
            Self::CreateStore => "setup.create_store",
            Self::FindStores => "setup.find_stores",
            Self::ConnectNode => "setup.connect_node",
            Self::ReachesNode => "setup.reaches_node",
            Self::RegisterWebhook => "setup.register_webhook",
            Self::FindWebhooks => "setup.find_webhooks",
            Self::Complete => "setup.complete",
            Self::RollBack => "setup.roll_back",
            Self::DeleteWebhook => "setup.delete_webhook",
            Self::DisconnectNode => "setup.disconnect_node",
            Self::DeleteStore => "setup.delete_store",
            Self::Holdings => "setup.holdings",
            Self::DeleteNode => "setup.delete_node",
            Self::Close => "setup.close",
        }
    }
}

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// Around which call.
    pub call: Call,
    /// Whether the call has been made.
    pub is_after: bool,
}

impl Point {
    /// Every point there is in a part.
    pub fn of(part: Part) -> impl Iterator<Item = Self> {
        Self::all().filter(move |point| point.call.part() == part)
    }

    /// Every point there is.
    pub fn all() -> impl Iterator<Item = Self> {
        Call::ALL.into_iter().flat_map(|call| [false, true].map(|is_after| Self { call, is_after }))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.is_after { "after" } else { "before" };
        write!(f, "{}.{side}", self.call.as_str())
    }
}
