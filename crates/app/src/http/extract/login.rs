//! The body of a login: the OAuth2 password form (RFC 6749 §4.3.2), or JSON.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures::future::LocalBoxFuture;
use secrecy::SecretString;
use serde::Deserialize;

use super::body::{self, MediaType};
use super::{form, strict};
use crate::http::problem::{ApiError, FieldProblem};

/// An e-mail and a password, not looked at yet.
#[derive(Debug)]
pub struct Login {
    /// What was given as e-mail or user name.
    pub email: String,
    /// The password.
    pub password: SecretString,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLogin {
    email: Option<String>,
    password: Option<SecretString>,
}

impl FromRequest for Login {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let media_type = body::media_type(&request)?;
            let body = body::read(&request, payload).await?;
            match media_type {
                MediaType::Json => from_json(&body),
                MediaType::Form => from_form(&body),
            }
        })
    }
}

fn from_json(body: &[u8]) -> Result<Login, ApiError> {
    let body: JsonLogin = strict::from_slice(body)?;
    let (email, password) = crate::require!(body, email, password)?;
    Ok(Login { email, password })
}

/// Unknown parameters are ignored and repeated ones refused, as RFC 6749 §3.2 wants it.
fn from_form(body: &[u8]) -> Result<Login, ApiError> {
    let pairs = form::pairs(body).ok_or_else(|| ApiError::malformed("The form is not properly encoded."))?;
    let take = |name: &str| {
        let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(problem(name, "duplicate_key", "The field stands twice.")),
            (value, None) => Ok(value),
        }
    };
    let (username, password, grant_type) = (take("username")?, take("password")?, take("grant_type")?);
    if grant_type.is_some_and(|grant_type| grant_type != "password") {
        return Err(problem("grant_type", "unknown_value", "The only grant type here is password."));
    }
    match (username, password) {
        (Some(email), Some(password)) => Ok(Login { email, password: password.into() }),
        (username, password) => {
            let fields = [("username", username.is_none()), ("password", password.is_none())];
            Err(ApiError::missing(fields.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name)))
        }
    }
}

fn problem(name: &str, code: &str, detail: &str) -> ApiError {
    ApiError::malformed_at(FieldProblem::new(format!("/{name}"), code, detail))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn form(text: &str) -> Result<(String, String), String> {
        from_form(text.as_bytes())
            .map(|login| (login.email, login.password.expose_secret().to_owned()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn password_forms() {
        let ana = Ok(("ana@example.org".to_owned(), "a b+c".to_owned()));
        assert_eq!(form("username=ana%40example.org&password=a+b%2Bc"), ana);
        assert_eq!(
            form("grant_type=password&username=ana@example.org&password=a%20b%2bc&scope=&client_id=x"),
            ana
        );
        assert_eq!(
            form("username=&password=").unwrap(),
            (String::new(), String::new()),
            "empty is wrong, not missing"
        );
    }

    #[test]
    fn forms_that_are_refused() {
        for (text, expected) in [
            ("", "missing_required_fields: Required: username, password."),
            ("username=a", "missing_required_fields: Required: password."),
            ("email=a&password=b", "missing_required_fields: Required: username."),
            ("username=a&username=b&password=c", "malformed_request: The field stands twice."),
            (
                "username=a&password=b&grant_type=client_credentials",
                "malformed_request: The only grant type here is password.",
            ),
            ("username=%ff&password=b", "malformed_request: The form is not properly encoded."),
            ("username=%00&password=b", "malformed_request: The form is not properly encoded."),
        ] {
            assert_eq!(form(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn json_bodies() {
        let login = from_json(br#"{"email": "ana@example.org", "password": "x"}"#).unwrap();
        assert_eq!(login.email, "ana@example.org");
        assert!(!format!("{login:?}").contains("\"x\""));
        for (text, expected) in [
            (r#"{"email": null}"#, "missing_required_fields: Required: email, password."),
            (r#"{"username": "a", "password": "b"}"#, "malformed_request: There is no such field."),
            (
                r#"{"email": 1, "password": "b"}"#,
                "malformed_request: The value is of the wrong type or out of range.",
            ),
        ] {
            assert_eq!(from_json(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
