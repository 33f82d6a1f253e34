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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Password, PasswordFlaw> {
        Password::parse(text.into(), Some(&Email::parse("Ana.Maria@Example.org").unwrap()))
    }

    #[track_caller]
    fn assert_flaw(text: &str, flaw: PasswordFlaw) {
        assert_eq!(parse(text).map(|_| ()), Err(flaw), "{text:?}");
    }

    #[test]
    fn lengths_are_counted_in_bytes_and_nothing_is_cut() {
        assert_flaw("", PasswordFlaw::TooShort);
        assert_flaw("tangerine", PasswordFlaw::TooShort);
        assert!(parse("tangerines").is_ok());
        let longest = "xy".repeat(36);
        assert_eq!(parse(&longest).unwrap().expose(), longest);
        assert_flaw(&format!("{longest}z"), PasswordFlaw::TooLong);
        // Five characters of two bytes are ten, and 36 of them with one more letter are 73.
        assert!(parse("àéíõú").is_ok());
        assert!(parse(&"àé".repeat(18)).is_ok());
        assert_flaw(&format!("{}x", "àé".repeat(18)), PasswordFlaw::TooLong);
    }

    #[test]
    fn a_nul_is_refused_wherever_it_stands() {
        for text in ["\0tangerines", "tange\0rines", "tangerines\0"] {
            assert_flaw(text, PasswordFlaw::ContainsNul);
        }
    }

    #[test]
    fn common_passwords_are_refused_in_any_case() {
        for text in ["1234567890", "password123", "PassWord123", "QWERTYUIOP", "qwertyuiop123", "euteamo123"]
        {
            assert_flaw(text, PasswordFlaw::TooCommon);
        }
        assert_flaw(&"z".repeat(10), PasswordFlaw::TooCommon);
        assert_flaw(&"é".repeat(36), PasswordFlaw::TooCommon);
        assert!(parse("password123 and a little more").is_ok());
    }

    #[test]
    fn the_account_itself_is_no_password() {
        for text in ["ana.maria@example.org", "ANA.MARIA@example.ORG"] {
            assert_flaw(text, PasswordFlaw::IsTheEmail);
        }
        let email = Email::parse("anamariasilva@example.org").unwrap();
        let outcome = Password::parse("AnaMariaSilva".into(), Some(&email));
        assert_eq!(outcome.map(|_| ()), Err(PasswordFlaw::IsTheEmail));
        assert!(
            Password::parse("anamariasilva".into(), None).is_ok(),
            "without an address there is no such rule"
        );
    }

    #[test]
    fn the_list_is_in_order() {
        let lines: Vec<_> = COMMON.lines().collect();
        assert!(lines.len() > 500);
        assert_eq!(lines.iter().collect::<HashSet<_>>().len(), lines.len(), "no line twice");
        for line in lines {
            assert!(
                (Password::MIN_BYTES..=Password::MAX_BYTES).contains(&line.len()),
                "{line}: cannot be chosen anyway"
            );
            assert_eq!(line, line.trim().to_ascii_lowercase());
            assert!(line.is_ascii(), "{line}: would not be compared without regard to case");
        }
    }

    #[test]
    fn nothing_of_a_password_is_printed() {
        let password = parse("tangerines").unwrap();
        let shown = format!(
            "{password:?} {:?} {:?}",
            PresentedPassword::from("tangerines"),
            PasswordHash::new("tangerines")
        );
        assert!(!shown.contains("tangerines"), "{shown}");
        for flaw in [PasswordFlaw::TooCommon, PasswordFlaw::IsTheEmail, PasswordFlaw::TooShort] {
            assert!(!flaw.to_string().contains("tangerines") && flaw.code().is_ascii());
        }
    }

    proptest! {
        #[test]
        fn every_text_is_either_kept_whole_or_refused(text in any::<String>()) {
            match parse(&text) {
                Ok(password) => {
                    prop_assert_eq!(password.expose(), text.as_str());
                    prop_assert!((10..=72).contains(&text.len()) && !text.contains('\0'));
                }
                Err(PasswordFlaw::TooShort) => prop_assert!(text.len() < 10),
                Err(PasswordFlaw::TooLong) => prop_assert!(text.len() > 72),
                Err(PasswordFlaw::ContainsNul) => prop_assert!(text.contains('\0')),
                Err(flaw @ (PasswordFlaw::TooCommon | PasswordFlaw::IsTheEmail | PasswordFlaw::Unchanged)) => {
                    prop_assert_eq!(flaw, PasswordFlaw::TooCommon);
                    prop_assert!(is_common(&text));
                }
            }
        }

        #[test]
        fn around_the_bounds_the_number_of_bytes_decides(text in "[a-zé]{8,74}") {
            prop_assume!(!is_common(&text));
            prop_assert_eq!(parse(&text).is_ok(), (10..=72).contains(&text.len()));
        }
    }
}
