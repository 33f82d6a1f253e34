//! A provider's keys that stand in a file, which is read again while the service runs.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use super::problems::ConfigError;
use super::sources;

/// The file that a `…_FILE` setting named, and whose keys are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    setting: &'static str,
    path: PathBuf,
}

impl KeyFile {
    pub(super) const fn new(setting: &'static str, path: PathBuf) -> Self {
        Self { setting, path }
    }

    /// The setting that its keys are the value of, without `_FILE`.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        self.setting
    }

    /// The keys that are in it now, never none.
    ///
    /// # Errors
    /// It cannot be read, or what is in it is no list of keys; what that is, is not told.
    pub fn read(&self) -> Result<Vec<SecretString>, ConfigError> {
        let name = self.setting;
        let text = sources::read_secret(&self.path).map_err(|error| {
            ConfigError::new(format!("the file of {name}_FILE cannot be read: {}", error.kind()))
        })?;
        let text = text.expose_secret().trim();
        if text.is_empty() {
            return Err(ConfigError::new(format!("the file of {name}_FILE is empty")));
        }
        keys(text).ok_or_else(|| ConfigError::new(not_keys(name)))
    }
}

/// The keys of a list, separated by commas; `None` when one of them could not be sent.
pub(super) fn keys(list: &str) -> Option<Vec<SecretString>> {
    let fits = |key: &&str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    list.split(',').map(str::trim).map(|key| fits(&key).then(|| key.into())).collect()
}

pub(super) fn not_keys(name: &str) -> String {
    format!("{name} must be keys without spaces, separated by commas")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_in_the_file_now_is_read_and_what_is_no_list_is_not_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::new("SPARK_API_KEY", directory.path().join("keys"));
        let refused = || file.read().unwrap_err().to_string();
        assert_eq!(refused(), "the file of SPARK_API_KEY_FILE cannot be read: entity not found");
        let write = |text: &str| fs::write(directory.path().join("keys"), text).unwrap();
        write(" one,two\r\n");
        let read: Vec<_> = file.read().unwrap().iter().map(|key| key.expose_secret().to_owned()).collect();
        assert_eq!(read, ["one", "two"]);
        write("\n");
        assert_eq!(refused(), "the file of SPARK_API_KEY_FILE is empty");
        for text in ["hunter2 hunter3", "hunter2,", "hunter2,,hunter3", "hunter2\nhunter3", "hünter2"] {
            write(text);
            assert_eq!(refused(), "SPARK_API_KEY must be keys without spaces, separated by commas", "{text}");
        }
    }
}
