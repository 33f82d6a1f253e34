//! Forms: each operation describes what must be filled in as a JSON Schema (2020-12) with the formats `cpf` and `cnh`.

use std::fmt;

use guiche_kernel::StoreError;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use crate::formats::{self, NumberFault};

/// A form, compiled once.
#[derive(Debug, Clone)]
pub struct Form {
    schema: Value,
    required: Vec<String>,
    validator: jsonschema::Validator,
}

/// The form's own schema is wrong: a mistake of whoever added the operation.
#[derive(Debug, thiserror::Error)]
#[error("the form's schema is not valid{}: {reason}", At(.pointer))]
pub struct FormSchemaError {
    /// JSON Pointer (RFC 6901) into the schema; empty for the schema as a whole.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

impl FormSchemaError {
    pub(crate) fn at(pointer: &str, reason: impl Into<String>) -> Self {
        Self { pointer: pointer.to_owned(), reason: reason.into() }
    }
}

/// A place in a sentence; the whole needs no words.
struct At<'a>(&'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " at {}", self.0) }
    }
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// JSON Pointer (RFC 6901) into the form.
    pub pointer: String,
    /// A stable word for the fault, e.g. `invalid_check_digits`.
    pub code: &'static str,
    /// A sentence for people; it never repeats what was typed.
    pub detail: String,
}

/// Why a filled-in form is refused. Missing fields are reported before wrong ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormRefusal {
    /// Required fields are absent or `null`.
    #[error("required fields are missing: {}", .0.join(", "))]
    Missing(Vec<String>),
    /// Fields are present and wrong, or not known to the form.
    #[error("{} of the form's fields are wrong", .0.len())]
    Invalid(Vec<FieldFault>),
}

/// A filled-in form that passed. It holds personal data, so it does not print.
#[derive(Clone, PartialEq)]
pub struct FormData(Map<String, Value>);

impl FormData {
    /// A form that storage kept; it was checked when it came in.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is not an object.
    pub fn restore(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(StoreError::corrupt("form data is not an object"))
            }
        }
    }

    /// The filled-in fields, for storage and for the citizen's own eyes.
    #[must_use]
    pub const fn expose(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Debug for FormData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FormData({} fields)", self.0.len())
    }
}

impl Form {
    /// Compiles a form's schema. It must describe an object; references to other documents are not followed.
    ///
    /// # Errors
    /// [`FormSchemaError`] when it is not a JSON Schema, or not one of an object.
    pub fn parse(schema: Value) -> Result<Self, FormSchemaError> {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(FormSchemaError::at("/type", "it must be \"object\""));
        }
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_format("cpf", |text: &str| formats::cpf(text).is_ok())
            .with_format("cnh", |text: &str| formats::cnh(text).is_ok())
            .build(&schema)
            .map_err(|refusal| FormSchemaError::at(refusal.instance_path().as_str(), refusal.to_string()))?;
        let names = schema.get("required").and_then(Value::as_array);
        let required = names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Self { schema, required, validator })
    }

    /// The schema as it was given.
    #[must_use]
    pub const fn schema(&self) -> &Value {
        &self.schema
    }

    /// The names of the fields that must be filled in.
    #[must_use]
    pub fn required(&self) -> &[String] {
        &self.required
    }

    /// Checks a filled-in form. A field that is `null` counts as absent; `""`, `0` and `false` do not.
    ///
    /// # Errors
    /// [`FormRefusal::Missing`] before [`FormRefusal::Invalid`].
    pub fn check(&self, mut filled_in: Map<String, Value>) -> Result<FormData, FormRefusal> {
        filled_in.retain(|_, value| !value.is_null());
        let missing: Vec<String> =
            self.required.iter().filter(|name| !filled_in.contains_key(*name)).cloned().collect();
        if !missing.is_empty() {
            return Err(FormRefusal::Missing(missing));
        }
        let value = Value::Object(filled_in.clone());
        let mut faults: Vec<FieldFault> = Vec::new();
        find_nul("", &value, &mut faults);
        faults.extend(self.validator.iter_errors(&value).flat_map(|refusal| describe(&refusal)));
        faults.truncate(20);
        if faults.is_empty() { Ok(FormData(filled_in)) } else { Err(FormRefusal::Invalid(faults)) }
    }
}

/// PostgreSQL cannot keep U+0000 in text, and no form means it.
fn find_nul(pointer: &str, value: &Value, faults: &mut Vec<FieldFault>) {
    let has_nul = |text: &str| text.contains('\0');
    let mut refuse = |pointer: &str| {
        faults.push(FieldFault {
            pointer: pointer.to_owned(),
            code: "invalid_character",
            detail: "must not contain the character U+0000".to_owned(),
        });
    };
    match value {
        Value::String(text) if has_nul(text) => refuse(pointer),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_nul(&format!("{pointer}/{index}"), item, faults);
            }
        }
        Value::Object(members) => {
            if members.keys().any(|name| has_nul(name)) {
                refuse(pointer);
            }
            for (name, item) in members {
                find_nul(&format!("{pointer}/{}", escape(name)), item, faults);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Escapes a member's name for a JSON Pointer (RFC 6901 §3).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Turns one finding of the validator into our words. The validator's own messages repeat the value, so none is used.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON Schema has more keywords than a form needs words for"
)]
fn describe(refusal: &jsonschema::ValidationError<'_>) -> Vec<FieldFault> {
    let pointer = refusal.instance_path().as_str().to_owned();
    let fault = |code, detail: String| vec![FieldFault { pointer: pointer.clone(), code, detail }];
    match refusal.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| FieldFault {
                pointer: format!("{pointer}/{}", escape(name)),
                code: "unknown_field",
                detail: "is not a field of this form".to_owned(),
            })
            .collect(),
        ValidationErrorKind::Format { format } => {
            describe_format(format, refusal.instance().as_str(), &fault)
        }
        ValidationErrorKind::Pattern { .. } => {
            fault("invalid_format", "does not have the right form".to_owned())
        }
        ValidationErrorKind::Type { .. } => fault("invalid_type", "has the wrong type".to_owned()),
        ValidationErrorKind::MinLength { limit } => {
            fault("too_short", format!("must have at least {limit} characters"))
        }
        ValidationErrorKind::MaxLength { limit } => {
            fault("too_long", format!("must have at most {limit} characters"))
        }
        ValidationErrorKind::Minimum { .. } | ValidationErrorKind::ExclusiveMinimum { .. } => {
            fault("too_small", "is too small".to_owned())
        }
        ValidationErrorKind::Maximum { .. } | ValidationErrorKind::ExclusiveMaximum { .. } => {
            fault("too_large", "is too large".to_owned())
        }
        ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. } => {
            fault("not_allowed", "is not one of the allowed values".to_owned())
        }
        ValidationErrorKind::Required { .. } => fault("missing", "a field inside it is missing".to_owned()),
        _ => fault("invalid", "is not valid".to_owned()),
    }
}

fn describe_format(
    format: &str,
    text: Option<&str>,
    fault: &dyn Fn(&'static str, String) -> Vec<FieldFault>,
) -> Vec<FieldFault> {
    let number = match format {
        "cpf" => text.map(formats::cpf),
        "cnh" => text.map(formats::cnh),
        _ => None,
    };
    match number {
        Some(Err(NumberFault::CheckDigits)) => {
            fault("invalid_check_digits", "its check digits do not match".to_owned())
        }
        Some(Err(NumberFault::Shape)) => fault("invalid_format", "must have 11 digits".to_owned()),
        Some(Ok(())) | None => fault("invalid_format", format!("is not a valid {format}")),
    }
}
