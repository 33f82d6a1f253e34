//! Payment hash and preimage: the lock of a Lightning payment and its key.

use std::fmt;
use std::str::FromStr;

use guiche_kernel::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 of the preimage; names a payment on the Lightning network (BOLT11 field `p`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentHash([u8; 32]);

/// Not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits")]
pub struct HexError;

impl PaymentHash {
    /// Wraps the 32 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PaymentHash({self})")
    }
}

impl FromStr for PaymentHash {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        parse_hex(text).map(Self)
    }
}

/// The secret whose SHA-256 is the payment hash. Whoever shows it proves that the invoice was paid. It does not print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Preimage([u8; 32]);

impl Preimage {
    /// Wraps the 32 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, for storage.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits, for the payer's own eyes.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The payment hash that this preimage unlocks.
    #[must_use]
    pub fn payment_hash(&self) -> PaymentHash {
        PaymentHash(Sha256::digest(self.0).into())
    }

    /// Whether this preimage unlocks the given hash; compared in constant time.
    #[must_use]
    pub fn proves(&self, hash: &PaymentHash) -> bool {
        self.payment_hash().0.ct_eq(&hash.0).into()
    }
}

impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preimage(…)")
    }
}

impl FromStr for Preimage {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        parse_hex(text).map(Self)
    }
}

fn parse_hex(text: &str) -> Result<[u8; 32], HexError> {
    let mut bytes = [0_u8; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| HexError)?;
    Ok(bytes)
}

/// One piece of evidence that an invoice was paid. There may be several for one payment (a poll, a push, the
/// preimage); together they say that it was paid at the earliest moment that any of them gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentFact {
    /// Which invoice.
    pub payment_hash: PaymentHash,
    /// When: the provider's moment, or the moment of first sight where it gives none.
    pub paid_at: Timestamp,
    /// The proof, when somebody showed it. It MUST unlock `payment_hash`.
    pub preimage: Option<Preimage>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preimage_proves_its_own_hash_only() {
        let preimage = Preimage::new([7; 32]);
        assert!(preimage.proves(&preimage.payment_hash()));
        assert!(!Preimage::new([8; 32]).proves(&preimage.payment_hash()));
    }

    #[test]
    fn the_hash_of_32_zero_bytes_is_the_known_one() {
        let expected = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
        assert_eq!(Preimage::new([0; 32]).payment_hash().to_string(), expected);
    }

    #[test]
    fn only_64_digits_parse_and_a_preimage_does_not_print() {
        assert_eq!("00".parse::<Preimage>(), Err(HexError));
        assert_eq!("zz".repeat(32).parse::<PaymentHash>(), Err(HexError));
        assert_eq!("é".repeat(32).parse::<PaymentHash>(), Err(HexError));
        assert_eq!(format!("{:?}", Preimage::new([1; 32])), "Preimage(…)");
    }
}
