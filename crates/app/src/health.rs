//! Whether this replica should get requests: a list of named checks, asked anew each time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use guiche_kernel::{Clock, Timestamp};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::shutdown::Shutdown;

/// A check that has not answered by then has failed.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what the checks found is told again. Anybody may ask, so asking must not make work.
const REMEMBERED: Duration = Duration::from_secs(1);

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub state: State,
    /// How long ago it last worked, if it ever did.
    pub last_success_age: Option<Duration>,
    /// Where the circuit to it stands, if there is one.
    pub circuit: Option<Circuit>,
}

impl Finding {
    /// How it is, and nothing else.
    #[must_use]
    pub const fn of(state: State) -> Self {
        Self { state, last_success_age: None, circuit: None }
    }
}

/// Where a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// Calls go through.
    Closed,
    /// One call is finding out whether they could.
    HalfOpen,
    /// No calls are made for now.
    Open,
}

/// How something that is needed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It works.
    Ok,
    /// It does not, but requests that do without it are served.
    Degraded,
    /// It does not, and nothing can be served. Only for the database, the migrations, and the shutdown.
    Down,
}

/// Looks at one thing that is needed.
#[async_trait]
pub trait Check: Send + Sync {
    /// How it is. It MUST NOT make work for what it looks at: it may be asked every second.
    async fn check(&self) -> Finding;
    /// What it is if it does not answer in time.
    fn when_silent(&self) -> State;
}

/// The checks, and the shutdown.
#[derive(Clone)]
pub struct Health {
    shutdown: Shutdown,
    checks: Vec<(&'static str, Arc<dyn Check>)>,
    clock: Arc<dyn Clock>,
    /// What the checks last found, and when. Held while they are asked: whoever comes then waits for that answer.
    found: Arc<Mutex<Option<(Timestamp, Findings)>>>,
}

type Findings = Vec<(&'static str, Finding)>;

/// How everything is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Report {
    /// The worst of the checks.
    status: State,
    /// Each check by name.
    checks: BTreeMap<&'static str, Entry>,
}

/// How one thing is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// How it is.
    status: State,
    /// Seconds since it last worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_success_age_seconds: Option<u64>,
    /// Whether it is called at all; only for what has a circuit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    circuit: Option<Circuit>,
}

impl Health {
    /// Nothing to check but the shutdown.
    #[must_use]
    pub fn new(shutdown: Shutdown, clock: Arc<dyn Clock>) -> Self {
        Self { shutdown, checks: Vec::new(), clock, found: Arc::default() }
    }

    /// Adds a check.
    #[must_use]
    pub fn with(mut self, name: &'static str, check: Arc<dyn Check>) -> Self {
        self.checks.push((name, check));
        self
    }

    /// What all checks found, at most a second ago; the shutdown is always as it is now.
    pub async fn report(&self) -> Report {
        let stopping = if self.shutdown.has_begun() { State::Down } else { State::Ok };
        let mut remembered = self.found.lock().await;
        let now = self.clock.now();
        let mut found = match remembered.take() {
            Some((at, found)) if (now - at).unsigned_abs() < REMEMBERED => {
                *remembered = Some((at, found.clone()));
                found
            }
            Some(_) | None => {
                let found = self.ask().await;
                *remembered = Some((now, found.clone()));
                found
            }
        };
        drop(remembered);
        found.push(("shutdown", Finding::of(stopping)));
        Report::of(found)
    }

    /// Asks all checks at once.
    async fn ask(&self) -> Findings {
        let asked = self.checks.iter().map(|(name, check)| async move {
            let silent = Finding::of(check.when_silent());
            (*name, tokio::time::timeout(PATIENCE, check.check()).await.unwrap_or(silent))
        });
        join_all(asked).await
    }
}

impl Report {
    fn of(found: Findings) -> Self {
        let has = |state| found.iter().any(|(_, finding)| finding.state == state);
        let status = if has(State::Down) {
            State::Down
        } else if has(State::Degraded) {
            State::Degraded
        } else {
            State::Ok
        };
        let entry = |finding: Finding| Entry {
            status: finding.state,
            last_success_age_seconds: finding.last_success_age.map(|age| age.as_secs()),
            circuit: finding.circuit,
        };
        Self { status, checks: found.into_iter().map(|(name, finding)| (name, entry(finding))).collect() }
    }

    /// Whether requests should be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status != State::Down
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicU32);

    #[async_trait]
    impl Check for Counted {
        async fn check(&self) -> Finding {
            self.0.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Finding::of(State::Ok)
        }
        fn when_silent(&self) -> State {
            State::Down
        }
    }

    #[tokio::test]
    async fn however_many_ask_the_checks_are_made_once_a_second() {
        let (shutdown, check) = (Shutdown::default(), Arc::new(Counted::default()));
        let clock = Arc::new(guiche_kernel::testing::ManualClock::default());
        let health = Health::new(shutdown.clone(), clock.clone()).with("database", check.clone());
        let reports = join_all((0..100).map(|_| health.report())).await;
        assert!(reports.iter().all(Report::is_ready));
        assert_eq!(check.0.load(Ordering::Relaxed), 1);
        clock.advance(REMEMBERED);
        assert!(health.report().await.is_ready());
        assert_eq!(check.0.load(Ordering::Relaxed), 2);
        shutdown.begin();
        assert!(!health.report().await.is_ready(), "the shutdown is not a memory");
        assert_eq!(check.0.load(Ordering::Relaxed), 2);
    }
}
