//! Prints signed requests for libraries of other languages to verify, a line of JSON each:
//! `cargo run -p guiche-webhooks --example sign --features testing -- SECONDS_SINCE_1970`

use std::error::Error;

use guiche_kernel::Timestamp;
use guiche_kernel::testing::SeededRandomness;
use guiche_webhooks::testing::ticket_event;
use guiche_webhooks::{EventId, EventType, SigningSecret, sign};
use secrecy::ExposeSecret as _;
use serde_json::json;
use uuid::Uuid;

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).ok_or("the present moment, please: seconds since 1970")?;
    let now = Timestamp::from_unix_timestamp(seconds.parse()?)?;
    let (old, new) = (
        SigningSecret::generate(&SeededRandomness::new(1)),
        SigningSecret::generate(&SeededRandomness::new(2)),
    );
    let mut lines = String::new();
    for (number, kind) in EventType::ALL.iter().filter(|kind| kind.can_be_subscribed()).enumerate() {
        let event = ticket_event(EventId::new(Uuid::from_u128(number.try_into()?)), *kind, now);
        let body = event.body();
        // Every second one while the secret rotates; the receiver still has the old one.
        let secrets = if number % 2 == 0 { vec![&old] } else { vec![&new, &old] };
        let headers = sign(secrets, &event.id.to_string(), now, &body);
        let line = json!({
            "secret": old.to_text().expose_secret(),
            "id": headers.id,
            "timestamp": headers.timestamp,
            "signature": headers.signature,
            "body": String::from_utf8(body)?,
        });
        lines.push_str(&format!("{line}\n"));
    }
    std::io::Write::write_all(&mut std::io::stdout(), lines.as_bytes())?;
    Ok(())
}
