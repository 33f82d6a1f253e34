//! `application/x-www-form-urlencoded`, strictly: the usual decoders replace what is not UTF-8, which would let two
//! different inputs mean the same.

/// The pairs, or `None` when an escape is broken, or the text is not UTF-8 or holds a NUL.
pub(super) fn pairs(text: &[u8]) -> Option<Vec<(String, String)>> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let key = decode(halves.next().unwrap_or_default())?;
            Some((key, decode(halves.next().unwrap_or_default())?))
        })
        .collect()
}

fn decode(text: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            other => *other,
        });
    }
    String::from_utf8(decoded).ok().filter(|text| !text.contains('\0'))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            pairs(b"a=1&b=x+y%2B%C3%A3&&c&d=e=f").unwrap(),
            [pair("a", "1"), pair("b", "x y+ã"), pair("c", ""), pair("d", "e=f"),]
        );
        for wrong in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=%ff", b"a=\xff", b"a=%00", b"\0=a"] {
            assert_eq!(pairs(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(key in "[^\0]{1,10}", value in "[^\0]{0,20}") {
            let text = serde_urlencoded::to_string([(&key, &value)]).unwrap();
            prop_assert_eq!(pairs(text.as_bytes()), Some(vec![(key, value)]));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = pairs(&bytes);
        }
    }
}
