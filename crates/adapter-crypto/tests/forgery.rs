//! Tokens that somebody else made, or that were changed: each is refused, and for the right reason.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use guiche_adapter_crypto::{InvalidKeys, JwtSigner, TokenAlgorithm};
use guiche_kernel::testing::ManualClock;
use guiche_kernel::{Caller, Clock, Epoch};
use guiche_users::{AccessClaims, TokenRefusal, TokenSigner};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

mod common;

use TokenRefusal::{Expired, Malformed, NotYetValid, Untrusted};
use common::{OLD_SECRET, SECRET, key, settings, signer};

/// 1 January 2026, 12:00 UTC: where a manual clock starts.
const NOON: i64 = 1_767_268_800;

fn header() -> Value {
    json!({"typ": "JWT", "alg": "HS256", "kid": "2026-01"})
}

fn claims() -> Value {
    json!({
        "iss": "https://guiche.test", "aud": "guiche-api", "sub": "01942138-0f80-7c3a-8d5e-0123456789ab",
        "iat": NOON, "exp": NOON + 1800, "jti": "01942138-0f80-7c3a-8d5e-ba9876543210", "epoch": 3,
    })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

fn mac<M: Mac + KeyInit>(secret: &str, message: &str) -> String {
    let mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).unwrap().chain_update(message);
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    let message = unsigned(header, claims);
    format!("{message}.{}", mac::<Hmac<Sha256>>(secret, &message))
}

fn verify(token: &str) -> Result<AccessClaims, TokenRefusal> {
    signer(Arc::new(ManualClock::default())).verify(token)
}

#[track_caller]
fn assert_header(header: &Value, refusal: TokenRefusal) {
    assert_eq!(verify(&signed(header, &claims(), SECRET)), Err(refusal), "{header}");
}

#[track_caller]
fn assert_claims(claims: &Value, refusal: TokenRefusal) {
    assert_eq!(verify(&signed(&header(), claims, SECRET)), Err(refusal), "{claims}");
}

#[test]
fn a_token_made_by_hand_with_the_right_key_is_accepted() {
    // Without this the tests below could pass for a reason of their own.
    let read = verify(&signed(&header(), &claims(), SECRET)).unwrap();
    let user_id = "01942138-0f80-7c3a-8d5e-0123456789ab".parse().unwrap();
    assert_eq!(read.caller, Caller { user_id, epoch: Epoch::new(3) });
    assert_eq!((read.issued_at.unix_timestamp(), read.expires_at.unix_timestamp()), (NOON, NOON + 1800));
}

#[test]
fn ours_carry_the_promised_header_and_claims_and_nothing_else() {
    let clock = Arc::new(ManualClock::default());
    let signer = signer(Arc::<ManualClock>::clone(&clock));
    let read = verify(&signed(&header(), &claims(), SECRET)).unwrap();
    let token = signer.sign(&read).unwrap().expose_secret().to_owned();
    let part = |n: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap()).unwrap()
    };
    assert_eq!((part(0), part(1)), (header(), claims()));
    assert_eq!(signer.verify(&token), Ok(read));
    assert!(token.len() < JwtSigner::MAX_TOKEN_BYTES / 4);
}

#[test]
fn another_algorithm_is_refused_even_with_the_right_key() {
    for alg in ["HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA"] {
        assert_header(&with(header(), "alg", json!(alg)), Untrusted);
    }
    for alg in
        [json!("none"), json!("None"), json!("hs256"), json!("HS1"), json!(""), json!(null), json!(256)]
    {
        assert_header(&with(header(), "alg", alg), Malformed);
    }
    assert_header(&without(header(), "alg"), Malformed);
    let (hs384, hs512) = (with(header(), "alg", json!("HS384")), with(header(), "alg", json!("HS512")));
    let (hs384, hs512) = (unsigned(&hs384, &claims()), unsigned(&hs512, &claims()));
    assert_eq!(verify(&format!("{hs384}.{}", mac::<Hmac<Sha384>>(SECRET, &hs384))), Err(Untrusted));
    assert_eq!(verify(&format!("{hs512}.{}", mac::<Hmac<Sha512>>(SECRET, &hs512))), Err(Untrusted));
}

#[test]
fn an_unsigned_token_is_refused() {
    let none = unsigned(&with(header(), "alg", json!("none")), &claims());
    let hs256 = unsigned(&header(), &claims());
    assert_eq!(verify(&format!("{none}.")), Err(Malformed));
    assert_eq!(verify(&format!("{hs256}.")), Err(Untrusted));
    assert_eq!(verify(&hs256), Err(Malformed));
}

#[test]
fn another_type_or_any_other_header_is_refused() {
    for typ in ["at+jwt", "JWE", "jwt", ""] {
        assert_header(&with(header(), "typ", json!(typ)), Untrusted);
    }
    assert_header(&without(header(), "typ"), Untrusted);
    let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("the attacker's own key")});
    for (name, value) in [
        ("jwk", jwk),
        ("jku", json!("https://attacker.test/keys")),
        ("x5u", json!("https://attacker.test/chain")),
        ("crit", json!(["exp"])),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
        ("b64", json!(false)),
    ] {
        assert_header(&with(header(), name, value), Untrusted);
    }
}

#[test]
fn the_key_is_chosen_by_its_id_among_ours_only() {
    let old = with(header(), "kid", json!("2025-07"));
    assert!(verify(&signed(&old, &claims(), OLD_SECRET)).is_ok(), "an old key still verifies");
    assert_eq!(verify(&signed(&old, &claims(), SECRET)), Err(Untrusted), "but only under its own id");
    assert_eq!(verify(&signed(&header(), &claims(), OLD_SECRET)), Err(Untrusted));
    assert_eq!(verify(&signed(&header(), &claims(), "")), Err(Untrusted));
    for kid in ["2024-01", "", "../2026-01", "2026-01 "] {
        assert_header(&with(header(), "kid", json!(kid)), Untrusted);
    }
    assert_header(&without(header(), "kid"), Untrusted);
    assert_header(&with(header(), "kid", json!(1)), Malformed);
}

#[test]
fn another_issuer_or_audience_is_refused() {
    for (name, ours) in [("iss", "https://guiche.test"), ("aud", "guiche-api")] {
        assert_claims(&with(claims(), name, json!("https://other.test")), Untrusted);
        assert_claims(&with(claims(), name, json!("")), Untrusted);
        assert_claims(&with(claims(), name, json!(ours.to_uppercase())), Untrusted);
        assert_claims(&with(claims(), name, json!([ours])), Malformed);
        assert_claims(&with(claims(), name, json!(["https://other.test", ours])), Malformed);
    }
}

#[test]
fn every_claim_is_required_and_of_its_type() {
    for name in ["iss", "aud", "sub", "iat", "exp", "jti", "epoch"] {
        assert_claims(&without(claims(), name), Malformed);
        for wrong in
            [json!(null), json!(true), json!({}), json!([]), json!(1.5), json!("not it"), json!(-1e300)]
        {
            let refusal =
                if wrong == "not it" && ["iss", "aud"].contains(&name) { Untrusted } else { Malformed };
            assert_claims(&with(claims(), name, wrong), refusal);
        }
    }
    assert_claims(&with(claims(), "exp", json!((NOON + 1800).to_string())), Malformed);
    assert_claims(&with(claims(), "exp", json!(i64::MAX)), Malformed);
    assert_claims(&with(claims(), "iat", json!(i64::MIN)), Malformed);
    assert_claims(&with(claims(), "epoch", json!(i64::from(i32::MAX) + 1)), Malformed);
    assert_claims(&json!([]), Malformed);
    assert_claims(&json!("claims"), Malformed);
}

#[test]
fn time_is_checked_on_the_clock_that_was_given() {
    assert_claims(&with(claims(), "exp", json!(NOON)), Expired);
    assert_claims(&with(claims(), "exp", json!(NOON - 1)), Expired);
    assert_claims(&with(claims(), "exp", json!(0)), Expired);
    assert!(verify(&signed(&header(), &with(claims(), "exp", json!(NOON + 1)), SECRET)).is_ok());
    let leeway = i64::try_from(JwtSigner::IAT_LEEWAY.as_secs()).unwrap();
    assert!(verify(&signed(&header(), &with(claims(), "iat", json!(NOON + leeway)), SECRET)).is_ok());
    assert_claims(&with(claims(), "iat", json!(NOON + leeway + 1)), NotYetValid);

    let clock = Arc::new(ManualClock::default());
    let signer = signer(Arc::<ManualClock>::clone(&clock));
    let token = signed(&header(), &claims(), SECRET);
    assert!(signer.verify(&token).is_ok());
    clock.advance(Duration::from_mins(30));
    assert_eq!(signer.verify(&token), Err(Expired));
    clock.set(clock.now() - Duration::from_mins(1));
    assert!(signer.verify(&token).is_ok(), "whatever the system's clock says");
}

#[test]
fn a_changed_payload_is_refused() {
    let token = signed(&header(), &claims(), SECRET);
    let signature = token.rsplit('.').next().unwrap();
    let other_user = json!("01942138-0f80-7c3a-8d5e-0123456789ac");
    for forged in
        [with(claims(), "sub", other_user), with(claims(), "epoch", json!(4)), with(claims(), "x", json!(1))]
    {
        assert_eq!(
            verify(&format!("{}.{signature}", unsigned(&header(), &forged))),
            Err(Untrusted),
            "{forged}"
        );
    }
}

#[test]
fn another_number_of_parts_padding_or_white_space_is_refused() {
    let token = signed(&header(), &claims(), SECRET);
    for text in [
        format!("{token}.{token}"),
        format!("{token}.."),
        format!(".{token}"),
        format!("{token}="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("Bearer {token}"),
        token.replace('.', ","),
    ] {
        assert!(verify(&text).is_err(), "{text:?}");
    }
}

#[test]
fn a_token_that_is_too_long_is_refused_before_it_is_looked_at() {
    let long = with(claims(), "x", json!("x".repeat(JwtSigner::MAX_TOKEN_BYTES)));
    assert_claims(&long, Malformed);
}

#[test]
fn keys_are_replaced_without_refusing_what_the_old_one_signed() {
    let clock = || Arc::new(ManualClock::default());
    let with_keys = |keys: &[_]| JwtSigner::try_new(settings(TokenAlgorithm::Hs256), keys, clock()).unwrap();
    let (old, new) = (key("old", OLD_SECRET), key("new", SECRET));
    let [before, prepared, switched, after] = [
        with_keys(std::slice::from_ref(&old)),
        with_keys(&[old.clone(), new.clone()]),
        with_keys(&[new.clone(), old]),
        with_keys(&[new]),
    ];
    let claims = verify(&signed(&header(), &claims(), SECRET)).unwrap();
    let sign = |signer: &JwtSigner| signer.sign(&claims).unwrap().expose_secret().to_owned();
    for signer in [&prepared, &switched] {
        assert_eq!(signer.verify(&sign(&before)), Ok(claims));
        assert_eq!(signer.verify(&sign(&switched)), Ok(claims));
    }
    assert_eq!(after.verify(&sign(&switched)), Ok(claims));
    assert_eq!(after.verify(&sign(&prepared)), Err(Untrusted), "the old key is out of use");
}

#[test]
fn every_offered_algorithm_signs_and_accepts_only_itself() {
    let clock = Arc::new(ManualClock::default());
    let algorithms = [TokenAlgorithm::Hs256, TokenAlgorithm::Hs384, TokenAlgorithm::Hs512];
    let signers = algorithms.map(|algorithm| {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        JwtSigner::try_new(settings(algorithm), &[key("one", SECRET)], clock).unwrap()
    });
    let claims = verify(&signed(&header(), &claims(), SECRET)).unwrap();
    for (n, signing) in signers.iter().enumerate() {
        let token = signing.sign(&claims).unwrap();
        for (m, verifying) in signers.iter().enumerate() {
            assert_eq!(verifying.verify(token.expose_secret()).is_ok(), n == m, "{n} by {m}");
        }
    }
}

#[test]
fn keys_that_protect_nothing_are_refused_without_repeating_them() {
    let clock = || Arc::new(ManualClock::default());
    let refusal = |algorithm, keys: &[_]| JwtSigner::try_new(settings(algorithm), keys, clock()).unwrap_err();
    let short = |id: &str, min_bytes| InvalidKeys::Short { id: id.into(), min_bytes };
    let hs256 = TokenAlgorithm::Hs256;
    assert_eq!(refusal(hs256, &[]), InvalidKeys::None);
    assert_eq!(refusal(hs256, &[key("a", &SECRET[..31])]), short("a", 32));
    assert_eq!(refusal(hs256, &[key("a", SECRET), key("b", "")]), short("b", 32));
    assert_eq!(refusal(TokenAlgorithm::Hs384, &[key("a", &SECRET[..47])]), short("a", 48));
    assert_eq!(refusal(TokenAlgorithm::Hs512, &[key("a", &SECRET[..63])]), short("a", 64));
    assert_eq!(refusal(hs256, &[key("a", SECRET), key("a", OLD_SECRET)]), InvalidKeys::Twice("a".into()));
    for id in ["", "a b", "a,b", "ção", &"x".repeat(65)] {
        assert_eq!(refusal(hs256, &[key(id, SECRET)]), InvalidKeys::Id);
    }
    let said = format!("{} {:?}", short("a", 32), key("a", SECRET));
    assert!(!said.contains(&SECRET[..8]), "{said}");
    let signer = format!("{:?}", signer(clock()));
    assert!(!signer.contains(&SECRET[..8]), "{signer}");
}

#[test]
fn the_names_of_algorithms_are_exact() {
    assert_eq!("HS256".parse(), Ok(TokenAlgorithm::Hs256));
    assert_eq!("HS384".parse(), Ok(TokenAlgorithm::Hs384));
    assert_eq!("HS512".parse(), Ok(TokenAlgorithm::Hs512));
    for name in ["hs256", "none", "RS256", "", "HS256 "] {
        assert!(name.parse::<TokenAlgorithm>().is_err(), "{name:?}");
    }
}
