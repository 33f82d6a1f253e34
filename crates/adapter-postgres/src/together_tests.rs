//! Turns by themselves, without a database: nobody waits for ever, whatever a question does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use guiche_kernel::StoreError;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::PgOptions;
use crate::pool::PgPool;
use crate::together::{Place, Question, Together};

/// Is answered by its number, once somebody lets it pass; in a batch by a hundred more, or as `misbehaves` says.
#[derive(Clone)]
struct Numbered {
    number: usize,
    gate: Arc<Semaphore>,
    misbehaves: Option<Misbehaviour>,
}

#[derive(Clone, Copy, PartialEq)]
enum Misbehaviour {
    Panics,
    AnswersTooFew,
    LeavesOneOut,
}

#[async_trait]
impl Question for Numbered {
    type Answer = usize;
    const TOGETHER: usize = 4;
    const TURNS: usize = 1;
    const TURNS_WHEN_SLOW: usize = 1;

    async fn alone(&self, _: &PgPool) -> Result<usize, StoreError> {
        self.gate.acquire().await.unwrap().forget();
        Ok(self.number)
    }

    async fn together(all: &[&Self], _: &PgPool) -> Result<Vec<Place<Self>>, StoreError> {
        let misbehaviour = all.iter().find_map(|question| question.misbehaves);
        assert!(misbehaviour != Some(Misbehaviour::Panics), "as the test wants it");
        let mut places: Vec<Place<Self>> =
            all.iter().map(|question| Some(Ok(question.number + 100))).collect();
        match misbehaviour {
            Some(Misbehaviour::AnswersTooFew) => drop(places.pop()),
            Some(Misbehaviour::LeavesOneOut) => places[0] = None,
            Some(Misbehaviour::Panics) | None => {}
        }
        Ok(places)
    }
}

struct Scene {
    group: Together<Numbered>,
    gate: Arc<Semaphore>,
}

impl Scene {
    fn new() -> Self {
        let nowhere = "postgresql://guiche_app@localhost/guiche";
        let options = PgOptions::new(nowhere, nowhere);
        let pool = PgPool::try_new(&options.app_url, 1, &options).unwrap();
        Self { group: Together::new(pool), gate: Arc::new(Semaphore::new(0)) }
    }

    /// Asks; the calls wait, the first for the gate and the others for their turn, when this returns.
    async fn asked(
        &self,
        numbers: std::ops::Range<usize>,
        misbehaves: Option<Misbehaviour>,
    ) -> Vec<JoinHandle<Result<usize, StoreError>>> {
        let calls = numbers.map(|number| {
            let question = Numbered { number, gate: Arc::clone(&self.gate), misbehaves };
            let group = self.group.clone();
            tokio::spawn(async move { group.ask(question).await })
        });
        let calls = calls.collect();
        tokio::task::yield_now().await;
        calls
    }

    async fn answered(&self, calls: Vec<JoinHandle<Result<usize, StoreError>>>) -> Vec<Option<usize>> {
        let all = tokio::time::timeout(Duration::from_secs(4), join_all(calls)).await.unwrap();
        all.into_iter().map(|outcome| outcome.unwrap().ok()).collect()
    }
}

#[tokio::test]
async fn one_goes_at_once_and_those_who_come_meanwhile_go_together() {
    let scene = Scene::new();
    let calls = scene.asked(0..6, None).await;
    scene.gate.add_permits(1);
    let expected = [0, 101, 102, 103, 104, 105].map(Some);
    assert_eq!(scene.answered(calls).await, expected);
    // And nobody has kept the turn.
    scene.gate.add_permits(1);
    assert_eq!(scene.answered(scene.asked(7..8, None).await).await, [Some(7)]);
}

#[tokio::test]
async fn a_batch_that_panics_leaves_nobody_waiting_and_no_turn_taken() {
    let scene = Scene::new();
    // More than one batch: the one that panics, and those behind it.
    let calls = scene.asked(0..7, Some(Misbehaviour::Panics)).await;
    scene.gate.add_permits(1);
    let answers = scene.answered(calls).await;
    assert_eq!(answers[0], Some(0));
    assert_eq!(answers[1..], [None; 6]);
    scene.gate.add_permits(1);
    assert_eq!(scene.answered(scene.asked(7..8, None).await).await, [Some(7)]);
}

#[tokio::test]
async fn what_a_batch_does_not_answer_is_asked_alone() {
    for (misbehaviour, expected) in
        [(Misbehaviour::AnswersTooFew, [0, 1, 2, 3]), (Misbehaviour::LeavesOneOut, [0, 1, 102, 103])]
    {
        let scene = Scene::new();
        let calls = scene.asked(0..4, Some(misbehaviour)).await;
        scene.gate.add_permits(4);
        assert_eq!(scene.answered(calls).await, expected.map(Some));
    }
}

#[tokio::test]
async fn who_gives_up_gives_the_turn_on() {
    let scene = Scene::new();
    let mut calls = scene.asked(0..4, None).await;
    // The first has its turn, and the last is no longer asked about.
    calls.remove(0).abort();
    calls.pop().unwrap().abort();
    assert_eq!(scene.answered(calls).await, [101, 102].map(Some));
}
