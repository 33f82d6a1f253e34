//! The place in a list, as an opaque word: base64url of the moment and the id at which the page before ended.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guiche_kernel::Timestamp;
use guiche_tickets::{Cursor, TicketId};
use uuid::Uuid;

/// The word for a place.
pub(super) fn encode(cursor: &Cursor) -> String {
    let micros = cursor.created_at.unix_timestamp_nanos() / 1000;
    let mut bytes = micros.to_be_bytes().to_vec();
    bytes.extend_from_slice(cursor.id.as_uuid().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a word stands for; `None` when it is none of ours.
pub(super) fn decode(word: &str) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(word).ok()?;
    let (micros, id) = bytes.split_first_chunk::<16>()?;
    let nanos = i128::from_be_bytes(*micros).checked_mul(1000)?;
    let created_at = Timestamp::from_unix_timestamp_nanos(nanos).ok()?;
    // Years that PostgreSQL cannot hold, or RFC 3339 cannot write, were never in a list.
    let plausible = (1970..=9999).contains(&created_at.year());
    plausible.then_some(Cursor { created_at, id: TicketId::new(Uuid::from_slice(id).ok()?) })
}

/// The word for a row's number.
pub(super) fn encode_number(number: i64) -> String {
    URL_SAFE_NO_PAD.encode(number.to_be_bytes())
}

/// The number that a word stands for; `None` when it is none of ours.
pub(super) fn decode_number(word: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(word).ok()?;
    Some(i64::from_be_bytes(bytes.try_into().ok()?)).filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_survives(micros in 0_i64..253_402_300_799_000_000, id in any::<u128>()) {
            let created_at = Timestamp::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap();
            let cursor = Cursor { created_at, id: TicketId::new(Uuid::from_u128(id)) };
            prop_assert_eq!(decode(&encode(&cursor)), Some(cursor));
        }

        #[test]
        fn any_other_word_is_refused_and_never_panics(word in ".{0,60}") {
            if let Some(cursor) = decode(&word) {
                prop_assert_eq!(encode(&cursor), word);
            }
        }
    }

    #[test]
    fn a_number_survives_and_nothing_else_is_one() {
        for number in [1, 42, i64::MAX] {
            assert_eq!(decode_number(&encode_number(number)), Some(number));
        }
        for word in ["", "x", &encode_number(0), &encode_number(-1), "AAAAAAAAAAAB="] {
            assert_eq!(decode_number(word), None, "{word}");
        }
    }

    #[test]
    fn an_extreme_moment_is_no_place() {
        for micros in [i128::MAX, i128::MIN, -1, 253_402_300_800_000_000] {
            let bytes = [micros.to_be_bytes().as_slice(), &[0; 16]].concat();
            assert_eq!(decode(&URL_SAFE_NO_PAD.encode(bytes)), None);
        }
    }
}
