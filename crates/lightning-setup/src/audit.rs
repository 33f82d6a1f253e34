//! The audit trail: what was done to whose setup, in one chain of hashes in which nothing can be changed, left out, put in
//! another order or cut off without a trace.

use guiche_kernel::{Timestamp, UserId};
use sha2::{Digest as _, Sha256};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::SetupId;

/// A row as its person may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number: rows are numbered without gaps, over all persons.
    pub number: i64,
    /// Its id.
    pub id: Uuid,
    /// Whose setup; of nobody when no setup is known of that id (any more), and what was ordered for it is destroyed.
    pub user_id: Option<UserId>,
    /// Which.
    pub setup: SetupId,
    /// What was done: `setup_begun`, `setup_completed`, `setup_failed`, `setup_needs_attention`, `teardown_begun`,
    /// `teardown_completed`, `repaired`, `adopted`, `resolved`, `seed_shown`, `node_destruction_begun`,
    /// `store_destruction_begun`.
    pub operation: String,
    /// Whether a store existed then.
    pub btcpay_configured: bool,
    /// Whether a node existed then.
    pub voltage_configured: bool,
    /// Whether it went well.
    pub success: bool,
    /// What went wrong, in our own words.
    pub error_message: Option<String>,
    /// When, to the microsecond.
    pub created_at: Timestamp,
}

/// A row with its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The row.
    pub row: AuditRow,
    /// [`link`] of the row before it and this one.
    pub hash: [u8; 32],
}

/// The hash before the first row.
pub const GENESIS: [u8; 32] = [0; 32];

/// The hash of a row: SHA-256 over the previous hash (32 bytes) and the row's fields, each as its length in bytes (decimal),
/// a colon, and its text. Booleans are `t` or `f`, nobody is the empty text,
/// a missing message is one field less at the end, times are microseconds since 1970.
#[must_use]
pub fn link(previous: &[u8; 32], row: &AuditRow) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    let mut field = |text: &str| {
        hash.update(text.len().to_string());
        hash.update(b":");
        hash.update(text);
    };
    let flag = |value: bool| if value { "t" } else { "f" };
    field(&row.number.to_string());
    field(&row.id.to_string());
    field(&row.user_id.map(|user| user.to_string()).unwrap_or_default());
    field(&row.setup.to_string());
    field(&row.operation);
    field(flag(row.btcpay_configured));
    field(flag(row.voltage_configured));
    field(flag(row.success));
    field(&(row.created_at.unix_timestamp_nanos() / 1000).to_string());
    if let Some(message) = &row.error_message {
        field(message);
    }
    hash.finalize().into()
}

/// What is wrong with the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Numbers do not follow each other: a row is missing, or was moved.
    #[error("row {expected} is missing: row {found} follows in its place")]
    Missing {
        /// The number that should come.
        expected: i64,
        /// The one that came.
        found: i64,
    },
    /// The row is not what was written.
    #[error("row {0} was changed")]
    Changed(i64),
    /// Rows at the end are gone, or were added behind the head.
    #[error("the chain ends at row {found}, and its head at row {head}: rows were cut off or added")]
    CutOff {
        /// The last row.
        found: i64,
        /// What the head says.
        head: i64,
    },
    /// The chain is whole, and not the one that the checkpoint saw.
    #[error("row {0} is not the one of the checkpoint: the chain was written anew")]
    Rewritten(i64),
}

/// A point of the chain that is kept elsewhere: whoever rewrites the whole chain is found out by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The row's number.
    pub number: i64,
    /// Its hash.
    pub hash: [u8; 32],
    /// When it was taken.
    pub taken_at: Timestamp,
}

impl Checkpoint {
    /// As one line of text: number, hash, time.
    #[must_use]
    pub fn to_line(&self) -> String {
        let taken_at = self.taken_at.format(&Rfc3339).unwrap_or_default();
        format!("guiche-audit-1 {} {} {taken_at}", self.number, hex::encode(self.hash))
    }

    /// Reads the line back; `None` when it is none.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("guiche-audit-1") {
            return None;
        }
        let number = words.next()?.parse().ok()?;
        let mut hash = [0; 32];
        hex::decode_to_slice(words.next()?, &mut hash).ok()?;
        let taken_at = Timestamp::parse(words.next()?, &Rfc3339).ok()?;
        words.next().is_none().then_some(Self { number, hash, taken_at })
    }
}

/// Walks along the chain, row by row.
#[derive(Debug, Clone)]
pub struct Walk {
    number: i64,
    hash: [u8; 32],
    checkpoint: Option<Checkpoint>,
}

impl Walk {
    /// From the beginning; the checkpoint, if there is one, must lie on the way.
    #[must_use]
    pub const fn new(checkpoint: Option<Checkpoint>) -> Self {
        Self { number: 0, hash: GENESIS, checkpoint }
    }

    /// The next row.
    ///
    /// # Errors
    /// [`Broken::Missing`], [`Broken::Changed`], [`Broken::Rewritten`].
    pub fn step(&mut self, entry: &AuditEntry) -> Result<(), Broken> {
        let expected = self.number.saturating_add(1);
        if entry.row.number != expected {
            return Err(Broken::Missing { expected, found: entry.row.number });
        }
        if link(&self.hash, &entry.row) != entry.hash {
            return Err(Broken::Changed(expected));
        }
        if self.checkpoint.as_ref().is_some_and(|point| point.number == expected && point.hash != entry.hash)
        {
            return Err(Broken::Rewritten(expected));
        }
        (self.number, self.hash) = (expected, entry.hash);
        Ok(())
    }

    /// The end: the head must say the same, and the checkpoint must have been passed. Returns the number of rows.
    ///
    /// # Errors
    /// [`Broken::CutOff`], [`Broken::Changed`] when the head has another hash for the last row.
    pub fn end(self, head: Option<(i64, [u8; 32])>) -> Result<i64, Broken> {
        let (number, hash) = head.unwrap_or((0, GENESIS));
        let least = self.checkpoint.map_or(number, |point| point.number.max(number));
        if self.number != number || self.number < least {
            return Err(Broken::CutOff { found: self.number, head: least });
        }
        if self.hash == hash { Ok(number) } else { Err(Broken::Changed(number)) }
    }

    /// How far it is.
    #[must_use]
    pub const fn position(&self) -> (i64, [u8; 32]) {
        (self.number, self.hash)
    }
}
