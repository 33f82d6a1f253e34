//! Group commit: tickets that wait to be written at the same moment are written together, in one transaction.
//!
//! A refusal that anybody could provoke at will, the end of a session, is told row by row; any other takes the batch back,
//! and each of it is written by itself. When the connection is lost, nobody knows whether theirs was written.

use async_trait::async_trait;
use guiche_kernel::StoreError;

use super::calls::OpenTickets;
use super::opening::Opening;
use super::repository::written;
use crate::pool::PgPool;
use crate::query::one;
use crate::together::{Place, Question};

#[async_trait]
impl Question for Opening {
    type Answer = ();
    const TOGETHER: usize = 64;
    const TURNS: usize = 2;
    // A batch is never slow: who has to wait for a lock leaves it, and does so alone.
    const TURNS_WHEN_SLOW: usize = 2;

    async fn alone(&self, pool: &PgPool) -> Result<(), StoreError> {
        let (outcome,): (String,) = one(pool.rows(self.call()).await?)?;
        written(&outcome)
    }

    /// In the order of their tickets, each once: who wants to be a ticket that is among them already asks alone.
    async fn together(all: &[&Self], pool: &PgPool) -> Result<Vec<Place<Self>>, StoreError> {
        let mut places: Vec<(usize, &Self)> = all.iter().copied().enumerate().collect();
        places.sort_by_key(|(_, opening)| opening.ticket());
        places.dedup_by_key(|(_, opening)| opening.ticket());
        let call: OpenTickets<'_> = places.iter().map(|(_, opening)| *opening).collect();
        let (known,): (Vec<bool>,) = one(pool.rows(call).await?)?;
        let mut answers: Vec<Place<Self>> = all.iter().map(|_| None).collect();
        for ((place, _), known) in places.into_iter().zip(known) {
            if let Some(answer) = answers.get_mut(place) {
                *answer = Some(if known { Ok(()) } else { Err(StoreError::Revoked) });
            }
        }
        Ok(answers)
    }
}
