//! The steps outside, and the journal that says how far each got.

use std::fmt;
use std::str::FromStr;

use guiche_kernel::{Sealed, Timestamp};

use crate::SetupId;

/// A step of the setup, in the order in which they are made. They are undone in reverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// A node was ordered at the node host.
    NodeCreated,
    /// The node waits for its wallet; seed and password are sealed in the journal.
    SeedStored,
    /// The node made its wallet of them.
    WalletInitialised,
    /// The node serves, and gave a macaroon that can receive and nothing else.
    MacaroonBaked,
    /// A store was made at the store host.
    StoreCreated,
    /// The store reaches the node.
    NodeConnected,
    /// The store tells us of its invoices.
    WebhookRegistered,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 7] = [
        Self::NodeCreated,
        Self::SeedStored,
        Self::WalletInitialised,
        Self::MacaroonBaked,
        Self::StoreCreated,
        Self::NodeConnected,
        Self::WebhookRegistered,
    ];

    /// Its name, in storage and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeCreated => "node_created",
            Self::SeedStored => "seed_stored",
            Self::WalletInitialised => "wallet_initialised",
            Self::MacaroonBaked => "macaroon_baked",
            Self::StoreCreated => "store_created",
            Self::NodeConnected => "node_connected",
            Self::WebhookRegistered => "webhook_registered",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names nothing of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is unknown here")]
pub struct UnknownWord(pub String);

impl FromStr for Step {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|step| step.as_str() == text).ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

/// How far a step got. What was intended and is not done may or may not exist outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepState {
    /// The call was about to be made; nothing is known of its outcome.
    Intended,
    /// It is made, and what came of it is in the journal.
    Done,
    /// It is being undone; nothing is known of the outcome.
    Undoing,
    /// Nothing of it exists outside.
    Undone,
    /// It could not be confirmed that nothing of it exists: an operator must look.
    Orphaned,
}

impl StepState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Intended, Self::Done, Self::Undoing, Self::Undone, Self::Orphaned];

    /// Its name, in storage and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Done => "done",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Orphaned => "orphaned",
        }
    }

    /// Whether something of the step may exist outside and is not given up.
    #[must_use]
    pub const fn may_exist(self) -> bool {
        matches!(self, Self::Intended | Self::Done | Self::Undoing)
    }
}

impl FromStr for StepState {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

/// The name under which we order something outside: `g-<setup>-<attempt>`. It lets us find again what an unanswered call
/// may have made; only what has such a name is ever adopted or destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceName(String);

impl ResourceName {
    const PREFIX: &str = "g-";

    /// The name for an attempt of a setup. 36 characters and the attempt: fit for a DNS label.
    #[must_use]
    pub fn of(setup: SetupId, attempt: u32) -> Self {
        Self(format!("{}{}-{attempt}", Self::PREFIX, setup.as_uuid().simple()))
    }

    /// Reads a name back; `None` when it is not one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (setup, attempt) = text.strip_prefix(Self::PREFIX)?.split_once('-')?;
        let name = Self::of(SetupId::new(setup.parse().ok()?), attempt.parse().ok()?);
        (name.0 == text).then_some(name)
    }

    /// Which setup and attempt it was ordered for.
    #[must_use]
    pub fn origin(&self) -> Option<(SetupId, u32)> {
        let (setup, attempt) = self.0.strip_prefix(Self::PREFIX)?.split_once('-')?;
        Some((SetupId::new(setup.parse().ok()?), attempt.parse().ok()?))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the journal says of a step in an attempt. There is at most one record of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// Which step.
    pub step: Step,
    /// How far it got.
    pub state: StepState,
    /// The provider's id of what was made: a node's, a store's, a webhook's.
    pub resource: Option<String>,
    /// What only we may know: seed and password, macaroons, the webhook's secret; JSON, sealed.
    pub sealed: Option<Sealed>,
    /// How often the call of the present state was made in vain.
    pub tries: u16,
    /// When the present state began.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_read_back() {
        let setup = SetupId::new(uuid::Uuid::from_u128(42));
        let name = ResourceName::of(setup, 3);
        assert_eq!(name.as_str(), "g-0000000000000000000000000000002a-3");
        assert_eq!(ResourceName::parse(name.as_str()), Some(name.clone()));
        assert_eq!(name.origin(), Some((setup, 3)));
        for foreign in [
            "",
            "g-",
            "g-x-1",
            "g-0000000000000000000000000000002a",
            "g-0000000000000000000000000000002A-3",
            "g-0000000000000000000000000000002a-03",
            "G-0000000000000000000000000000002a-3",
            "my store",
        ] {
            assert_eq!(ResourceName::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn words_read_back() {
        for step in Step::ALL {
            assert_eq!(step.as_str().parse(), Ok(step));
        }
        for state in StepState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("done ".parse::<StepState>().is_err());
    }
}
