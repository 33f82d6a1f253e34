//! `/livez` and `/readyz`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guiche_app::health::{Check, Finding, Health, State};
use guiche_app::system::SystemClock;
use serde_json::{Value, json};

use crate::support::{Setup, server};

struct Fixed(State, Option<u64>);

#[async_trait]
impl Check for Fixed {
    async fn check(&self) -> Finding {
        Finding { last_success_age: self.1.map(Duration::from_secs), ..Finding::of(self.0) }
    }

    fn when_silent(&self) -> State {
        self.0
    }
}

async fn readiness(checks: Vec<(&'static str, Fixed)>) -> (u16, Value) {
    let setup = Setup::default();
    let health = checks
        .into_iter()
        .fold(Health::new(setup.shutdown.clone(), Arc::new(SystemClock)), |health, (name, check)| {
            health.with(name, Arc::new(check))
        });
    let response = Setup { health, ..setup }.start().get("/readyz").await;
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn alive() {
    let response = server().get("/livez").await;
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "status": "ok" }));
}

#[tokio::test]
async fn a_provider_in_trouble_only_degrades() {
    let checks = vec![("database", Fixed(State::Ok, None)), ("spark", Fixed(State::Degraded, Some(90)))];
    let (status, body) = readiness(checks).await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        json!({ "status": "degraded", "checks": {
            "database": { "status": "ok" },
            "spark": { "status": "degraded", "last_success_age_seconds": 90 },
            "shutdown": { "status": "ok" },
        }})
    );
}

#[tokio::test]
async fn without_the_database_nothing_works() {
    let (status, body) = readiness(vec![("database", Fixed(State::Down, None))]).await;
    assert_eq!((status, &body["status"]), (503, &json!("down")));
}

#[tokio::test]
async fn a_shutdown_is_seen_at_once() {
    let server = server();
    assert_eq!(server.get("/readyz").await.status(), 200);
    server.shutdown.begin();
    let response = server.get("/readyz").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.json::<Value>().await.unwrap()["checks"]["shutdown"]["status"], "down");
    assert_eq!(server.get("/livez").await.status(), 200);
}
