//! What a command is given from outside: the environment, and the file of settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::failure::Failure;
use crate::config::{Config, ConfigError, MigrateConfig, Sources};
use crate::wiring;

/// The environment and the file of settings, before any of it is understood.
#[derive(Debug, Default)]
pub(super) struct Given {
    environment: BTreeMap<String, String>,
    file: Option<PathBuf>,
}

impl Given {
    /// The file is the one that is named, or else that of `GUICHE_CONFIG`.
    pub(super) fn new(
        file: Option<PathBuf>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        // A name or a value that is not text can be none of ours, except by mistake: then it reads as wrong, not as absent.
        let lossy = |text: OsString| text.to_string_lossy().into_owned();
        let environment: BTreeMap<String, String> =
            environment.into_iter().map(|(name, value)| (lossy(name), lossy(value))).collect();
        let named = environment.get("GUICHE_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { file: file.or(named), environment }
    }

    /// The locale in which the user wants to be spoken to; empty when none is set.
    pub(super) fn locale(&self) -> &str {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(|name| self.environment.get(name));
        set.into_iter().find(|value| !value.is_empty()).map_or("", String::as_str)
    }

    /// What is said about where the binaries of a private server come from; nothing else of the settings.
    pub(super) fn about_binaries(&self) -> BTreeMap<String, String> {
        const NAMES: [&str; 3] =
            ["GUICHE_EMBEDDED_INSTALL", "GUICHE_POSTGRES_ARCHIVE", "GUICHE_POSTGRES_ARCHIVE_SHA256"];
        let named = self.environment.iter().filter(|(name, _)| NAMES.contains(&name.as_str()));
        named.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The configuration of a server, if this build can run it.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        Config::parse_for(&self.sources()?, wiring::refuse_unavailable).map_err(Failure::Config)
    }

    /// What the owner of the tables is told.
    pub(super) fn as_owner(&self) -> Result<MigrateConfig, Failure> {
        MigrateConfig::parse(&self.sources()?).map_err(Failure::Config)
    }

    fn sources(&self) -> Result<Sources, Failure> {
        let read = |path: &PathBuf| match std::fs::read_to_string(path) {
            Ok(text) => Ok((path.clone(), text)),
            Err(error) => {
                let line = format!("{} cannot be read: {}", path.display(), error.kind());
                Err(Failure::Config(ConfigError::new(line)))
            }
        };
        let file = self.file.as_ref().map(read).transpose()?;
        Ok(Sources { environment: self.environment.clone(), file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_build_lacks_is_told_with_all_other_reasons() {
        let environment = [("LIGHTNING_NETWORK", "mainnet"), ("BCRYPT_COST", "3")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let Err(Failure::Config(refused)) = Given::new(None, environment).config() else {
            panic!("accepted")
        };
        let lines = refused.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        for part in ["BCRYPT_COST", "LIGHTNING_NETWORK must be regtest with SPARK_MODE=stub"] {
            assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:?}");
        }
    }
}
