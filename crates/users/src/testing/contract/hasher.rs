//! What a hasher promises.
#![expect(clippy::expect_used, reason = "a case fails by panicking")]

use std::sync::Arc;

use crate::{Password, PasswordHash, PasswordHasher};

fn password(text: &str) -> Password {
    Password::parse(text.into(), None).expect("a case uses passwords that may be chosen")
}

async fn hash(hasher: &Arc<dyn PasswordHasher>, text: &str) -> PasswordHash {
    hasher.hash(&password(text)).await.expect("a hash")
}

async fn matches(hasher: &Arc<dyn PasswordHasher>, text: &str, hash: Option<&PasswordHash>) -> bool {
    hasher.verify(&text.into(), hash).await.expect("an answer")
}

/// The use of it all.
pub async fn a_password_matches_its_own_hash_and_no_other(hasher: Arc<dyn PasswordHasher>) {
    let hash = hash(&hasher, "correct horse battery").await;
    assert!(matches(&hasher, "correct horse battery", Some(&hash)).await);
    for other in
        ["", "correct horse batterz", "Correct horse battery", "correct horse battery ", "correct horse"]
    {
        assert!(!matches(&hasher, other, Some(&hash)).await, "{other:?}");
    }
}

/// Equal passwords cannot be seen in storage.
pub async fn two_hashes_of_one_password_differ(hasher: Arc<dyn PasswordHasher>) {
    let (one, other) =
        (hash(&hasher, "correct horse battery").await, hash(&hasher, "correct horse battery").await);
    assert_ne!(one.expose(), other.expose());
    assert!(matches(&hasher, "correct horse battery", Some(&other)).await);
}

/// An account that does not exist has no password, not even an empty or over-long one.
pub async fn without_a_hash_nothing_matches(hasher: Arc<dyn PasswordHasher>) {
    for text in ["", "correct horse battery", &"x".repeat(72), &"x".repeat(5000)] {
        assert!(!matches(&hasher, text, None).await);
    }
}

/// 72 bytes are taken in whole.
pub async fn every_byte_of_the_longest_password_counts(hasher: Arc<dyn PasswordHasher>) {
    let longest = format!("{}y", "xz".repeat(35) + "x");
    assert_eq!(longest.len(), Password::MAX_BYTES);
    let hash = hash(&hasher, &longest).await;
    assert!(matches(&hasher, &longest, Some(&hash)).await);
    assert!(!matches(&hasher, &longest.replace('y', "z"), Some(&hash)).await);
}

/// Nothing is cut to what fits.
pub async fn a_longer_password_never_matches_its_beginning(hasher: Arc<dyn PasswordHasher>) {
    let longest = "xy".repeat(36);
    let hash = hash(&hasher, &longest).await;
    for tail in ["z", "\0", &"z".repeat(10_000)] {
        assert!(!matches(&hasher, &format!("{longest}{tail}"), Some(&hash)).await);
    }
}

/// bcrypt repeats the password with a NUL between, so `a` and `a\0a` are one to it.
pub async fn a_password_with_a_nul_never_matches(hasher: Arc<dyn PasswordHasher>) {
    let text = "correct horse";
    let hash = hash(&hasher, text).await;
    for presented in
        [format!("{text}\0{text}"), format!("{text}\0"), format!("\0{text}"), format!("{text}\0x")]
    {
        assert!(!matches(&hasher, &presented, Some(&hash)).await, "{presented:?}");
    }
}

/// Passwords are bytes; nothing is normalised.
pub async fn letters_beyond_ascii_are_bytes_like_any_other(hasher: Arc<dyn PasswordHasher>) {
    let hash = hash(&hasher, "coração de mãe 🧡").await;
    assert!(matches(&hasher, "coração de mãe 🧡", Some(&hash)).await);
    assert!(!matches(&hasher, "coracao de mae 🧡", Some(&hash)).await);
}
