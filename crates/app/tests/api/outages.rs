//! What the service says while something that it needs is away: never a guess, always when to come back.

use std::sync::Arc;

use guiche_app::system::SystemClock;
use serde_json::json;

use crate::client::Answer;
use crate::replicas::calls;
use crate::support::{PASSWORD, TestApp, World, order, text};
use crate::wire::Wire;

#[track_caller]
fn away(answer: &Answer, code: &str) {
    let document = answer.problem(503, code);
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(document["detail"], "Try again later.", "what is wrong is nobody else's business");
    assert_eq!(document.as_object().unwrap().len(), 6, "{document}");
}

/// The provider's books, out of the stub's reach and back.
struct Books(std::path::PathBuf);

impl Books {
    fn of(world: &World) -> Self {
        Self(world.directory.path().join("spark-stub.ledger"))
    }

    fn take(&self) {
        std::fs::rename(&self.0, self.0.with_extension("away")).unwrap();
    }

    fn give_back(&self) {
        std::fs::rename(self.0.with_extension("away"), &self.0).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_provider_nothing_is_guessed() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let asked = app.open(&user).await;
    // The books begin with the first payment.
    app.pay(&app.open(&user).await, "").await.json(200);
    let books = Books::of(&app.world);

    books.take();
    let before = app.world.contents().await;
    away(&app.act(&user, &asked, "confirm-payment").await, "payment_provider_unavailable");
    away(&app.act(&user, &asked, "cancel").await, "payment_provider_unavailable");
    app.world.advance(901);
    away(&app.act(&user, &asked, "confirm-payment").await, "payment_provider_unavailable");
    away(&app.act(&user, &asked, "invoice").await, "payment_provider_unavailable");
    assert_eq!(app.world.contents().await, before);
    app.watch().await;
    assert_eq!(app.ticket(&user, &asked).await["payment_status"], "pending", "it may have been paid");
    books.give_back();
    assert_eq!(app.act(&user, &asked, "confirm-payment").await.json(200)["status"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_in_time_needs_no_provider() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let preimage = text(&app.pay(&opened, "").await.json(200), "preimage");
    Books::of(&app.world).take();
    assert_eq!(app.prove(&user, &opened, &preimage).await.json(200)["status"], "paid");
    assert_eq!(app.act(&user, &opened, "confirm-payment").await.json(200)["status"], "paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_every_route_says_so_and_comes_back_by_itself() {
    let world = World::new().await;
    let wire = Wire::tap(&world).await;
    let app = world.serve_with(&[("DATABASE_URL", &wire.url())], Arc::new(SystemClock)).await;
    let user = app.user().await;
    let ticket = app.open(&user).await;
    let before = world.contents().await;

    wire.cut();
    for (_, call) in calls(&app, &ticket) {
        away(&call().token(&user.token).send().await, "database_unavailable");
        away(&call().token(&user.token).key("k").send().await, "database_unavailable");
    }
    away(&app.register("ana@example.org", PASSWORD).await, "database_unavailable");
    away(&app.login(&user.email, PASSWORD).await, "database_unavailable");
    away(&app.refresh(&user.refresh).await, "database_unavailable");
    // The catalogue is read once a second.
    world.advance(1);
    away(&app.get("/api/v1/operations").send().await, "database_unavailable");
    away(&app.get("/api/v1/operations/1").send().await, "database_unavailable");
    assert_eq!(app.get("/livez").send().await.status, 200);
    assert_eq!(app.get("/readyz").send().await.status, 503);
    // What cannot be right is refused without it, and a token is not made good by an outage.
    app.me("abc").await.problem(401, "unauthorized");
    assert_eq!(world.contents().await, before);

    wire.mend();
    app.me(&user.token).await.json(200);
    let answer = app.post("/api/v1/tickets").token(&user.token).key("k").body(&order()).send().await;
    answer.json(201);
    // What the probe found is told for a second.
    world.advance(1);
    assert_eq!(app.get("/readyz").send().await.status, 200);
    let logout = json!({ "refresh_token": user.refresh });
    app.post("/api/v1/auth/logout").body(&logout).send().await.empty();
}
