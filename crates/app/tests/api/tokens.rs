//! Access tokens that are not ours, or not any more, on every route that wants one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

use crate::client::{Answer, Call};
use crate::contract;
use crate::support::{KEY, KEY_ID, NOON, TestApp, User};

const CHALLENGE: &str = "Bearer realm=\"guiche\"";
const REFUSED: &str = "Bearer realm=\"guiche\", error=\"invalid_token\"";

fn header() -> Value {
    json!({ "typ": "JWT", "alg": "HS256", "kid": KEY_ID })
}

fn claims(user: &User) -> Value {
    json!({
        "iss": "guiche", "aud": "guiche-api", "sub": user.id, "iat": NOON, "exp": NOON + 1800,
        "jti": "01942138-0f80-7c3a-8d5e-ba9876543210", "epoch": 0,
    })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name).unwrap();
    object
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

fn signed_with<M: Mac + KeyInit>(header: &Value, claims: &Value, key: &str) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let mac = <M as KeyInit>::new_from_slice(key.as_bytes()).unwrap().chain_update(&message);
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn signed(header: &Value, claims: &Value) -> String {
    signed_with::<Hmac<Sha256>>(header, claims, KEY)
}

#[track_caller]
fn refused(answer: &Answer, challenge: &str) {
    let document = answer.problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), Some(challenge), "{document}");
    assert_eq!(document.as_object().unwrap().len(), 6, "{document}");
}

/// A call of the route, with nothing but what it needs to be found.
fn call(app: &TestApp, (method, pattern): &(String, String)) -> Call {
    app.call(method, &pattern.replace("{id}", "01942138-0f80-7c3a-8d5e-0123456789ab"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_ours_made_by_hand_is_accepted() {
    // Without this the others could pass for a reason of their own.
    let app = TestApp::start().await;
    let user = app.user().await;
    app.me(&signed(&header(), &claims(&user))).await.json(200);
    let part = |n: usize| -> Value {
        let part = URL_SAFE_NO_PAD.decode(user.token.split('.').nth(n).unwrap()).unwrap();
        serde_json::from_slice(&part).unwrap()
    };
    assert_eq!(part(0), header());
    let ours = part(1);
    assert_eq!(ours, with(claims(&user), "jti", ours["jti"].clone()), "the promised claims and no others");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_no_route_that_wants_one_does_anything() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let before = app.world.contents().await;
    let routes = contract::secured();
    assert!(routes.len() >= 9, "{routes:?}");
    for route in &routes {
        let bare = || call(&app, route);
        refused(&bare().send().await, CHALLENGE);
        for other in ["Basic YW5hOnNlY3JldA==", "Bearer", &user.token, "Token abc"] {
            refused(&bare().header("authorization", other).send().await, CHALLENGE);
        }
        // A token anywhere else is no token: it would end up in logs and histories.
        refused(
            &bare().header("cookie", &format!("access_token={0}; token={0}", user.token)).send().await,
            CHALLENGE,
        );
        refused(&bare().header("x-access-token", &user.token).send().await, CHALLENGE);
        let (method, pattern) = route;
        let query = (method.clone(), format!("{pattern}?access_token={}", user.token));
        refused(&call(&app, &query).send().await, CHALLENGE);
        let form = bare().form(&[("access_token", &user.token)]).send().await;
        refused(&form, CHALLENGE);
        let twice = bare().token(&user.token).token(&user.token).send().await;
        refused(&twice, REFUSED);
    }
    assert_eq!(app.world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_not_ours_are_refused_everywhere() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let claims = claims(&user);
    let before = app.world.contents().await;
    let mut bad: Vec<(&str, String)> = vec![
        ("another issuer", signed(&header(), &with(claims.clone(), "iss", json!("somebody")))),
        ("another audience", signed(&header(), &with(claims.clone(), "aud", json!("guiche-mcp")))),
        ("another kid", signed(&with(header(), "kid", json!("other")), &claims)),
        ("a kid that is a path", signed(&with(header(), "kid", json!("../../dev/null")), &claims)),
        ("no kid", signed(&without(header(), "kid"), &claims)),
        ("another key", signed_with::<Hmac<Sha256>>(&header(), &claims, "another key of at least 32 bytes!")),
        ("an empty key", signed_with::<Hmac<Sha256>>(&header(), &claims, "")),
        ("HS384", signed_with::<Hmac<Sha384>>(&with(header(), "alg", json!("HS384")), &claims, KEY)),
        ("HS512", signed_with::<Hmac<Sha512>>(&with(header(), "alg", json!("HS512")), &claims, KEY)),
        ("RS256 by name", signed(&with(header(), "alg", json!("RS256")), &claims)),
        ("none, signed", signed(&with(header(), "alg", json!("none")), &claims)),
        ("expired", signed(&header(), &with(claims.clone(), "exp", json!(NOON)))),
        ("from the future", signed(&header(), &with(claims.clone(), "iat", json!(NOON + 61)))),
        ("an endless one", signed(&header(), &with(claims.clone(), "exp", json!(i64::MAX)))),
        ("a key of its own", signed(&with(header(), "jwk", json!({ "kty": "oct", "k": "AA" })), &claims)),
        ("critical extensions", signed(&with(header(), "crit", json!(["exp"])), &claims)),
        (
            "a sub that is no id",
            signed(&header(), &with(claims.clone(), "sub", json!("1; DROP TABLE users"))),
        ),
        ("a numeric sub", signed(&header(), &with(claims.clone(), "sub", json!(1)))),
        ("an epoch that is text", signed(&header(), &with(claims.clone(), "epoch", json!("0")))),
        ("an epoch to come", signed(&header(), &with(claims.clone(), "epoch", json!(1)))),
        ("a negative epoch", signed(&header(), &with(claims.clone(), "epoch", json!(-1)))),
        (
            "somebody who does not exist",
            signed(&header(), &with(claims.clone(), "sub", json!("01942138-0f80-7c3a-8d5e-0123456789ab"))),
        ),
        ("no signature", format!("{}.{}.", encoded(&with(header(), "alg", json!("none"))), encoded(&claims))),
        ("two parts", format!("{}.{}", encoded(&header()), encoded(&claims))),
        ("a refresh token", user.refresh.clone()),
        ("no JWT", "abc".to_owned()),
        ("long", "a".repeat(5000)),
    ];
    for claim in ["iss", "aud", "sub", "iat", "exp", "jti", "epoch"] {
        bad.push((claim, signed(&header(), &without(claims.clone(), claim))));
    }
    let (message, signature) = user.token.rsplit_once('.').unwrap();
    let (first, payload) = message.split_once('.').unwrap();
    let other = with(claims.clone(), "jti", json!("01942138-0f80-7c3a-8d5e-ba9876543211"));
    bad.push(("the signature of another", format!("{}.{}.{signature}", first, encoded(&other))));
    let flipped: String = signature.chars().rev().collect();
    bad.push(("a changed signature", format!("{first}.{payload}.{flipped}")));
    bad.push(("a cut signature", format!("{message}.{}", &signature[..signature.len() - 4])));

    let me = ("GET".to_owned(), "/api/v1/auth/me".to_owned());
    for (what, token) in &bad {
        let answer = call(&app, &me).token(token).send().await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        refused(&answer, REFUSED);
    }
    // Whatever the route, one of each kind: forged, expired, meant for somebody else.
    for route in contract::secured() {
        for (what, token) in bad
            .iter()
            .filter(|(what, _)| ["another key", "expired", "another audience", "no JWT"].contains(what))
        {
            let answer = call(&app, &route).token(token).send().await;
            assert_eq!(answer.status, 401, "{what} {route:?}: {answer:?}");
            refused(&answer, REFUSED);
        }
    }
    assert_eq!(app.world.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_may_differ_by_a_minute() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let ahead = signed(&header(), &with(claims(&user), "iat", json!(NOON + 60)));
    app.me(&ahead).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheme_has_no_case() {
    let app = TestApp::start().await;
    let user = app.user().await;
    for scheme in ["bearer", "BEARER"] {
        let value = format!("{scheme} {}", user.token);
        app.get("/api/v1/auth/me").header("authorization", &value).send().await.json(200);
    }
}
