//! Where settings come from: the environment over a TOML file, secrets also from files of their own. All of it is
//! handed in, so that a test needs no process environment.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::names::{self, Kind};
use super::problems::Problems;

/// What the process was given, before any of it is understood.
#[derive(Debug, Default)]
pub struct Sources {
    /// The environment's variables.
    pub environment: BTreeMap<String, String>,
    /// The path and the text of the configuration file, if one was named.
    pub file: Option<(PathBuf, String)>,
}

/// The settings by name, merged. What is taken from it by `text` and friends has been trimmed, and is not empty.
pub(super) struct Settings(BTreeMap<String, Setting>);

/// A value, and the file that it was read from, if it was.
struct Setting {
    text: String,
    file: Option<PathBuf>,
}

impl Settings {
    /// Merges the sources: per setting the environment wins over the file, and `NAME` and `NAME_FILE` are one setting.
    pub(super) fn merge(sources: &Sources, problems: &mut Problems) -> Self {
        let from_file = file_settings(sources.file.as_ref(), problems);
        let from_environment = environment_settings(&sources.environment, problems);
        let mut merged = resolve_secret_files(&from_file, problems);
        merged.extend(resolve_secret_files(&from_environment, problems));
        merged.retain(|name, Setting { text, .. }| {
            *text = text.trim().to_owned();
            let empty = text.is_empty();
            if empty && names::kind(name) == Some(Kind::Word) {
                problems.refuse(format!("{name} is set but empty"));
            }
            !empty
        });
        Self(merged)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(names::kind(name).is_some(), "{name} is missing from the table of names");
        self.0.get(name).map(|setting| setting.text.as_str())
    }

    /// The file that the value stands in, where `NAME_FILE` gave it.
    pub(super) fn file(&self, name: &str) -> Option<&Path> {
        self.0.get(name)?.file.as_deref()
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.text(name).is_some()
    }
}

fn environment_settings(
    environment: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for (name, value) in environment {
        if names::kind(name).is_some() || names::secret_of_file(name).is_some() {
            // An emptied variable must not hide what the file says; a word is kept, to be refused.
            if !value.trim().is_empty() || names::kind(name) == Some(Kind::Word) {
                settings.insert(name.clone(), value.clone());
            }
        } else if name.starts_with("GUICHE_") && !names::OF_THE_COMMAND_LINE.contains(&name.as_str()) {
            problems.refuse(unknown(name, names::closest(name)));
        } else if let Some(close) = names::near_miss(name)
            && !value.is_empty()
        {
            problems
                .warn(format!("{name} is not a setting of ours and has no effect (did you mean {close}?)"));
        }
    }
    settings
}

fn file_settings(file: Option<&(PathBuf, String)>, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let Some((path, text)) = file else { return settings };
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            // The parser's own message quotes the line, which may hold a secret.
            let line =
                error.span().map_or(0, |span| text.get(..span.start).unwrap_or("").lines().count().max(1));
            problems.refuse(format!("{} is not TOML (around line {line})", path.display()));
            return settings;
        }
    };
    for (key, value) in table {
        let name = key.to_ascii_uppercase();
        if is_lower(&key) && (names::kind(&name).is_some() || names::secret_of_file(&name).is_some()) {
            match as_text(&value) {
                Some(value) => drop(settings.insert(name, value)),
                None => problems
                    .refuse(format!("{key} in the configuration file must be text, a number or a list")),
            }
        } else {
            let shown = format!("{key} in the configuration file");
            let is_known = names::kind(&name).is_some() || names::secret_of_file(&name).is_some();
            if is_known {
                let lower = name.to_ascii_lowercase();
                problems.refuse(format!("{shown} is not a setting: write it in lower case, {lower}"));
            } else if names::OF_THE_COMMAND_LINE.contains(&name.as_str()) {
                problems.refuse(format!("{shown} is not a setting: it says where this file is"));
            } else {
                let close = names::closest(&name).filter(|close| names::kind(close).is_some());
                problems.refuse(unknown(&shown, close.map(str::to_ascii_lowercase).as_deref()));
            }
        }
    }
    settings
}

fn is_lower(key: &str) -> bool {
    !key.contains(|c: char| c.is_ascii_uppercase())
}

fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) => {
            items.iter().map(as_text).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_) => None,
    }
}

/// `close` is spelt as it would be where `shown` was found.
fn unknown(shown: &str, close: Option<&str>) -> String {
    match close {
        Some(close) => format!("{shown} is not a setting (did you mean {close}?)"),
        None => format!("{shown} is not a setting"),
    }
}

/// Replaces `NAME_FILE` by `NAME` with what the file holds.
fn resolve_secret_files(
    settings: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> BTreeMap<String, Setting> {
    let mut resolved = BTreeMap::new();
    for (name, value) in settings {
        let Some(secret) = names::secret_of_file(name) else {
            resolved.insert(name.clone(), Setting { text: value.clone(), file: None });
            continue;
        };
        if value.is_empty() {
            continue;
        }
        if settings.get(secret).is_some_and(|direct| !direct.is_empty()) {
            problems.refuse(format!("{secret} and {name} are both set; set one"));
            continue;
        }
        match read_secret(Path::new(value)) {
            Ok(text) if text.expose_secret().is_empty() => {
                problems.refuse(format!("the file of {name} is empty"));
            }
            Ok(text) => {
                let setting = Setting { text: text.expose_secret().to_owned(), file: Some(value.into()) };
                resolved.insert(secret.to_owned(), setting);
            }
            Err(error) => problems.refuse(format!("the file of {name} cannot be read: {}", error.kind())),
        }
    }
    resolved
}

/// What the file holds, without the end of its last line.
pub(super) fn read_secret(path: &Path) -> io::Result<SecretString> {
    let mut text = std::fs::read_to_string(path)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text.into())
}
