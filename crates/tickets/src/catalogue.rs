//! What may be put into the catalogue: checked by the same code that will serve it.

use std::fmt;

use guiche_kernel::Sats;
use serde_json::Value;

use crate::{Form, FormSchemaError, OperationId};

/// The longest description, in bytes of UTF-8.
const MAX_DESCRIPTION_BYTES: usize = 1_000;
/// The longest schema of a form, in bytes of JSON: clients fetch the whole catalogue.
const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// The machine name of an operation: 1 to 63 of `a-z`, `0-9` and `_`, beginning with a letter. It never changes and is never
/// used again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationName(String);

impl OperationName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`NewOperationError::Name`].
    pub fn parse(text: &str) -> Result<Self, NewOperationError> {
        let letter = |c: char| c.is_ascii_lowercase();
        let fits = text.starts_with(letter)
            && text.len() <= 63
            && text.chars().all(|c| letter(c) || c.is_ascii_digit() || c == '_');
        if fits { Ok(Self(text.to_owned())) } else { Err(NewOperationError::Name) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an operation cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum NewOperationError {
    /// The name has another form.
    #[error("a name is 1 to 63 of a-z, 0-9 and _, and begins with a letter")]
    Name,
    /// There is nothing to read, or more than fits.
    #[error("a description has 1 to {MAX_DESCRIPTION_BYTES} bytes of text")]
    Description,
    /// Nobody can pay that.
    #[error("a price is 1 to {} sats", Sats::MAX.get())]
    Price,
    /// The form cannot be served.
    #[error(transparent)]
    Form(#[from] FormSchemaError),
}

/// An operation that can be offered.
#[derive(Debug, Clone)]
pub struct NewOperation {
    /// Its machine name.
    pub name: OperationName,
    /// A sentence for people.
    pub description: String,
    /// What it costs.
    pub price: Sats,
    /// What must be filled in.
    pub form: Form,
}

impl NewOperation {
    /// Checks the parts.
    ///
    /// # Errors
    /// The first [`NewOperationError`] found.
    pub fn try_new(
        name: &str,
        description: &str,
        price_sats: u64,
        form_schema: Value,
    ) -> Result<Self, NewOperationError> {
        let name = OperationName::parse(name)?;
        let description = description.trim();
        let readable = (1..=MAX_DESCRIPTION_BYTES).contains(&description.len());
        if !readable || description.chars().any(char::is_control) {
            return Err(NewOperationError::Description);
        }
        let price = Sats::try_new(price_sats).ok().filter(|price| price.get() > 0);
        let price = price.ok_or(NewOperationError::Price)?;
        let form = Form::parse(form_schema)?;
        check_usable(form.schema())?;
        Ok(Self { name, description: description.to_owned(), price, form })
    }
}

/// What is a valid JSON Schema, and yet no form that anybody could fill in, store or fetch.
fn check_usable(schema: &Value) -> Result<(), FormSchemaError> {
    if schema.to_string().len() > MAX_SCHEMA_BYTES {
        return Err(FormSchemaError::at("", "it is longer than 64 KiB"));
    }
    if let Some(pointer) = nul("", schema) {
        return Err(FormSchemaError::at(&pointer, "no text may contain the character U+0000"));
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let known = |name: &str| schema.get("properties").and_then(|properties| properties.get(name)).is_some();
    for (index, name) in required.enumerate() {
        if !name.as_str().is_some_and(known) {
            let reason = "a required field must be described under properties";
            return Err(FormSchemaError::at(&format!("/required/{index}"), reason));
        }
    }
    Ok(())
}

/// Where a text is that PostgreSQL cannot keep.
fn nul(pointer: &str, value: &Value) -> Option<String> {
    let here = |found: bool| found.then(|| pointer.to_owned());
    match value {
        Value::String(text) => here(text.contains('\0')),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| nul(&format!("{pointer}/{index}"), item))
        }
        Value::Object(members) => here(members.keys().any(|name| name.contains('\0'))).or_else(|| {
            members.iter().find_map(|(name, member)| {
                nul(&format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), member)
            })
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// An operation as its editor sees it, whether it is offered or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// Identifies it.
    pub id: OperationId,
    /// Its machine name.
    pub name: String,
    /// A sentence for people.
    pub description: String,
    /// What it costs.
    pub price: Sats,
    /// Whether it is offered.
    pub active: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "required": ["cpf"], "properties": {"cpf": {"type": "string", "format": "cpf"}}})
    }

    fn refused(name: &str, description: &str, price: u64, schema: Value) -> String {
        match NewOperation::try_new(name, description, price, schema) {
            Ok(accepted) => panic!("accepted {accepted:?}"),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn a_sound_operation_passes() {
        let longest = "a".repeat(63);
        for (name, price) in [("a", 1), ("renewal_2", 50_000), (&longest, Sats::MAX.get())] {
            let new = NewOperation::try_new(name, " A sentence. ", price, schema()).unwrap();
            assert_eq!((new.name.as_str(), new.description.as_str()), (name, "A sentence."));
        }
    }

    #[test]
    fn names_descriptions_and_prices_have_bounds() {
        for name in ["", "Renewal", "2nd", "_x", "a-b", "é", "a b", &"a".repeat(64), "a\0"] {
            assert!(refused(name, "x", 1, schema()).starts_with("a name is"), "{name}");
        }
        for description in ["", "  ", "two\nlines", "\0", &"x".repeat(1_001)] {
            assert!(refused("a", description, 1, schema()).starts_with("a description"), "{description}");
        }
        for price in [0, Sats::MAX.get() + 1, u64::MAX] {
            assert!(refused("a", "x", price, schema()).starts_with("a price is"), "{price}");
        }
    }

    #[test]
    fn a_form_that_could_not_be_served_is_refused_with_the_place() {
        for (schema, pointer) in [
            (json!({"type": "string"}), "/type"),
            (json!([]), "/type"),
            (json!({"type": "object", "properties": {"a": {"type": "text"}}}), "/properties/a/type"),
            (
                json!({"type": "object", "properties": {"a/b": {"minLength": -1}}}),
                "/properties/a~1b/minLength",
            ),
            (json!({"type": "object", "required": "cpf"}), "/required"),
            (json!({"type": "object", "required": ["cpf"], "properties": {}}), "/required/0"),
            (json!({"type": "object", "required": ["cpf"]}), "/required/0"),
            (json!({"type": "object", "properties": {"a": {"pattern": "("}}}), "/properties/a/pattern"),
            (json!({"type": "object", "properties": {"a": {"title": "\0"}}}), "/properties/a/title"),
        ] {
            let text = refused("a", "x", 1, schema.clone());
            assert!(text.contains(&format!(" {pointer}: ")), "{schema}: {text}");
        }
        for schema in [
            json!({"type": "object", "properties": {"a": {"format": "rg"}}}),
            json!({"type": "object", "properties": {"a": {"$ref": "https://example.org/a.json"}}}),
        ] {
            assert!(refused("a", "x", 1, schema.clone()).contains("the form's schema"), "{schema}");
        }
    }
}
