//! Whatever is killed: no orphan for ever, no start that fails, no data lost.

use std::{fs, process::Command, time::Duration};

use guiche_adapter_embedded_postgres::{EmbeddedPostgres, Options};
use tokio::time::Instant;
use tokio_postgres::NoTls;

use crate::support::{World, alive, ask, children, eventually, kill, processes, status, try_ask};

/// What a crash must not take along.
async fn remember(server: &EmbeddedPostgres) {
    ask(server, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await;
}

async fn remembers(server: &EmbeddedPostgres) {
    assert_eq!(ask(server, "SELECT sum(n) FROM kept").await, "7");
}

async fn kill_the_server(world: &World) {
    let pid = world.postmaster();
    kill("KILL", &pid.to_string());
    eventually("the server is dead", || async { !alive(pid) }).await;
}

/// Kills watcher and server together, as a power cut would, but for the sessions.
async fn kill_the_group(world: &World) {
    let pid = world.postmaster();
    kill("KILL", &format!("-{}", world.watcher()));
    eventually("the server is dead", || async { !alive(pid) }).await;
}

/// The part of the watcher that waits for the last sharer.
fn waiting_part(world: &World) -> u32 {
    let (watcher, server) = (world.watcher(), world.postmaster());
    *children(watcher).iter().find(|pid| **pid != server).expect("the waiting part")
}

#[tokio::test]
async fn a_killed_process_leaves_no_server() {
    let world = World::new();
    let mut holder = world.hold();
    let pid: u32 = holder.ready().parse().unwrap();
    holder.kill();
    eventually("the server has gone down by itself", || async { !alive(pid) }).await;
    assert!(world.log().contains("database system is shut down"), "{}", world.log());
    let server = world.start().await;
    assert_eq!(ask(&server, "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_process_killed_while_it_starts_leaves_nothing_in_the_way() {
    let world = World::new();
    // In the middle of initdb, around the rename, in the middle of the server's start.
    for step in ["lock/start", "data.new", "data.new", "data/PG_VERSION", "data/postmaster.pid"] {
        let holder = world.hold();
        eventually(step, || async {
            let home = fs::read_dir(world.home()).into_iter().flatten().flatten();
            let mut names = home.filter_map(|entry| entry.file_name().into_string().ok());
            world.home().join(step).exists()
                || names.any(|name| name.starts_with(step))
                || world.data().exists()
        })
        .await;
        holder.kill();
    }
    let server = world.start().await;
    remember(&server).await;
    server.shutdown().await.unwrap();
    let left: Vec<_> = fs::read_dir(world.home()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("data.new")), "{left:?}");
    remembers(&world.start().await).await;
}

#[tokio::test]
async fn a_killed_server_is_brought_back_with_its_data() {
    let world = World::new();
    let server = world.start().await;
    let other = world.start().await;
    remember(&server).await;
    for _ in 0..3 {
        let pid = world.postmaster();
        kill_the_server(&world).await;
        let begun = Instant::now();
        let (one, two) = tokio::join!(server.ensure_running(), other.ensure_running());
        one.unwrap();
        two.unwrap();
        println!("brought back in {} ms", begun.elapsed().as_millis());
        remembers(&server).await;
        assert_ne!(world.postmaster(), pid);
    }
    drop(other);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn supervision_brings_a_killed_server_back_and_ends_with_the_share() {
    let world = World::new();
    let server = world.start().await;
    let supervision = tokio::spawn(server.supervise());
    remember(&server).await;
    kill_the_server(&world).await;
    eventually("the server is back", || async {
        try_ask(&server.superuser_url("postgres"), "SELECT 1").await.is_ok_and(|answer| answer == "1")
    })
    .await;
    remembers(&server).await;
    server.shutdown().await.unwrap();
    supervision.await.unwrap();
}

#[tokio::test]
async fn a_crash_of_one_session_is_the_servers_own_affair() {
    let world = World::new();
    let server = world.start().await;
    remember(&server).await;
    let pid = world.postmaster();
    let url = server.superuser_url("postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let session: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    kill("KILL", &session.to_string());
    assert!(connection.await.unwrap().is_err());
    server.ensure_running().await.unwrap();
    eventually("the server has recovered", || async { try_ask(&url, "SELECT 1").await.is_ok() }).await;
    remembers(&server).await;
    assert_eq!(world.postmaster(), pid);
}

#[tokio::test]
async fn sessions_that_outlive_their_server_do_not_block_its_return() {
    let world = World::new();
    let server = world.start().await;
    remember(&server).await;
    let (client, connection) =
        tokio_postgres::connect(&server.superuser_url("postgres"), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let session: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let session = u32::try_from(session).unwrap();
    // Busy, so that it does not notice the death of its server.
    let busy = tokio::spawn(async move {
        let endless = "DO $$ DECLARE n int8 := 0; BEGIN LOOP n := n + 1; END LOOP; END $$";
        client.batch_execute(endless).await
    });
    let url = server.superuser_url("postgres");
    eventually("the session is busy", || async {
        try_ask(&url, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'")
            .await
            .is_ok_and(|count| count == "1")
    })
    .await;
    kill_the_server(&world).await;
    server.ensure_running().await.unwrap();
    remembers(&server).await;
    assert!(!alive(session), "the orphaned session has been ended");
    assert!(busy.await.unwrap().is_err());
    let _ = connection.await.unwrap();
}

#[tokio::test]
async fn a_killed_watcher_is_missed_by_nobody() {
    let world = World::new();
    let server = world.start().await;
    let pid = world.postmaster();
    kill("KILL", &world.watcher().to_string());
    eventually("the watcher is dead", || async { !alive(world.watcher()) }).await;
    server.ensure_running().await.unwrap();
    assert_eq!(ask(&server, "SELECT 1").await, "1");
    assert_eq!(world.postmaster(), pid);
    drop(server);
    eventually("its other half stops the server", || async { !alive(pid) }).await;
    assert!(world.log().contains("database system is shut down"), "{}", world.log());
    world.start().await.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_server_without_any_watcher_is_adopted() {
    let world = World::new();
    let server = world.start().await;
    remember(&server).await;
    let pid = world.postmaster();
    for _ in 0..2 {
        // Twice: an adopting watcher can be killed too.
        let old = world.watcher();
        for part in children(old).into_iter().filter(|part| *part != pid) {
            kill("KILL", &part.to_string());
        }
        kill("KILL", &old.to_string());
        eventually("the watcher is dead", || async { !alive(old) }).await;
        server.ensure_running().await.unwrap();
        eventually("there is a new watcher", || async { world.watcher() != old }).await;
    }
    assert_eq!(world.postmaster(), pid, "the server itself went on");
    server.shutdown().await.unwrap();
    assert!(!alive(pid));
    remembers(&world.start().await).await;
}

#[tokio::test]
async fn the_waiting_part_alone_is_replaced() {
    let world = World::new();
    let server = world.start().await;
    let pid = world.postmaster();
    kill("KILL", &waiting_part(&world).to_string());
    let old = world.watcher();
    eventually("there is a new watcher", || async {
        server.ensure_running().await.unwrap();
        world.watcher() != old
    })
    .await;
    assert_eq!(world.postmaster(), pid);
    server.shutdown().await.unwrap();
    eventually("the old half is gone too", || async { !alive(old) }).await;
}

#[tokio::test]
async fn an_adopted_server_that_dies_is_replaced() {
    let world = World::new();
    let server = world.start().await;
    remember(&server).await;
    let old = world.watcher();
    for part in children(old).into_iter().filter(|part| *part != world.postmaster()) {
        kill("KILL", &part.to_string());
    }
    kill("KILL", &old.to_string());
    eventually("it is adopted", || async {
        server.ensure_running().await.unwrap();
        world.watcher() != old
    })
    .await;
    // Its watcher is not its parent and does not notice.
    kill_the_server(&world).await;
    server.ensure_running().await.unwrap();
    remembers(&server).await;
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_orphan_without_process_and_watcher_is_shared_by_the_next_start() {
    let world = World::new();
    let mut holder = world.hold();
    let pid: u32 = holder.ready().parse().unwrap();
    kill("STOP", &format!("-{}", world.watcher()));
    kill("KILL", &waiting_part(&world).to_string());
    kill("KILL", &world.watcher().to_string());
    holder.kill();
    kill("CONT", &pid.to_string());
    let server = world.start().await;
    assert_eq!(ask(&server, "SELECT 1").await, "1");
    assert_eq!(world.postmaster(), pid);
    server.shutdown().await.unwrap();
    assert!(!alive(pid));
}

#[tokio::test]
async fn everything_killed_at_once_starts_again() {
    let world = World::new();
    for round in 0..3 {
        let mut holder = world.hold();
        holder.ready();
        if round == 0 {
            remember(&world.start().await).await;
        }
        kill_the_group(&world).await;
        holder.kill();
        let begun = Instant::now();
        let server = world.start().await;
        println!("started {} ms after everything was killed", begun.elapsed().as_millis());
        remembers(&server).await;
        server.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_is_seen_through() {
    let world = World::new();
    let server = world.start().await;
    remember(&server).await;
    let file = world.data().join("postmaster.pid");
    // After a reboot the number belongs to somebody else, who may well be a server of the same user.
    let neighbour_world = World::new();
    let neighbour = neighbour_world.start().await;
    let stranger = neighbour_world.postmaster();
    // Or it still belongs to the dead server, because nobody has reaped that.
    let mut dead = Command::new("true").spawn().unwrap();
    eventually("it is dead", || async { !alive(dead.id()) }).await;
    for number in [stranger, dead.id()] {
        let text = fs::read_to_string(&file).unwrap();
        kill_the_group(&world).await;
        let (_, rest) = text.split_once('\n').unwrap();
        fs::write(&file, format!("{number}\n{rest}")).unwrap();
        server.ensure_running().await.unwrap();
        remembers(&server).await;
    }
    assert_eq!(ask(&neighbour, "SELECT 1").await, "1");
    assert!(alive(stranger));
    dead.wait().unwrap();
}

#[tokio::test]
async fn a_polite_shutdown_from_outside_does_not_lock_sharers_out() {
    let world = World::new();
    let server = world.start().await;
    remember(&server).await;
    let (client, connection) =
        tokio_postgres::connect(&server.superuser_url("postgres"), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let old = world.postmaster();
    // "Smart" shutdown: nobody new gets in, and it lasts for as long as this session.
    kill("TERM", &old.to_string());
    eventually("it refuses", || async {
        try_ask(&server.superuser_url("postgres"), "SELECT 1").await.is_err()
    })
    .await;
    server.ensure_running().await.unwrap();
    remembers(&server).await;
    assert_ne!(world.postmaster(), old);
    drop(client);
    let _ = connection.await.unwrap();
}

#[tokio::test]
async fn a_lost_socket_is_replaced() {
    let world = World::new();
    let server = world.start().await;
    remember(&server).await;
    fs::remove_file(server.socket_directory().join(".s.PGSQL.5432")).unwrap();
    server.ensure_running().await.unwrap();
    remembers(&server).await;
}

#[tokio::test]
async fn a_signal_to_the_whole_group_loses_nobody() {
    let world = World::new();
    let server = world.start().await;
    let pid = world.postmaster();
    // What a service manager sends to everybody; the server takes it for a polite request to end.
    kill("TERM", &format!("-{}", world.watcher()));
    eventually("the server has ended", || async { !alive(pid) }).await;
    drop(server);
    let begun = Instant::now();
    let server = world.start().await;
    assert_eq!(ask(&server, "SELECT 1").await, "1");
    assert!(begun.elapsed() < Duration::from_secs(10));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn nothing_of_us_stays_behind() {
    let world = World::new();
    let server =
        EmbeddedPostgres::start(Options { linger: Duration::from_secs(1), ..world.options() }).await.unwrap();
    let group = world.watcher();
    kill_the_server(&world).await;
    server.ensure_running().await.unwrap();
    let next = world.watcher();
    drop(server);
    world.stopped().await;
    eventually("both groups are empty", || async {
        !processes()
            .iter()
            .any(|pid| [group, next].iter().any(|group| status(*pid, "NSpgid:") == Some(*group)))
    })
    .await;
}
