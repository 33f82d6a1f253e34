//! The secret that an endpoint's owner and we share.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_kernel::Randomness;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

const PREFIX: &str = "whsec_";
/// What Standard Webhooks ask for: 24 to 64 bytes.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// As many as the hash has.
const GENERATED_BYTES: usize = 32;

/// A signing secret. It does not print.
#[derive(Clone)]
pub struct SigningSecret(SecretSlice<u8>);

/// The text is no signing secret. What was found is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be whsec_ and 24 to 64 bytes in base64")]
pub struct InvalidSecret;

impl SigningSecret {
    /// A new one, 32 bytes long.
    #[must_use]
    pub fn generate(randomness: &dyn Randomness) -> Self {
        let mut bytes = vec![0; GENERATED_BYTES];
        randomness.fill(&mut bytes);
        Self(bytes.into())
    }

    /// Reads `whsec_<base64>`. The prefix may be missing, as some libraries leave it out.
    ///
    /// # Errors
    /// [`InvalidSecret`].
    pub fn parse(text: &SecretString) -> Result<Self, InvalidSecret> {
        let text = text.expose_secret();
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).map_err(|_| InvalidSecret)?;
        Self::from_bytes(bytes.into())
    }

    /// The bare bytes, as a vault keeps them.
    ///
    /// # Errors
    /// [`InvalidSecret`] when these are too few or too many.
    pub fn from_bytes(bytes: SecretSlice<u8>) -> Result<Self, InvalidSecret> {
        if BYTES.contains(&bytes.expose_secret().len()) { Ok(Self(bytes)) } else { Err(InvalidSecret) }
    }

    /// The bare bytes, to be sealed or to sign with.
    #[must_use]
    pub const fn bytes(&self) -> &SecretSlice<u8> {
        &self.0
    }

    /// `whsec_<base64>`, to be shown once to whoever asked for it.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        format!("{PREFIX}{}", STANDARD.encode(self.0.expose_secret())).into()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret")
    }
}

#[cfg(test)]
mod tests {
    use guiche_kernel::testing::SeededRandomness;

    use super::*;

    #[test]
    fn its_text_reads_back_and_its_debug_output_does_not() {
        let secret = SigningSecret::generate(&SeededRandomness::new(1));
        let text = secret.to_text();
        assert!(text.expose_secret().starts_with("whsec_"));
        let read = SigningSecret::parse(&text).unwrap();
        assert_eq!(read.bytes().expose_secret(), secret.bytes().expose_secret());
        assert_eq!(format!("{secret:?}"), "SigningSecret");
    }

    #[test]
    fn what_is_too_short_too_long_or_no_base64_is_refused() {
        let of = |bytes: usize| STANDARD.encode(vec![7; bytes]);
        for (text, fine) in [
            (format!("whsec_{}", of(24)), true),
            (of(64), true),
            (of(23), false),
            (of(65), false),
            ("whsec_".to_owned(), false),
            ("whsec_?".to_owned(), false),
            (format!("whsec_{}", of(32).replace('=', "")), false),
        ] {
            assert_eq!(SigningSecret::parse(&text.clone().into()).is_ok(), fine, "{text}");
        }
    }
}
