//! What must be true when everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::lab::Lab;

/// A promise that was not kept.
#[derive(Debug)]
pub(crate) struct Violation(pub(crate) String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses what is not so.
pub(crate) fn ensure(is_so: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if is_so { Ok(()) } else { Err(Violation(what())) }
}

impl Lab {
    /// Compares the books of the office, of the provider and of who is told of events, all to the last entry. Everything
    /// was paid by now.
    pub(crate) async fn audit(&self) -> Result<(), Violation> {
        let entries = self.books.entries().await;
        for (id, entry) in &entries {
            let once = entry.status == "paid"
                && (entry.invoices, entry.paid_invoices, entry.opened_events, entry.paid_events)
                    == (1, 1, 1, 1);
            ensure(once, || format!("ticket {id} was not opened and paid once: {entry:?}"))?;
        }
        ensure(entries.len() == self.requests, || {
            format!("{} tickets for {} keys", entries.len(), self.requests)
        })?;
        self.compare_with_the_provider().await?;
        self.compare_with_who_is_told().await
    }

    async fn compare_with_the_provider(&self) -> Result<(), Violation> {
        let ours = "SELECT encode(payment_hash, 'hex') || ' ' || (status = 'paid') FROM invoices";
        let ours: BTreeSet<_> = self.books.texts(ours).await.into_iter().collect();
        let theirs: BTreeSet<_> =
            self.provider.invoices().await.into_iter().map(|(hash, paid)| format!("{hash} {paid}")).collect();
        let differing: Vec<_> = ours.symmetric_difference(&theirs).collect();
        ensure(differing.is_empty(), || {
            format!("the provider's books are not ours; invoices, and whether paid: {differing:?}")
        })
    }

    async fn compare_with_who_is_told(&self) -> Result<(), Violation> {
        let events: BTreeSet<_> = self.books.texts("SELECT id::text FROM outbox").await.into_iter().collect();
        let heard: BTreeMap<_, _> = self.receiver.heard();
        let told: BTreeSet<_> = heard.keys().cloned().collect();
        let differing: Vec<_> = events.symmetric_difference(&told).collect();
        ensure(differing.is_empty(), || format!("events that were lost or made up: {differing:?}"))?;
        for (id, bodies) in &heard {
            let same = bodies.iter().all(|body| *body == bodies[0]);
            ensure(same, || format!("event {id} was told in two ways: {bodies:?}"))?;
        }
        Ok(())
    }
}
