//! What the fake has issued and what became of it: in memory, and as lines of JSON in a file, flushed before any answer.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use guiche_kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// One invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Spark's name for it; with a colon, as the real ones.
    pub id: String,
    /// The `Idempotency-Key` that it was made under.
    pub key: String,
    /// How much was asked for.
    pub amount_sats: u64,
    /// What for.
    pub memo: String,
    /// For how long.
    pub expiry_seconds: u64,
    /// The invoice.
    pub bolt11: String,
    /// The payment hash that the answer names.
    pub payment_hash: String,
    /// What the payer would get.
    pub preimage: String,
    /// When it runs out.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: Timestamp,
    /// Spark's own word for where it stands.
    pub spark_status: String,
    /// When it was paid.
    #[serde(with = "time::serde::rfc3339::option")]
    pub paid_at: Option<Timestamp>,
}

/// All of them, in the order of their issuing.
pub(super) struct Book {
    entries: Vec<Entry>,
    by_key: HashMap<String, usize>,
    by_name: HashMap<String, usize>,
    file: Option<File>,
}

impl Book {
    /// Reads the file. A last line without its end is what a kill left of an append: nobody was told of it.
    pub(super) fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let mut book =
            Self { entries: Vec::new(), by_key: HashMap::new(), by_name: HashMap::new(), file: None };
        let Some(path) = path else { return Ok(book) };
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|_| io::Error::other("the ledger is used by another process"))?;
        let mut reader = BufReader::new(&file);
        let (mut line, mut end) = (String::new(), 0_u64);
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            book.remember(serde_json::from_str(&line)?);
            end = end.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
            line.clear();
        }
        file.set_len(end)?;
        let mut file = file;
        file.seek(SeekFrom::End(0))?;
        book.file = Some(file);
        Ok(book)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn of_key(&self, key: &str) -> Option<&Entry> {
        self.entries.get(*self.by_key.get(key)?)
    }

    /// By its id or its payment hash.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.by_name.get(name)?)
    }

    /// Adds an invoice, or writes a change of one.
    pub(super) fn write(&mut self, entry: Entry) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_string(&entry)?;
            line.push('\n');
            file.write_all(line.as_bytes())?;
            file.sync_data()?;
        }
        self.remember(entry);
        Ok(())
    }

    pub(super) fn change(
        &mut self,
        name: &str,
        spark_status: &str,
        paid_at: Option<Timestamp>,
    ) -> io::Result<Entry> {
        let known =
            self.find(name).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such invoice"))?;
        let paid_at = known.paid_at.or(paid_at);
        let entry = Entry { spark_status: spark_status.to_owned(), paid_at, ..known.clone() };
        self.write(entry.clone())?;
        Ok(entry)
    }

    fn remember(&mut self, entry: Entry) {
        if let Some(place) = self.by_name.get(&entry.id)
            && let Some(known) = self.entries.get_mut(*place)
        {
            *known = entry;
            return;
        }
        let place = self.entries.len();
        self.by_key.insert(entry.key.clone(), place);
        self.by_name.insert(entry.id.clone(), place);
        self.by_name.entry(entry.payment_hash.clone()).or_insert(place);
        self.entries.push(entry);
    }
}
