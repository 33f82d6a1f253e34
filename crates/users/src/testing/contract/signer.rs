//! What a signer promises.
#![expect(clippy::expect_used, reason = "a case fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Caller, Clock, Epoch, Ids, UserId};
use secrecy::ExposeSecret;

use crate::{AccessClaims, TokenId, TokenRefusal, TokenSigner};

fn claims(clock: &Arc<ManualClock>, epoch: i32) -> AccessClaims {
    let ids = Ids::new(Arc::<ManualClock>::clone(clock), Arc::new(SeededRandomness::new(7)));
    let caller = Caller { user_id: UserId::new(ids.uuid()), epoch: Epoch::new(epoch) };
    AccessClaims::issue(caller, TokenId::new(ids.uuid()), clock.now(), Duration::from_mins(30))
}

fn sign(signer: &Arc<dyn TokenSigner>, claims: &AccessClaims) -> String {
    signer.sign(claims).expect("a token").expose_secret().to_owned()
}

/// Equal claims, whatever the epoch and the fraction of the second.
pub async fn what_was_signed_is_what_is_read(signer: Arc<dyn TokenSigner>, clock: Arc<ManualClock>) {
    clock.advance(Duration::from_micros(999_999));
    for epoch in [0, 1, i32::MAX] {
        let claims = claims(&clock, epoch);
        assert_eq!(signer.verify(&sign(&signer, &claims)), Ok(claims));
    }
}

/// Against the clock that was given, with no tolerance.
pub async fn a_token_is_good_until_the_second_it_expires(
    signer: Arc<dyn TokenSigner>,
    clock: Arc<ManualClock>,
) {
    let claims = claims(&clock, 0);
    let token = sign(&signer, &claims);
    clock.advance(Duration::from_mins(30) - Duration::from_micros(1));
    assert_eq!(signer.verify(&token), Ok(claims));
    clock.advance(Duration::from_micros(1));
    assert_eq!(signer.verify(&token), Err(TokenRefusal::Expired));
}

/// Every character is covered by the signature, or is part of it.
pub async fn a_changed_token_is_refused_wherever_it_was_changed(
    signer: Arc<dyn TokenSigner>,
    clock: Arc<ManualClock>,
) {
    let token = sign(&signer, &claims(&clock, 0));
    for (at, old) in token.char_indices() {
        let new = if old == 'A' { 'B' } else { 'A' };
        let mut changed = token.clone();
        changed.replace_range(at..=at, &new.to_string());
        assert!(signer.verify(&changed).is_err(), "character {at}");
    }
    for end in 0..token.len() {
        let cut = token.get(..end).expect("a token is ASCII");
        assert!(signer.verify(cut).is_err(), "cut to {end} characters");
    }
    assert!(signer.verify(&format!("{token}A")).is_err(), "a character more");
}

/// Without a panic, and without looking for long.
pub async fn nonsense_is_refused(signer: Arc<dyn TokenSigner>, _clock: Arc<ManualClock>) {
    let long = "a.".repeat(1_000_000);
    for text in
        ["", ".", "..", "...", "a.b.c", "....................", "\0", "ção.ção.ção", " . . ", long.as_str()]
    {
        assert!(signer.verify(text).is_err());
    }
}
