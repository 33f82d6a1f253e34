//! Making a step.

use std::time::Duration;

use guiche_kernel::{Sealed, Timestamp};

use super::{Creation, Turn, Work, not_ready, record};
use crate::document::Wallet;
use crate::service::Setups;
use crate::{
    FaultKind, HostError, Macaroon, NodeEndpoint, NodeState, Provider, SetupError, SetupFault, Step,
    StepRecord, StepState, WalletPassword, WebhookSecret,
};

impl Creation {
    fn unanswered(self) -> SetupFault {
        match self {
            Self::Node => unanswered(Provider::NodeHost, "create_node"),
            Self::Store => unanswered(Provider::StoreHost, "create_store"),
            Self::Webhook => unanswered(Provider::StoreHost, "register_webhook"),
        }
    }
}

/// A step that may be made again and again.
#[derive(Clone, Copy)]
enum Repeated {
    Seed,
    Macaroon,
    Connection,
}

impl Repeated {
    const fn step(self) -> Step {
        match self {
            Self::Seed => Step::SeedStored,
            Self::Macaroon => Step::MacaroonBaked,
            Self::Connection => Step::NodeConnected,
        }
    }
}

/// What a step left behind.
#[derive(Default)]
struct Made {
    resource: Option<String>,
    sealed: Option<Sealed>,
}

/// What came of a call that may be repeated.
enum Tried {
    Made(Made),
    /// It is not ready.
    NotYet(Provider, &'static str),
    /// Nothing came of it.
    Vain(HostError),
    /// It can never be made.
    Never(SetupFault),
}

impl From<HostError> for Tried {
    fn from(error: HostError) -> Self {
        Self::Vain(error)
    }
}

impl From<SetupFault> for Tried {
    fn from(fault: SetupFault) -> Self {
        Self::Never(fault)
    }
}

impl Setups {
    pub(super) async fn make(&self, work: &mut Work, step: Step) -> Result<Turn, SetupError> {
        // Whatever is written before the first call takes along what came of the last one. Here nothing is.
        if work.setup.record(step).is_some_and(|known| known.state == StepState::Intended) {
            self.catch_up(work).await?;
        }
        match step {
            Step::NodeCreated => self.create(work, Creation::Node).await,
            Step::SeedStored => self.repeat(work, Repeated::Seed).await,
            Step::WalletInitialised => self.initialise(work).await,
            Step::MacaroonBaked => self.repeat(work, Repeated::Macaroon).await,
            Step::StoreCreated => self.create(work, Creation::Store).await,
            Step::NodeConnected => self.repeat(work, Repeated::Connection).await,
            Step::WebhookRegistered => self.create(work, Creation::Webhook).await,
        }
    }

    /// A step that must not be made twice: after an unknown outcome its provider is asked by name.
    async fn create(&self, work: &mut Work, what: Creation) -> Result<Turn, SetupError> {
        let step = what.step();
        let known = work.setup.record(step).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.state == StepState::Intended) {
            match self.look_up(work, work.setup.attempt, what).await {
                Ok(found) => match found.as_slice() {
                    [] => {
                        let settled = known.since + self.policy.late_effect;
                        if self.now() < settled {
                            return Ok(Turn::Rest(settled));
                        }
                        if known.tries >= self.policy.tries {
                            return Ok(Turn::Fail(what.unanswered()));
                        }
                    }
                    [one] => {
                        let made = Made { resource: Some(one.clone()), sealed: known.sealed.clone() };
                        return Ok(self.made(work, step, made));
                    }
                    // An earlier call had its effect after all, later than anybody thinks: undoing finds them all.
                    [_, _, ..] => return Ok(Turn::Fail(SetupFault::internal("find_one"))),
                },
                Err(error) => return Ok(self.wait_or_fail(known.since, Tried::Vain(error))),
            }
        }
        let mut intent = self.intent(work, step, known.as_ref());
        if what == Creation::Webhook && intent.sealed.is_none() {
            let secret = WebhookSecret::generate(&*self.ports.randomness);
            match self.seal_for_journal(work, &secret) {
                Ok(sealed) => intent.sealed = Some(sealed),
                Err(fault) => return Ok(Turn::Fail(fault)),
            }
        }
        self.write(work, intent.clone()).await?;
        match self.call_create(work, what).await {
            Ok(id) => Ok(self.made(work, step, Made { resource: Some(id), sealed: intent.sealed })),
            Err(Tried::Vain(error)) if error.effect_unknown() => Ok(Turn::Go),
            Err(Tried::Vain(error)) => self.had_no_effect(work, intent, error).await,
            Err(other) => Ok(self.wait_or_fail(intent.since, other)),
        }
    }

    async fn call_create(&self, work: &Work, what: Creation) -> Result<String, Tried> {
        let name = work.name(work.setup.attempt);
        Ok(match what {
            Creation::Node => self.ports.nodes.create_node(&name, &work.setup.address).await?,
            Creation::Store => self.ports.stores.create_store(&name).await?,
            Creation::Webhook => {
                let store = work.resource(work.setup.attempt, Step::StoreCreated)?;
                let secret: WebhookSecret = self.opened(work, Step::WebhookRegistered)?;
                self.ports.stores.register_webhook(&store, &self.webhook_url(work.setup.id), &secret).await?
            }
        })
    }

    /// Makes the wallet. Its answer can be had only once: whatever is not answered ends the attempt, and the node with it.
    async fn initialise(&self, work: &mut Work) -> Result<Turn, SetupError> {
        let step = Step::WalletInitialised;
        let known = work.setup.record(step).cloned();
        if known.as_ref().is_some_and(|known| known.state == StepState::Intended) {
            return Ok(Turn::Fail(unanswered(Provider::Node, "init_wallet")));
        }
        let wallet: Wallet = match self.opened(work, Step::SeedStored) {
            Ok(wallet) => wallet,
            Err(fault) => return Ok(Turn::Fail(fault)),
        };
        let intent = self.intent(work, step, known.as_ref());
        self.write(work, intent.clone()).await?;
        match self.ports.wallets.init_wallet(&wallet.endpoint, &wallet.seed, &wallet.password).await {
            Ok(admin) => match self.seal_for_journal(work, &admin) {
                Ok(sealed) => Ok(self.made(work, step, Made { sealed: Some(sealed), resource: None })),
                Err(fault) => Ok(Turn::Fail(fault)),
            },
            Err(error) if error.effect_unknown() => Ok(Turn::Fail(error.fault)),
            Err(error) => self.had_no_effect(work, intent, error).await,
        }
    }

    /// A step that may be made again and again.
    async fn repeat(&self, work: &mut Work, what: Repeated) -> Result<Turn, SetupError> {
        let step = what.step();
        let known = match work.setup.record(step) {
            Some(known) if known.state == StepState::Intended => known.clone(),
            _ => {
                let intent = self.intent(work, step, None);
                self.write(work, intent.clone()).await?;
                intent
            }
        };
        let tried = match what {
            Repeated::Seed => self.try_seed(work).await,
            Repeated::Macaroon => self.try_macaroon(work).await,
            Repeated::Connection => self.try_connection(work).await,
        };
        match tried.unwrap_or_else(|vain| vain) {
            Tried::Made(made) => Ok(self.made(work, step, made)),
            Tried::Vain(error) if known.tries >= self.policy.tries || error.kind() == FaultKind::Refused => {
                Ok(Turn::Fail(error.fault))
            }
            Tried::Vain(error) => {
                let tries = known.tries.saturating_add(1);
                let pause = self.pause(tries, &error);
                self.write(work, StepRecord { tries, ..known }).await?;
                Ok(Turn::Rest(self.now() + pause))
            }
            tried @ (Tried::NotYet(..) | Tried::Never(_)) => Ok(self.wait_or_fail(known.since, tried)),
        }
    }

    async fn try_seed(&self, work: &Work) -> Result<Tried, Tried> {
        let endpoint = match self.node_of(work).await? {
            NodeState::WaitingForWallet(endpoint) => endpoint,
            NodeState::Preparing => return Ok(Tried::NotYet(Provider::NodeHost, "wait_for_node")),
            // Until its wallet is made, whoever reaches a node can claim it; and this one has a wallet that is not ours.
            NodeState::Locked(_) | NodeState::Running(_) => {
                let error = HostError::new(Provider::NodeHost, "claim_node", FaultKind::Refused);
                return Ok(Tried::Never(error.fault));
            }
            NodeState::Stopped | NodeState::Gone => {
                return Ok(Tried::Never(not_ready(Provider::NodeHost, "wait_for_node")));
            }
        };
        let seed = self.ports.wallets.generate_seed(&endpoint).await?;
        let wallet = Wallet { endpoint, seed, password: WalletPassword::generate(&*self.ports.randomness) };
        let sealed = self.seal_for_journal(work, &wallet)?;
        Ok(Tried::Made(Made { sealed: Some(sealed), resource: None }))
    }

    async fn try_macaroon(&self, work: &Work) -> Result<Tried, Tried> {
        let endpoint = self.endpoint(work)?;
        if !self.ports.wallets.is_serving(&endpoint).await? {
            return Ok(Tried::NotYet(Provider::Node, "wait_until_serving"));
        }
        let admin: Macaroon = self.opened(work, Step::WalletInitialised)?;
        let receive = self.ports.wallets.bake_receive_macaroon(&endpoint, &admin).await?;
        let sealed = self.seal_for_journal(work, &receive)?;
        Ok(Tried::Made(Made { sealed: Some(sealed), resource: None }))
    }

    async fn try_connection(&self, work: &Work) -> Result<Tried, Tried> {
        let store = work.resource(work.setup.attempt, Step::StoreCreated)?;
        let receive: Macaroon = self.opened(work, Step::MacaroonBaked)?;
        self.ports.stores.connect_node(&store, &self.endpoint(work)?, &receive).await?;
        if self.ports.stores.reaches_node(&store).await? {
            Ok(Tried::Made(Made::default()))
        } else {
            Ok(Tried::NotYet(Provider::StoreHost, "reach_node"))
        }
    }

    async fn node_of(&self, work: &Work) -> Result<NodeState, Tried> {
        let node = work.resource(work.setup.attempt, Step::NodeCreated)?;
        Ok(self.ports.nodes.node(&node).await?)
    }

    fn endpoint(&self, work: &Work) -> Result<NodeEndpoint, SetupFault> {
        self.opened::<Wallet>(work, Step::SeedStored).map(|wallet| wallet.endpoint)
    }

    /// Goes into storage with the next intent, in one write.
    fn made(&self, work: &mut Work, step: Step, made: Made) -> Turn {
        let mut done = record(work.setup.attempt, step, StepState::Done, self.now());
        (done.resource, done.sealed) = (made.resource, made.sealed);
        work.put(done.clone());
        work.unwritten = Some(done);
        Turn::Go
    }

    /// What is written before a call.
    fn intent(&self, work: &Work, step: Step, known: Option<&StepRecord>) -> StepRecord {
        let mut intent = record(work.setup.attempt, step, StepState::Intended, self.now());
        if let Some(known) = known {
            intent.tries = known.tries.saturating_add(1);
            intent.sealed.clone_from(&known.sealed);
        }
        intent
    }

    /// Nothing of it exists: it can be repeated as if it had never been.
    async fn had_no_effect(
        &self,
        work: &mut Work,
        intent: StepRecord,
        error: HostError,
    ) -> Result<Turn, SetupError> {
        let tries = intent.tries;
        self.write(work, StepRecord { state: StepState::Undone, since: self.now(), ..intent }).await?;
        if error.kind() == FaultKind::Refused || tries >= self.policy.tries {
            return Ok(Turn::Fail(error.fault));
        }
        Ok(Turn::Rest(self.now() + self.pause(tries.saturating_add(1), &error)))
    }

    /// Waits for what is not ready, or cannot be seen, as long as there is patience.
    fn wait_or_fail(&self, since: Timestamp, tried: Tried) -> Turn {
        let fault = match tried {
            Tried::Made(_) => return Turn::Go,
            Tried::Never(fault) => return Turn::Fail(fault),
            Tried::NotYet(provider, operation) => not_ready(provider, operation),
            Tried::Vain(error) => error.fault,
        };
        let waited: Duration = (self.now() - since).try_into().unwrap_or_default();
        if waited >= self.policy.ready_within {
            return Turn::Fail(fault);
        }
        Turn::Rest(self.now() + self.policy.poll_after(waited))
    }

    pub(super) fn pause(&self, failures: u16, error: &HostError) -> Duration {
        let asked = error.retry_after.unwrap_or_default().min(self.policy.ready_within);
        self.policy.pause_after(failures).max(asked)
    }
}

fn unanswered(provider: Provider, operation: &'static str) -> SetupFault {
    HostError::new(provider, operation, FaultKind::Unanswered).fault
}
