//! Lightning addresses: `name@domain`, as wallets write them (LUD-16).

use std::fmt;

use guiche_kernel::Randomness;

const SHORTEST: usize = 3;
const LONGEST: usize = 32;
/// What generated names are made of: two words and a number, easy to say aloud.
const QUALITIES: [&str; 32] = [
    "amber", "bold", "brave", "bright", "calm", "clear", "clever", "coral", "crisp", "eager", "early",
    "fair", "gentle", "golden", "grand", "green", "happy", "honest", "jolly", "kind", "lively", "lucky",
    "merry", "noble", "proud", "quick", "quiet", "rapid", "sunny", "swift", "warm", "wise",
];
const ANIMALS: [&str; 32] = [
    "badger", "bear", "beaver", "bison", "crane", "deer", "dolphin", "eagle", "falcon", "finch", "fox",
    "gecko", "heron", "horse", "ibis", "jaguar", "koala", "lark", "llama", "lynx", "macaw", "marten",
    "otter", "owl", "panda", "puma", "raven", "robin", "swan", "tapir", "toucan", "wolf",
];

/// The part before the `@`: 3 to 32 of `a-z0-9-_.`, lower case, beginning and ending with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressName(String);

/// The part behind the `@`: a host name, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressDomain(String);

/// A Lightning address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LightningAddress {
    /// Who.
    pub name: AddressName,
    /// Where.
    pub domain: AddressDomain,
}

/// Why a text is no Lightning address that we can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Too short or too long.
    #[error("the name must have {SHORTEST} to {LONGEST} characters")]
    Length,
    /// Something that names are not made of.
    #[error("the name may have letters a to z, digits, and - _ . between them")]
    Characters,
    /// No host name.
    #[error("the domain is no host name")]
    Domain,
    /// A domain that is not ours.
    #[error("the domain is not one of this service")]
    ForeignDomain,
}

impl AddressError {
    /// The reason in a word, as the API tells it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Length => "invalid_length",
            Self::Characters | Self::Domain => "invalid_format",
            Self::ForeignDomain => "unknown_domain",
        }
    }
}

impl AddressName {
    /// Reads a name; capitals are lowered, as wallets do.
    ///
    /// # Errors
    /// [`AddressError::Length`], [`AddressError::Characters`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let name = text.to_ascii_lowercase();
        if !(SHORTEST..=LONGEST).contains(&name.chars().count()) {
            return Err(AddressError::Length);
        }
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| word(*byte));
        let bytes = name.as_bytes();
        let inner = bytes.iter().all(|byte| word(*byte) || matches!(byte, b'-' | b'_' | b'.'));
        if inner && edge(bytes.first()) && edge(bytes.last()) {
            Ok(Self(name))
        } else {
            Err(AddressError::Characters)
        }
    }

    /// A name by chance, such as `swifteagle4217`.
    #[must_use]
    pub fn generate(randomness: &dyn Randomness) -> Self {
        let mut chance = [0_u8; 4];
        randomness.fill(&mut chance);
        let [quality, animal, high, low] = chance;
        let pick = |words: &[&'static str; 32], byte: u8| {
            words.get(usize::from(byte % 32)).copied().unwrap_or_default()
        };
        let number = u16::from_le_bytes([low, high]) % 10_000;
        Self(format!("{}{}{number:04}", pick(&QUALITIES, quality), pick(&ANIMALS, animal)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AddressDomain {
    /// Reads a host name (RFC 1123), without a port.
    ///
    /// # Errors
    /// [`AddressError::Domain`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let domain = text.to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if domain.len() <= 253 && domain.split('.').all(label) {
            Ok(Self(domain))
        } else {
            Err(AddressError::Domain)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LightningAddress {
    /// Reads `name@domain`, or just `name`, which gets the first of our domains.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str, domains: &[AddressDomain]) -> Result<Self, AddressError> {
        let (name, domain) = match text.split_once('@') {
            Some((name, domain)) => (name, Some(AddressDomain::parse(domain)?)),
            None => (text, None),
        };
        let name = AddressName::parse(name)?;
        let domain = match domain {
            Some(domain) => domains.iter().find(|ours| **ours == domain),
            None => domains.first(),
        };
        Ok(Self { name, domain: domain.cloned().ok_or(AddressError::ForeignDomain)? })
    }
}

impl fmt::Display for AddressName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AddressDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LightningAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.domain)
    }
}

#[cfg(test)]
mod tests {
    use guiche_kernel::testing::SeededRandomness;

    use super::*;

    fn ours() -> Vec<AddressDomain> {
        ["guiche.test", "pay.guiche.test"].map(|domain| AddressDomain::parse(domain).unwrap()).to_vec()
    }

    #[test]
    fn names_are_lowered_and_get_the_first_domain() {
        for (text, address) in [
            ("swifteagle42", "swifteagle42@guiche.test"),
            ("SwiftEagle42", "swifteagle42@guiche.test"),
            ("a.b-c_d@PAY.guiche.test", "a.b-c_d@pay.guiche.test"),
        ] {
            assert_eq!(LightningAddress::parse(text, &ours()).unwrap().to_string(), address);
        }
    }

    #[test]
    fn what_is_no_address_of_ours_is_refused() {
        for (text, error) in [
            ("ab", AddressError::Length),
            ("", AddressError::Length),
            (&*"a".repeat(33), AddressError::Length),
            ("a b c", AddressError::Characters),
            (".abc", AddressError::Characters),
            ("abc-", AddressError::Characters),
            ("joão", AddressError::Characters),
            ("abc+tag", AddressError::Characters),
            ("abc@", AddressError::Domain),
            ("abc@x@y", AddressError::Domain),
            ("abc@elsewhere.test", AddressError::ForeignDomain),
        ] {
            assert_eq!(LightningAddress::parse(text, &ours()), Err(error), "{text}");
        }
        assert_eq!(LightningAddress::parse("abc", &[]), Err(AddressError::ForeignDomain));
    }

    #[test]
    fn generated_names_are_names() {
        let randomness = SeededRandomness::new(7);
        for _ in 0..1_000 {
            let name = AddressName::generate(&randomness);
            assert_eq!(AddressName::parse(name.as_str()), Ok(name));
        }
    }
}
