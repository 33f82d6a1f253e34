//! Signatures after Standard Webhooks: `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`.
//!
//! The same code signs what goes out and verifies what comes in from a gateway of ours.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_kernel::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha2::Sha256;

use crate::SigningSecret;

/// Names the event; the same at every attempt.
pub const ID_HEADER: &str = "webhook-id";
/// When this attempt was signed, in whole seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// One signature for each secret in force, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How far a timestamp may lie from now, in either direction.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

const VERSION: &str = "v1,";
/// More signatures than any rotation needs are not looked at: each costs a comparison.
const MOST_SIGNATURES: usize = 16;

/// The three headers of a request, sent or received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    /// The value of [`ID_HEADER`].
    pub id: String,
    /// The value of [`TIMESTAMP_HEADER`].
    pub timestamp: String,
    /// The value of [`SIGNATURE_HEADER`].
    pub signature: String,
}

/// Why a request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The timestamp is no number of seconds, or the id is empty.
    #[error("a header is malformed")]
    Malformed,
    /// Signed too long ago: it may be a replay.
    #[error("the timestamp is too old")]
    TooOld,
    /// Signed in the future: one of the two clocks is wrong.
    #[error("the timestamp lies in the future")]
    TooNew,
    /// No signature is that of a secret in force.
    #[error("no signature matches")]
    NoMatch,
}

/// Signs a body, once under each of the secrets.
#[must_use]
pub fn sign<'a>(
    secrets: impl IntoIterator<Item = &'a SigningSecret>,
    id: &str,
    now: Timestamp,
    body: &[u8],
) -> SignedHeaders {
    let timestamp = now.unix_timestamp().to_string();
    let mut signature = String::new();
    for secret in secrets {
        let separator = if signature.is_empty() { "" } else { " " };
        let code = STANDARD.encode(keyed(secret, id, &timestamp, body).finalize().into_bytes());
        // Writing into a string cannot fail.
        let _ = write!(signature, "{separator}{VERSION}{code}");
    }
    SignedHeaders { id: id.to_owned(), timestamp, signature }
}

/// Verifies a request: one of its signatures must be that of one of the secrets, over these very bytes, and its timestamp
/// within `tolerance` of now. Signatures are compared in constant time.
///
/// # Errors
/// [`Unverified`]; the answer to whoever sent it should not say which.
pub fn verify<'a>(
    secrets: impl IntoIterator<Item = &'a SigningSecret>,
    headers: &SignedHeaders,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), Unverified> {
    let signed_at: i64 = headers.timestamp.parse().map_err(|_| Unverified::Malformed)?;
    if headers.id.is_empty() {
        return Err(Unverified::Malformed);
    }
    let tolerance = i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX);
    let age = now.unix_timestamp().saturating_sub(signed_at);
    if age > tolerance {
        return Err(Unverified::TooOld);
    }
    if age < tolerance.saturating_neg() {
        return Err(Unverified::TooNew);
    }
    let presented: Vec<Vec<u8>> = headers
        .signature
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix(VERSION)?).ok())
        .take(MOST_SIGNATURES)
        .collect();
    for secret in secrets {
        let expected = keyed(secret, &headers.id, &headers.timestamp, body);
        if presented.iter().any(|code| expected.clone().verify_slice(code).is_ok()) {
            return Ok(());
        }
    }
    Err(Unverified::NoMatch)
}

fn keyed(secret: &SigningSecret, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let key = secret.bytes().expose_secret();
    // HMAC takes keys of any length; an empty one could only come from a defect, and signs what nobody accepts.
    let mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()));
    mac.chain_update(id).chain_update(".").chain_update(timestamp).chain_update(".").chain_update(body)
}

#[cfg(test)]
mod tests {
    use guiche_kernel::testing::SeededRandomness;
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: Timestamp = datetime!(2021-02-25 08:47:10 UTC);

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse(&text.to_owned().into()).unwrap()
    }

    fn generated(seed: u64) -> SigningSecret {
        SigningSecret::generate(&SeededRandomness::new(seed))
    }

    /// The example that the published libraries test themselves with.
    #[test]
    fn the_published_example() {
        let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let now = Timestamp::from_unix_timestamp(1_614_265_330).unwrap();
        let headers = sign([&secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", now, br#"{"test": 2432232314}"#);
        assert_eq!(headers.timestamp, "1614265330");
        assert_eq!(headers.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_rotates_both_sides_of_the_change_accept() {
        let (old, new) = (generated(1), generated(2));
        let headers = sign([&new, &old], "msg", NOW, b"{}");
        assert_eq!(headers.signature.split(' ').count(), 2);
        for receiver in [&old, &new] {
            assert_eq!(verify([receiver], &headers, b"{}", NOW, TOLERANCE), Ok(()));
        }
        assert_eq!(verify([&generated(3)], &headers, b"{}", NOW, TOLERANCE), Err(Unverified::NoMatch));
        assert_eq!(verify([&generated(3), &old], &headers, b"{}", NOW, TOLERANCE), Ok(()));
        assert_eq!(verify([], &headers, b"{}", NOW, TOLERANCE), Err(Unverified::NoMatch));
    }

    #[test]
    fn whatever_was_signed_may_not_be_changed() {
        let secret = generated(1);
        let headers = sign([&secret], "msg", NOW, b"{}");
        let told = |headers: &SignedHeaders, body: &[u8]| verify([&secret], headers, body, NOW, TOLERANCE);
        assert_eq!(told(&headers, b"{}"), Ok(()));
        assert_eq!(told(&headers, b"{} "), Err(Unverified::NoMatch));
        let other_id = SignedHeaders { id: "msg2".to_owned(), ..headers.clone() };
        assert_eq!(told(&other_id, b"{}"), Err(Unverified::NoMatch));
        let moment = (NOW.unix_timestamp() + 1).to_string();
        let other_moment = SignedHeaders { timestamp: moment, ..headers.clone() };
        assert_eq!(told(&other_moment, b"{}"), Err(Unverified::NoMatch));
        let code = headers.signature.clone();
        for signature in
            ["", "v1,", "v1", &code[3..], &code.replace("v1", "v2"), &format!("{code}=="), &code[..20]]
        {
            let forged = SignedHeaders { signature: signature.to_owned(), ..headers.clone() };
            assert_eq!(told(&forged, b"{}"), Err(Unverified::NoMatch), "{signature:?}");
        }
        let unknown_first = SignedHeaders { signature: format!("v1a,xyz  v9,abc {code}"), ..headers.clone() };
        assert_eq!(told(&unknown_first, b"{}"), Ok(()), "versions that we do not know are passed over");
        let crowd = format!("{}{code}", "v1,AAAA ".repeat(MOST_SIGNATURES));
        let crowded = SignedHeaders { signature: crowd, ..headers };
        assert_eq!(told(&crowded, b"{}"), Err(Unverified::NoMatch));
    }

    #[test]
    fn old_and_future_timestamps_are_refused() {
        let secret = generated(1);
        let headers = sign([&secret], "msg", NOW, b"{}");
        for (shift, expected) in [
            (-301, Err(Unverified::TooNew)),
            (-300, Ok(())),
            (0, Ok(())),
            (300, Ok(())),
            (301, Err(Unverified::TooOld)),
        ] {
            let now = NOW + time::Duration::seconds(shift);
            assert_eq!(verify([&secret], &headers, b"{}", now, TOLERANCE), expected, "{shift}");
        }
        for timestamp in ["", "now", "1e9", "99999999999999999999", "-"] {
            let headers = SignedHeaders { timestamp: timestamp.to_owned(), ..headers.clone() };
            assert_eq!(verify([&secret], &headers, b"{}", NOW, TOLERANCE), Err(Unverified::Malformed));
        }
        for (timestamp, expected) in
            [(i64::MIN.to_string(), Unverified::TooOld), (i64::MAX.to_string(), Unverified::TooNew)]
        {
            let headers = SignedHeaders { timestamp, ..headers.clone() };
            assert_eq!(verify([&secret], &headers, b"{}", NOW, TOLERANCE), Err(expected));
        }
        let nameless = SignedHeaders { id: String::new(), ..headers };
        assert_eq!(verify([&secret], &nameless, b"{}", NOW, TOLERANCE), Err(Unverified::Malformed));
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies(id in "[!-~]{1,64}", body: Vec<u8>, seed: u64) {
            let secret = generated(seed);
            let headers = sign([&secret], &id, NOW, &body);
            prop_assert_eq!(verify([&secret], &headers, &body, NOW, TOLERANCE), Ok(()));
        }
    }
}
