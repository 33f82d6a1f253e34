//! Rate limits, on a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guiche_app::config::{Rate, RateLimits};

use crate::support::{Setup, TestServer, client, problem};

fn limited(address: Option<(u32, u32)>, account: Option<(u32, u32)>) -> (TestServer, Arc<AtomicU64>) {
    let seconds = Arc::new(AtomicU64::new(0));
    let shown = Arc::clone(&seconds);
    let rate = |(requests, seconds): (u32, u32)| Rate {
        requests: requests.try_into().unwrap(),
        seconds: seconds.try_into().unwrap(),
    };
    let setup = Setup {
        rates: RateLimits {
            address: address.map(rate),
            account: account.map(rate),
            login: None,
            lnurl: None,
        },
        trusted: vec!["127.0.0.1/32"],
        clock: Arc::new(move || Duration::from_secs(shown.load(Ordering::Relaxed))),
        ..Setup::default()
    };
    (setup.start(), seconds)
}

async fn ask_from(server: &TestServer, address: &str, path: &str) -> reqwest::Response {
    client().get(server.url(path)).header("x-forwarded-for", address).send().await.unwrap()
}

#[tokio::test]
async fn an_address_is_limited_and_told_so() {
    let (server, clock) = limited(Some((2, 60)), None);
    let first = ask_from(&server, "192.0.2.1", "/toys/a").await;
    assert_eq!(first.headers()["ratelimit-policy"], "\"address\";q=2;w=60");
    assert_eq!(first.headers()["ratelimit"], "\"address\";r=1;t=30");
    assert_eq!(
        ask_from(&server, "192.0.2.1", "/nowhere").await.status(),
        404,
        "what is not found counts too"
    );

    let refused = ask_from(&server, "192.0.2.1", "/toys/a").await;
    assert_eq!(refused.headers()["retry-after"], "30");
    assert_eq!(refused.headers()["ratelimit"], "\"address\";r=0;t=60");
    assert_eq!(refused.headers()["ratelimit-policy"], "\"address\";q=2;w=60");
    problem(refused, 429, "rate_limited").await;

    assert_eq!(ask_from(&server, "192.0.2.2", "/toys/a").await.status(), 200, "others are not concerned");
    clock.store(30, Ordering::Relaxed);
    assert_eq!(ask_from(&server, "192.0.2.1", "/toys/a").await.status(), 200, "after the wait it works");
}

#[tokio::test]
async fn probes_are_never_limited() {
    let (server, _) = limited(Some((1, 60)), None);
    for _ in 0..5 {
        let response = ask_from(&server, "192.0.2.1", "/readyz").await;
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("ratelimit"));
    }
}

#[tokio::test]
async fn zero_is_off() {
    let (server, _) = limited(None, None);
    for _ in 0..50 {
        assert_eq!(ask_from(&server, "192.0.2.1", "/toys/a").await.status(), 200);
    }
}

#[tokio::test]
async fn an_account_is_limited_wherever_it_comes_from() {
    let (server, _) = limited(Some((100, 60)), Some((2, 60)));
    let put = |address: &'static str| {
        client().put(server.url("/toys/account")).header("x-forwarded-for", address).send()
    };
    let first = put("192.0.2.1").await.unwrap();
    assert_eq!(first.status(), 204);
    assert_eq!(first.headers()["ratelimit-policy"], "\"address\";q=100;w=60, \"account\";q=2;w=60");
    assert_eq!(first.headers()["ratelimit"], "\"address\";r=99;t=1, \"account\";r=1;t=30");
    assert_eq!(put("192.0.2.2").await.unwrap().status(), 204);
    let refused = put("192.0.2.3").await.unwrap();
    assert_eq!(refused.headers()["ratelimit-policy"], "\"account\";q=2;w=60");
    problem(refused, 429, "rate_limited").await;
}
