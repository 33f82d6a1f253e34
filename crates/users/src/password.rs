//! Passwords: the rules for choosing one, and the types that keep it from being printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::Email;

/// A password that obeys the rules for choosing one. Lengths are in bytes, because bcrypt's limit is.
#[derive(Clone)]
pub struct Password(SecretString);

/// Why a password may not be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFlaw {
    /// Fewer than [`Password::MIN_BYTES`] bytes.
    #[error("a password needs at least {} bytes", Password::MIN_BYTES)]
    TooShort,
    /// More than [`Password::MAX_BYTES`] bytes; a longer one is refused rather than cut, because two passwords that
    /// differ only in what was cut off would both open the account.
    #[error("a password has at most {} bytes", Password::MAX_BYTES)]
    TooLong,
    /// Contains a NUL: bcrypt ends a password there, so `a` and `a\0a` would be one.
    #[error("a password cannot contain the character NUL")]
    ContainsNul,
    /// On the list of passwords that everybody tries first, or one character over and over.
    #[error("this password is among those that everybody tries first")]
    TooCommon,
    /// The account's e-mail address, or the part of it before the @.
    #[error("a password cannot be the e-mail address or its first part")]
    IsTheEmail,
    /// The present password, where a new one was asked for.
    #[error("the new password is the present one")]
    Unchanged,
}

impl PasswordFlaw {
    /// The stable code for clients.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::ContainsNul => "contains_nul",
            Self::TooCommon => "too_common",
            Self::IsTheEmail => "is_the_email",
            Self::Unchanged => "unchanged",
        }
    }
}

impl Password {
    /// The shortest password, in bytes.
    pub const MIN_BYTES: usize = 10;
    /// The longest password, in bytes: what bcrypt takes in.
    pub const MAX_BYTES: usize = 72;

    /// A password that may be chosen for the account of this e-mail address. Without an address (it was refused
    /// itself) the rule about it is left out.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: SecretString, email: Option<&Email>) -> Result<Self, PasswordFlaw> {
        let plain = text.expose_secret();
        if plain.len() < Self::MIN_BYTES {
            Err(PasswordFlaw::TooShort)
        } else if plain.len() > Self::MAX_BYTES {
            Err(PasswordFlaw::TooLong)
        } else if plain.contains('\0') {
            Err(PasswordFlaw::ContainsNul)
        } else if is_common(plain) {
            Err(PasswordFlaw::TooCommon)
        } else if email.is_some_and(|email| is_the_email(plain, email)) {
            Err(PasswordFlaw::IsTheEmail)
        } else {
            Ok(Self(text))
        }
    }

    /// The password itself, for hashing and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Passwords of at least ten characters from the lists that attackers start with, lower-cased.
const COMMON: &str = include_str!("common_passwords.txt");

fn is_common(plain: &str) -> bool {
    let mut chars = plain.chars();
    let first = chars.next();
    chars.all(|c| Some(c) == first) || COMMON.lines().any(|common| common.eq_ignore_ascii_case(plain))
}

fn is_the_email(plain: &str, email: &Email) -> bool {
    plain.eq_ignore_ascii_case(email.key()) || plain.eq_ignore_ascii_case(email.local_key())
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([REDACTED])")
    }
}

/// A password that somebody claims to be theirs: any text of any length, because the rules for choosing one may have
/// been others when it was chosen, and because a refusal must not tell which rule it broke.
#[derive(Clone)]
pub struct PresentedPassword(SecretString);

impl PresentedPassword {
    /// Takes a password as it was sent.
    #[must_use]
    pub const fn new(text: SecretString) -> Self {
        Self(text)
    }

    /// The password itself, for comparing with a hash and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for PresentedPassword {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for PresentedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedPassword([REDACTED])")
    }
}

/// What storage keeps of a password; only the [`PasswordHasher`](crate::PasswordHasher) that made it can read it.
#[derive(Clone)]
pub struct PasswordHash(SecretString);

impl PasswordHash {
    /// A hash as a hasher made it or storage returned it.
    #[must_use]
    pub fn new(text: impl Into<SecretString>) -> Self {
        Self(text.into())
    }

    /// The hash itself, for storage and the hasher.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([REDACTED])")
    }
}
