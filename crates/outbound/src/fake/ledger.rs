//! What exists at a fake: in memory, and as one document in a file that is replaced as a whole before any answer.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The state of a fake.
#[derive(Debug)]
pub struct Ledger<T> {
    state: Mutex<T>,
    file: Option<Place>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Held for as long as the ledger is: a second process would undo what the first one wrote.
    _lock: File,
}

impl<T: Clone + Default + Serialize + DeserializeOwned> Ledger<T> {
    /// Reads `<name>.json` in the directory, which is made if need be; in memory only without a directory.
    ///
    /// # Errors
    /// When the directory cannot be used, another process uses it, or the file cannot be understood.
    pub fn open(directory: Option<&Path>, name: &str) -> io::Result<Self> {
        let Some(directory) = directory else {
            return Ok(Self { state: Mutex::default(), file: None });
        };
        fs::create_dir_all(directory)?;
        let lock = File::create(directory.join(format!("{name}.lock")))?;
        lock.try_lock().map_err(|_| io::Error::other("the ledger is used by another process"))?;
        let path = directory.join(format!("{name}.json"));
        let state = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => T::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { state: Mutex::new(state), file: Some(Place { path, _lock: lock }) })
    }

    /// Looks at it.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// Changes it. What could not be written has not happened.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> io::Result<R> {
        let mut state = self.lock();
        let Some(place) = &self.file else { return Ok(change(&mut state)) };
        let mut next = state.clone();
        let outcome = change(&mut next);
        replace(&place.path, &serde_json::to_vec_pretty(&next)?)?;
        *state = next;
        Ok(outcome)
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kill at any moment leaves the old file or the new one.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = File::create(&next)?;
    file.write_all(text)?;
    file.sync_data()?;
    fs::rename(next, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_outlives_its_process_and_belongs_to_one_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let open = || Ledger::<Vec<u32>>::open(Some(place.path()), "numbers");
        let first = open().unwrap();
        first.change(|numbers| numbers.extend([1, 2])).unwrap();
        assert!(open().is_err());
        drop(first);
        // What a kill in the middle of a change leaves.
        fs::write(place.path().join("numbers.next"), "[1, 2, 3").unwrap();
        let second = open().unwrap();
        assert_eq!(second.read(Clone::clone), [1, 2]);
        drop(second);
        fs::write(place.path().join("numbers.json"), "[1,").unwrap();
        assert!(open().is_err(), "a damaged ledger is not an empty one");
    }
}
