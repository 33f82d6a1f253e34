//! One round: a few citizens' journeys while a point is armed, the kill, the start after it, and what was promised before.

use std::fmt;
use std::time::{Duration, Instant};

use guiche_app::fail_points::{Call as Port, Part, Point};

use crate::audit::{Violation, ensure};
use crate::lab::{CITIZEN, Lab};
use crate::office::{Answer, Call, Citizen, Lost, Office, PASSWORD};
use crate::process::{App, signal};
use crate::support::Chance;

/// Longer than any point takes to be reached; a point that is not by then was missed.
const HIT_WITHIN: Duration = Duration::from_secs(20);
/// The same for a process that nobody asks anything.
const HIT_AGAIN_WITHIN: Duration = Duration::from_millis(600);
/// What the second kill of a round is numbered from.
const AGAIN: usize = 1_000_000;
/// How often somebody asks about one payment at the same moment.
const ASKED_AT_ONCE: usize = 4;
/// Comparing the books to the last entry takes longer the longer the run is.
const AUDIT_EVERY: usize = 8;

/// What happens to a ticket in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Journey {
    /// Paid, and asked about several times at once while the watcher may look too.
    Confirmed,
    /// Paid, and found by the watcher.
    Watched,
    /// Looked at by the watcher while it is unpaid; paid while the office is down.
    PaidLater,
}

/// What is done in it.
pub(crate) struct Round {
    number: usize,
    point: Point,
    nth: u64,
    journeys: Vec<Journey>,
    /// Whether two processes share the work. Either may reach the point; both are killed.
    is_shared: bool,
    /// Where the process that makes up for the kill is killed in its turn, if it gets there by itself.
    again_at: Option<Point>,
}

/// How it went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lived {
    pub(crate) hit: bool,
    /// Whether the process was killed once more while it made up for the first kill.
    pub(crate) killed_again: bool,
    pub(crate) acknowledged: usize,
    pub(crate) doubtful: usize,
}

/// What a citizen knows about one request.
struct Knowledge {
    key: String,
    journey: Journey,
    /// The answer to the opening, if it came.
    opened: Option<Answer>,
    /// Whether the office said that it is paid.
    settled: bool,
    /// Whether the wallet says so.
    paid: bool,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {} at {} (time {})", self.number, self.point, self.nth)
    }
}

impl Round {
    /// One journey of each kind, so that every point is reached, and perhaps another.
    pub(crate) fn new(number: usize, point: Point, chance: &mut Chance) -> Self {
        let kinds = [Journey::Confirmed, Journey::Watched, Journey::PaidLater];
        let mut journeys = kinds.to_vec();
        journeys.extend(chance.index(2 * kinds.len()).and_then(|index| kinds.get(index)));
        #[expect(clippy::wildcard_enum_match_arm, reason = "setups have rounds of their own")]
        let most = match point.call {
            // These are called all the time: the first passing is before anything has happened.
            Port::ClaimLooks | Port::FanOut | Port::ClaimDeliveries if !point.is_after => 12,
            // What is done for many at once may happen only once in a round.
            Port::ClaimLooks | Port::Reschedule | Port::FanOut | Port::ClaimDeliveries => 1,
            Port::Save | Port::Push | Port::Lock | Port::Commit | Port::Begin => 2,
            Port::Claim
            | Port::Issue
            | Port::Open
            | Port::Find
            | Port::Status
            | Port::Send
            | Port::Record => 3,
            _ => 1,
        };
        let everywhere: Vec<_> = Point::of(Part::Money).collect();
        let again_at = chance.index(4 * everywhere.len()).and_then(|index| everywhere.get(index).copied());
        let (nth, is_shared) = (1 + chance.below(most), chance.below(4) == 0);
        // Each process counts for itself, and gets a share of the passings.
        let nth = if is_shared { 1 } else { nth };
        Self { number, point, nth, journeys, is_shared, again_at }
    }

    /// Nothing but tickets that several ask two processes about at once.
    pub(crate) fn of_races(number: usize, point: Point) -> Self {
        Self { number, point, nth: 1, journeys: vec![Journey::Confirmed; 4], is_shared: true, again_at: None }
    }

    /// One journey of each kind, and one process.
    pub(crate) fn plain(number: usize, point: Point) -> Self {
        let journeys = vec![Journey::Confirmed, Journey::Watched, Journey::PaidLater];
        Self { number, point, nth: 1, journeys, is_shared: false, again_at: None }
    }
}

impl Lab {
    /// Lives through a round. Afterwards the process runs, nothing is armed, and everything was paid and told.
    pub(crate) async fn live_through(
        &mut self,
        round: &Round,
        chance: &mut Chance,
    ) -> Result<Lived, Violation> {
        let (mut known, hit) = self.work_until_killed(round).await?;
        let doubtful = known.iter().filter(|request| request.opened.is_none()).count();
        let mut lived = Lived { hit, killed_again: false, acknowledged: known.len() - doubtful, doubtful };
        self.sessions_end().await;
        for request in &mut known {
            if chance.below(4) > 0 {
                self.pay(request).await;
            }
        }
        self.time_passes().await;
        if let Some(point) = round.again_at {
            lived.killed_again = self.kill_while_it_catches_up(round.number, point).await;
        }
        self.app = self.start().await?;
        self.keep_promises(&mut known, chance).await?;
        self.comes_to_rest().await?;
        if round.number.is_multiple_of(AUDIT_EVERY) || self.is_impatient() {
            self.audit().await?;
        }
        Ok(lived)
    }

    /// The journeys of a round, until the point is reached and every process killed; and whether it was reached.
    async fn work_until_killed(&mut self, round: &Round) -> Result<(Vec<Knowledge>, bool), Violation> {
        let mut replica = if round.is_shared { Some(self.start().await?) } else { None };
        let processes: Vec<_> = std::iter::once(&self.app).chain(&replica).collect();
        let offices: Vec<_> = processes.iter().map(|app| app.office()).collect();
        let pids: Vec<_> = processes.iter().map(|app| app.pid()).collect();
        let citizen = sign_in(&offices[0]).await?;
        self.requests += round.journeys.len();
        self.arm(&round.point.to_string(), round.nth, round.number);
        let journeys = round.journeys.iter().enumerate().map(|(index, journey)| {
            let key = format!("round-{}-{index}", round.number);
            self.travel(&offices, &citizen, Knowledge::new(key, *journey))
        });
        // The kill ends the journeys that hang; the others end by themselves, and then the point may still be reached.
        let killing = async {
            let hit = self.is_hit_within(round.number, HIT_WITHIN).await;
            signal("KILL", &pids);
            hit
        };
        let (known, hit) = futures::future::join(futures::future::join_all(journeys), killing).await;
        self.app.kill();
        replica.iter_mut().for_each(App::kill);
        self.disarm();
        Ok((known.into_iter().collect::<Result<_, _>>()?, hit))
    }

    /// After the start: what was acknowledged is there, what was not is asked for again, and all of it is paid.
    async fn keep_promises(&self, known: &mut [Knowledge], chance: &mut Chance) -> Result<(), Violation> {
        let office = self.app.office();
        let citizen = sign_in(&office).await?;
        for request in &mut *known {
            check(&office, &citizen, request).await?;
            self.pay(request).await;
        }
        // What was paid only now is not looked at for a while: the payer asks.
        for request in known {
            let ticket = request.opened.as_ref().map(|opened| opened.text("ticket_id")).unwrap_or_default();
            if request.journey != Journey::Watched && chance.below(2) == 0 {
                ask(&office, Call::to(&citizen, &ticket, "confirm-payment"), 200).await?;
            } else {
                self.look_soon(&ticket).await;
            }
        }
        Ok(())
    }

    /// Starts a process that is killed while it catches up. Whether it got to the point by itself: a point that only a
    /// citizen's request reaches, it does not.
    async fn kill_while_it_catches_up(&self, round: usize, point: Point) -> bool {
        let round = round + AGAIN;
        self.arm(&point.to_string(), 1, round);
        let mut app = self.world.serve().await;
        let hit = self.is_hit_within(round, HIT_AGAIN_WITHIN).await;
        app.kill();
        self.disarm();
        self.sessions_end().await;
        self.time_passes().await;
        hit
    }

    async fn travel(
        &self,
        offices: &[Office],
        citizen: &Citizen,
        mut request: Knowledge,
    ) -> Result<Knowledge, Violation> {
        let Ok(opened) = offices[0].ask(Call::open(citizen, Some(&request.key))).await else {
            return Ok(request);
        };
        ensure(opened.status == 201, || format!("an opening was refused: {opened:?}"))?;
        let (ticket, hash) = (opened.text("ticket_id"), opened.text("payment_hash"));
        request.opened = Some(opened);
        match request.journey {
            Journey::Confirmed => {
                self.pay(&mut request).await;
                let asked = offices.iter().cycle().take(ASKED_AT_ONCE);
                let asked = asked.map(|office| office.ask(Call::to(citizen, &ticket, "confirm-payment")));
                for answer in futures::future::join_all(asked).await {
                    let Ok(answer) = answer else { continue };
                    ensure(answer.status == 200, || format!("a question was refused: {answer:?}"))?;
                    request.settled |= answer.text("status") == "paid";
                }
            }
            Journey::Watched => {
                self.pay(&mut request).await;
                self.look_now(&hash).await;
            }
            Journey::PaidLater => self.look_now(&hash).await,
        }
        Ok(request)
    }

    pub(crate) async fn is_hit_within(&self, round: usize, within: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < within {
            if self.is_hit(round) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// The wallet pays, if there is an invoice to be paid.
    async fn pay(&self, request: &mut Knowledge) {
        if let Some(opened) = request.opened.as_ref().filter(|_| !request.paid) {
            self.provider.pay(&opened.text("payment_hash")).await;
            request.paid = true;
        }
    }
}

impl Knowledge {
    fn new(key: String, journey: Journey) -> Self {
        Self { key, journey, opened: None, settled: false, paid: false }
    }
}

/// After the start: what was acknowledged is there, and its key gives the same answer; what was not is asked for again, under
/// its key.
async fn check(office: &Office, citizen: &Citizen, request: &mut Knowledge) -> Result<(), Violation> {
    if let Some(opened) = &request.opened {
        let read = ask(office, Call::ticket(citizen, &opened.text("ticket_id")), 200).await?;
        let settled = read.text("payment_status") == "paid";
        ensure(settled || !request.settled, || format!("it was paid before the kill: {read:?}"))?;
    }
    let again = ask(office, Call::open(citizen, Some(&request.key)), 201).await?;
    if let Some(opened) = &request.opened {
        ensure(again.body == opened.body, || format!("one key, two answers: {opened:?}, {again:?}"))?;
    }
    request.opened = Some(again);
    Ok(())
}

async fn sign_in(office: &Office) -> Result<Citizen, Violation> {
    let body = serde_json::json!({ "email": format!("{CITIZEN}@example.org"), "password": PASSWORD });
    let tokens = ask(office, Call::post("/api/v1/auth/login").json(body), 200).await?;
    Ok(Citizen { access: tokens.text("access_token"), refresh: tokens.text("refresh_token") })
}

/// Asks where nothing is armed, so that an answer must come.
async fn ask(office: &Office, call: Call<'_>, status: u16) -> Result<Answer, Violation> {
    let said = format!("{call:?}");
    let answer =
        office.ask(call).await.map_err(|Lost(error)| Violation(format!("no answer to {said}: {error:?}")))?;
    ensure(answer.status == status, || format!("{said} was answered with {answer:?}"))?;
    Ok(answer)
}
