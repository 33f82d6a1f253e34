//! Whether this replica should get requests: a list of named checks, asked anew each time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;

use crate::shutdown::Shutdown;

/// A check that has not answered by then has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub state: State,
    /// How long ago it last worked, if it ever did.
    pub last_success_age: Option<Duration>,
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
}

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
    last_success_age_seconds: Option<u64>,
}

impl Health {
    /// Nothing to check but the shutdown.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, checks: Vec::new() }
    }

    /// Adds a check.
    #[must_use]
    pub fn with(mut self, name: &'static str, check: Arc<dyn Check>) -> Self {
        self.checks.push((name, check));
        self
    }

    /// Asks all checks at once.
    pub async fn report(&self) -> Report {
        let asked = self.checks.iter().map(|(name, check)| async move {
            let silent = Finding { state: check.when_silent(), last_success_age: None };
            (*name, tokio::time::timeout(PATIENCE, check.check()).await.unwrap_or(silent))
        });
        let stopping = if self.shutdown.has_begun() { State::Down } else { State::Ok };
        let mut found = join_all(asked).await;
        found.push(("shutdown", Finding { state: stopping, last_success_age: None }));
        Report::of(found)
    }
}

impl Report {
    fn of(found: Vec<(&'static str, Finding)>) -> Self {
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
        };
        Self { status, checks: found.into_iter().map(|(name, finding)| (name, entry(finding))).collect() }
    }

    /// Whether requests should be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status != State::Down
    }
}
