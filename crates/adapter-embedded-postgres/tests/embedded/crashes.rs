//! Processes and servers are killed: no orphan for ever, no start that fails, no data lost.

use std::{fs, process::Command};

use tokio::time::Instant;
use tokio_postgres::NoTls;

use crate::support::{
    World, alive, ask, eventually, kill, kill_the_group, kill_the_server, remember, remembers, try_ask,
};

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
    // The server ends every other session when it notices the crash; before that it answers as if nothing had happened.
    let (_witness, witnessed) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    kill("KILL", &session.to_string());
    assert!(connection.await.unwrap().is_err());
    assert!(witnessed.await.is_err());
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
