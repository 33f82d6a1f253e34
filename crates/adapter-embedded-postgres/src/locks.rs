//! The three lock files, all `flock`: the kernel gives a lock back however its holder ends.
//!
//! - `share`: shared by everybody who uses the server; exclusive for the watcher, which then stops the server.
//! - `start`: exclusive for whoever starts, adopts or prepares the server.
//! - `watch`: exclusive for as long as a watcher lives.
//!
//! Apart from them, [`turn`] is for what a machine does once for all its clusters.
//!
//! A process takes `share` before `start`, and a watcher takes neither `start` nor anything after `share`: no cycle.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    error::{EmbeddedError, io_error},
    place::Place,
};

/// A lock that is held. Unlocked explicitly: a process that another thread is just forking has our files open for a
/// moment, and merely closing ours would leave the lock with it.
#[derive(Debug)]
pub(crate) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing it does the same, a moment later.
        let _ = self.0.unlock();
    }
}

const PAUSE: Duration = Duration::from_millis(5);
/// Between two looks at what takes seconds to minutes.
const LONG_PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn open(place: &Place, name: &str) -> Result<File, EmbeddedError> {
    let path = place.lock_file(name);
    // Some network file systems lock only what is open for writing.
    File::options().read(true).write(true).open(&path).map_err(io_error("open", path))
}

/// Takes a share, and waits for a watcher that is just stopping the server.
pub(crate) async fn share(place: &Place, limit: Duration) -> Result<Held, EmbeddedError> {
    wait(place, "share", File::try_lock_shared, "the server to finish stopping", limit).await
}

/// Takes the right to start the server.
pub(crate) async fn start(place: &Place, limit: Duration) -> Result<Held, EmbeddedError> {
    wait(place, "start", File::try_lock, "another process that is starting the server", limit).await
}

async fn wait(
    place: &Place,
    name: &'static str,
    attempt: fn(&File) -> Result<(), TryLockError>,
    awaited: &'static str,
    limit: Duration,
) -> Result<Held, EmbeddedError> {
    let file = open(place, name)?;
    let deadline = Instant::now() + limit;
    loop {
        if taken(place, name, attempt(&file))? {
            return Ok(Held(file));
        }
        if Instant::now() >= deadline {
            return Err(EmbeddedError::TimedOut { awaited, waited: limit, log: place.log() });
        }
        sleep(PAUSE).await;
    }
}

/// Takes a lock that stands apart from any cluster, for what a machine does once; `waiting` is called when it is taken.
pub(crate) async fn turn(
    path: &Path,
    awaited: &'static str,
    limit: Duration,
    waiting: impl FnOnce(),
) -> Result<Held, EmbeddedError> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(io_error("open", path))?;
    let deadline = Instant::now() + limit;
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Held(file)),
            Err(TryLockError::Error(source)) => return Err(io_error("lock", path)(source)),
            Err(TryLockError::WouldBlock) => {}
        }
        if let Some(waiting) = waiting.take() {
            waiting();
        }
        if Instant::now() >= deadline {
            return Err(EmbeddedError::TimedOut { awaited, waited: limit, log: path.to_path_buf() });
        }
        sleep(LONG_PAUSE).await;
    }
}

/// Whether an attempt succeeded; an error when the file system knows no locks.
pub(crate) fn taken(
    place: &Place,
    name: &'static str,
    attempt: Result<(), TryLockError>,
) -> Result<bool, EmbeddedError> {
    match attempt {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(io_error("lock", place.lock_file(name))(source)),
    }
}

/// Takes a lock if it is free, without waiting.
fn try_take(
    place: &Place,
    name: &'static str,
    attempt: fn(&File) -> Result<(), TryLockError>,
) -> Result<Option<Held>, EmbeddedError> {
    let file = open(place, name)?;
    Ok(taken(place, name, attempt(&file))?.then(|| Held(file)))
}

/// Whether a watcher lives.
pub(crate) fn watched(place: &Place) -> Result<bool, EmbeddedError> {
    Ok(try_take(place, "watch", File::try_lock_shared)?.is_none())
}

/// Who holds shares, in the eyes of one who has just given back its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharers {
    Others,
    None,
    /// The watcher has them all and is stopping the server, or somebody is asking this very question.
    Unclear,
}

pub(crate) fn sharers(place: &Place) -> Result<Sharers, EmbeddedError> {
    // Two who ask at once would take each other for a sharer; whoever starts the server shares it.
    let Some(_start) = try_take(place, "start", File::try_lock)? else { return Ok(Sharers::Unclear) };
    if try_take(place, "share", File::try_lock)?.is_some() {
        return Ok(Sharers::None);
    }
    let shared = try_take(place, "share", File::try_lock_shared)?.is_some();
    Ok(if shared { Sharers::Others } else { Sharers::Unclear })
}
