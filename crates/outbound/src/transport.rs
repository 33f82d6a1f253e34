//! What the HTTP library tells, in our words.

use crate::error::Fault;

/// Reads no more than `limit`, whatever the answer says of its length.
pub(crate) async fn read(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, Fault> {
    let too_much = Fault::Unreadable { status: response.status().as_u16() };
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > limit {
        return Err(too_much);
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(|error| fault_of(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(too_much);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The library's error is looked at and dropped: its text holds the address.
pub(crate) fn fault_of(error: &reqwest::Error) -> Fault {
    let causes = std::iter::successors(Some(error_of(error)), |error| cause(*error));
    if causes.into_iter().any(is_distrust) {
        Fault::Untrusted
    } else if error.is_connect() {
        Fault::Unreachable
    } else if error.is_builder() {
        Fault::Unsendable
    } else {
        Fault::NoAnswer
    }
}

fn is_distrust(cause: &(dyn std::error::Error + 'static)) -> bool {
    matches!(cause.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_)))
}

/// What an error was caused by. What an `io::Error` wraps is not its source, but itself.
fn cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

const fn error_of(error: &reqwest::Error) -> &(dyn std::error::Error + 'static) {
    error
}
