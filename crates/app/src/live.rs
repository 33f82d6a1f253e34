//! Live status: who follows which ticket in this process, and how they learn that there is something new to see.
//!
//! What is told is only that it is time to look. A follower then reads the ticket as its own caller, so row-level
//! security and the end of sessions hold as in any other call, and a follower who is slow finds the newest state and
//! never a queue of old ones: there is one bit for each of them, and it is set or not.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guiche_adapter_postgres::{Notice, PgStores};
use guiche_kernel::UserId;
use guiche_tickets::TicketId;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::shutdown::Shutdown;

/// Bounds on following.
#[derive(Debug, Clone, Copy)]
pub struct StreamBounds {
    /// Streams of one account: several pages on several devices, and some that nobody has noticed the end of.
    pub per_account: usize,
    /// Streams of this process. Each occupies a connection, and others must be left for requests.
    pub per_process: usize,
    /// Followers that read at the same time. After a gap all of them have to look, and requests go on meanwhile.
    pub readings_at_once: usize,
}

impl StreamBounds {
    /// The usual bounds, where there may be so many streams in all.
    #[must_use]
    pub const fn for_streams(per_process: usize) -> Self {
        Self { per_account: 20, per_process, readings_at_once: 4 }
    }
}

/// Why somebody may not follow a ticket now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The account has as many streams as it may.
    Account,
    /// The process has.
    Process,
    /// The process is ending.
    Ending,
}

/// Everybody who follows a ticket.
#[derive(Debug)]
pub struct Live {
    followers: Mutex<Followers>,
    turns: Semaphore,
    bounds: StreamBounds,
    shutdown: Shutdown,
}

#[derive(Debug, Default)]
struct Followers {
    by_ticket: HashMap<TicketId, Vec<Arc<Hint>>>,
    by_account: HashMap<UserId, Vec<Arc<Hint>>>,
    count: usize,
}

/// Whether a follower has something to look at.
#[derive(Debug)]
struct Hint {
    look: Notify,
    /// The version that was last read; 0 before the first.
    seen: AtomicI64,
}

/// One who follows a ticket, for as long as this value lives.
#[derive(Debug)]
pub struct Following {
    live: Arc<Live>,
    hint: Arc<Hint>,
    ticket: TicketId,
    account: UserId,
}

impl Live {
    /// Nobody follows anything yet. All streams end when the shutdown begins.
    #[must_use]
    pub fn new(bounds: StreamBounds, shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self {
            followers: Mutex::default(),
            turns: Semaphore::new(bounds.readings_at_once),
            bounds,
            shutdown,
        })
    }

    /// Passes the database's hints on until `stop`.
    pub async fn listen(self: Arc<Self>, stores: PgStores, stop: Shutdown) {
        tokio::select! {
            () = stores.follow(|notice| self.hear(notice)) => {}
            () = stop.begun() => {}
        }
    }

    /// Begins to follow. Whoever reads the ticket only after this misses no change of it.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn follow(self: &Arc<Self>, ticket: TicketId, account: UserId) -> Result<Following, Refused> {
        if self.shutdown.has_begun() {
            return Err(Refused::Ending);
        }
        let hint = Arc::new(Hint { look: Notify::new(), seen: AtomicI64::new(0) });
        let mut followers = self.lock();
        if followers.count >= self.bounds.per_process {
            return Err(Refused::Process);
        }
        if followers.by_account.get(&account).is_some_and(|hints| hints.len() >= self.bounds.per_account) {
            return Err(Refused::Account);
        }
        followers.by_ticket.entry(ticket).or_default().push(Arc::clone(&hint));
        followers.by_account.entry(account).or_default().push(Arc::clone(&hint));
        followers.counted(1);
        drop(followers);
        Ok(Following { live: Arc::clone(self), hint, ticket, account })
    }

    /// Tells those whom it concerns. Never blocks.
    pub fn hear(&self, notice: Notice) {
        let followers = self.lock();
        match notice {
            Notice::TicketChanged { ticket, version } => {
                let hints = followers.by_ticket.get(&ticket).into_iter().flatten();
                hints.filter(|hint| hint.seen.load(Ordering::Relaxed) < version).for_each(|hint| hint.tell());
            }
            Notice::SessionsEnded(account) => {
                followers.by_account.get(&account).into_iter().flatten().for_each(|hint| hint.tell());
            }
            Notice::Gap => followers.by_account.values().flatten().for_each(|hint| hint.tell()),
        }
    }

    /// The end of the process, of which streams are the first to know.
    #[must_use]
    pub const fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// A turn to read; given back when dropped.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed, so there is always one in the end.
        self.turns.acquire().await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, Followers> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Followers {
    fn counted(&mut self, change: isize) {
        self.count = self.count.saturating_add_signed(change);
        metrics::gauge!("live_streams").set(f64::from(u32::try_from(self.count).unwrap_or(u32::MAX)));
    }
}

impl Hint {
    fn tell(&self) {
        self.look.notify_one();
    }
}

impl Following {
    /// Returns when there is something to look at; told several times meanwhile is told once.
    pub async fn hinted(&self) {
        self.hint.look.notified().await;
    }

    /// That this version was read: hints about it, and about earlier ones, are no news any more.
    pub fn seen(&self, version: i64) {
        self.hint.seen.store(version, Ordering::Relaxed);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut followers = self.live.lock();
        forget(&mut followers.by_ticket, self.ticket, &self.hint);
        forget(&mut followers.by_account, self.account, &self.hint);
        followers.counted(-1);
    }
}

/// Takes the hint out of the list under the key, and an empty list with it.
fn forget<K: Eq + Hash>(lists: &mut HashMap<K, Vec<Arc<Hint>>>, key: K, hint: &Arc<Hint>) {
    if let Entry::Occupied(mut list) = lists.entry(key) {
        list.get_mut().retain(|other| !Arc::ptr_eq(other, hint));
        if list.get().is_empty() {
            list.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    fn live(per_account: usize, per_process: usize) -> Arc<Live> {
        let bounds = StreamBounds { per_account, per_process, readings_at_once: 1 };
        Live::new(bounds, Shutdown::default())
    }

    fn ticket(n: u128) -> TicketId {
        TicketId::new(Uuid::from_u128(n))
    }

    fn account(n: u128) -> UserId {
        UserId::new(Uuid::from_u128(n))
    }

    fn changed(n: u128, version: i64) -> Notice {
        Notice::TicketChanged { ticket: ticket(n), version }
    }

    /// Whether there is something to look at, which is then seen to.
    fn hinted(following: &Following) -> bool {
        following.hinted().now_or_never().is_some()
    }

    #[test]
    fn everybody_is_told_of_what_concerns_them_and_once_however_often() {
        let live = live(9, 9);
        let one = live.follow(ticket(1), account(1)).unwrap();
        let same = live.follow(ticket(1), account(1)).unwrap();
        let other = live.follow(ticket(2), account(2)).unwrap();
        let told = || [hinted(&one), hinted(&same), hinted(&other)];
        assert_eq!(told(), [false, false, false]);
        live.hear(changed(1, 2));
        live.hear(changed(1, 3));
        assert_eq!(told(), [true, true, false]);
        assert_eq!(told(), [false, false, false], "two changes are one look");
        live.hear(Notice::SessionsEnded(account(2)));
        assert_eq!(told(), [false, false, true]);
        live.hear(Notice::Gap);
        assert_eq!(told(), [true, true, true]);
        live.hear(changed(3, 2));
        assert_eq!(told(), [false, false, false]);
    }

    #[test]
    fn what_was_seen_is_no_news_but_an_end_and_a_gap_always_are() {
        let live = live(9, 9);
        let one = live.follow(ticket(1), account(1)).unwrap();
        one.seen(3);
        live.hear(changed(1, 2));
        live.hear(changed(1, 3));
        assert!(!hinted(&one));
        live.hear(changed(1, 4));
        assert!(hinted(&one));
        live.hear(Notice::Gap);
        assert!(hinted(&one));
        live.hear(Notice::SessionsEnded(account(1)));
        assert!(hinted(&one));
    }

    #[test]
    fn there_are_bounds_and_whoever_goes_makes_room() {
        let live = live(2, 3);
        let mut mine: Vec<_> = (0..2).map(|n| live.follow(ticket(n), account(1)).unwrap()).collect();
        assert_eq!(live.follow(ticket(1), account(1)).unwrap_err(), Refused::Account);
        let _other = live.follow(ticket(1), account(2)).unwrap();
        assert_eq!(live.follow(ticket(1), account(3)).unwrap_err(), Refused::Process);
        mine.clear();
        let again = live.follow(ticket(1), account(1)).unwrap();
        live.hear(changed(1, 2));
        assert!(hinted(&again));
        live.shutdown().begin();
        assert_eq!(live.follow(ticket(1), account(9)).unwrap_err(), Refused::Ending);
    }

    #[test]
    fn nothing_of_those_who_went_is_kept() {
        let live = live(9, 9);
        drop((live.follow(ticket(1), account(1)).unwrap(), live.follow(ticket(1), account(2)).unwrap()));
        let followers = live.lock();
        assert!(followers.by_ticket.is_empty() && followers.by_account.is_empty() && followers.count == 0);
    }
}
