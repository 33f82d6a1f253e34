//! What must not start does not: an exit code, one clear line, nothing served.

use std::net::TcpListener;

use crate::cluster::Cluster;
use crate::process::{Ended, World};

/// It ended with that code, said these words, and never listened. A failure is one line; a configuration is refused with
/// a line for each reason.
fn assert_refused(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
    assert!(!ended.stderr.contains("listening"), "{ended:?}");
    // Log lines are JSON here; what is left is what was said to whoever started it.
    let said: Vec<&str> = ended.stderr.lines().filter(|line| !line.starts_with('{')).collect();
    let kind = if code == 2 { "configuration: " } else { "error: " };
    assert!(!said.is_empty() && said.iter().all(|line| line.starts_with(kind)), "{ended:?}");
    assert!(code == 2 || said.len() == 1, "{ended:?}");
    for word in words {
        assert!(said.iter().any(|line| line.contains(word)), "{word:?} is not in {said:?}");
    }
}

#[tokio::test]
async fn logins_that_row_level_security_does_not_bind_are_refused() {
    let cluster = Cluster::new().await;
    let mut world = cluster.world();
    assert_refused(&world.run(&["serve"]).await, 1, &["migrations", "guiche migrate"]);
    assert_eq!(world.run(&["migrate"]).await.code, Some(0));
    let books = cluster.books().await;
    books
        .run(&format!(
            "CREATE ROLE sees_all LOGIN BYPASSRLS PASSWORD '{0}';
             CREATE ROLE two_faced LOGIN PASSWORD '{0}' IN ROLE guiche_worker;
             CREATE ROLE set_only LOGIN NOINHERIT PASSWORD '{0}' IN ROLE guiche_owner;
             GRANT CONNECT ON DATABASE guiche TO sees_all, two_faced, set_only;",
            cluster.password
        ))
        .await;
    for (role, words) in [
        ("postgres", &["refusing to start", "\"postgres\"", "superuser"][..]),
        ("guiche_owner", &["refusing to start", "\"guiche_owner\"", "owns"]),
        ("sees_all", &["refusing to start", "\"sees_all\"", "BYPASSRLS"]),
        ("two_faced", &["refusing to start", "\"two_faced\"", "member of \"guiche_worker\""]),
        ("set_only", &["refusing to start", "\"set_only\"", "is a member of"]),
        ("guiche_worker", &["refusing to start", "\"guiche_worker\""]),
    ] {
        world.set("DATABASE_URL", &cluster.url(role));
        assert_refused(&world.run(&["serve"]).await, 1, words);
    }
    world.set("DATABASE_URL", &cluster.url("guiche_app"));
    for (role, words) in [
        ("postgres", &["refusing to start", "worker login", "superuser"][..]),
        ("guiche_app", &["refusing to start", "worker login", "guiche_app"]),
    ] {
        world.set("DATABASE_WORKER_URL", &cluster.url(role));
        assert_refused(&world.run(&["serve"]).await, 1, words);
    }
    world.set("DATABASE_WORKER_URL", &cluster.url("guiche_worker"));
    books.run("GRANT guiche_worker TO guiche_app").await;
    assert_refused(&world.run(&["serve"]).await, 1, &["guiche_app", "member of \"guiche_worker\""]);
    books.run("REVOKE guiche_worker FROM guiche_app").await;

    // The right logins are let in, so it was the wrong ones that were refused.
    drop(world.ready().await);
    world.set("DATABASE_OWNER_URL", &cluster.url("postgres"));
    assert_refused(&world.run(&["migrate"]).await, 1, &["refusing to migrate", "superuser"]);
}

#[tokio::test]
async fn a_database_that_is_out_of_reach_is_said_without_its_password() {
    let mut cluster = Cluster::new().await;
    let mut world = cluster.world();
    let wrong = cluster.url("guiche_app").replace(&cluster.password, "canary-of-a-wrong-password");
    world.set("DATABASE_URL", &wrong);
    let refused = world.run(&["serve"]).await;
    assert_refused(&refused, 1, &["the database cannot be used", "password authentication failed"]);
    assert!(!refused.stderr.contains("canary"), "{refused:?}");
    cluster.stop().await;
    for command in ["serve", "migrate"] {
        let refused = world.run(&[command]).await;
        assert_refused(&refused, 1, &["the database cannot be"]);
        assert!(!refused.stderr.contains("canary"), "{refused:?}");
    }
}

#[tokio::test]
async fn half_and_unsafe_configurations_are_refused() {
    let url = "postgresql://guiche_app@127.0.0.1:1/guiche";
    for (settings, words) in [
        (&[("DATABASE_URL", url)][..], &["DATABASE_WORKER_URL is required"][..]),
        (&[("DATABASE_WORKER_URL", url)], &["DATABASE_WORKER_URL is set, but"]),
        (&[("POSTGRES_USER", "guiche_app")], &["POSTGRES_HOST is missing"]),
        (&[("SPARK_MODE", "live"), ("SPARK_API_URL", "https://x.test")], &["SPARK_API_KEY is required"]),
        (&[("SPARK_MODE", "lvie")], &["SPARK_MODE", "must be one of"]),
        (&[("GUICHE_DATADIR", "x")], &["GUICHE_DATADIR is not a setting", "GUICHE_DATA_DIR"]),
        (&[("BCRYPT_COST", "3")], &["BCRYPT_COST"]),
        (
            &[
                ("GUICHE_ENV", "production"),
                ("DATABASE_URL", url),
                ("DATABASE_WORKER_URL", url),
                ("JWT_SECRET_KEY", "kJ8s7hQ2mZp4Xv9tRb3nLw6yCf1gDa5e"),
                ("BCRYPT_COST", "12"),
            ],
            &["SPARK_MODE=stub is refused in production"],
        ),
    ] {
        let mut world = World::new();
        for (name, value) in settings {
            world.set(name, value);
        }
        assert_refused(&world.run(&["serve"]).await, 2, words);
        assert!(!world.data().exists(), "a refused configuration leaves nothing behind");
    }
}

#[tokio::test]
async fn a_port_in_use_costs_no_migration() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for name in ["LISTEN_ADDR", "METRICS_ADDR"] {
        let mut world = World::new();
        world.set(name, &address);
        assert_refused(&world.run(&["serve"]).await, 1, &["cannot listen on", &address]);
        assert!(!world.data().exists(), "it was noticed first");
    }
}
