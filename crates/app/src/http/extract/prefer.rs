//! `Prefer` (RFC 7240): how long a client would wait for an answer that takes its time.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpRequest};

use crate::http::problem::ApiError;

/// The longest that anybody waits: a request as a whole may take 30 seconds.
const LONGEST: Duration = Duration::from_secs(25);

/// What the client prefers; an extractor that refuses nothing, since preferences may be ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefer {
    wait: Option<Duration>,
}

impl Prefer {
    /// How long to wait; so long when the client has no preference.
    #[must_use]
    pub fn wait_or(&self, otherwise: Duration) -> Duration {
        self.wait.unwrap_or(otherwise)
    }

    /// What `Preference-Applied` says; `None` when the client had no preference.
    #[must_use]
    pub fn applied(&self) -> Option<String> {
        self.wait.map(|wait| format!("wait={}", wait.as_secs()))
    }

    /// The first `wait` counts, as RFC 7240 has it; `respond-async` alone is not to wait at all.
    fn read(headers: &HeaderMap) -> Self {
        let lines = headers.get_all("prefer").filter_map(|line| line.to_str().ok());
        let words: Vec<&str> = lines.flat_map(|line| line.split(',')).map(without_parameters).collect();
        let wait = words.iter().find_map(|word| {
            let (name, seconds) = word.split_once('=')?;
            let seconds = seconds.trim().trim_matches('"').parse().ok()?;
            name.trim().eq_ignore_ascii_case("wait").then(|| Duration::from_secs(seconds).min(LONGEST))
        });
        let at_once = words.iter().any(|word| word.eq_ignore_ascii_case("respond-async"));
        Self { wait: wait.or_else(|| at_once.then_some(Duration::ZERO)) }
    }
}

fn without_parameters(preference: &str) -> &str {
    preference.split(';').next().unwrap_or_default().trim()
}

impl FromRequest for Prefer {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::read(request.headers())))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_client_may_say_how_long_it_waits() {
        for (lines, seconds) in [
            (&[][..], None),
            (&["wait=3"], Some(3)),
            (&["respond-async, wait=7"], Some(7)),
            (&["return=minimal", "Wait = \"4\" ; x=y"], Some(4)),
            (&["wait=2, wait=9"], Some(2)),
            (&["respond-async"], Some(0)),
            (&["wait=99999"], Some(25)),
            (&["wait=-1"], None),
            (&["wait"], None),
            (&["wait=soon"], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HeaderName::from_static("prefer"), HeaderValue::from_static(line));
            }
            let prefer = Prefer::read(&headers);
            assert_eq!(prefer.wait.map(|wait| wait.as_secs()), seconds, "{lines:?}");
            assert_eq!(prefer.applied(), seconds.map(|seconds| format!("wait={seconds}")));
        }
    }
}
