//! A vault that keeps what it is given in its own memory, and the promises of every vault as test cases.

use std::sync::Mutex;

use secrecy::{ExposeSecret as _, SecretSlice};

use crate::{SealError, Sealed, SecretPlace, SecretVault};

/// A vault for tests of whatever stores sealed values: the "sealed" text is the number of a drawer in this vault, so no
/// secret can leak through it.
#[derive(Debug, Default)]
pub struct MemoryVault(Mutex<Vec<(SecretPlace, SecretSlice<u8>)>>);

impl MemoryVault {
    const KEY: &str = "memory";
    const LONGEST: usize = 64 * 1024;

    fn drawers(&self) -> std::sync::MutexGuard<'_, Vec<(SecretPlace, SecretSlice<u8>)>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl SecretVault for MemoryVault {
    fn seal(&self, place: SecretPlace, secret: &SecretSlice<u8>) -> Result<Sealed, SealError> {
        let length = secret.expose_secret().len();
        if length > Self::LONGEST {
            return Err(SealError::TooLong(length));
        }
        let mut drawers = self.drawers();
        drawers.push((place, secret.clone()));
        Ok(Sealed::from_text(format!("{}.{}.{}.", Sealed::VERSION, Self::KEY, drawers.len())))
    }

    fn open(&self, place: SecretPlace, sealed: &Sealed) -> Result<SecretSlice<u8>, SealError> {
        let key = sealed.key_id().ok_or(SealError::Malformed)?;
        if key != Self::KEY {
            return Err(SealError::UnknownKey(key.to_owned()));
        }
        let refused = || SealError::Refused(key.to_owned());
        let number: usize = sealed
            .as_str()
            .split('.')
            .nth(2)
            .and_then(|text| text.parse().ok())
            .ok_or(SealError::Malformed)?;
        let drawers = self.drawers();
        let (owner, secret) = number.checked_sub(1).and_then(|at| drawers.get(at)).ok_or_else(refused)?;
        if *owner == place { Ok(secret.clone()) } else { Err(refused()) }
    }

    fn primary_key_id(&self) -> &str {
        Self::KEY
    }

    fn key_ids(&self) -> Vec<&str> {
        vec![Self::KEY]
    }
}

/// The cases of [`secret_vault_contract!`](crate::secret_vault_contract). They panic when a promise is broken.
pub mod cases {
    #![expect(missing_docs, reason = "each case is named after its promise")]
    #![expect(clippy::expect_used, reason = "a case panics when a promise is broken")]

    use uuid::Uuid;

    use super::*;

    const PLACE: SecretPlace =
        SecretPlace { service: "webhooks", column: "webhook_endpoints.secret", owner: Uuid::from_u128(7) };

    fn secret(bytes: &[u8]) -> SecretSlice<u8> {
        bytes.to_vec().into()
    }

    #[track_caller]
    fn sealed(vault: &dyn SecretVault, bytes: &[u8]) -> Sealed {
        vault.seal(PLACE, &secret(bytes)).expect("a short secret is sealed")
    }

    #[track_caller]
    fn refusal(vault: &dyn SecretVault, place: SecretPlace, sealed: &Sealed) -> SealError {
        vault.open(place, sealed).expect_err("it must not open")
    }

    pub fn what_was_sealed_is_opened_byte_by_byte(vault: &dyn SecretVault) {
        for bytes in [&b""[..], b"s", "açúcar".as_bytes(), &[0; 64 * 1024], &[0, 255, b'.', 0]] {
            let opened = vault.open(PLACE, &sealed(vault, bytes));
            assert!(opened.is_ok_and(|opened| opened.expose_secret() == bytes), "{} bytes", bytes.len());
        }
    }

    pub fn a_value_opens_in_its_own_place_only(vault: &dyn SecretVault) {
        let value = sealed(vault, b"secret");
        for other in [
            SecretPlace { service: "btcpay", ..PLACE },
            SecretPlace { column: "webhook_endpoints.url", ..PLACE },
            SecretPlace { owner: Uuid::from_u128(8), ..PLACE },
            // The same letters, cut at another place.
            SecretPlace { service: "webhooksw", column: "ebhook_endpoints.secret", ..PLACE },
        ] {
            assert!(matches!(refusal(vault, other, &value), SealError::Refused(_)), "{other:?}");
        }
    }

    pub fn two_seals_of_one_secret_differ(vault: &dyn SecretVault) {
        assert_ne!(sealed(vault, b"secret"), sealed(vault, b"secret"));
    }

    pub fn a_sealed_value_names_the_primary_key(vault: &dyn SecretVault) {
        assert_eq!(sealed(vault, b"secret").key_id(), Some(vault.primary_key_id()));
        assert_eq!(vault.key_ids().first().copied(), Some(vault.primary_key_id()));
    }

    pub fn a_key_that_is_not_in_the_ring_is_named(vault: &dyn SecretVault) {
        let text = sealed(vault, b"secret").as_str().replacen(vault.primary_key_id(), "elsewhere", 1);
        let refused = refusal(vault, PLACE, &Sealed::from_text(text));
        assert_eq!(refused, SealError::UnknownKey("elsewhere".to_owned()));
    }

    pub fn what_is_no_sealed_value_is_called_so(vault: &dyn SecretVault) {
        for text in ["", "secret", "v1", "v0.memory.1.", "v1..a.b"] {
            assert_eq!(refusal(vault, PLACE, &Sealed::from_text(text)), SealError::Malformed, "{text:?}");
        }
    }

    pub fn too_much_is_refused(vault: &dyn SecretVault) {
        let length = 64 * 1024 + 1;
        let refused = vault.seal(PLACE, &secret(&vec![1; length])).err();
        assert_eq!(refused, Some(SealError::TooLong(length)));
    }
}

/// Generates one `#[test]` for each promise of [`SecretVault`](crate::SecretVault). `$make` is the path of a function
/// without arguments that returns a vault.
#[macro_export]
macro_rules! secret_vault_contract {
    ($make:path) => {
        $crate::secret_vault_contract!(@each $make;
            what_was_sealed_is_opened_byte_by_byte,
            a_value_opens_in_its_own_place_only,
            two_seals_of_one_secret_differ,
            a_sealed_value_names_the_primary_key,
            a_key_that_is_not_in_the_ring_is_named,
            what_is_no_sealed_value_is_called_so,
            too_much_is_refused,
        );
    };
    (@each $make:path; $($case:ident),+ $(,)?) => {
        $(#[test] fn $case() { $crate::testing::vault_cases::$case(&$make()); })+
    };
}

#[cfg(test)]
mod tests {
    crate::secret_vault_contract!(super::MemoryVault::default);
}
