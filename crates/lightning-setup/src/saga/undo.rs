//! Undoing a step.

use guiche_kernel::Timestamp;

use super::{Creation, Turn, Work};
use crate::document::Wallet;
use crate::service::Setups;
use crate::{
    FaultKind, Goal, HostError, Macaroon, NodeState, Provider, SetupError, SetupFault, Step, StepRecord,
    StepState,
};

/// Why something was not undone.
enum Kept {
    /// The call failed; it is tried again.
    Failed(HostError),
    /// It must not be undone.
    Must(SetupFault),
}

impl From<HostError> for Kept {
    fn from(error: HostError) -> Self {
        Self::Failed(error)
    }
}

impl Setups {
    pub(super) async fn undo(&self, work: &mut Work, known: StepRecord) -> Result<Turn, SetupError> {
        let outcome = match known.step {
            // They live and die with the node. What was sealed stays: a seed outlives its node.
            Step::SeedStored | Step::WalletInitialised | Step::MacaroonBaked => Ok(None),
            Step::NodeConnected => self.disconnect(work, &known).await,
            Step::NodeCreated => self.take_away(work, &known, Creation::Node).await,
            Step::StoreCreated => self.take_away(work, &known, Creation::Store).await,
            Step::WebhookRegistered => self.take_away(work, &known, Creation::Webhook).await,
        };
        match outcome {
            Ok(Some(settled)) => Ok(Turn::Rest(settled)),
            Ok(None) => {
                self.write(work, StepRecord { state: StepState::Undone, since: self.now(), ..known }).await?;
                Ok(Turn::Go)
            }
            Err(kept) => self.kept(work, known, kept).await,
        }
    }

    async fn disconnect(&self, work: &Work, known: &StepRecord) -> Result<Option<Timestamp>, Kept> {
        // Without a store there is nothing on it.
        if let Ok(store) = work.resource(known.attempt, Step::StoreCreated) {
            self.ports.stores.disconnect_node(&store).await?;
        }
        Ok(None)
    }

    /// Takes away everything outside that belongs to the step, known by id or found by name. An unanswered call whose
    /// effect does not show may still have it: then the moment is returned at which it is looked for once more.
    async fn take_away(
        &self,
        work: &Work,
        known: &StepRecord,
        what: Creation,
    ) -> Result<Option<Timestamp>, Kept> {
        let mut ids = self.look_up(work, known.attempt, what).await?;
        let settled = known.since + self.policy.late_effect;
        if ids.is_empty() && known.state == StepState::Intended && self.now() < settled {
            return Ok(Some(settled));
        }
        ids.extend(known.resource.clone().filter(|id| !ids.contains(id)));
        match what {
            Creation::Node => {
                for node in ids {
                    if work.setup.goal == Goal::TearDown {
                        self.nothing_is_lost(work, known.attempt, &node).await?;
                    }
                    self.ports.nodes.delete_node(&node).await?;
                }
            }
            Creation::Store => {
                for store in ids {
                    self.ports.stores.delete_store(&store).await?;
                }
            }
            Creation::Webhook => {
                for webhook in ids {
                    let store = work.resource(known.attempt, Step::StoreCreated).map_err(Kept::Must)?;
                    self.ports.stores.delete_webhook(&store, &webhook).await?;
                }
            }
        }
        Ok(None)
    }

    /// A node that was in use is deleted only when it says that it holds nothing. One that never got as far as a
    /// macaroon never received anything.
    async fn nothing_is_lost(&self, work: &Work, attempt: u32, node: &str) -> Result<(), Kept> {
        let gone = self.ports.nodes.node(node).await? == NodeState::Gone;
        if gone || work.of(attempt, Step::WalletInitialised).is_none_or(|record| record.sealed.is_none()) {
            return Ok(());
        }
        let wallet: Wallet = self.opened_of(work, attempt, Step::SeedStored).map_err(Kept::Must)?;
        let admin: Macaroon = self.opened_of(work, attempt, Step::WalletInitialised).map_err(Kept::Must)?;
        if self.ports.wallets.holdings(&wallet.endpoint, &admin).await?.is_empty() {
            return Ok(());
        }
        Err(Kept::Must(HostError::new(Provider::Node, "node_has_funds", FaultKind::Refused).fault))
    }

    /// It is tried again for a while, and then left to an operator.
    async fn kept(&self, work: &mut Work, known: StepRecord, kept: Kept) -> Result<Turn, SetupError> {
        let tries = known.tries.saturating_add(1);
        match kept {
            Kept::Failed(error) if tries < self.policy.undo_tries => {
                let pause = self.pause(tries, &error);
                // What is only intended stays so: since when counts for how long its effect is waited for.
                let state = if known.state == StepState::Intended { known.state } else { StepState::Undoing };
                self.write(work, StepRecord { state, tries, ..known }).await?;
                Ok(Turn::Rest(self.now() + pause))
            }
            Kept::Failed(HostError { fault, .. }) | Kept::Must(fault) => {
                let orphan = StepRecord { state: StepState::Orphaned, tries, since: self.now(), ..known };
                self.write(work, orphan).await?;
                Ok(Turn::Fail(fault))
            }
        }
    }
}
