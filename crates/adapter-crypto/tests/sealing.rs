//! The key ring: the promises of the port, rotation, and a value that another implementation has sealed.

#![expect(clippy::unwrap_used, reason = "a broken fixture ends the test")]

use std::sync::Arc;

use guiche_adapter_crypto::{InvalidRing, KeyRing, SealingKey};
use guiche_kernel::testing::SeededRandomness;
use guiche_kernel::{Randomness, SealError, Sealed, SecretPlace, SecretVault};
use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretSlice};
use uuid::Uuid;

const PLACE: SecretPlace =
    SecretPlace { service: "webhooks", column: "webhook_endpoints.secret", owner: Uuid::from_u128(7) };

fn key(id: &str, seed: u64) -> SealingKey {
    let mut secret = [0; 32];
    SeededRandomness::new(seed).fill(&mut secret);
    SealingKey { id: id.to_owned(), secret: Arc::new(Box::new(secret).into()) }
}

fn ring(keys: &[SealingKey]) -> KeyRing {
    KeyRing::try_new(keys.to_vec(), Arc::new(SeededRandomness::new(99))).unwrap()
}

fn one_key() -> KeyRing {
    ring(&[key("2026-01", 1)])
}

fn secret(text: &str) -> SecretSlice<u8> {
    text.as_bytes().to_vec().into()
}

guiche_kernel::secret_vault_contract!(one_key);

#[test]
fn during_a_rotation_both_keys_open_and_the_new_one_seals() {
    let (old, new) = (key("2026-01", 1), key("2026-02", 2));
    let before = ring(std::slice::from_ref(&old));
    let during = ring(&[new.clone(), old]);
    let after = ring(&[new]);

    let sealed = before.seal(PLACE, &secret("whsec")).unwrap();
    assert_eq!(during.open(PLACE, &sealed).unwrap().expose_secret(), b"whsec");
    let again = during.seal(PLACE, &during.open(PLACE, &sealed).unwrap()).unwrap();
    assert_eq!(again.key_id(), Some("2026-02"));
    assert_eq!(after.open(PLACE, &again).unwrap().expose_secret(), b"whsec");
    assert_eq!(after.open(PLACE, &sealed).unwrap_err(), SealError::UnknownKey("2026-01".to_owned()));
}

#[test]
fn another_key_of_the_same_name_is_one_clear_error() {
    let sealed = one_key().seal(PLACE, &secret("whsec")).unwrap();
    let error = ring(&[key("2026-01", 3)]).open(PLACE, &sealed).unwrap_err();
    assert_eq!(error, SealError::Refused("2026-01".to_owned()));
    assert!(error.to_string().contains("another key of the same name"), "{error}");
}

#[test]
fn a_value_cannot_be_given_the_name_of_another_key_that_has_the_same_bytes() {
    // Whoever renames a key finds its old values closed, not opened under a name they were not sealed with.
    let sealed = one_key().seal(PLACE, &secret("whsec")).unwrap();
    let renamed = Sealed::from_text(sealed.as_str().replace("2026-01", "renamed"));
    assert!(matches!(ring(&[key("renamed", 1)]).open(PLACE, &renamed), Err(SealError::Refused(_))));
}

#[test]
fn rings_that_make_no_sense_are_refused() {
    let refused = |keys: &[SealingKey]| {
        KeyRing::try_new(keys.to_vec(), Arc::new(SeededRandomness::new(1))).unwrap_err()
    };
    assert_eq!(refused(&[]), InvalidRing::Empty);
    for id in ["", "a.b", "a b", "ã", &"x".repeat(65)] {
        assert_eq!(refused(&[key(id, 1)]), InvalidRing::Id(id.to_owned()));
    }
    assert_eq!(refused(&[key("a", 1), key("a", 2)]), InvalidRing::Twice("a".to_owned()));
    assert_eq!(refused(&[key("a", 1), key("b", 1)]), InvalidRing::Same("a".to_owned(), "b".to_owned()));
    let weak = SealingKey { id: "a".to_owned(), secret: Arc::new(Box::new([7; 32]).into()) };
    assert_eq!(refused(&[weak]), InvalidRing::Weak("a".to_owned()));
}

#[test]
fn neither_keys_nor_values_print() {
    let bytes = key("2026-01", 1);
    let printed = format!("{bytes:?} {:?}", one_key());
    assert_eq!(printed, r#"SealingKey("2026-01") KeyRing(["2026-01"])"#);
}

/// Sealed by an independent implementation from the description in `sealing.rs` (`tests/sealing-vector.py`).
#[test]
fn a_value_of_another_implementation_opens() {
    let secret: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let ring = ring(&[SealingKey { id: "vector".to_owned(), secret: Arc::new(Box::new(secret).into()) }]);
    let sealed = Sealed::from_text(include_str!("sealing-vector.txt").trim());
    assert_eq!(ring.open(PLACE, &sealed).unwrap().expose_secret(), "segredo".as_bytes());
}

proptest! {
    #[test]
    fn a_changed_value_never_opens(at in 0usize..200, with in "[A-Za-z0-9_.-]") {
        let vault = one_key();
        let sealed = vault.seal(PLACE, &secret("a secret of some length")).unwrap();
        let at = at % sealed.as_str().len();
        let mut text = sealed.as_str().to_owned();
        text.replace_range(at..=at, &with);
        prop_assume!(text != sealed.as_str());
        // The last letter of base64 has bits that mean nothing; only the canonical form is taken.
        prop_assert!(vault.open(PLACE, &Sealed::from_text(text)).is_err());
    }
}
