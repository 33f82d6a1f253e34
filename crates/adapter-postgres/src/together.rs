//! What several ask of the database at the same moment, asked together: one statement for all of them.
//!
//! Whoever comes while a turn is free goes at once. Those who come meanwhile gather, and go together as soon as a turn is
//! free: nobody waits for company, and the more there are, the less each of them costs.
//!
//! Whoever shares a batch notices nothing of it. What the batch does not answer, place by place, is asked again by itself;
//! and so is everything when the batch is refused. A refusal is therefore always the one that a question deserves alone. Only
//! when the connection is lost are all of them told so, like anybody whose answer was lost.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream;
use guiche_kernel::{BoxError, StoreError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::pool::PgPool;

/// Of what a batch left open, so many are asked at the same time, each by itself.
const ALONE_AT_ONCE: usize = 4;
/// When the one in front has waited for so long, the batches under way are slow (a cold disk, a lock), and one more may go.
const SLOW: Duration = Duration::from_millis(10);

/// A kind of question that may be asked of the database by itself, or with others like it.
#[async_trait]
pub(crate) trait Question: Sized + Send + Sync + 'static {
    /// What comes back.
    type Answer: Send + 'static;
    /// Questions of one batch at most. More save nothing, and make the last of them wait.
    const TOGETHER: usize;
    /// Batches under way at most, as long as they are quick. With one, the database rests while the next is put together;
    /// each further one makes the batches smaller.
    const TURNS: usize;
    /// Batches under way at most.
    const TURNS_WHEN_SLOW: usize;

    /// Asks one by itself.
    async fn alone(&self, pool: &PgPool) -> Result<Self::Answer, StoreError>;

    /// Asks all in one statement. For each an answer, in the same order; `None` for what has to be asked by itself.
    async fn together(all: &[&Self], pool: &PgPool) -> Result<Vec<Place<Self>>, StoreError>;
}

/// What a batch says to one of its questions.
pub(crate) type Place<Q> = Option<Result<<Q as Question>::Answer, StoreError>>;

/// Asks questions of one kind, as many together as wait. Clones are the same.
pub(crate) struct Together<Q: Question> {
    pool: PgPool,
    queue: Arc<Mutex<Queue<Q>>>,
}

struct Queue<Q: Question> {
    waiting: VecDeque<Waiting<Q>>,
    /// How many turns are taken. While one is free, nobody waits.
    turns: usize,
}

struct Waiting<Q: Question> {
    question: Q,
    since: Instant,
    answer: oneshot::Sender<Result<Q::Answer, StoreError>>,
}

impl<Q: Question> Together<Q> {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, queue: Arc::new(Mutex::new(Queue { waiting: VecDeque::new(), turns: 0 })) }
    }

    /// Asks, by itself when a turn is free: the caller then takes it, and no other thread is involved. Otherwise together
    /// with whoever else waits. Whoever stops waiting before their turn is not asked about.
    pub(crate) async fn ask(&self, question: Q) -> Result<Q::Answer, StoreError> {
        match self.free_turn() {
            Some(_turn) => question.alone(&self.pool).await,
            None => self.ask_in_batch(question).await,
        }
    }

    /// Asks in a batch, be it of one, which goes on when its caller has gone. Whoever stops waiting before their turn is not
    /// asked about; later, it may be asked all the same.
    pub(crate) async fn ask_in_batch(&self, question: Q) -> Result<Q::Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        let turn = self.queue().join(Waiting { question, since: Instant::now(), answer });
        if turn {
            self.work_off();
        }
        answered.await.unwrap_or_else(|_| Err(unavailable("the stores are closing")))
    }

    fn free_turn(&self) -> Option<OwnTurn<'_, Q>> {
        let mut queue = self.queue();
        let free = queue.turns < Q::TURNS;
        queue.turns += usize::from(free);
        drop(queue);
        free.then(|| OwnTurn(self))
    }

    /// Has batches asked until nobody waits, in a turn that is taken. Where the connections live, since it must not end with
    /// a request.
    fn work_off(&self) {
        let turn = Turn { group: self.clone(), over: false };
        self.pool.home().spawn(turn.work_off());
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Q>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_together(&self, batch: Vec<Waiting<Q>>) {
        let questions: Vec<&Q> = batch.iter().map(|waiting| &waiting.question).collect();
        match Q::together(&questions, &self.pool).await {
            Ok(places) if places.len() == batch.len() => {
                let open = batch.into_iter().zip(places).filter_map(|(waiting, place)| match place {
                    Some(outcome) => {
                        waiting.tell(outcome);
                        None
                    }
                    None => Some(waiting),
                });
                self.ask_each_alone(open.collect());
            }
            Err(StoreError::Unavailable(reason)) => lost(batch, reason),
            Ok(_) | Err(_) => self.ask_each_alone(batch),
        }
    }

    /// Out of turn, which goes on with others: one of these may have to wait for a lock.
    fn ask_each_alone(&self, batch: Vec<Waiting<Q>>) {
        if batch.is_empty() {
            return;
        }
        let group = self.clone();
        self.pool.home().spawn(async move {
            let each = async |waiting: Waiting<Q>| {
                let outcome = waiting.question.alone(&group.pool).await;
                waiting.tell(outcome);
            };
            stream::iter(batch).for_each_concurrent(ALONE_AT_ONCE, each).await;
        });
    }
}

impl<Q: Question> Clone for Together<Q> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), queue: Arc::clone(&self.queue) }
    }
}

impl<Q: Question> Queue<Q> {
    /// Appends one; true when a turn was taken for it, in which somebody has to work.
    fn join(&mut self, newcomer: Waiting<Q>) -> bool {
        let slow = self.waiting.front().is_some_and(|first| newcomer.since - first.since > SLOW);
        self.waiting.push_back(newcomer);
        let most = if slow { Q::TURNS_WHEN_SLOW } else { Q::TURNS };
        let free = self.turns < most;
        self.turns += usize::from(free);
        free
    }
}

impl<Q: Question> Waiting<Q> {
    fn tell(self, outcome: Result<Q::Answer, StoreError>) {
        // Whoever does not wait any more does not want to know.
        let _ = self.answer.send(outcome);
    }
}

/// A turn of somebody who asks for themselves. When it is dropped, it is given on to those who wait, or back.
struct OwnTurn<'a, Q: Question>(&'a Together<Q>);

impl<Q: Question> Drop for OwnTurn<'_, Q> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        if queue.waiting.is_empty() {
            queue.turns -= 1;
        } else {
            drop(queue);
            self.0.work_off();
        }
    }
}

/// A turn in which batches are asked until nobody waits.
struct Turn<Q: Question> {
    group: Together<Q>,
    over: bool,
}

impl<Q: Question> Turn<Q> {
    async fn work_off(mut self) {
        while let Some(batch) = self.next() {
            if !batch.is_empty() {
                self.group.ask_together(batch).await;
            }
        }
    }

    /// Those who wait longest; `None` when nobody waits, and then the turn is over.
    fn next(&mut self) -> Option<Vec<Waiting<Q>>> {
        let mut queue = self.group.queue();
        if queue.waiting.is_empty() {
            queue.turns -= 1;
            self.over = true;
            return None;
        }
        let together = queue.waiting.len().min(Q::TOGETHER);
        let batch = queue.waiting.drain(..together).collect();
        drop(queue);
        Some(still_wanted(batch, self.group.pool.wait_timeout()))
    }
}

impl<Q: Question> Drop for Turn<Q> {
    /// A turn that ends in the middle (a defect, or the end of its runtime) leaves nobody waiting for ever: those whom no
    /// other turn will serve are told, by the end of their channel.
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut queue = self.group.queue();
        queue.turns -= 1;
        if queue.turns == 0 {
            queue.waiting.clear();
        }
    }
}

/// Without those who have given up, and without those who waited longer than one waits for a connection.
fn still_wanted<Q: Question>(batch: Vec<Waiting<Q>>, patience: Duration) -> Vec<Waiting<Q>> {
    let mut wanted = Vec::with_capacity(batch.len());
    for waiting in batch {
        if waiting.since.elapsed() > patience {
            waiting.tell(Err(unavailable("no connection was free in time")));
        } else if !waiting.answer.is_closed() {
            wanted.push(waiting);
        }
    }
    wanted
}

/// All of them lost the same answer.
fn lost<Q: Question>(batch: Vec<Waiting<Q>>, reason: BoxError) {
    let reason = Arc::new(reason);
    for waiting in batch {
        waiting.tell(Err(StoreError::Unavailable(Shared(Arc::clone(&reason)).into())));
    }
}

fn unavailable(why: &'static str) -> StoreError {
    StoreError::Unavailable(why.into())
}

/// One reason of several refusals.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Shared(Arc<BoxError>);
