//! Named moments at which a test makes this process stop for ever, to kill it there: before and after every call of a port
//! that opens, settles, watches or delivers, and that makes or undoes the steps of a setup. Only in builds with the feature
//! `fail-points`, which refuse production.
//!
//! The variable `FAIL_POINTS` names a directory. A file `armed` in it, with the words `<point> <nth> <name of the round>`,
//! arms one point; it may come and change while the process runs. Whoever reaches the point for the nth time writes the name
//! of the round into the file `hit` and goes no further: its task hangs, with whatever it holds, until the process is killed.
//!
//! `FAIL_POINTS_PLANT` makes the process worse than it is, so that the test can show that it would notice: see [`Plant`].

mod point;
mod setups;
mod tickets;
mod webhooks;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use guiche_lightning_setup::SetupPorts;
use guiche_tickets::TicketPorts;
use guiche_webhooks::WebhookPorts;

pub use self::point::{Call, Part, Point};

/// Mistakes that somebody could make around a port. (Those that somebody could make in SQL are planted into the database.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// The citizen gets the answer before the ticket is stored.
    AcknowledgedBeforeStored,
    /// The events of a settlement are written in a commit of their own, after its.
    EventsAfterCommit,
    /// A delivery counts as made before it is sent.
    RecordedBeforeSent,
    /// The provider is asked for an invoice under a fresh key at every attempt.
    FreshKeyAtEveryAttempt,
    /// Nothing is written down before a node is ordered.
    NodeWithoutIntent,
    /// After an unanswered call its provider is not asked what became of it: nothing, it is believed.
    RepeatedWithoutAsking,
    /// A node counts as deleted before its host was told to.
    UndoneBeforeDeleted,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AcknowledgedBeforeStored,
        Self::EventsAfterCommit,
        Self::RecordedBeforeSent,
        Self::FreshKeyAtEveryAttempt,
        Self::NodeWithoutIntent,
        Self::RepeatedWithoutAsking,
        Self::UndoneBeforeDeleted,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AcknowledgedBeforeStored => "acknowledged-before-stored",
            Self::EventsAfterCommit => "events-after-commit",
            Self::RecordedBeforeSent => "recorded-before-sent",
            Self::FreshKeyAtEveryAttempt => "fresh-key-at-every-attempt",
            Self::NodeWithoutIntent => "node-without-intent",
            Self::RepeatedWithoutAsking => "repeated-without-asking",
            Self::UndoneBeforeDeleted => "undone-before-deleted",
        }
    }
}

/// The points of this process.
#[derive(Debug)]
pub struct FailPoints {
    directory: Option<PathBuf>,
    plant: Option<Plant>,
    /// What is armed, and how often its point was reached since it is.
    reached: Mutex<(String, u32)>,
}

impl FailPoints {
    /// As the environment says: `FAIL_POINTS`, `FAIL_POINTS_PLANT`.
    #[must_use]
    pub fn from_environment() -> Arc<Self> {
        let plant = std::env::var("FAIL_POINTS_PLANT").ok();
        Arc::new(Self {
            directory: std::env::var_os("FAIL_POINTS").map(PathBuf::from),
            plant: plant.and_then(|name| Plant::ALL.into_iter().find(|plant| plant.as_str() == name)),
            reached: Mutex::default(),
        })
    }

    /// Puts the points around the ports of the money path.
    #[must_use]
    pub fn around_tickets(self: &Arc<Self>, ports: TicketPorts) -> TicketPorts {
        tickets::around(self, ports)
    }

    /// Puts the points around the ports of events out.
    #[must_use]
    pub fn around_webhooks(self: &Arc<Self>, ports: WebhookPorts) -> WebhookPorts {
        webhooks::around(self, ports)
    }

    /// Puts the points around the ports of setups.
    #[must_use]
    pub fn around_setups(self: &Arc<Self>, ports: SetupPorts) -> SetupPorts {
        setups::around(self, ports)
    }

    fn has(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    async fn around<T: Send>(&self, call: Call, work: impl Future<Output = T> + Send) -> T {
        self.around_where(call, work, |_| true).await
    }

    /// As [`around`](Self::around), for a call that mostly finds nothing to do: the moment after it is one only where the
    /// outcome says so.
    async fn around_where<T: Send>(
        &self,
        call: Call,
        work: impl Future<Output = T> + Send,
        did_something: impl FnOnce(&T) -> bool + Send,
    ) -> T {
        self.pass(Point { call, is_after: false }).await;
        let outcome = work.await;
        if did_something(&outcome) {
            self.pass(Point { call, is_after: true }).await;
        }
        outcome
    }

    async fn pass(&self, point: Point) {
        let Some(directory) = &self.directory else { return };
        if self.is_reached(directory, point) {
            std::future::pending::<()>().await;
        }
    }

    /// Whether this is the moment. A file is read at every call: this build is not for speed, and a process that can be armed
    /// while it runs is started half as often.
    fn is_reached(&self, directory: &Path, point: Point) -> bool {
        let Ok(armed) = fs::read_to_string(directory.join("armed")) else { return false };
        let mut words = armed.split_whitespace();
        let (Some(name), Some(nth), Some(round)) = (words.next(), words.next(), words.next()) else {
            return false;
        };
        if name != point.to_string() {
            return false;
        }
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if reached.0 != armed {
            *reached = (armed.clone(), 0);
        }
        reached.1 += 1;
        let is_it = nth.parse() == Ok(reached.1);
        if is_it && let Err(error) = fs::write(directory.join("hit"), round) {
            tracing::error!(%point, %error, "a fail point could not be told");
        }
        is_it
    }
}
