//! Both providers, and the nodes, in memory: what exists there, and every way in which a call can go wrong.

mod nodes;
mod stores;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{FaultKind, Holdings, HostError, Listed, Macaroon, NodeEndpoint, Provider};
use guiche_kernel::testing::SeededRandomness;
use guiche_kernel::{Clock, Randomness as _, Timestamp};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trouble {
    /// It is understood and refused.
    Refused,
    /// It is turned away unread.
    Unavailable,
    /// It is lost on the way there, which looks like no answer.
    LostBefore,
    /// It has its effect, and the answer is lost.
    LostAfter,
    /// It looks lost, and has its effect half a minute later.
    Late,
    /// It has its effect, and the answer is garbage.
    Garbage,
    /// The caller is killed before it is sent.
    KilledBefore,
    /// It has its effect, and the caller is killed before the answer arrives.
    KilledAfter,
}

impl Trouble {
    /// Every trouble.
    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::Unavailable,
        Self::LostBefore,
        Self::LostAfter,
        Self::Late,
        Self::Garbage,
        Self::KilledBefore,
        Self::KilledAfter,
    ];
}

/// How often a node, or a wallet, is found not ready yet before it is.
const LOOKS: u32 = 1;
/// How late a late effect comes.
const LATE: Duration = Duration::from_secs(30);

type Effect = Box<dyn FnOnce(&mut State) + Send>;

#[derive(Default)]
struct State {
    nodes: BTreeMap<String, Node>,
    stores: BTreeMap<String, Store>,
    made: u32,
    calls: Vec<&'static str>,
    troubles: Vec<(&'static str, usize, Trouble)>,
    always: Option<(Provider, Trouble)>,
    chance: Option<(SeededRandomness, u8)>,
    late: Vec<(Timestamp, Effect)>,
    watcher: Option<Watcher>,
}

/// Hears of a call before anything comes of it.
type Watcher = Arc<dyn Fn(&'static str) + Send + Sync>;

#[derive(Clone)]
struct Node {
    name: String,
    /// How often it was looked at before it had a wallet.
    looks: u32,
    wallet: Option<Wallet>,
    holdings: Holdings,
}

#[derive(Clone)]
struct Wallet {
    password: String,
    /// How often it was asked whether it serves since it was made or unlocked.
    looks: u32,
    is_locked: bool,
}

#[derive(Clone)]
struct Store {
    name: String,
    node: Option<(NodeEndpoint, String)>,
    webhooks: BTreeMap<String, (String, String)>,
}

/// Node host, nodes and store host in memory. Clones share their state.
#[derive(Clone)]
pub struct MemoryHosts {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

impl MemoryHosts {
    /// Nothing exists yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::default(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has that happen to the call of that name, the next one being 1, counted over all calls of that name so far.
    pub fn plan(&self, operation: &'static str, call: usize, trouble: Trouble) {
        self.lock().troubles.push((operation, call, trouble));
    }

    /// Has that happen to every call of a provider, until [`heal`](Self::heal).
    pub fn break_down(&self, provider: Provider, trouble: Trouble) {
        self.lock().always = Some((provider, trouble));
    }

    /// Has any trouble happen to any call, with so many chances of 256, as the seed has it.
    pub fn stir(&self, seed: u64, chances: u8) {
        self.lock().chance = Some((SeededRandomness::new(seed), chances));
    }

    /// Nothing goes wrong from now on.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.always = None;
        state.chance = None;
        state.troubles.clear();
    }

    /// The names of all calls so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().calls.clone()
    }

    /// Tells of every call from now on, by its name, before anything comes of it.
    pub fn watch(&self, watcher: impl Fn(&'static str) + Send + Sync + 'static) {
        self.lock().watcher = Some(Arc::new(watcher));
    }

    /// What exists: kind, id and our name of it.
    #[must_use]
    pub fn ledger(&self) -> Vec<(&'static str, String, String)> {
        let mut state = self.lock();
        state.settle(None);
        let mut all = Vec::new();
        all.extend(state.nodes.iter().map(|(id, node)| ("node", id.clone(), node.name.clone())));
        for (id, store) in &state.stores {
            all.push(("store", id.clone(), store.name.clone()));
            all.extend(store.webhooks.keys().map(|hook| ("webhook", hook.clone(), store.name.clone())));
        }
        all
    }

    /// Adds a node and a store that somebody else made; returns their ids.
    pub fn add_foreign(&self, name: &str) -> (String, String) {
        let mut state = self.lock();
        let id = state.id();
        let (node, store) = (format!("node-{id}"), format!("store-{id}"));
        state.nodes.insert(node.clone(), Node::new(name));
        state.stores.insert(store.clone(), Store::new(name));
        (node, store)
    }

    /// Lets every node come to where it is going: what is prepared waits for its wallet, what is starting serves.
    pub fn settle(&self) {
        for node in self.lock().nodes.values_mut() {
            node.looks = LOOKS;
            if let Some(wallet) = &mut node.wallet {
                wallet.looks = LOOKS;
            }
        }
    }

    /// Restarts a node, whose wallet is locked from then on.
    pub fn restart(&self, node: &str) {
        if let Some(wallet) = self.lock().nodes.get_mut(node).and_then(|node| node.wallet.as_mut()) {
            wallet.is_locked = true;
        }
    }

    /// Whether there is such a store.
    pub(super) fn has_store(&self, id: &str) -> bool {
        self.lock().stores.contains_key(id)
    }

    /// The time that everything here goes by.
    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Gives a node funds, channels, or room to receive.
    pub fn endow(&self, node: &str, holdings: Holdings) {
        if let Some(node) = self.lock().nodes.get_mut(node) {
            node.holdings = holdings;
        }
    }

    /// Takes something away behind everybody's back.
    pub fn vanish(&self, id: &str) {
        let mut state = self.lock();
        state.nodes.remove(id);
        state.stores.remove(id);
    }

    async fn call<T: Send + 'static>(
        &self,
        provider: Provider,
        operation: &'static str,
        effect: impl FnOnce(&mut State) -> Result<T, FaultKind> + Send + 'static,
    ) -> Result<T, HostError> {
        let watcher = self.lock().watcher.clone();
        if let Some(watcher) = watcher {
            watcher(operation);
        }
        let now = self.clock.now();
        let fail = |kind| HostError::new(provider, operation, kind);
        let outcome = {
            let mut state = self.lock();
            state.settle(Some(now));
            state.calls.push(operation);
            match state.trouble(provider, operation) {
                None => return effect(&mut state).map_err(fail),
                Some(Trouble::Refused) => Some(FaultKind::Refused),
                Some(Trouble::Unavailable) => Some(FaultKind::Unavailable),
                Some(Trouble::LostBefore) => Some(FaultKind::Unanswered),
                Some(Trouble::KilledBefore) => None,
                Some(Trouble::Late) => {
                    state.late.push((now + LATE, Box::new(|state| drop(effect(state)))));
                    Some(FaultKind::Unanswered)
                }
                Some(trouble @ (Trouble::LostAfter | Trouble::Garbage | Trouble::KilledAfter)) => {
                    effect(&mut state).map_err(fail)?;
                    let unanswered = (trouble == Trouble::LostAfter).then_some(FaultKind::Unanswered);
                    unanswered.or_else(|| (trouble == Trouble::Garbage).then_some(FaultKind::Garbled))
                }
            }
        };
        match outcome {
            Some(kind) => Err(fail(kind)),
            // Whoever asked is gone: nobody will ever hear of this.
            None => pending().await,
        }
    }
}

impl State {
    fn id(&mut self) -> u32 {
        self.made = self.made.saturating_add(1);
        self.made
    }

    fn trouble(&self, provider: Provider, operation: &'static str) -> Option<Trouble> {
        let call = self.calls.iter().filter(|it| **it == operation).count();
        let planned = self.troubles.iter().find(|it| it.0 == operation && it.1 == call).map(|it| it.2);
        planned.or_else(|| self.always.filter(|it| it.0 == provider).map(|it| it.1)).or_else(|| {
            let (randomness, chances) = self.chance.as_ref()?;
            let mut drawn = [0; 2];
            randomness.fill(&mut drawn);
            let [whether, which] = drawn;
            Trouble::ALL.get(usize::from(which) % Trouble::ALL.len()).filter(|_| whether < *chances).copied()
        })
    }

    /// Late effects whose time has come; with `None`, all of them.
    fn settle(&mut self, now: Option<Timestamp>) {
        let (due, later) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, _)| now.is_none_or(|now| *at <= now));
        self.late = later;
        let due: Vec<(Timestamp, Effect)> = due;
        for (_, effect) in due {
            effect(self);
        }
    }

    fn at(&mut self, endpoint: &NodeEndpoint) -> Result<(String, &mut Node), FaultKind> {
        let id = node_id(endpoint).to_owned();
        let node = self.nodes.get_mut(&id).ok_or(FaultKind::Unavailable)?;
        Ok((id, node))
    }

    /// A node whose wallet is there and open.
    fn serving(&mut self, endpoint: &NodeEndpoint) -> Result<(String, &mut Node), FaultKind> {
        let (id, node) = self.at(endpoint)?;
        let is_open = node.wallet.as_ref().is_some_and(|wallet| !wallet.is_locked);
        if is_open { Ok((id, node)) } else { Err(FaultKind::Unavailable) }
    }
}

impl Node {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), looks: 0, wallet: None, holdings: Holdings::default() }
    }
}

impl Store {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), node: None, webhooks: BTreeMap::new() }
    }
}

fn endpoint(node: &str) -> NodeEndpoint {
    NodeEndpoint(format!("{node}.test"))
}

/// The node at an endpoint; the empty text for every other.
fn node_id(endpoint: &NodeEndpoint) -> &str {
    endpoint.0.strip_suffix(".test").unwrap_or_default()
}

fn macaroon(text: &str) -> Result<Macaroon, FaultKind> {
    Macaroon::from_hex(&hex::encode(text).into()).map_err(|_| FaultKind::Garbled)
}

fn is(given: &str, wanted: &str) -> bool {
    given == hex::encode(wanted)
}

fn named<'a>(all: impl Iterator<Item = (&'a String, &'a String)>, wanted: &str) -> Vec<String> {
    all.filter(|(_, name)| *name == wanted).map(|(id, _)| id.clone()).collect()
}

fn listed<'a>(all: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<Listed> {
    all.map(|(id, name)| Listed { id: id.clone(), name: name.clone() }).collect()
}
