//! The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): a structured-field string, in quotes as
//! the draft has it, or bare as most clients send it.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};

use crate::http::codes::Code;
use crate::http::problem::ApiError;

const MAXIMUM_LENGTH: usize = 255;

/// The client's key for this request, if it sent one. (`Option` as an extractor would turn a bad key into none.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Option<String>);

impl IdempotencyKey {
    /// The key, without quotes.
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The key, without quotes.
    #[must_use]
    pub fn into_inner(self) -> Option<String> {
        self.0
    }
}

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = request.headers().get_all("idempotency-key");
        let key = match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => parse(value.as_bytes()).map(|key| Self(Some(key))),
            (Some(_), Some(_)) => Err("Send one Idempotency-Key."),
        };
        ready(key.map_err(|detail| ApiError::new(Code::InvalidIdempotencyKey, detail)))
    }
}

fn parse(value: &[u8]) -> Result<String, &'static str> {
    let value = std::str::from_utf8(value)
        .map_err(|_| "The key must be visible ASCII characters.")?
        .trim_matches(' ');
    let key = match value.strip_prefix('"') {
        Some(quoted) => unquoted(quoted).ok_or("The quotes around the key do not match.")?,
        None => value.to_owned(),
    };
    if key.is_empty() {
        return Err("The key is empty.");
    }
    if !key.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return Err("The key must be visible ASCII characters.");
    }
    if key.len() > MAXIMUM_LENGTH {
        return Err("The key may have at most 255 characters.");
    }
    Ok(key)
}

/// The rest of an RFC 8941 string after its first quote.
fn unquoted(rest: &str) -> Option<String> {
    let mut key = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(key),
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => key.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bare_and_quoted_are_the_same_key() {
        for (value, key) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("\"8e03978e\"", "8e03978e"),
            (" abc ", "abc"),
            ("a b", "a b"),
            ("a\"b", "a\"b"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
        ] {
            assert_eq!(parse(value.as_bytes()).as_deref(), Ok(key), "{value}");
        }
        assert!(parse("x".repeat(255).as_bytes()).is_ok());
        assert!(parse(format!("\"{}\"", "x".repeat(255)).as_bytes()).is_ok(), "quotes do not count");
    }

    #[test]
    fn what_is_not_a_key() {
        let too_long = "x".repeat(256);
        for value in [
            "",
            "\"\"",
            "\"a",
            "\"a\"b",
            "\"a\";p=1",
            "\"a\\x\"",
            "\"\\",
            "a\tb",
            "a\u{7f}",
            "chávez",
            &too_long,
        ] {
            assert!(parse(value.as_bytes()).is_err(), "{value}");
        }
        assert!(parse(b"\xff\xfe").is_err());
    }

    proptest! {
        #[test]
        fn quoting_is_undone(key in "[ -~]{1,255}") {
            let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(parse(quoted.as_bytes()), Ok(key));
        }

        #[test]
        fn any_bytes_are_a_clean_key_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(key) = parse(&bytes) {
                prop_assert!(!key.is_empty() && key.len() <= 255 && !key.contains(|c: char| c.is_control()));
            }
        }
    }
}
