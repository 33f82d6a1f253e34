//! What a node makes of chance: here of a number, so that the same run makes the same.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

const WORDS: usize = 24;

fn digest(purpose: &str, text: &str) -> [u8; 32] {
    Sha256::digest(format!("guiche voltage fake\0{purpose}\0{text}")).into()
}

/// As Voltage's: a UUID and an `N`.
pub(super) fn node_id(number: u64) -> String {
    let digits = hex::encode(digest("node", &number.to_string()));
    let mut groups = Vec::new();
    let mut rest = digits.as_str();
    for length in [8, 4, 4, 4, 12] {
        let (group, after) = rest.split_at(length);
        groups.push(group);
        rest = after;
    }
    format!("{}N", groups.join("-"))
}

/// 24 words, the last of which proves the others.
pub(super) fn seed(number: u64) -> Vec<String> {
    let mut words: Vec<String> = (1..WORDS).map(|place| word(&format!("{number} {place}"))).collect();
    words.push(proof(&words));
    words
}

/// Whether these are words that a node made.
pub(super) fn is_seed(words: &[String]) -> bool {
    words.len() == WORDS && words.split_last().is_some_and(|(last, words)| *last == proof(words))
}

fn proof(words: &[String]) -> String {
    word(&words.join(" "))
}

/// Four letters that can be said aloud.
fn word(text: &str) -> String {
    const SOUNDS: [&str; 16] =
        ["ba", "be", "co", "da", "fi", "go", "hu", "ka", "li", "mo", "na", "pe", "ri", "so", "tu", "ve"];
    let sound = |byte: u8| SOUNDS.get(usize::from(byte % 16)).copied().unwrap_or_default();
    let [first, second, ..] = digest("word", text);
    [sound(first), sound(second)].concat()
}

/// In hex. What it may is remembered by the node, not said by it.
pub(super) fn macaroon(node_id: &str, number: u64) -> String {
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(node_id.as_bytes()) else { return String::new() };
    let tag = mac.chain_update(number.to_le_bytes()).finalize().into_bytes();
    // The first bytes of every macaroon of LND's.
    format!("0201036c6e64{}", hex::encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_and_prove_themselves() {
        let (first, second) = (seed(1), seed(2));
        assert_ne!(first, second);
        assert!(is_seed(&first) && is_seed(&second));
        let mut swapped = first.clone();
        swapped.swap(0, 23);
        for wrong in [swapped.as_slice(), &first[..23], &[]] {
            assert!(!is_seed(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn ids_look_like_voltages() {
        let id = node_id(1);
        assert_eq!((id.len(), id.matches('-').count(), id.ends_with('N')), (37, 4, true));
    }
}
