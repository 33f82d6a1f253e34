//! The setup of one address: how it stands, and what may be done with it.

use std::str::FromStr;

use guiche_kernel::{Sealed, Timestamp, UserId};

use crate::{LightningAddress, SetupFault, StepRecord, UnknownWord};

guiche_kernel::id! {
    /// A setup: one address of one person, whatever number of attempts it takes. Also the address's own id.
    pub struct SetupId;
}

/// How a setup stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetupStatus {
    /// Steps are being made.
    InProgress,
    /// Everything exists, and the address is active.
    FullyConfigured,
    /// Steps are being undone.
    RollingBack,
    /// Nothing exists outside.
    Failed,
    /// Something may still exist outside that could not be undone: it stands in the journal.
    NeedsAttention,
    /// Torn down at the person's wish; nothing exists outside.
    Removed,
}

impl SetupStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::InProgress,
        Self::FullyConfigured,
        Self::RollingBack,
        Self::Failed,
        Self::NeedsAttention,
        Self::Removed,
    ];

    /// Its name in storage. The API says `not_configured` for what was removed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::FullyConfigured => "fully_configured",
            Self::RollingBack => "rolling_back",
            Self::Failed => "failed",
            Self::NeedsAttention => "needs_attention",
            Self::Removed => "removed",
        }
    }

    /// Whether the runner has something to do.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::InProgress | Self::RollingBack)
    }

    /// Whether it ended and nothing exists outside: its person may be forgotten, and a name never used is free in a while.
    #[must_use]
    pub const fn lets_go(self) -> bool {
        matches!(self, Self::Failed | Self::Removed)
    }

    /// Whether a new attempt may begin.
    #[must_use]
    pub const fn can_begin(self) -> bool {
        matches!(self, Self::Failed | Self::NeedsAttention | Self::Removed)
    }
}

impl FromStr for SetupStatus {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

/// What a setup is heading for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Goal {
    /// The address is to be served. Rolling back on the way there ends in [`SetupStatus::Failed`].
    SetUp,
    /// It is to be torn down. Rolling back ends in [`SetupStatus::Removed`].
    TearDown,
}

impl Goal {
    /// Its name in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SetUp => "set_up",
            Self::TearDown => "tear_down",
        }
    }
}

impl FromStr for Goal {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::SetUp, Self::TearDown]
            .into_iter()
            .find(|goal| goal.as_str() == text)
            .ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

/// A setup with its journal, as one consistent reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Its id, and the address's.
    pub id: SetupId,
    /// Whose it is.
    pub user_id: UserId,
    /// The address.
    pub address: LightningAddress,
    /// How it stands.
    pub status: SetupStatus,
    /// What it is heading for.
    pub goal: Goal,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// What went wrong in the present or the last attempt.
    pub fault: Option<SetupFault>,
    /// What the address is served by, once everything exists.
    pub services: Option<Services>,
    /// When the present attempt began.
    pub begun_at: Timestamp,
    /// When it was first fully configured: from then on the name is bound to its owner.
    pub activated_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The journal, of all attempts, by attempt and step.
    pub journal: Vec<StepRecord>,
}

/// What an address is served by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// The node at the node host.
    pub node_id: String,
    /// The store at the store host.
    pub store_id: String,
    /// [`NodeConfig`](crate::NodeConfig), sealed; `None` only in rows from before there was sealing.
    pub node_config: Option<Sealed>,
    /// [`StoreConfig`](crate::StoreConfig), sealed; `None` only in rows from before there was sealing.
    pub store_config: Option<Sealed>,
}

impl Setup {
    /// The record of a step in the present attempt.
    #[must_use]
    pub fn record(&self, step: crate::Step) -> Option<&StepRecord> {
        self.journal.iter().find(|record| record.attempt == self.attempt && record.step == step)
    }

    /// What may exist outside and was given up, in any attempt.
    pub fn orphans(&self) -> impl Iterator<Item = &StepRecord> {
        self.journal.iter().filter(|record| record.state == crate::StepState::Orphaned)
    }
}
