//! SIGHUP: the providers' keys are read again from their files, so that a key is replaced without a restart.
//!
//! A file that cannot be used changes nothing: the service goes on with the keys that it has, and the log says why.

use std::fmt;
use std::sync::Arc;

use guiche_kernel::BoxError;
use secrecy::SecretString;

use crate::config::KeyFile;
use crate::shutdown::Shutdown;
use crate::workers::Wake;

/// Puts other keys into the place of those that are used.
type Replace = Arc<dyn Fn(Vec<SecretString>) -> Result<(), BoxError> + Send + Sync>;

/// Every list of keys that stands in a file, and whose it is.
#[derive(Clone, Default)]
pub struct KeyFiles(Vec<(KeyFile, Replace)>);

impl KeyFiles {
    /// Reads that file, too, and hands over what is in it.
    pub fn add(
        &mut self,
        file: KeyFile,
        replace: impl Fn(Vec<SecretString>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) {
        self.0.push((file, Arc::new(replace)));
    }

    /// Reads those, too.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Reads them whenever it is told to, until the process ends.
    pub async fn read_whenever(&self, told: Wake, stop: Shutdown) {
        loop {
            tokio::select! {
                () = stop.begun() => return,
                () = told.woken() => self.read_again().await,
            }
        }
    }

    /// Reads all of them again. Each stands for itself: one that cannot be used holds up no other.
    async fn read_again(&self) {
        if self.0.is_empty() {
            tracing::info!("SIGHUP: no provider's keys stand in a file, so there is nothing to read again");
        }
        for (file, replace) in self.0.clone() {
            let setting = file.setting();
            // A file may be on a disk that does not answer.
            let read = tokio::task::spawn_blocking(move || {
                let keys = file.read()?;
                let count = keys.len();
                replace(keys).map(|()| count)
            });
            match read.await.unwrap_or_else(|lost| Err(lost.into())) {
                Ok(count) => tracing::info!(setting, count, "the keys of {setting} were read again"),
                Err(error) => tracing::error!(
                    setting,
                    error,
                    "the keys of {setting} were not read again, and stay as they are"
                ),
            }
        }
    }
}

impl fmt::Debug for KeyFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(file, _)| file)).finish()
    }
}
