//! The payments, in one append-only file: what the stub has said about money, it will say again after a crash.
//!
//! Each line is a text and a MAC over it. The first line says what the file is, every other one is a payment. A line
//! counts once it is complete and flushed to disk. Several processes may use one file (a server and a command line):
//! whoever appends holds its lock, and whoever finds it grown reads on from where they stopped.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use guiche_kernel::Timestamp;
use guiche_tickets::PaymentHash;

use super::error::LedgerError;
use super::keys::{Keys, Purpose};

const HEADER: &str = "guiche-spark-stub-payments 1";

/// A lock is held for one flush to disk; who holds it for seconds is stopped or stuck, and to wait on would hang us too.
const LOCK_TRIES: u32 = 1000;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// It is written down.
    First,
    /// It was paid before, at this moment; nothing was written.
    Before(Timestamp),
}

#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    keys: Arc<Keys>,
    /// Apart from the file, so that a question about a known payment waits for no disk.
    paid: RwLock<HashMap<PaymentHash, Timestamp>>,
    tail: Mutex<Tail>,
}

/// How far the file has been read.
#[derive(Debug)]
struct Tail {
    file: File,
    inode: (u64, u64),
    bytes: u64,
    lines: u64,
}

impl Ledger {
    /// Opens the file, or makes it. Blocks.
    pub(super) fn open(path: PathBuf, keys: Arc<Keys>) -> Result<Self, LedgerError> {
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let opened = opened.and_then(|file| Ok((inode(&file.metadata()?), file)));
        let (inode, file) =
            opened.map_err(|source| LedgerError::Io { attempt: "open", path: path.clone(), source })?;
        let tail = Tail { file, inode, bytes: 0, lines: 0 };
        let ledger = Self { path, keys, paid: RwLock::default(), tail: Mutex::new(tail) };
        ledger.begin()?;
        Ok(ledger)
    }

    /// What is known without looking at the file.
    pub(super) fn known(&self, hash: &PaymentHash) -> Option<Timestamp> {
        self.paid.read().unwrap_or_else(PoisonError::into_inner).get(hash).copied()
    }

    /// When the invoice was paid, through whatever process. Blocks.
    pub(super) fn paid_at(&self, hash: &PaymentHash) -> Result<Option<Timestamp>, LedgerError> {
        let mut tail = self.tail();
        if self.len(&tail)? != tail.bytes {
            let _held = self.hold(&tail.file, File::try_lock_shared)?;
            self.read_on(&mut tail)?;
        }
        Ok(self.known(hash))
    }

    /// Writes a payment down, unless the invoice is paid already. When this returns, it is on the disk. Blocks.
    pub(super) fn record(&self, hash: &PaymentHash, paid_at: Timestamp) -> Result<Recorded, LedgerError> {
        let mut tail = self.tail();
        let _held = self.hold(&tail.file, File::try_lock)?;
        // Under the lock, so that of two processes that pay one invoice the second finds the first's line.
        if self.len(&tail)? != tail.bytes {
            self.read_on(&mut tail)?;
        }
        if let Some(before) = self.known(hash) {
            return Ok(Recorded::Before(before));
        }
        self.append(&mut tail, &format!("{hash} {}", micros(paid_at)))?;
        self.remember(*hash, paid_at);
        Ok(Recorded::First)
    }

    /// Reads the file; an empty one gets its first line, also when a crash has left only its beginning. Any other text
    /// is somebody else's, and is left alone.
    fn begin(&self) -> Result<(), LedgerError> {
        let mut tail = self.tail();
        let _held = self.hold(&tail.file, File::try_lock)?;
        let rest = self.read_on(&mut tail)?;
        if tail.lines == 0 {
            if !self.line(HEADER).as_bytes().starts_with(&rest) {
                return Err(LedgerError::OtherSecret { path: self.path.clone() });
            }
            self.append(&mut tail, HEADER)?;
        }
        // The name of a new file is only durable with its directory.
        let directory = self.path.parent().filter(|path| !path.as_os_str().is_empty());
        let synced =
            File::open(directory.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all());
        synced.map_err(|error| self.broken("flush the directory of", error))
    }

    /// Takes in the complete lines from where reading stopped. The caller holds a lock. A last line without its end,
    /// which is returned, is what a crash left of an append; nobody was told of it, and the next append overwrites it.
    fn read_on(&self, tail: &mut Tail) -> Result<Vec<u8>, LedgerError> {
        let mut text = Vec::new();
        let start = tail.file.seek(SeekFrom::Start(tail.bytes));
        start.and_then(|_| tail.file.read_to_end(&mut text)).map_err(|error| self.broken("read", error))?;
        if text.contains(&b'\n') {
            // Whoever wrote these lines may have died before the flush, and we are about to tell of them.
            tail.file.sync_all().map_err(|error| self.broken("flush", error))?;
        }
        let mut rest = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else {
                rest = line.to_vec();
                break;
            };
            if tail.lines == 0 {
                self.check_header(line)?;
            } else {
                let damaged = || LedgerError::Damaged { path: self.path.clone(), line: tail.lines + 1 };
                let (hash, paid_at) = self.parse(line).ok_or_else(damaged)?;
                self.remember(hash, paid_at);
            }
            let length = u64::try_from(line.len()).unwrap_or(u64::MAX).saturating_add(1);
            tail.lines += 1;
            tail.bytes = tail.bytes.saturating_add(length);
        }
        Ok(rest)
    }

    /// Writes one line behind the last complete one and flushes it. The caller holds the exclusive lock and has read
    /// everything. After a failure the line is there or not: the next reading will tell.
    fn append(&self, tail: &mut Tail, text: &str) -> Result<(), LedgerError> {
        let line = self.line(text);
        let cut = tail.file.set_len(tail.bytes).and_then(|()| tail.file.seek(SeekFrom::Start(tail.bytes)));
        let written =
            cut.and_then(|_| tail.file.write_all(line.as_bytes())).and_then(|()| tail.file.sync_all());
        written.map_err(|error| self.broken("write to", error))?;
        tail.bytes = tail.bytes.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        tail.lines += 1;
        Ok(())
    }

    fn line(&self, text: &str) -> String {
        format!("{text} {}\n", self.keys.seal(Purpose::LedgerLine, text))
    }

    fn check_header(&self, line: &[u8]) -> Result<(), LedgerError> {
        match self.open_line(line) {
            Some(HEADER) => Ok(()),
            Some(_) | None => Err(LedgerError::OtherSecret { path: self.path.clone() }),
        }
    }

    fn parse(&self, line: &[u8]) -> Option<(PaymentHash, Timestamp)> {
        let (hash, micros) = self.open_line(line)?.split_once(' ')?;
        let nanos = micros.parse::<i128>().ok()?.checked_mul(1000)?;
        Some((hash.parse().ok()?, Timestamp::from_unix_timestamp_nanos(nanos).ok()?))
    }

    fn open_line<'a>(&self, line: &'a [u8]) -> Option<&'a str> {
        let (text, mac) = std::str::from_utf8(line).ok()?.rsplit_once(' ')?;
        self.keys.is_sealed(Purpose::LedgerLine, text, mac).then_some(text)
    }

    /// The present length of the file behind the path. Another file there, or a shorter one, means that payments we
    /// have told of are gone: better to stop than to go on with two truths.
    fn len(&self, tail: &Tail) -> Result<u64, LedgerError> {
        match fs::metadata(&self.path) {
            Ok(now) if inode(&now) == tail.inode && now.len() >= tail.bytes => Ok(now.len()),
            Ok(_) => Err(LedgerError::Replaced { path: self.path.clone() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(LedgerError::Replaced { path: self.path.clone() })
            }
            Err(error) => Err(self.broken("look at", error)),
        }
    }

    fn hold(
        &self,
        file: &File,
        try_lock: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Held, LedgerError> {
        // The lock belongs to the open file and not to the handle, so a second handle can give it back.
        let handle = file.try_clone().map_err(|error| self.broken("lock", error))?;
        for _ in 0..LOCK_TRIES {
            match try_lock(&handle) {
                Ok(()) => return Ok(Held(handle)),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(self.broken("lock", error)),
            }
        }
        Err(LedgerError::Locked { path: self.path.clone() })
    }

    fn remember(&self, hash: PaymentHash, paid_at: Timestamp) {
        self.paid.write().unwrap_or_else(PoisonError::into_inner).entry(hash).or_insert(paid_at);
    }

    fn tail(&self) -> std::sync::MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken(&self, attempt: &'static str, source: io::Error) -> LedgerError {
        LedgerError::Io { attempt, path: self.path.clone(), source }
    }
}

/// The file's lock, until dropped.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // The end of the process gives the lock back at the latest.
        let _ = self.0.unlock();
    }
}

fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn micros(moment: Timestamp) -> i128 {
    moment.unix_timestamp_nanos() / 1000
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOON: Timestamp = datetime!(2026-01-01 12:00 UTC);

    fn open(path: &Path) -> Ledger {
        Ledger::open(path.to_owned(), Arc::new(Keys::derive(&[1; 32]).unwrap())).unwrap()
    }

    /// Whoever pays has asked before; only here can nobody have read on in between.
    #[test]
    fn a_payment_that_another_process_wrote_meanwhile_is_neither_repeated_nor_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("payments");
        let (one, two) = (open(&path), open(&path));
        let (first, second) = (PaymentHash::new([1; 32]), PaymentHash::new([2; 32]));
        let later = NOON + Duration::from_secs(1);
        assert_eq!(one.record(&first, NOON).unwrap(), Recorded::First);
        assert_eq!(two.record(&first, later).unwrap(), Recorded::Before(NOON));
        assert_eq!(one.record(&second, later).unwrap(), Recorded::First);
        assert_eq!(two.record(&PaymentHash::new([3; 32]), later).unwrap(), Recorded::First);
        let again = open(&path);
        assert_eq!(again.known(&first), Some(NOON));
        assert_eq!(again.known(&second), Some(later));
    }
}
