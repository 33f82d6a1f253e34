//! `kill -9` at every stage of a first start: the next one begins where it must, and ends well.

use std::time::{Duration, Instant};

use crate::books::Books;
use crate::process::{App, START, World};
use crate::support::{Chance, eventually};

/// A stage of a first start, and how it is seen from outside.
type Stage = (&'static str, fn(&World, &App) -> bool);

const STAGES: [Stage; 6] = [
    ("secrets", |world, _| world.data().join("secrets").exists()),
    ("half a cluster", |world, _| {
        let home = std::fs::read_dir(world.postgres()).into_iter().flatten().flatten();
        home.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("data.new"))
    }),
    ("a cluster", |world, _| world.postgres().join("data").exists()),
    ("a server", |_, app| app.log().contains("private PostgreSQL is running")),
    ("a schema", |_, app| app.log().contains("the database ")),
    ("an address", |_, app| app.log().contains("listening")),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_may_be_killed_at_any_moment() {
    let mut chance = Chance::announced("first start");
    let world = World::new();
    for (stage, reached) in STAGES.iter().flat_map(|stage| [stage; 2]) {
        let mut app = world.spawn(&["serve"]);
        eventually(stage, START, async || reached(&world, &app).then_some(())).await;
        // Not a wait for anything: the moment of the kill.
        tokio::time::sleep(Duration::from_millis(chance.below(150))).await;
        app.kill();
    }
    let begun = Instant::now();
    let app = world.ready().await;
    println!(
        "a first start killed {} times: ready after {} ms",
        2 * STAGES.len(),
        begun.elapsed().as_millis()
    );
    let citizen = app.office().register("ana").await;
    app.office().journey(&citizen).await;
    Books::of(&world).await.audit().await;
}
