//! Live status: whoever follows a ticket sees where it stands and every change, whichever replica made it, and whatever
//! happens to the line on which replicas hear of it; and no longer than they may.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guiche_app::system::SystemClock;
use guiche_kernel::testing::ManualClock;
use guiche_kernel::{Clock as _, Timer};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::pushes::{invoice_id, push};
use crate::support::{PASSWORD, TestApp, User, World, path_of, text};

/// What is heard within this time is not heard at all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Streams of one account.
const MOST: usize = 20;

/// Sleeps on the world's clock: it passes when the test says so.
struct Sleepers {
    clock: Arc<ManualClock>,
    moved: watch::Sender<u32>,
}

impl Sleepers {
    fn of(world: &World) -> Arc<Self> {
        Arc::new(Self { clock: Arc::clone(&world.clock), moved: watch::Sender::new(0) })
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.moved.send_modify(|times| *times += 1);
    }
}

#[async_trait]
impl Timer for Sleepers {
    async fn sleep(&self, duration: Duration) {
        let mut moved = self.moved.subscribe();
        let until = self.clock.now() + duration;
        while self.clock.now() < until {
            moved.changed().await.unwrap();
        }
    }
}

/// What comes out of a stream.
#[derive(Debug, PartialEq)]
enum Heard {
    Ticket { version: String, ticket: Value },
    Comment,
    End,
}

/// An open stream, read as a browser reads it.
struct Feed {
    response: reqwest::Response,
    text: String,
}

impl Feed {
    async fn next(&mut self) -> Heard {
        tokio::time::timeout(PATIENCE, self.block()).await.expect("nothing was heard")
    }

    /// The next event, which is about a ticket: its version and its status.
    async fn status(&mut self) -> (u64, String) {
        match self.next().await {
            Heard::Ticket { version, ticket } => (version.parse().unwrap(), text(&ticket, "payment_status")),
            other @ (Heard::Comment | Heard::End) => panic!("{other:?}"),
        }
    }

    async fn block(&mut self) -> Heard {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                match block.as_str() {
                    ":" => return Heard::Comment,
                    "retry: 2000" => {}
                    event => return parsed(event),
                }
            } else if let Some(chunk) = self.response.chunk().await.expect("the stream broke off") {
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            } else {
                assert_eq!(self.text, "", "half an event");
                return Heard::End;
            }
        }
    }
}

#[track_caller]
fn parsed(event: &str) -> Heard {
    let lines: Vec<&str> = event.lines().collect();
    let [kind, id, data] = lines[..] else { panic!("{event:?}") };
    assert_eq!(kind, "event: ticket");
    let ticket = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    Heard::Ticket { version: id.strip_prefix("id: ").unwrap().to_owned(), ticket }
}

impl TestApp {
    async fn stream(&self, user: &User, opened: &Value, last: Option<&str>) -> reqwest::Response {
        let url = format!("http://{}{}", self.address, path_of(opened, "/events"));
        let mut request = self.client.get(url).bearer_auth(&user.token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        request.send().await.unwrap()
    }

    async fn follow(&self, user: &User, opened: &Value) -> Feed {
        self.follow_from(user, opened, None).await
    }

    async fn follow_from(&self, user: &User, opened: &Value, last: Option<&str>) -> Feed {
        let response = self.stream(user, opened, last).await;
        assert_eq!(response.status(), 200);
        Feed { response, text: String::new() }
    }
}

async fn change_password(app: &TestApp, user: &User) {
    let body = json!({ "current_password": PASSWORD, "new_password": "a horse of another colour" });
    app.put("/api/v1/auth/password").token(&user.token).body(&body).send().await.empty();
}

fn status(version: u64, status: &str) -> (u64, String) {
    (version, status.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_present_state_comes_at_once_as_lists_show_it() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let mut feed = app.follow(&user, &opened).await;
    let headers = feed.response.headers().clone();
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
        ("x-content-type-options", "nosniff"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(headers.get(name).unwrap_or_else(|| panic!("{name}")), value);
    }
    assert!(headers.contains_key("x-request-id") && !headers.contains_key("content-encoding"));
    let listed = app.get("/api/v1/tickets").token(&user.token).send().await.json(200);
    let expected = Heard::Ticket { version: "1".to_owned(), ticket: listed["tickets"][0].clone() };
    assert_eq!(feed.next().await, expected);
    let head = app.call("HEAD", &path_of(&opened, "/events")).token(&user.token).send().await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_made_on_another_replica_appears_on_every_stream() {
    let world = World::new().await;
    let (here, there) = (world.serve().await, world.serve().await);
    let user = here.user().await;
    let (followed, other) = (here.open(&user).await, here.open(&user).await);
    let mut one = here.follow(&user, &followed).await;
    let mut two = here.follow(&user, &followed).await;
    let mut elsewhere = there.follow(&user, &followed).await;
    for feed in [&mut one, &mut two, &mut elsewhere] {
        assert_eq!(feed.status().await, status(1, "pending"));
    }
    let preimage = text(&here.pay(&other, "").await.json(200), "preimage");
    assert_eq!(there.prove(&user, &other, &preimage).await.json(200)["status"], "paid");
    here.pay(&followed, "").await.json(200);
    assert_eq!(there.act(&user, &followed, "confirm-payment").await.json(200)["status"], "paid");
    for feed in [&mut one, &mut two, &mut elsewhere] {
        assert_eq!(feed.status().await, status(2, "paid"), "and nothing of the other ticket");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_payer_asks_and_what_the_watcher_finds_appears() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let (asked, watched) = (app.open(&user).await, app.open(&user).await);
    let mut by_question = app.follow(&user, &asked).await;
    let mut by_watch = app.follow(&user, &watched).await;
    for feed in [&mut by_question, &mut by_watch] {
        assert_eq!(feed.status().await, status(1, "pending"));
    }
    app.pay(&asked, "").await.json(200);
    assert_eq!(app.act(&user, &asked, "confirm-payment").await.json(200)["status"], "paid");
    assert_eq!(by_question.status().await, status(2, "paid"));
    // A final state does not end the stream: whoever is cut off would only come back.
    app.pay(&watched, "").await.json(200);
    app.world.advance(2);
    app.watch().await;
    assert_eq!(by_watch.status().await, status(2, "paid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_appears_though_nobody_asks_and_no_look_is_due() {
    let mut app = TestApp::start().await;
    app.start_office();
    let user = app.user().await;
    let opened = app.open(&user).await;
    let mut feed = app.follow(&user, &opened).await;
    assert_eq!(feed.status().await, status(1, "pending"));
    // The clock stands still, so that of its own accord the watcher would never look.
    app.pay(&opened, "").await.json(200);
    assert_eq!(push(&app, "one", &invoice_id(&app.world, &opened).await).await.status, 202);
    assert_eq!(feed.status().await, status(2, "paid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_seen_the_present_state_gets_no_repeat() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let mut seen = app.follow_from(&user, &opened, Some("1")).await;
    // An id that was never given says that something is wrong with what the client has.
    let mut strange = app.follow_from(&user, &opened, Some("77")).await;
    assert_eq!(strange.status().await, status(1, "pending"));
    app.act(&user, &opened, "cancel").await.json(200);
    assert_eq!(seen.status().await, status(2, "cancelled"), "the first that is heard");
    assert_eq!(strange.status().await, status(2, "cancelled"));
    let mut behind = app.follow_from(&user, &opened, Some("1")).await;
    assert_eq!(behind.status().await, status(2, "cancelled"));
    for nonsense in ["", "x", "-1", "0", "1.0"] {
        let call = app.get(&path_of(&opened, "/events")).token(&user.token);
        call.header("last-event-id", nonsense).send().await.problem(400, "malformed_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_while_nobody_listens_is_not_lost() {
    let world = World::new().await;
    let app = world.serve().await;
    let user = app.user().await;
    let (followed, other) = (app.open(&user).await, app.open(&user).await);
    let mut feed = app.follow(&user, &followed).await;
    let mut unchanged = app.follow(&user, &other).await;
    for feed in [&mut feed, &mut unchanged] {
        assert_eq!(feed.status().await, status(1, "pending"));
    }
    let superuser = world.database.raw(&world.database.superuser_url()).await;
    let name = world.database.name();
    let connect = async |words: &str| {
        let sql = format!("{words} guiche_worker").replace("{name}", name);
        superuser.batch_execute(&sql).await.unwrap();
    };
    connect("REVOKE CONNECT ON DATABASE {name} FROM").await;
    let listeners = "pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    superuser.batch_execute(&format!("SELECT pg_terminate_backend(pid) FROM {listeners}")).await.unwrap();
    while world.count(listeners).await > 0 {}
    app.pay(&followed, "").await.json(200);
    assert_eq!(app.act(&user, &followed, "confirm-payment").await.json(200)["status"], "paid");
    connect("GRANT CONNECT ON DATABASE {name} TO").await;
    assert_eq!(feed.status().await, status(2, "paid"));
    // And hints are heard again.
    app.act(&user, &other, "cancel").await.json(200);
    assert_eq!(unchanged.status().await, status(2, "cancelled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_a_heartbeat_and_ends_with_its_token() {
    let world = World::new().await;
    let sleepers = Sleepers::of(&world);
    let app = world.serve_with(&[], Arc::<Sleepers>::clone(&sleepers)).await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let mut feed = app.follow(&user, &opened).await;
    assert_eq!(feed.status().await, status(1, "pending"));
    for _ in 0..2 {
        sleepers.advance(15);
        assert_eq!(feed.next().await, Heard::Comment);
    }
    sleepers.advance(30 * 60 - 31);
    assert_eq!(feed.next().await, Heard::Comment, "a second before its end");
    sleepers.advance(1);
    assert_eq!(feed.next().await, Heard::End);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_change_ends_the_streams_of_the_account_on_every_replica() {
    let world = World::new().await;
    let (here, there) = (world.serve().await, world.serve().await);
    let (ana, bob) = (here.user().await, here.user().await);
    let (anas, bobs) = (here.open(&ana).await, here.open(&bob).await);
    let mut ended = [here.follow(&ana, &anas).await, there.follow(&ana, &anas).await];
    let mut stays = here.follow(&bob, &bobs).await;
    for feed in ended.iter_mut().chain([&mut stays]) {
        assert_eq!(feed.status().await, status(1, "pending"));
    }
    change_password(&there, &ana).await;
    for feed in &mut ended {
        assert_eq!(feed.next().await, Heard::End);
    }
    here.act(&bob, &bobs, "cancel").await.json(200);
    assert_eq!(stays.status().await, status(2, "cancelled"));
    let again = here.get(&path_of(&anas, "/events")).token(&ana.token).send().await;
    again.problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_streams_before_anything_else() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let mut feed = app.follow(&user, &opened).await;
    assert_eq!(feed.status().await, status(1, "pending"));
    app.begin_shutdown();
    assert_eq!(feed.next().await, Heard::End);
    // Others are still served, and nobody follows anything any more.
    app.ticket(&user, &opened).await;
    let late = app.get(&path_of(&opened, "/events")).token(&user.token).send().await;
    late.problem(503, "timed_out");
    assert!(late.header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_follows_nothing_and_an_account_has_its_bounds() {
    let world = World::new().await;
    let sleepers = Sleepers::of(&world);
    let app = world.serve_with(&[], Arc::<Sleepers>::clone(&sleepers)).await;
    let (ana, bob) = (app.user().await, app.user().await);
    let opened = app.open(&ana).await;
    let path = path_of(&opened, "/events");
    for _ in 0..=MOST {
        // A refused call leaves nothing open.
        app.get(&path).token(&bob.token).send().await.problem(404, "ticket_not_found");
    }
    let mut feeds = Vec::new();
    for _ in 0..MOST {
        feeds.push(app.follow(&ana, &opened).await);
    }
    let refused = app.get(&path).token(&ana.token).send().await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("15"));
    let bobs = app.open(&bob).await;
    assert_eq!(app.follow(&bob, &bobs).await.status().await, status(1, "pending"));
    // Whoever goes away is noticed at a heartbeat, and makes room.
    feeds.pop();
    let mut again = loop {
        let response = app.stream(&ana, &opened, None).await;
        if response.status() == 200 {
            break Feed { response, text: String::new() };
        }
        sleepers.advance(15);
    };
    assert_eq!(again.status().await, status(1, "pending"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_counts_as_one_request() {
    let world = World::new().await;
    let app = world.serve_with(&[("RATE_LIMIT_ACCOUNT", "3/3600")], Arc::new(SystemClock)).await;
    let user = app.user().await;
    let opened = app.open(&user).await;
    let mut feed = app.follow(&user, &opened).await;
    assert_eq!(feed.status().await, status(1, "pending"));
    assert!(feed.response.headers().contains_key("ratelimit"));
    app.act(&user, &opened, "cancel").await.json(200);
    assert_eq!(feed.status().await, status(2, "cancelled"), "what is sent costs no quota");
    app.get(&path_of(&opened, "/events")).token(&user.token).send().await.problem(429, "rate_limited");
}
