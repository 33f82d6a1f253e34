//! How the keys stand: which are in the ring, and what is sealed under which.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;

use guiche_kernel::{BoxError, Sealed, SecretVault, StoreError};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::output::table;
use crate::rotation::InUse;

/// How many of the rows that nobody can open are told, of each column.
const STRAYS: NonZeroU16 = NonZeroU16::MIN.saturating_add(19);
/// What is shown where there should be a key's id.
const NO_KEY: &str = "(not sealed)";

/// The ring, and the use of its keys.
pub(super) struct Standing {
    /// The ids of the ring, the primary first.
    ring: Vec<String>,
    columns: InUse,
    /// Over all columns; `None` is what is no sealed value.
    totals: BTreeMap<Option<String>, u64>,
}

/// A value that no key of the ring opens.
pub(super) struct Stray {
    column: String,
    row: Uuid,
    key: Option<String>,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, row, key } = self;
        match key {
            Some(key) => write!(f, "{column} of {row}: it is sealed under the key {key:?}"),
            None => write!(f, "{column} of {row}: it is not a sealed value"),
        }
    }
}

impl Standing {
    pub(super) fn of(columns: InUse, vault: &dyn SecretVault) -> Self {
        let ring = vault.key_ids().into_iter().map(str::to_owned).collect();
        let mut totals = BTreeMap::new();
        for used in columns.iter().flat_map(|(_, used)| used) {
            *totals.entry(used.key.clone()).or_insert(0) += used.rows;
        }
        Self { ring, columns, totals }
    }

    /// The keys that something is sealed under and that are not in the ring; `None` for what is no sealed value.
    pub(super) fn missing(&self) -> Vec<Option<&str>> {
        let known = |key: &Option<String>| key.as_ref().is_some_and(|key| self.ring.contains(key));
        self.totals.keys().filter(|key| !known(key)).map(Option::as_deref).collect()
    }

    /// Whether a key is needed that the ring does not have. (What is no sealed value needs none, and has none.)
    pub(super) fn lacks_a_key(&self) -> bool {
        self.missing().iter().any(Option::is_some)
    }

    /// Why this is no good standing, with the cure.
    pub(super) fn refusal(&self) -> BoxError {
        let one = |key: &Option<&str>| {
            let rows = self.rows(*key);
            key.map_or_else(
                || format!("{rows} no sealed values"),
                |key| format!("{rows} under the key {key:?}"),
            )
        };
        let missing: Vec<_> = self.missing().iter().map(one).collect();
        let cure = if self.lacks_a_key() { "; add the key to SERVICE_ENCRYPTION_KEYS" } else { "" };
        format!("values that no key of the ring opens: {}{cure}", missing.join(", ")).into()
    }

    /// How many values a rotation has before it.
    pub(super) fn not_under_primary(&self) -> u64 {
        let primary = self.ring.first();
        self.totals.iter().filter(|(key, _)| key.as_ref() != primary).map(|(_, rows)| rows).sum()
    }

    /// The first rows, of each column, that no key of the ring opens.
    pub(super) async fn strays(&self, vault: &dyn SecretVault) -> Result<Vec<Stray>, StoreError> {
        let mut strays = Vec::new();
        for (column, _) in &self.columns {
            let rows = column.not_under(&vault.key_ids(), None, STRAYS).await?;
            let key = |sealed: &Sealed| sealed.key_id().map(str::to_owned);
            strays.extend(rows.iter().map(|row| Stray {
                column: column.name().to_owned(),
                row: row.row,
                key: key(&row.sealed),
            }));
        }
        Ok(strays)
    }

    /// A line about the old keys.
    pub(super) fn what_may_be_dropped(&self) -> String {
        let (used, unused): (Vec<_>, Vec<_>) =
            self.ring.iter().skip(1).partition(|key| self.rows(Some(key)) > 0);
        let list = |keys: &[&String]| keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ");
        match (used.as_slice(), unused.as_slice()) {
            ([], []) => "the ring has no other key".to_owned(),
            ([], unused) => format!("may be dropped from SERVICE_ENCRYPTION_KEYS: {}", list(unused)),
            (used, []) => format!("no key may be dropped; still in use: {}", list(used)),
            (used, unused) => format!(
                "may be dropped from SERVICE_ENCRYPTION_KEYS: {}; still in use: {}",
                list(unused),
                list(used)
            ),
        }
    }

    pub(super) fn in_text(&self) -> String {
        let rows = self.columns.iter().flat_map(|(column, used)| {
            let service = column.place(Uuid::nil()).service;
            used.iter().map(move |used| {
                let key = used.key.clone().unwrap_or_else(|| NO_KEY.to_owned());
                [column.name().to_owned(), service.to_owned(), key, used.rows.to_string()]
            })
        });
        let rows: Vec<_> = rows.collect();
        let uses = if rows.is_empty() {
            "nothing is sealed\n".to_owned()
        } else {
            table(["COLUMN", "SERVICE", "KEY", "ROWS"], &rows)
        };
        let keys: Vec<_> = self.keys().iter().map(Key::row).collect();
        format!("{uses}\n{}", table(["KEY", "IN THE RING", "ROWS", "MAY BE DROPPED"], &keys))
    }

    pub(super) fn in_json(&self, strays: &[Stray]) -> String {
        let columns = self.columns.iter().map(|(column, used)| {
            let used = used.iter().map(|used| json!({"key": used.key, "rows": used.rows}));
            json!({
                "column": column.name(),
                "service": column.place(Uuid::nil()).service,
                "keys": used.collect::<Vec<Value>>(),
            })
        });
        let keys = self.keys();
        let keys = keys.iter().map(|key| {
            json!({"key": key.id, "state": key.state.word(), "rows": key.rows, "may_be_dropped": key.may_be_dropped()})
        });
        let strays =
            strays.iter().map(|stray| json!({"column": stray.column, "row": stray.row, "key": stray.key}));
        let object = json!({
            "primary": self.ring.first(),
            "keys": keys.collect::<Vec<Value>>(),
            "columns": columns.collect::<Vec<Value>>(),
            "not_in_the_ring": strays.collect::<Vec<Value>>(),
        });
        format!("{object:#}\n")
    }

    fn rows(&self, key: Option<&str>) -> u64 {
        self.totals.get(&key.map(str::to_owned)).copied().unwrap_or_default()
    }

    /// The keys of the ring, and then those that it lacks.
    fn keys(&self) -> Vec<Key<'_>> {
        let of_ring = self.ring.iter().enumerate().map(|(position, id)| {
            let state = if position == 0 { State::Seals } else { State::Opens };
            Key { id: Some(id), state, rows: self.rows(Some(id)) }
        });
        let lacked =
            self.missing().into_iter().map(|id| Key { id, state: State::Missing, rows: self.rows(id) });
        of_ring.chain(lacked).collect()
    }
}

/// A key and its use.
struct Key<'a> {
    id: Option<&'a str>,
    state: State,
    rows: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The primary key.
    Seals,
    /// An old one.
    Opens,
    /// Not in the ring.
    Missing,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Seals => "seals",
            Self::Opens => "opens",
            Self::Missing => "missing",
        }
    }
}

impl Key<'_> {
    fn may_be_dropped(&self) -> bool {
        self.state == State::Opens && self.rows == 0
    }

    fn row(&self) -> [String; 4] {
        let dropped = match self.state {
            State::Seals => "no: it seals",
            State::Opens if self.may_be_dropped() => "yes",
            State::Opens => "no: it is in use; run `guiche keys rotate`",
            State::Missing => "it is not there: add it",
        };
        let id = self.id.unwrap_or(NO_KEY);
        [id, self.state.word(), &self.rows.to_string(), dropped].map(str::to_owned)
    }
}
