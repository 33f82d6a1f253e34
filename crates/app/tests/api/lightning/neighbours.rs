//! Two people, and one person twice.

use futures::future::join_all;
use serde_json::{Value, json};

use super::SETUP;
use crate::support::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_of_one_person_one_begins() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let bodies: Vec<_> = (0..8).map(|n| json!({ "lightning_address": format!("name{n}") })).collect();
    let asked = join_all(bodies.iter().map(|body| app.ask(&user, body, 0))).await;
    assert_eq!(asked.iter().filter(|answer| answer.status == 202).count(), 1);
    for answer in asked.iter().filter(|answer| answer.status != 202) {
        answer.problem(409, "setup_in_progress");
    }
    app.work_to_the_end(&user).await;
    assert_eq!((app.voltage().play().nodes().len(), app.btcpay().play().stores().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_with_one_name_one_gets_it() {
    let app = TestApp::start().await;
    let users = join_all((0..4).map(|_| app.user())).await;
    let body = json!({ "lightning_address": "wanted" });
    let asked = join_all(users.iter().map(|user| app.ask(user, &body, 0))).await;
    let mut losers = 0;
    for (user, answer) in users.iter().zip(&asked) {
        if answer.status == 202 {
            assert_eq!(app.work_to_the_end(user).await["status"], "fully_configured");
        } else {
            answer.problem(409, "address_taken");
            assert_eq!(app.standing(user).await["status"], "not_configured", "no setup came of it");
            losers += 1;
        }
    }
    assert_eq!((losers, app.voltage().play().nodes().len()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anas_bob_can_neither_see_nor_touch() {
    let app = TestApp::start().await;
    let (ana, bob) = (app.user().await, app.user().await);
    app.set_up(&ana, "ana").await;
    let before = app.world.contents().await;
    assert_eq!(app.standing(&bob).await["status"], "not_configured");
    let log = app.get(&format!("{SETUP}/log")).token(&bob.token).send().await.json(200);
    assert_eq!(log, json!({ "entries": [], "next_cursor": null }));
    app.post(&format!("{SETUP}/retry")).token(&bob.token).send().await.problem(404, "setup_not_found");
    app.call("DELETE", SETUP).token(&bob.token).send().await.problem(404, "setup_not_found");
    app.ask(&bob, &json!({ "lightning_address": "ana" }), 0).await.problem(409, "address_taken");
    assert_eq!(app.world.contents().await, before);
    assert_eq!(app.me(&bob.token).await.json(200)["lightning_address"], Value::Null);
    for (method, path) in
        [("GET", SETUP.to_owned()), ("POST", SETUP.to_owned()), ("GET", format!("{SETUP}/log"))]
    {
        app.call(method, &path).send().await.problem(401, "unauthorized");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_page_by_page() {
    let app = TestApp::start().await;
    let (ana, bob) = (app.user().await, app.user().await);
    app.set_up(&ana, "ana").await;
    app.set_up(&bob, "bob").await;
    let page = async |query: &str| app.get(&format!("{SETUP}/log{query}")).token(&ana.token).send().await;
    let first = page("?limit=1").await;
    let cursor = first.json(200)["next_cursor"].as_str().unwrap().to_owned();
    let link = format!("<{SETUP}/log?limit=1&cursor={cursor}>; rel=\"next\"");
    assert_eq!(first.header("link"), Some(link.as_str()));
    let second = page(&format!("?limit=1&cursor={cursor}")).await.json(200);
    assert_eq!(second["entries"][0]["operation"], "setup_begun", "bob's are not among them");
    let last = page(&format!("?cursor={}", second["next_cursor"].as_str().unwrap())).await.json(200);
    assert_eq!(last, json!({ "entries": [], "next_cursor": null }));
    for wrong in ["?limit=0", "?limit=101", "?cursor=x", "?cursor=AAAAAAAAAAA", "?surprise=1"] {
        page(wrong).await.problem(400, "malformed_request");
    }
}
