//! Sessions: refreshing, signing out, running out, and their end by a new password.

use serde_json::{Value, json};

use crate::client::{Answer, faults};
use crate::support::{PASSWORD, TestApp, User, text};

const DAY: u64 = 86_400;
const OTHER_PASSWORD: &str = "a horse of another colour";

async fn change_password(app: &TestApp, token: &str, current: &str, new: &str) -> Answer {
    let body = json!({ "current_password": current, "new_password": new });
    app.put("/api/v1/auth/password").token(token).body(&body).send().await
}

async fn another_session(app: &TestApp, user: &User) -> Value {
    app.login(&user.email, PASSWORD).await.json(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_family() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let other = another_session(&app, &user).await;

    let answer = app.refresh(&user.refresh).await;
    let second = answer.json(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (access, refresh) = (text(&second, "access_token"), text(&second, "refresh_token"));
    assert_eq!(
        second,
        json!({ "access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": 1800 })
    );
    assert!(refresh != user.refresh && access != user.token);
    app.me(&access).await.json(200);
    let third = text(&app.refresh(&refresh).await.json(200), "refresh_token");

    app.refresh(&user.refresh).await.problem(401, "invalid_refresh_token");
    // Whoever holds the newest token may be the thief, so it is dead too.
    app.refresh(&third).await.problem(401, "invalid_refresh_token");
    app.refresh(&refresh).await.problem(401, "invalid_refresh_token");
    // Access tokens live until they expire, and another session of the same person is another family.
    app.me(&access).await.json(200);
    app.me(&user.token).await.json(200);
    app.refresh(&text(&other, "refresh_token")).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_refreshes_at_once_one_wins_and_the_family_ends() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let answers = futures::future::join_all((0..20).map(|_| app.refresh(&user.refresh))).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(won.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem(401, "invalid_refresh_token");
    }
    let newest = text(&won[0].value(), "refresh_token");
    app.refresh(&newest).await.problem(401, "invalid_refresh_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_refresh_token_gets_the_same_answer() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let unknown = format!("grt_{}", "A".repeat(43));
    app.refresh(&user.refresh).await.json(200);
    let mut bodies = Vec::new();
    for token in ["", "x", &unknown, &user.token, &user.refresh] {
        let call = app.post("/api/v1/auth/refresh").header("x-request-id", "the-same");
        let answer = call.body(&json!({ "refresh_token": token })).send().await;
        answer.problem(401, "invalid_refresh_token");
        bodies.push(answer.bytes);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    // It belongs into the body; in a query it would stand in every access log.
    let answer =
        app.post(&format!("/api/v1/auth/refresh?refresh_token={unknown}")).body(&json!({})).send().await;
    assert_eq!(answer.problem(400, "missing_required_fields")["missing"], json!(["refresh_token"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_runs_out_after_seven_days() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let other = another_session(&app, &user).await;
    app.world.advance(7 * DAY - 1);
    let renewed = text(&app.refresh(&user.refresh).await.json(200), "refresh_token");
    app.world.advance(1);
    app.refresh(&text(&other, "refresh_token")).await.problem(401, "invalid_refresh_token");
    // The seven days of the renewed one began a second ago.
    app.world.advance(7 * DAY - 2);
    let renewed = text(&app.refresh(&renewed).await.json(200), "refresh_token");
    app.world.advance(7 * DAY);
    app.refresh(&renewed).await.problem(401, "invalid_refresh_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_runs_out_after_thirty_minutes() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.world.advance(1799);
    app.me(&user.token).await.json(200);
    app.world.advance(1);
    let answer = app.me(&user.token).await;
    answer.problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"guiche\", error=\"invalid_token\""));
    let renewed = app.refresh(&user.refresh).await.json(200);
    app.me(&text(&renewed, "access_token")).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_family_and_nothing_else() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let other = another_session(&app, &user).await;
    let renewed = text(&app.refresh(&user.refresh).await.json(200), "refresh_token");
    let logout = async |token: &str| {
        app.post("/api/v1/auth/logout").body(&json!({ "refresh_token": token })).send().await.empty();
    };
    // A spent token names its family as well as the newest.
    logout(&user.refresh).await;
    app.refresh(&renewed).await.problem(401, "invalid_refresh_token");
    app.refresh(&text(&other, "refresh_token")).await.json(200);
    app.me(&user.token).await.json(200);
    for again in [&user.refresh, &renewed, "nonsense", ""] {
        logout(again).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_every_session_on_every_replica() {
    let app = TestApp::start().await;
    let replica = app.world.serve().await;
    let user = app.user().await;
    let other = another_session(&replica, &user).await;
    let stranger = app.user().await;
    for app in [&app, &replica] {
        app.me(&user.token).await.json(200);
    }

    change_password(&app, &user.token, PASSWORD, OTHER_PASSWORD).await.empty();

    for app in [&replica, &app] {
        for token in [&user.token, &text(&other, "access_token")] {
            let answer = app.me(token).await;
            answer.problem(401, "unauthorized");
            let challenge = "Bearer realm=\"guiche\", error=\"invalid_token\"";
            assert_eq!(answer.header("www-authenticate"), Some(challenge));
        }
        for token in [&user.refresh, &text(&other, "refresh_token")] {
            app.refresh(token).await.problem(401, "invalid_refresh_token");
        }
        app.login(&user.email, PASSWORD).await.problem(401, "invalid_credentials");
        let tokens = app.login(&user.email, OTHER_PASSWORD).await.json(200);
        app.me(&text(&tokens, "access_token")).await.json(200);
        app.me(&stranger.token).await.json(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_change_that_is_refused_changes_nothing() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let before = app.world.contents().await;
    change_password(&app, &user.token, "not the password", OTHER_PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    let too_long = "0123456789ab".repeat(7);
    for (new, code) in [
        ("short", "too_short"),
        ("password123", "too_common"),
        (&too_long, "too_long"),
        (&user.email, "is_the_email"),
        (PASSWORD, "unchanged"),
    ] {
        let answer = change_password(&app, &user.token, PASSWORD, new).await;
        assert_eq!(answer.faults(422, "invalid_fields"), faults(&[("/new_password", code)]), "{new}");
    }
    let missing = app.put("/api/v1/auth/password").token(&user.token).body(&json!({})).send().await;
    assert_eq!(
        missing.problem(400, "missing_required_fields")["missing"],
        json!(["current_password", "new_password"])
    );
    assert_eq!(app.world.contents().await, before);
    app.me(&user.token).await.json(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_password_changes_at_once_one_wins() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let new = |n| format!("the new password {n}");
    let changes = (0..8).map(|n| {
        let (app, user) = (&app, &user);
        async move { change_password(app, &user.token, PASSWORD, &new(n)).await }
    });
    let answers = futures::future::join_all(changes).await;
    let won: Vec<usize> = (0..8).filter(|n| answers[*n].status == 204).collect();
    let [winner] = won[..] else { panic!("{answers:?}") };
    for answer in answers.iter().filter(|answer| answer.status != 204) {
        answer.problem(401, "unauthorized");
    }
    app.login(&user.email, &new(winner)).await.json(200);
    app.me(&user.token).await.problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_have_ended_are_forgotten_and_living_ones_kept() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.world.advance(89 * DAY);
    let living = another_session(&app, &user).await;
    app.prune().await;
    assert_eq!(
        app.world.count("sessions").await,
        2,
        "the first may still be reused, and must then be noticed"
    );
    app.world.advance(2 * DAY);
    app.prune().await;
    assert_eq!(app.world.count("sessions").await, 1);
    app.refresh(&user.refresh).await.problem(401, "invalid_refresh_token");
    app.refresh(&text(&living, "refresh_token")).await.json(200);
}
