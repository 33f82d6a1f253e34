//! What the database says against what exists at the providers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::{Listed, Setup, SetupId, SetupStatus, Step, StepState};

/// What exists at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// At the node host.
    Node,
    /// At the store host.
    Store,
}

impl Kind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Store => "store",
        }
    }

    /// What the audit trail calls the beginning of its destruction.
    #[must_use]
    pub const fn destruction(self) -> &'static str {
        match self {
            Self::Node => "node_destruction_begun",
            Self::Store => "store_destruction_begun",
        }
    }

    /// The step that makes it.
    #[must_use]
    pub const fn step(self) -> Step {
        match self {
            Self::Node => Step::NodeCreated,
            Self::Store => Step::StoreCreated,
        }
    }

    fn of(self, setup: &Setup) -> Option<&str> {
        let services = setup.services.as_ref()?;
        Some(match self {
            Self::Node => &services.node_id,
            Self::Store => &services.store_id,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// It has a name of ours and serves nobody.
    Orphan {
        /// What it is.
        kind: Kind,
        /// The provider's id.
        id: String,
        /// Its name there.
        name: String,
        /// For which setup and attempt it was ordered.
        origin: (SetupId, u32),
        /// What the database knows of it.
        known: Known,
    },
    /// An active address is served by something that no longer exists.
    Missing {
        /// What it was.
        kind: Kind,
        /// The provider's id.
        id: String,
        /// Whose.
        setup: SetupId,
    },
    /// What serves an active address has another name than the one it was ordered under.
    Renamed {
        /// What it is.
        kind: Kind,
        /// The provider's id.
        id: String,
        /// Its name there.
        name: String,
        /// Whose.
        setup: SetupId,
    },
    /// An active address of which it is not written down what serves it: a row of an older program.
    Unlinked {
        /// Which.
        setup: SetupId,
        /// The one node that is this setup's by its name, or is called as the address is.
        node: Option<String>,
        /// Likewise the one store.
        store: Option<String>,
    },
    /// It is none of ours, and none of our business.
    Foreign {
        /// What it is.
        kind: Kind,
        /// The provider's id.
        id: String,
    },
}

/// What the database knows of an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// It stands in the journal as such.
    Orphaned,
    /// The setup is there, and its journal says that this does not exist.
    SetupOnly,
    /// There is no such setup (any more).
    Nothing,
}

impl Finding {
    /// The command that mends it, if one does.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Orphan { kind, id, known: Known::SetupOnly, .. } => {
                Some(format!("guiche lightning adopt --{kind} {id}"))
            }
            Self::Orphan { kind, id, .. } => Some(format!("guiche lightning destroy --{kind} {id}")),
            Self::Unlinked { node: None, store: None, .. } => None,
            Self::Unlinked { setup, .. } => Some(format!("guiche lightning repair --setup {setup} --apply")),
            // Nothing that we could write down brings back what is gone.
            Self::Missing { .. } | Self::Renamed { .. } | Self::Foreign { .. } => None,
        }
    }

    /// Whether somebody must do something about it.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        !matches!(self, Self::Foreign { .. })
    }
}

/// Compares one consistent reading of each side. What belongs to a setup that is under way is left alone.
#[must_use]
pub fn compare(setups: &[Setup], nodes: &[Listed], stores: &[Listed]) -> Vec<Finding> {
    let by_id: BTreeMap<SetupId, &Setup> = setups.iter().map(|setup| (setup.id, setup)).collect();
    let mut found = Vec::new();
    for (kind, all) in [(Kind::Node, nodes), (Kind::Store, stores)] {
        let serving: BTreeMap<&str, &Setup> =
            active(setups).filter_map(|setup| Some((kind.of(setup)?, setup))).collect();
        found.extend(all.iter().filter_map(|listed| outside(kind, listed, &by_id, &serving)));
        let existing: BTreeSet<&str> = all.iter().map(|listed| &*listed.id).collect();
        let gone = serving.iter().filter(|(id, _)| !existing.contains(**id));
        found.extend(gone.map(|(id, setup)| Finding::Missing {
            kind,
            id: (*id).to_owned(),
            setup: setup.id,
        }));
    }
    found.extend(active(setups).filter(|setup| setup.services.is_none()).map(|setup| Finding::Unlinked {
        setup: setup.id,
        node: candidate(setup, nodes),
        store: candidate(setup, stores),
    }));
    found.sort();
    found
}

fn active(setups: &[Setup]) -> impl Iterator<Item = &Setup> {
    setups.iter().filter(|setup| setup.status == SetupStatus::FullyConfigured)
}

fn outside(
    kind: Kind,
    listed: &Listed,
    by_id: &BTreeMap<SetupId, &Setup>,
    serving: &BTreeMap<&str, &Setup>,
) -> Option<Finding> {
    let origin = listed.our_name().and_then(|name| name.origin());
    let (id, name) = (listed.id.clone(), listed.name.clone());
    if let Some(setup) = serving.get(&*listed.id) {
        let own = origin.is_some_and(|(origin, _)| origin == setup.id);
        return (!own).then_some(Finding::Renamed { kind, id, name, setup: setup.id });
    }
    let Some(origin) = origin else { return Some(Finding::Foreign { kind, id }) };
    let setup = by_id.get(&origin.0);
    let under_way = |setup: &&&Setup| {
        setup.status.is_running()
            || (setup.status == SetupStatus::FullyConfigured && setup.services.is_none())
    };
    if setup.filter(under_way).is_some() {
        return None;
    }
    let known = setup.map_or(Known::Nothing, |setup| {
        let orphaned = setup.journal.iter().any(|record| {
            record.attempt == origin.1 && record.step == kind.step() && record.state == StepState::Orphaned
        });
        if orphaned { Known::Orphaned } else { Known::SetupOnly }
    });
    Some(Finding::Orphan { kind, id, name, origin, known })
}

/// The one thing that is this setup's by its name, or is called as its address is; `None` when there are none or several.
fn candidate(setup: &Setup, all: &[Listed]) -> Option<String> {
    let ours = |listed: &&Listed| {
        listed.our_name().and_then(|name| name.origin()).is_some_and(|(origin, _)| origin == setup.id)
            || listed.name == setup.address.to_string()
            || listed.name == setup.address.name.as_str()
    };
    let mut found = all.iter().filter(ours);
    match (found.next(), found.next()) {
        (Some(one), None) => Some(one.id.clone()),
        (Some(_), Some(_)) | (None, _) => None,
    }
}
