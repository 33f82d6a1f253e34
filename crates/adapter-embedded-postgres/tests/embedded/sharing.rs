//! Starting, sharing and stopping.

use std::time::Instant;

use guiche_adapter_embedded_postgres::{EmbeddedPostgres, Options};

use crate::support::{World, alive, ask, eventually, try_ask};

#[tokio::test]
async fn data_survives_a_restart() {
    let world = World::new();
    let begun = Instant::now();
    let server = world.start().await;
    println!("first start: {} ms", begun.elapsed().as_millis());
    ask(&server, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await;
    let pid = world.postmaster();
    let begun = Instant::now();
    server.shutdown().await.unwrap();
    println!("stop: {} ms", begun.elapsed().as_millis());
    assert!(!alive(pid), "shutdown of the last share waits for the server's end");
    assert!(world.log().contains("database system is shut down"), "{}", world.log());

    let begun = Instant::now();
    let server = world.start().await;
    println!("later start: {} ms", begun.elapsed().as_millis());
    assert_eq!(ask(&server, "SELECT n FROM kept").await, "7");
    let begun = Instant::now();
    let other = world.start().await;
    println!("start beside a running server: {} ms", begun.elapsed().as_millis());
    drop(other);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_server_is_durable_checked_and_unreachable_by_network() {
    let world = World::new();
    let settings = vec![("listen_addresses".into(), "*".into()), ("work_mem".into(), "5MB".into())];
    let server = EmbeddedPostgres::start(Options { settings, ..world.options() }).await.unwrap();
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("unix_socket_permissions", "0700"),
        ("work_mem", "5MB"),
    ] {
        assert_eq!(ask(&server, &format!("SHOW {setting}")).await, value, "{setting}");
    }
    assert_eq!(ask(&server, "SELECT current_user").await, "postgres");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_throwaway_server_is_fast_and_lingers() {
    let world = World::new();
    let options = Options { fallback_base: world.path("fallback"), ..Options::throwaway(world.home()) };
    let server = EmbeddedPostgres::start(options.clone()).await.unwrap();
    assert_eq!(ask(&server, "SHOW fsync").await, "off");
    let pid = world.postmaster();
    server.shutdown().await.unwrap();
    let server =
        EmbeddedPostgres::start(Options { linger: std::time::Duration::ZERO, ..options }).await.unwrap();
    assert_eq!(world.postmaster(), pid, "the next process finds the same server");
    drop(server);
}

#[tokio::test]
async fn a_lingering_server_stops_in_the_end() {
    let world = World::new();
    let options = Options { linger: std::time::Duration::from_secs(1), ..world.options() };
    drop(EmbeddedPostgres::start(options.clone()).await.unwrap());
    world.stopped().await;
    let server = EmbeddedPostgres::start(options).await.unwrap();
    assert_eq!(ask(&server, "SELECT 1").await, "1");
}

#[tokio::test]
async fn the_server_stops_with_its_last_share_and_not_before() {
    let world = World::new();
    let first = world.start().await;
    let second = world.start().await;
    let pid = world.postmaster();
    first.shutdown().await.unwrap();
    assert_eq!(ask(&second, "SELECT 1").await, "1");
    assert_eq!(world.postmaster(), pid);
    drop(second);
    world.stopped().await;
}

#[tokio::test]
async fn a_newcomer_during_the_stop_gets_a_new_server() {
    let world = World::new();
    drop(world.start().await);
    for round in 0..10 {
        // The watcher is stopping the server, or is about to, while this one arrives.
        let server = world.start().await;
        assert_eq!(ask(&server, "SELECT 1").await, "1", "round {round}");
        drop(server);
    }
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_processes_and_eight_tasks_start_one_cluster() {
    let world = World::new();
    let mut holders: Vec<_> = (0..8).map(|_| world.hold()).collect();
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(EmbeddedPostgres::start(world.options()))).collect();
    let mut servers = Vec::new();
    for task in tasks {
        servers.push(task.await.unwrap().unwrap());
    }
    let pid = world.postmaster().to_string();
    for holder in &mut holders {
        assert_eq!(holder.ready(), pid);
    }
    assert_eq!(world.log().matches("listening on Unix socket").count(), 1, "{}", world.log());
    drop(servers);
    for holder in holders {
        assert!(world.data().join("postmaster.pid").exists());
        holder.kill();
    }
    world.stopped().await;
}

#[tokio::test]
async fn roles_and_database_are_prepared_once_for_each_run_of_the_server() {
    let world = World::new();
    let sql = "DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
               CREATE TABLE IF NOT EXISTS runs (n int); INSERT INTO runs VALUES (1)";
    let options = Options {
        bootstrap_sql: Some(sql.into()),
        database: Some(("the \"office\"".into(), "clerk".into())),
        ..world.options()
    };
    let server = EmbeddedPostgres::start(options.clone()).await.unwrap();
    let again = EmbeddedPostgres::start(options.clone()).await.unwrap();
    assert_eq!(ask(&server, "SELECT count(*) FROM runs").await, "1");
    let url = server.url("clerk", "the \"office\"");
    assert_eq!(
        try_ask(&url, "SELECT current_user || current_database()").await.unwrap(),
        "clerkthe \"office\""
    );
    drop(again);
    server.shutdown().await.unwrap();
    let server = EmbeddedPostgres::start(options).await.unwrap();
    assert_eq!(ask(&server, "SELECT count(*) FROM runs").await, "2");
}

#[tokio::test]
async fn refused_bootstrap_says_why_and_leaves_no_server() {
    let world = World::new();
    let options = Options { bootstrap_sql: Some("SELECT nonsense".into()), ..world.options() };
    let error = EmbeddedPostgres::start(options).await.unwrap_err().to_string();
    assert!(error.contains("column \"nonsense\" does not exist (42703)"), "{error}");
    world.stopped().await;
}

#[tokio::test]
async fn a_refused_setting_shows_the_last_lines_of_the_log() {
    let world = World::new();
    let options = Options { settings: vec![("no_such_setting".into(), "1".into())], ..world.options() };
    let error = EmbeddedPostgres::start(options).await.unwrap_err().to_string();
    assert!(
        error.contains("server.log") && error.contains("no_such_setting") && !error.contains('\n'),
        "{error}"
    );
    // And nothing of it is in the way of the next start.
    let server = world.start().await;
    assert_eq!(ask(&server, "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_start_that_is_given_up_leaves_no_server() {
    let world = World::new();
    world.start().await.shutdown().await.unwrap();
    for _ in 0..20 {
        let given_up = tokio::time::timeout(
            std::time::Duration::from_millis(15),
            EmbeddedPostgres::start(world.options()),
        );
        drop(given_up.await);
    }
    eventually("nothing runs", || async { !world.data().join("postmaster.pid").exists() }).await;
    let server = world.start().await;
    assert_eq!(ask(&server, "SELECT 1").await, "1");
}
