//! The name under which a person signs in.

use std::fmt;
use std::hash::{Hash, Hasher};

/// An e-mail address that can name an account.
///
/// It keeps the form in which it was typed, to show and to write to, and compares by [`Email::key`]: `Ana@Example.org`
/// and `ana@example.org` are one account. Only ASCII is accepted (a foreign domain is written in its `xn--` form), so
/// that "the same letter" means the same thing here, in the database and in a mail server: Unicode case folding and
/// normalisation differ between them, and look-alike letters would make two accounts that people cannot tell apart.
#[derive(Clone)]
pub struct Email {
    typed: String,
    key: String,
}

/// The text is not an e-mail address that we accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidEmail;

impl Email {
    /// The longest address that can be the path of a message (RFC 5321 §4.5.3.1.3), in bytes.
    pub const MAX_BYTES: usize = 254;

    const MAX_LOCAL_BYTES: usize = 64;
    const MAX_LABEL_BYTES: usize = 63;

    /// An address: a dot-atom, one `@`, and a domain of at least two labels whose last is not a number.
    ///
    /// # Errors
    /// [`InvalidEmail`] for anything else; white space around the address is not cut off.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidEmail);
        }
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail)?;
        if is_local_part(local) && is_domain(domain) {
            Ok(Self { typed: text.to_owned(), key: text.to_ascii_lowercase() })
        } else {
            Err(InvalidEmail)
        }
    }

    /// The address as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// The lower-cased address, by which accounts are told apart; storage keeps it under a unique index and never
    /// computes it by itself.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What stands before the `@`, lower-cased.
    pub(crate) fn local_key(&self) -> &str {
        self.key.split_once('@').map_or("", |(local, _)| local)
    }
}

fn is_local_part(text: &str) -> bool {
    let atom = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    text.len() <= Email::MAX_LOCAL_BYTES && text.split('.').all(atom)
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=Email::MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A numeric last label is an IPv4 address, and those are written differently in a mail address.
    let top_is_a_name = |(_, top): (&str, &str)| !top.bytes().all(|b| b.is_ascii_digit());
    text.split('.').all(label) && text.rsplit_once('.').is_some_and(top_is_a_name)
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Email {}

impl Hash for Email {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

/// Hides who it is: debug output ends in logs, and an address is personal data.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = self.key.split_once('@').map_or("", |(_, domain)| domain);
        write!(f, "Email(***@{domain})")
    }
}

impl std::str::FromStr for Email {
    type Err = InvalidEmail;
    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_addresses_are_accepted() {
        let longest =
            format!("{}@{}.{}.{}.br", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(58));
        assert_eq!(longest.len(), 254);
        for text in [
            "ana@example.org",
            "ana.maria+detran@sub.example.com.br",
            "o'neil@example.org",
            "1@2.io",
            "a@xn--so-paulo-0za.example",
            longest.as_str(),
        ] {
            assert_eq!(Email::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        let too_long =
            format!("{}@{}.{}.{}.br", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(59));
        assert_eq!(too_long.len(), 255);
        for text in [
            "",
            "@",
            "ana",
            "ana@",
            "@example.org",
            "ana@example",
            "a@b@example.org",
            "ana@@example.org",
            " ana@example.org",
            "ana@example.org ",
            "an a@example.org",
            "ana@exa mple.org",
            "ana@example.org\n",
            "ana\0@example.org",
            "ana@example.org\0",
            "ana\u{7f}@example.org",
            "\u{feff}ana@example.org",
            ".ana@example.org",
            "ana.@example.org",
            "a..na@example.org",
            "ana@.example.org",
            "ana@example.org.",
            "ana@example..org",
            "ana@-example.org",
            "ana@example-.org",
            "ana@127.0.0.1",
            "ana@[127.0.0.1]",
            "\"ana\"@example.org",
            "ana@exämple.org",
            "josé@example.org",
            "ana@example.org,bob@example.org",
            "Ana <ana@example.org>",
            too_long.as_str(),
        ] {
            assert_eq!(Email::parse(text), Err(InvalidEmail), "{text:?}");
        }
        assert!(Email::parse(&format!("{}@example.org", "a".repeat(65))).is_err(), "local part over 64");
        assert!(Email::parse(&format!("ana@{}.org", "a".repeat(64))).is_err(), "label over 63");
    }

    #[test]
    fn case_does_not_tell_two_addresses_apart_and_the_typed_form_is_kept() {
        let typed = Email::parse("Ana.Maria@Example.ORG").unwrap();
        assert_eq!(typed, Email::parse("ana.maria@example.org").unwrap());
        assert_eq!(typed.to_string(), "Ana.Maria@Example.ORG");
        assert_eq!((typed.key(), typed.local_key()), ("ana.maria@example.org", "ana.maria"));
    }

    #[test]
    fn debug_output_does_not_say_who_it_is() {
        assert_eq!(format!("{:?}", Email::parse("Ana@example.org").unwrap()), "Email(***@example.org)");
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_fail_otherwise_than_by_refusal(text in any::<String>()) {
            let _ = Email::parse(&text);
        }

        #[test]
        fn every_accepted_address_obeys_the_bounds(text in "[ -~]{0,70}@[ -~]{0,200}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert!(email.as_str().len() <= Email::MAX_BYTES);
                prop_assert_eq!(email.as_str().matches('@').count(), 1);
                prop_assert!(email.as_str().is_ascii() && !email.as_str().contains(char::is_whitespace));
                prop_assert!(email.key().chars().all(|c| !c.is_ascii_uppercase()));
            }
        }

        #[test]
        fn well_formed_addresses_are_accepted_in_any_case_and_are_one(
            text in "[a-zA-Z0-9_+]{1,64}@[a-zA-Z0-9]{1,63}\\.[a-zA-Z]{2,63}",
        ) {
            let email = Email::parse(&text).unwrap();
            prop_assert_eq!(&email, &Email::parse(&text.to_ascii_uppercase()).unwrap());
            prop_assert_eq!(&email, &Email::parse(email.key()).unwrap());
        }
    }
}
