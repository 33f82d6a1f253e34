//! Required fields of a body.

/// Takes the named `Option` fields out of a body: a tuple of their values, or
/// [`missing_required_fields`](crate::http::ApiError::missing) naming all that are absent or `null`. A field is named
/// by its identifier, so it must be spelt as on the wire. Call it before anything is validated: what is missing is
/// reported before what is wrong.
///
/// ```
/// # use guiche_app::{require, http::ApiError};
/// struct Register { email: Option<String>, password: Option<String> }
///
/// fn register(body: Register) -> Result<(), ApiError> {
///     let (email, password) = require!(body, email, password)?;
///     # Ok(())
/// }
/// let error = register(Register { email: None, password: Some(String::new()) }).unwrap_err();
/// assert_eq!(error.to_string(), "missing_required_fields: Required: email.");
/// ```
#[macro_export]
macro_rules! require {
    ($body:expr, $($field:ident),+ $(,)?) => {{
        let body = $body;
        let mut missing: Vec<&'static str> = Vec::new();
        $(if body.$field.is_none() { missing.push(stringify!($field)); })+
        #[allow(unused_parens, reason = "one field makes no tuple")]
        match ($(body.$field),+) {
            ($(Some($field)),+) => Ok(($($field),+)),
            _ => Err($crate::http::ApiError::missing(missing)),
        }
    }};
}
