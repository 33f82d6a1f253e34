//! The keys for one provider: the first is used, and the next one when the provider refuses it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

/// In which header a key travels, and after which word.
#[derive(Debug, Clone)]
pub struct Credential {
    name: HeaderName,
    prefix: &'static str,
}

impl Credential {
    /// `Authorization: Bearer …`
    #[must_use]
    pub const fn bearer() -> Self {
        Self::authorization("Bearer ")
    }

    /// `Authorization`, after the given word and its space.
    #[must_use]
    pub const fn authorization(prefix: &'static str) -> Self {
        Self { name: AUTHORIZATION, prefix }
    }

    /// A header of the provider's own, which holds the key and nothing else.
    #[must_use]
    pub const fn header(name: HeaderName) -> Self {
        Self { name, prefix: "" }
    }
}

/// The keys, never empty, and exchanged as a whole while calls go on. They do not print.
pub struct KeyList {
    credential: Option<Credential>,
    /// The setting that holds them, for the log: whoever reads it should know what to mend.
    setting: &'static str,
    keys: RwLock<Arc<Keys>>,
}

/// The keys of one moment. An attempt keeps those that it began with.
pub(crate) struct Keys {
    keys: Vec<SecretString>,
    /// The place of the one that worked last.
    working: AtomicUsize,
}

/// Why a list of keys cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyListError {
    /// There is none.
    #[error("a provider needs at least one key")]
    Empty,
    /// A header cannot carry it.
    #[error("a key must be visible ASCII characters without spaces")]
    Unfit,
}

impl KeyList {
    /// The keys of the given setting; the first is used first.
    ///
    /// # Errors
    /// [`KeyListError`].
    pub fn try_new(
        setting: &'static str,
        credential: Credential,
        keys: Vec<SecretString>,
    ) -> Result<Self, KeyListError> {
        let keys = RwLock::new(Arc::new(Keys::try_new(keys)?));
        Ok(Self { credential: Some(credential), setting, keys })
    }

    /// For a provider whose calls bring what opens it along themselves, if anything does: one turn, and no header.
    #[must_use]
    pub fn none() -> Self {
        let keys = Keys { keys: vec![SecretString::default()], working: AtomicUsize::new(0) };
        Self { credential: None, setting: "", keys: RwLock::new(Arc::new(keys)) }
    }

    /// From now on these are the keys, and the first of them is used first. Attempts that are under way end with the keys
    /// that they began with.
    ///
    /// # Errors
    /// [`KeyListError`]; then nothing has changed.
    pub fn replace(&self, keys: Vec<SecretString>) -> Result<(), KeyListError> {
        let keys = Arc::new(Keys::try_new(keys)?);
        // Nobody can panic while the lock is held: it guards one assignment.
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// The keys of this moment.
    pub(crate) fn now(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The header that shows a key; marked as sensitive, so that no library prints it.
    pub(crate) fn header(&self, key: &SecretString) -> Option<(HeaderName, HeaderValue)> {
        let credential = self.credential.as_ref()?;
        let text = format!("{}{}", credential.prefix, key.expose_secret());
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some((credential.name.clone(), value))
    }

    pub(crate) const fn setting(&self) -> &'static str {
        self.setting
    }

    /// Whether there are none.
    pub(crate) const fn is_none(&self) -> bool {
        self.credential.is_none()
    }
}

impl Keys {
    fn try_new(keys: Vec<SecretString>) -> Result<Self, KeyListError> {
        let fits = |key: &SecretString| {
            let key = key.expose_secret();
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if keys.is_empty() {
            return Err(KeyListError::Empty);
        }
        if !keys.iter().all(fits) {
            return Err(KeyListError::Unfit);
        }
        Ok(Self { keys, working: AtomicUsize::new(0) })
    }

    /// The keys with their places, beginning with the one that worked last.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = (usize, &SecretString)> {
        let first = self.working.load(Ordering::Relaxed);
        let all = || self.keys.iter().enumerate();
        all().skip(first).chain(all().take(first))
    }

    pub(crate) fn worked(&self, place: usize) {
        self.working.store(place, Ordering::Relaxed);
    }

    /// Whether a text from outside repeats one of the keys, or an essential part of one.
    pub(crate) fn occurs_in(&self, text: &str) -> bool {
        self.keys.iter().any(|key| repeats(text, key.expose_secret()))
    }
}

/// Whether a text repeats a secret, or an essential part of one.
pub(crate) fn repeats(text: &str, secret: &str) -> bool {
    // The empty one stands for no key at all.
    !secret.is_empty() && (text.contains(secret) || (text.len() >= 8 && secret.contains(text)))
}

impl fmt::Debug for KeyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { credential: _, setting, keys: _ } = self;
        f.debug_struct("KeyList").field("setting", setting).field("keys", &self.now().keys.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(keys: &[&str]) -> Result<KeyList, KeyListError> {
        KeyList::try_new("X_KEY", Credential::bearer(), keys.iter().map(|key| (*key).into()).collect())
    }

    #[test]
    fn only_what_a_header_can_carry_is_a_key() {
        assert_eq!(list(&[]).unwrap_err(), KeyListError::Empty);
        for bad in ["", "with space", "line\nbreak", "é"] {
            assert_eq!(list(&["good", bad]).unwrap_err(), KeyListError::Unfit, "{bad:?}");
        }
    }

    #[test]
    fn the_one_that_worked_last_comes_first_and_all_get_their_turn() {
        let keys = list(&["a", "b", "c"]).unwrap().now();
        let places = || keys.in_turn().map(|(place, _)| place).collect::<Vec<_>>();
        assert_eq!(places(), [0, 1, 2]);
        keys.worked(1);
        assert_eq!(places(), [1, 2, 0]);
    }

    #[test]
    fn without_keys_there_is_one_turn_and_no_header() {
        let none = KeyList::none();
        let now = none.now();
        assert_eq!(now.in_turn().count(), 1);
        assert!(now.in_turn().all(|(_, key)| none.header(key).is_none()));
        assert!(!now.occurs_in("anything"));
    }

    #[test]
    fn keys_do_not_print() {
        let keys = list(&["hunter2hunter2"]).unwrap();
        let (name, value) = keys.header(&"hunter2hunter2".into()).unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("authorization", "Bearer hunter2hunter2"));
        let printed = format!("{keys:?} {value:?}");
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(
            keys.now().occurs_in("bad_key.hunter2hunter2")
                && keys.now().occurs_in("hunter2h")
                && !keys.now().occurs_in("unter")
        );
    }

    #[test]
    fn others_take_their_place_as_a_whole_or_not_at_all() {
        let keys = list(&["a", "b"]).unwrap();
        let before = keys.now();
        before.worked(1);
        assert_eq!(keys.replace(vec![]), Err(KeyListError::Empty));
        assert_eq!(keys.replace(vec!["c".into(), "d e".into()]), Err(KeyListError::Unfit));
        assert!(Arc::ptr_eq(&before, &keys.now()), "nothing has changed");
        keys.replace(vec!["c".into(), "d".into()]).unwrap();
        let now = keys.now();
        let all: Vec<_> = now.in_turn().map(|(place, key)| (place, key.expose_secret())).collect();
        assert_eq!(all, [(0, "c"), (1, "d")], "it begins with the first again");
        before.worked(1);
        assert_eq!(now.in_turn().next().unwrap().0, 0, "what worked before says nothing of the others");
    }
}
