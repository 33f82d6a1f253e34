//! The watcher is killed, in part or with others: somebody always stops the server in the end.

use std::{fs, path::Path, time::Duration};

use guiche_adapter_embedded_postgres::{EmbeddedPostgres, Options};
use tokio::time::Instant;

use crate::support::{
    Holder, World, alive, ask, children, eventually, kill, kill_the_server, processes, remember, remembers,
    status,
};

/// The part of the watcher that waits for the last sharer, once it has its `flock`.
async fn waiting_part(world: &World) -> u32 {
    let (watcher, server) = (world.watcher(), world.postmaster());
    let find = || children(watcher).into_iter().find(|pid| *pid != server && !children(*pid).is_empty());
    eventually("the waiting part waits", || async { find().is_some() }).await;
    find().unwrap()
}

#[tokio::test]
async fn perl_will_do_where_flock_is_missing() {
    let world = World::new();
    let programs = world.path("programs");
    fs::create_dir(&programs).unwrap();
    for program in ["cat", "chmod", "mkdir", "mv", "perl", "rm", "sed", "sleep", "tail", "wc"] {
        let found = ["/usr/bin", "/bin"]
            .iter()
            .map(|directory| Path::new(directory).join(program))
            .find(|path| path.exists());
        let Some(found) = found else {
            assert_eq!(program, "perl", "every system has it");
            // Then this system cannot tell.
            return;
        };
        std::os::unix::fs::symlink(found, programs.join(program)).unwrap();
    }
    let mut holder =
        Holder::spawn_with_path(world.home(), world.path("fallback"), programs.clone().into_os_string());
    let pid: u32 = holder.ready().parse().unwrap();
    let second = world.start().await;
    holder.kill();
    assert_eq!(ask(&second, "SELECT 1").await, "1");
    assert_eq!(world.postmaster(), pid);
    drop(second);
    eventually("the server has gone down by itself", || async { !alive(pid) }).await;
    assert!(world.log().contains("database system is shut down"), "{}", world.log());

    // Without either, the start says so, and is in nobody's way.
    fs::remove_file(programs.join("perl")).unwrap();
    let hopeless = Holder::spawn_with_path(world.home(), world.path("fallback"), programs.into_os_string());
    eventually("the log says so", || async { world.log().contains("neither flock nor perl is installed") })
        .await;
    let server = world.start().await;
    assert_eq!(ask(&server, "SELECT 1").await, "1");
    drop(hopeless);
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
        eventually("there is a new watcher", || async {
            server.ensure_running().await.unwrap();
            world.watcher() != old
        })
        .await;
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
    kill("KILL", &waiting_part(&world).await.to_string());
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
    let (watcher, waiting) = (world.watcher(), waiting_part(&world).await);
    kill("STOP", &format!("-{watcher}"));
    kill("KILL", &waiting.to_string());
    kill("KILL", &watcher.to_string());
    holder.kill();
    // Everybody who is left, the one that waits for the lock included: stopped, it would keep it.
    kill("CONT", &format!("-{watcher}"));
    let server = world.start().await;
    assert_eq!(ask(&server, "SELECT 1").await, "1");
    assert_eq!(world.postmaster(), pid);
    server.shutdown().await.unwrap();
    assert!(!alive(pid));
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

/// Sharer, watcher, its waiting part, the `flock` that this waits for, and the server: whichever of them die together.
#[tokio::test]
async fn every_combination_of_deaths_is_survived() {
    let world = World::new();
    remember(&world.start().await).await;
    for deaths in 0_u32..32 {
        let mut holder = world.hold();
        holder.ready();
        let (watcher, waiting, server) = (world.watcher(), waiting_part(&world).await, world.postmaster());
        let flock = children(waiting)[0];
        let chosen = [watcher, waiting, flock, server];
        let chosen =
            chosen.iter().enumerate().filter(|(bit, _)| deaths & (1 << bit) != 0).map(|(_, pid)| *pid);
        let chosen: Vec<u32> = chosen.collect();
        if !chosen.is_empty() {
            kill("KILL", &chosen.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
        }
        let mut holder = Some(holder);
        if deaths & 16 != 0 {
            holder.take().unwrap().kill();
        }
        eventually("they are dead", || async { !chosen.iter().any(|pid| alive(*pid)) }).await;

        let begun = Instant::now();
        let ours = world.start().await;
        remembers(&ours).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(8), "combination {deaths:05b}: {took:?}");
        drop(holder);
        ours.shutdown().await.unwrap();
        eventually("nothing is left", || async {
            let mut left = processes().into_iter().filter(|pid| alive(*pid));
            !left.any(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == world.data()))
        })
        .await;
        println!("combination {deaths:05b}: started in {} ms", took.as_millis());
    }
}
