//! Group commit: tickets that wait to be written at the same moment are written together.
//!
//! One that comes while nobody writes goes at once. Those that come meanwhile gather, and go together as soon as a writer
//! is free: nobody waits for company, and the more there are, the less each of them costs.
//!
//! Whoever shares a batch notices nothing of it. A refusal that anybody could provoke at will, the end of a session, is
//! told row by row; any other takes the batch back, and each of it is written by itself. So a refusal is always the one
//! that the row deserves alone. Only when the connection is lost are all of them told so: like anybody whose answer was
//! lost, they do not know whether theirs was written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use guiche_kernel::{BoxError, StoreError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::calls::OpenTickets;
use super::opening::Opening;
use super::repository::written;
use crate::pool::PgPool;
use crate::query::one;

/// Rows of one batch at most. More save nothing, and make the last of them wait.
const TOGETHER: usize = 64;
/// Batches under way at most. With one, the database would rest while the next batch is put together; each further one
/// makes the batches smaller.
const WRITERS: usize = 2;
/// Rows of a batch that was taken back which are written at the same time, each by itself.
const ALONE_AT_ONCE: usize = 4;

/// Writes tickets, as many together as wait. Clones are the same group.
#[derive(Clone)]
pub(crate) struct OpeningGroup {
    app: PgPool,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    writers: usize,
}

struct Waiting {
    opening: Opening,
    since: Instant,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

impl OpeningGroup {
    pub(crate) fn new(app: PgPool) -> Self {
        Self { app, queue: Arc::default() }
    }

    /// Writes one, possibly together with others. Whoever stops waiting before its turn has not written it; later, it may
    /// be written all the same.
    pub(super) async fn write(&self, opening: Opening) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let hire = {
            let mut queue = self.queue();
            queue.waiting.push_back(Waiting { opening, since: Instant::now(), answer });
            let hire = queue.writers < WRITERS;
            queue.writers += usize::from(hire);
            hire
        };
        if hire {
            let writer = Writer { group: self.clone(), done: false };
            self.app.home().spawn(writer.run());
        }
        answered.await.unwrap_or_else(|_| Err(unavailable("the stores are closing")))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write_alone(&self, waiting: Waiting) {
        let outcome = self.app.rows::<_, (String,)>(waiting.opening.call()).await;
        answer(waiting, outcome.and_then(one).and_then(|(outcome,)| written(&outcome)));
    }

    /// Off the writer, which goes on with others: one of these may have to wait for a lock.
    fn write_each_alone(&self, batch: Vec<Waiting>) {
        let group = self.clone();
        self.app.home().spawn(async move {
            let each = |waiting| group.write_alone(waiting);
            stream::iter(batch).for_each_concurrent(ALONE_AT_ONCE, each).await;
        });
    }

    async fn write_together(&self, batch: Vec<Waiting>) {
        let call: OpenTickets<'_> = batch.iter().map(|waiting| &waiting.opening).collect();
        let known = match self.app.rows::<_, (Vec<bool>,)>(call).await {
            Ok(rows) => one(rows),
            Err(StoreError::Unavailable(reason)) => return lost(batch, reason),
            Err(refusal) => Err(refusal),
        };
        match known {
            Ok((known,)) if known.len() == batch.len() => {
                for (waiting, known) in batch.into_iter().zip(known) {
                    answer(waiting, if known { Ok(()) } else { Err(StoreError::Revoked) });
                }
            }
            Ok(_) | Err(_) => self.write_each_alone(batch),
        }
    }
}

/// Writes batches until nobody waits.
struct Writer {
    group: OpeningGroup,
    done: bool,
}

impl Writer {
    async fn run(mut self) {
        while let Some(batch) = self.next() {
            let (batch, alone) = in_order(batch);
            if !alone.is_empty() {
                self.group.write_each_alone(alone);
            }
            if !batch.is_empty() {
                self.group.write_together(batch).await;
            }
        }
    }

    /// Those that wait longest; `None` when nobody waits, and then this is no writer any more.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut queue = self.group.queue();
        if queue.waiting.is_empty() {
            queue.writers -= 1;
            self.done = true;
            return None;
        }
        let together = queue.waiting.len().min(TOGETHER);
        let batch = queue.waiting.drain(..together).collect();
        drop(queue);
        Some(still_wanted(batch, self.group.app.wait_timeout()))
    }
}

impl Drop for Writer {
    /// A writer that ends in the middle (a defect, or the end of its runtime) leaves nobody waiting for ever: those whom no
    /// other writer will serve are told, by the end of their channel.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut queue = self.group.queue();
        queue.writers -= 1;
        if queue.writers == 0 {
            queue.waiting.clear();
        }
    }
}

/// Without those who have given up, and without those who waited longer than one waits for a connection.
fn still_wanted(batch: Vec<Waiting>, patience: Duration) -> Vec<Waiting> {
    let mut wanted = Vec::with_capacity(batch.len());
    for waiting in batch {
        if waiting.since.elapsed() > patience {
            answer(waiting, Err(unavailable("no connection was free in time")));
        } else if !waiting.answer.is_closed() {
            wanted.push(waiting);
        }
    }
    wanted
}

/// By ticket, each once; and those that want to be a ticket which is among them already.
fn in_order(mut batch: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    batch.sort_by_key(|waiting| waiting.opening.ticket());
    let mut last = None;
    batch
        .into_iter()
        .partition(|waiting| last.replace(waiting.opening.ticket()) != Some(waiting.opening.ticket()))
}

fn answer(waiting: Waiting, outcome: Result<(), StoreError>) {
    // Whoever does not wait any more does not want to know.
    let _ = waiting.answer.send(outcome);
}

/// All of them lost the same answer.
fn lost(batch: Vec<Waiting>, reason: BoxError) {
    let reason = Arc::new(reason);
    for waiting in batch {
        answer(waiting, Err(StoreError::Unavailable(Shared(Arc::clone(&reason)).into())));
    }
}

fn unavailable(why: &'static str) -> StoreError {
    StoreError::Unavailable(why.into())
}

/// One reason of several refusals.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Shared(Arc<BoxError>);
