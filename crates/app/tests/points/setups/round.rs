//! One round: somebody's address is set up, or torn down, while a point is armed; the kill, the start after it, the end of
//! the attempt, and the address at last.

use std::fmt;
use std::time::{Duration, Instant};

use guiche_app::fail_points::{Call as Port, Point};
use serde_json::{Value, json};

use super::tally::Tally;
use crate::addresses;
use crate::audit::{Violation, ensure};
use crate::lab::Lab;
use crate::office::{Call, Citizen, Office};
use crate::support::Chance;

const SETUP: &str = "/api/v1/lightning/setup";
/// Longer than any point takes to be reached; a point that is not by then was missed.
const HIT_WITHIN: Duration = Duration::from_secs(10);
/// The same for a process that only goes on with what it finds.
const HIT_AGAIN_WITHIN: Duration = Duration::from_secs(2);
/// What further kills of a round are numbered in steps of.
const AGAIN: usize = 1_000_000;
/// More than the saga tries to undo a step.
const ALWAYS: u32 = 50;
/// Every so many rounds in which a setup fails, what it left cannot be undone.
const GIVEN_UP_EVERY: u64 = 5;
/// The most kills of one round besides the first.
const MOST_MORE_KILLS: u64 = 4;
/// So many calls ahead the process that goes on is killed in its turn.
const LOOKS_AHEAD: usize = 3;

/// What is done to the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    /// It is made, and everything goes well.
    Made,
    /// It is made, and of everything that must not be made twice the first answer is lost.
    AnswersLost,
    /// The last step is refused, and all the others are undone.
    Undone,
    /// The same, and the node cannot be deleted.
    GivenUp,
    /// It was made, and is torn down.
    TornDown,
}

/// Several calls by their names.
macro_rules! calls {
    ($($call:ident)*) => { &[$(Port::$call),*] };
}

/// What is called when the wallet's answer is lost.
const UNDONE_EARLY: &[Port] = calls![RollBack FindNodes DeleteNode Close];

impl Path {
    /// The calls on it, in order.
    const fn calls(self) -> &'static [Port] {
        match self {
            Self::Made => calls![
                CreateNode Node GenerateSeed InitWallet IsServing BakeMacaroon CreateStore ConnectNode ReachesNode
                RegisterWebhook Complete
            ],
            Self::AnswersLost => calls![
                CreateNode FindNodes Node GenerateSeed InitWallet IsServing BakeMacaroon CreateStore FindStores
                ConnectNode ReachesNode RegisterWebhook FindWebhooks Complete
            ],
            Self::Undone | Self::GivenUp => calls![
                CreateNode Node GenerateSeed InitWallet IsServing BakeMacaroon CreateStore ConnectNode ReachesNode
                RegisterWebhook RollBack DisconnectNode FindStores DeleteStore FindNodes DeleteNode Close
            ],
            Self::TornDown => calls![
                Holdings FindWebhooks DeleteWebhook DisconnectNode FindStores DeleteStore FindNodes Node Holdings
                DeleteNode Close
            ],
        }
    }
}

/// How the attempt ended in which the process was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ended {
    Complete,
    Failed,
    NeedsAttention,
    Removed,
}

impl Ended {
    pub(crate) const ALL: [Self; 4] = [Self::Complete, Self::Failed, Self::NeedsAttention, Self::Removed];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "fully_configured",
            Self::Failed => "failed",
            Self::NeedsAttention => "needs_attention",
            Self::Removed => "removed",
        }
    }
}

/// What is done in it.
pub(crate) struct SetupRound {
    number: usize,
    point: Point,
    nth: u64,
    path: Path,
    /// How often the process that goes on is killed in its turn.
    more_kills: u64,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Lived {
    /// Where the process was killed, in order.
    pub(crate) kills: Vec<Point>,
    /// Whether the point of the round was never reached.
    pub(crate) missed: bool,
    pub(crate) ended: Ended,
}

impl fmt::Display for SetupRound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, point, nth, path, .. } = self;
        write!(f, "round {number} of setups at {point} (time {nth}), {path:?}")
    }
}

impl SetupRound {
    /// A path that leads to the point.
    pub(super) fn new(number: usize, point: Point, chance: &mut Chance) -> Self {
        let given_up = chance.below(GIVEN_UP_EVERY) == 0;
        let undone = if given_up { Path::GivenUp } else { Path::Undone };
        let paths = [Path::Made, Path::AnswersLost, undone, Path::TornDown];
        let leading: Vec<_> = paths.into_iter().filter(|path| path.calls().contains(&point.call)).collect();
        let path = leading[chance.index(leading.len()).unwrap()];
        // Whoever asks for the teardown meets the first; its runner the second.
        let most = if point.call == Port::Holdings { 2 } else { 1 };
        Self {
            number,
            point,
            nth: 1 + chance.below(most),
            path,
            more_kills: 1 + chance.below(MOST_MORE_KILLS),
        }
    }

    /// Straight to the point, and killed there once.
    pub(crate) fn plain(number: usize, point: Point) -> Self {
        let path = if point.call < Port::RollBack { Path::AnswersLost } else { Path::Undone };
        Self { number, point, nth: 1, path, more_kills: 0 }
    }

    /// A point that the process comes to that goes on after a kill: one of the next few, and of those one with the fewest
    /// kills so far.
    fn next(&self, killed_at: Point, tally: &Tally) -> Option<Point> {
        // A wallet that was perhaps made is never made again: then everything is undone.
        let calls = if killed_at.call == Port::InitWallet { UNDONE_EARLY } else { self.path.calls() };
        let passed = calls.iter().rposition(|call| *call == killed_at.call).map_or(0, |place| place + 1);
        let ahead = calls.iter().skip(passed).take(LOOKS_AHEAD);
        let points = ahead.flat_map(|call| [false, true].map(|is_after| Point { call: *call, is_after }));
        points.min_by_key(|point| tally.kills_at(*point))
    }
}

impl Lab {
    /// Lives through a round. Afterwards the process runs, nothing is armed, no setup is under way, and the address works.
    pub(crate) async fn live_through_setup(
        &mut self,
        round: &SetupRound,
        tally: &Tally,
    ) -> Result<Lived, Violation> {
        let office = self.app.office();
        let name = format!("person-{}-{}", round.number, round.point.to_string().replace(['.', '_'], "-"));
        let person = office.register(&name).await;
        let address = format!("name-{}@guiche.test", round.number);
        if round.path == Path::TornDown {
            make(&office, &person, &address).await?;
        }
        self.prepare_faults(round.path).await;
        self.arm(&round.point.to_string(), round.nth, round.number);
        let call = if round.path == Path::TornDown {
            Call::delete(SETUP).by(&person)
        } else {
            begin(&person, &address, 0)
        };
        let asking = office.ask(call);
        let killing = async {
            let hit = self.is_hit_within(round.number, HIT_WITHIN).await;
            crate::process::signal("KILL", &[self.app.pid()]);
            hit
        };
        let (answer, hit) = futures::future::join(asking, killing).await;
        if let Ok(answer) = answer {
            ensure(answer.status == 202, || format!("it was refused: {answer:?}"))?;
        }
        self.app.kill();
        self.disarm();
        self.sessions_end().await;
        addresses::time_passes(&self.books).await;
        let mut kills = Vec::from_iter(hit.then_some(round.point));
        for more in 1..=round.more_kills {
            let next = kills.last().and_then(|last| round.next(*last, tally));
            let Some(point) = next else { break };
            let name = round.number + usize::try_from(more).unwrap() * AGAIN;
            if !self.kill_while_it_goes_on(name, point).await {
                break;
            }
            kills.push(point);
        }
        self.app = self.start().await?;
        let ended = self.ends_well(round, &address, &person).await?;
        Ok(Lived { kills, missed: !hit, ended })
    }

    async fn prepare_faults(&self, path: Path) {
        let (lost, refused) =
            (json!({ "kind": "lose_answer" }), json!({ "kind": "answer", "status": 422, "code": "no" }));
        let (nodes, stores) = (&self.hosts.nodes, &self.hosts.stores);
        match path {
            Path::Made | Path::TornDown => {}
            Path::AnswersLost => {
                nodes.fail("create_node", 1, lost.clone()).await;
                stores.fail("create_store", 1, lost.clone()).await;
                stores.fail("register_webhook", 1, lost).await;
            }
            Path::Undone => stores.fail("register_webhook", 1, refused).await,
            Path::GivenUp => {
                stores.fail("register_webhook", 1, refused.clone()).await;
                nodes.fail("delete_node", ALWAYS, refused).await;
            }
        }
    }

    /// Starts a process that is killed while it goes on with what it finds. Whether it got to the point.
    async fn kill_while_it_goes_on(&self, round: usize, point: Point) -> bool {
        self.arm(&point.to_string(), 1, round);
        let mut app = self.world.serve().await;
        let begun = Instant::now();
        let mut hit = false;
        while !hit && begun.elapsed() < HIT_AGAIN_WITHIN && !self.nothing_is_under_way().await {
            hit = self.is_hit_within(round, Duration::from_millis(50)).await;
        }
        app.kill();
        self.disarm();
        self.sessions_end().await;
        addresses::time_passes(&self.books).await;
        hit
    }

    async fn nothing_is_under_way(&self) -> bool {
        self.books.count("SELECT count(*) FROM lightning_addresses WHERE due_at IS NOT NULL").await == 0
    }

    /// The attempt comes to an end and the books agree; then everything is healed, the address is asked for once more if
    /// need be, and the books agree once more.
    async fn ends_well(
        &self,
        round: &SetupRound,
        address: &str,
        person: &Citizen,
    ) -> Result<Ended, Violation> {
        let office = self.app.office();
        self.setups_agree().await?;
        let ended = self.status_of(address).await;
        if ended == Some(Ended::Complete) && round.path == Path::TornDown {
            // The request for the teardown was lost with the process.
            let answer = office.tell(Call::delete(SETUP).by(person)).await;
            ensure(answer.status == 202, || format!("a teardown was refused: {answer:?}"))?;
            self.setups_agree().await?;
        }
        self.hosts.heal().await;
        let now = self.status_of(address).await;
        let call = match now {
            Some(Ended::Complete) => None,
            Some(Ended::Failed | Ended::NeedsAttention) => {
                Some(Call::post(format!("{SETUP}/retry")).by(person).header("prefer", "wait=20"))
            }
            Some(Ended::Removed) | None => Some(begin(person, address, 20)),
        };
        if let Some(call) = call {
            let answer = office.tell(call).await;
            ensure(answer.status == 201, || format!("another attempt at {address} failed: {answer:?}"))?;
            self.setups_agree().await?;
        }
        now.or(ended).ok_or_else(|| Violation(format!("a setup of {address} was acknowledged, and is gone")))
    }

    async fn setups_agree(&self) -> Result<(), Violation> {
        addresses::come_to_rest(&self.books, self.patience()).await.map_err(Violation)?;
        addresses::compare(&self.books, &self.hosts).await.map_err(Violation)
    }

    async fn status_of(&self, address: &str) -> Option<Ended> {
        let sql = format!("SELECT status::text FROM lightning_addresses WHERE address = '{address}'");
        let status = self.books.texts(&sql).await.pop()?;
        Ended::ALL.into_iter().find(|ended| ended.as_str() == status)
    }
}

/// Sets an address up, with nothing armed.
async fn make(office: &Office, person: &Citizen, address: &str) -> Result<(), Violation> {
    let made = office.tell(begin(person, address, 20)).await;
    ensure(made.status == 201, || format!("a setup failed by itself: {made:?}"))
}

fn begin<'a>(person: &'a Citizen, address: &str, wait: u32) -> Call<'a> {
    let body: Value = json!({ "lightning_address": address });
    Call::post(SETUP).by(person).header("prefer", format!("wait={wait}")).json(body)
}
