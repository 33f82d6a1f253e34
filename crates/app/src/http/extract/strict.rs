//! JSON, strictly: no key twice, no NUL anywhere, nothing unknown, and an answer that points at the trouble. The
//! parser's own messages are not passed on, because they quote values.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_path_to_error::{Path, Segment, Track};

use crate::http::problem::{ApiError, FieldProblem};

/// Understands a body.
pub(super) fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let value = parse(body)?;
    // Derived structs also read themselves from a list, by the order of their fields; a body has names.
    if !value.is_object() {
        return Err(ApiError::malformed_at(classify(String::new(), "")));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = pointer(error.path());
        let reason = error.inner().to_string();
        ApiError::malformed_at(classify(path, &reason))
    })
}

fn parse(body: &[u8]) -> Result<Value, ApiError> {
    let mut track = Track::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = Strict::deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    match parsed.and_then(|value| json.end().map(|()| value)) {
        Ok(Strict(value)) => Ok(value),
        Err(error) => Err(refusal(&error, pointer(&track.path()))),
    }
}

const DUPLICATE: &str = "a key stands twice in one object";
const NUL: &str = "text holds a NUL character";

fn refusal(error: &serde_json::Error, pointer: String) -> ApiError {
    let message = error.to_string();
    if message.starts_with(DUPLICATE) {
        return ApiError::malformed_at(FieldProblem::new(
            pointer,
            "duplicate_key",
            "A key stands twice in one object.",
        ));
    }
    if message.starts_with(NUL) {
        return ApiError::malformed_at(FieldProblem::new(
            pointer,
            "nul_character",
            "Text may not hold NUL characters.",
        ));
    }
    if message.starts_with("recursion limit exceeded") {
        return ApiError::malformed("The body is nested too deeply.");
    }
    ApiError::malformed(format!("Not JSON (line {}, column {}).", error.line(), error.column()))
}

/// Sorts serde's refusal of a value that is sound JSON.
fn classify(pointer: String, reason: &str) -> FieldProblem {
    if reason.starts_with("unknown field") {
        FieldProblem::new(pointer, "unknown_field", "There is no such field.")
    } else if reason.starts_with("unknown variant") {
        FieldProblem::new(pointer, "unknown_value", "It is none of the values known here.")
    } else if pointer.is_empty() {
        FieldProblem::new(pointer, "wrong_type", "The body must be a JSON object with the documented fields.")
    } else {
        FieldProblem::new(pointer, "wrong_type", "The value is of the wrong type or out of range.")
    }
}

/// RFC 6901.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// A JSON value without what storage or the next reader would trip over.
struct Strict(Value);

impl<'de> de::Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Strict, E> {
        Number::from_f64(value).map(|number| Strict(number.into())).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Strict, E> {
        if value.contains('\0') { Err(E::custom(NUL)) } else { Ok(Strict(value.into())) }
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Strict(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Strict, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key.contains('\0') {
                return Err(de::Error::custom(NUL));
            }
            if map.contains_key(&key) {
                return Err(de::Error::custom(DUPLICATE));
            }
            let Strict(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Strict(map.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Body {
        operation_id: Option<i32>,
        form_data: Option<Map<String, Value>>,
        nested: Option<Inner>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Inner {
        list: Vec<u8>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
    }

    fn refused(text: &[u8]) -> String {
        let body =
            actix_web::ResponseError::error_response(&from_slice::<Body>(text).unwrap_err()).into_body();
        let body = futures::executor::block_on(actix_web::body::to_bytes(body)).unwrap();
        let value: Value = serde_json::from_slice(&body).unwrap();
        match value.pointer("/errors/0") {
            Some(error) => {
                format!("{} {}", error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap())
            }
            None => value["detail"].as_str().unwrap().to_owned(),
        }
    }

    #[test]
    fn each_refusal_points_at_its_cause() {
        for (text, expected) in [
            (r#"{"operation_id": "secret"}"#, "/operation_id wrong_type"),
            (r#"{"operation_id": 1.5}"#, "/operation_id wrong_type"),
            (r#"{"operation_id": 99999999999}"#, "/operation_id wrong_type"),
            (r#"{"operation_id": 1, "operation_id": 2}"#, " duplicate_key"),
            (r#"{"form_data": {"a": {"b": 1, "b": 1}}}"#, "/form_data/a duplicate_key"),
            (r#"{"form_data": {"a": "x\u0000"}}"#, "/form_data/a nul_character"),
            (r#"{"form_data": {"a\u0000": 1}}"#, "/form_data nul_character"),
            (r#"{"surprise": 1}"#, "/surprise unknown_field"),
            (r#"{"nested": {"list": [1, 2, 300]}}"#, "/nested/list/2 wrong_type"),
            (r#"{"nested": {"li/st~": 1}}"#, "/nested/li~1st~0 unknown_field"),
            (r#"{"kind": "two"}"#, "/kind unknown_value"),
            ("[]", " wrong_type"),
            ("[1, {}, null, null]", " wrong_type"),
            ("null", " wrong_type"),
            ("\"text\"", " wrong_type"),
            ("", "Not JSON (line 1, column 0)."),
            ("{", "Not JSON (line 1, column 1)."),
            ("{} {}", "Not JSON (line 1, column 4)."),
            ("{\"operation_id\": NaN}", "Not JSON (line 1, column 18)."),
            (r#"{"operation_id": 1e999}"#, "Not JSON (line 1, column 22)."),
            (r#"{"form_data": {"a": "\ud800"}}"#, "Not JSON (line 1, column 28)."),
        ] {
            assert_eq!(refused(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_not_text() {
        assert!(refused(b"{\"form_data\": {\"a\": \"\xff\"}}").starts_with("Not JSON"));
        assert!(refused(b"\xef\xbb\xbf{}").starts_with("Not JSON"), "a byte order mark is not JSON");
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        for depth in [128, 10_000, 1_000_000] {
            let text = format!("{{\"form_data\":{}", "[".repeat(depth));
            assert_eq!(refused(text.as_bytes()), "The body is nested too deeply.");
        }
    }

    #[test]
    fn values_are_never_repeated() {
        for text in [r#"{"operation_id": "hunter2"}"#, r#"{"kind": "hunter2"}"#, "hunter2", r#"["hunter2"]"#]
        {
            let error = from_slice::<Body>(text.as_bytes()).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{text}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "[^\0]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map("[^\0]{0,4}", inner, 0..6)
                    .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn sound_json_comes_through_unchanged(value in json()) {
            let read = parse(&serde_json::to_vec(&value).unwrap()).unwrap();
            prop_assert_eq!(read, value);
        }

        #[test]
        fn any_bytes_are_understood_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_slice::<Body>(&bytes);
        }
    }
}
