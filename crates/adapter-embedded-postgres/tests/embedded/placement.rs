//! Where the cluster lies, whose it is, and which binaries run it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use guiche_adapter_embedded_postgres::{EmbeddedError, EmbeddedPostgres, Options};

use crate::support::{World, ask, status, we_are_root};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// A shell script, written by another process: one that is open for writing here, while another test forks, is busy.
fn program(path: &Path, script: &str) {
    let write = r#"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1""#;
    let written = Command::new("/bin/sh").args(["-c", write, "sh"]).arg(path).arg(script).status().unwrap();
    assert!(written.success());
}

#[tokio::test]
async fn the_server_is_never_root_and_its_home_is_its_own() {
    let world = World::new();
    let data_directory = world.path("guiche");
    fs::create_dir(&data_directory).unwrap();
    fs::write(data_directory.join("secret"), "ours").unwrap();
    fs::set_permissions(data_directory.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let server =
        EmbeddedPostgres::start(Options { directory: data_directory.join("postgres"), ..world.options() })
            .await
            .unwrap();
    assert_eq!(server.notice(), None);
    let home = server.directory().to_path_buf();
    let pid: u32 = fs::read_to_string(home.join("data/postmaster.pid"))
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let user = status(pid, "Uid:").unwrap();
    assert_ne!(user, 0);
    for name in ["", "data", "run", "lock", "server.log", "lock/share"] {
        let path = home.join(name);
        assert_eq!(path.metadata().unwrap().uid(), user, "{}", path.display());
        assert_eq!(mode(&path) & 0o077, 0, "{} keeps others out", path.display());
    }
    let secret = data_directory.join("secret");
    assert_eq!(secret.metadata().unwrap().uid(), status(std::process::id(), "Uid:").unwrap());
    assert_eq!(mode(&secret), 0o600);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn root_goes_elsewhere_when_the_servers_user_cannot_get_in() {
    if !we_are_root() {
        // An ordinary user is the server's user.
        return;
    }
    let world = World::new();
    let private = world.path("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    let options = Options { directory: private.join("postgres"), ..world.options() };
    let server = EmbeddedPostgres::start(options.clone()).await.unwrap();
    let notice = server.notice().unwrap().to_owned();
    assert!(!notice.contains('\n') && notice.contains(private.to_str().unwrap()), "{notice}");
    assert!(server.directory().starts_with(world.path("fallback")), "{notice}");
    assert!(!private.join("postgres").exists());
    ask(&server, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await;
    server.shutdown().await.unwrap();

    // Opening the directory later must not make the data look lost.
    fs::set_permissions(&private, fs::Permissions::from_mode(0o711)).unwrap();
    let server = EmbeddedPostgres::start(options.clone()).await.unwrap();
    assert_eq!(ask(&server, "SELECT n FROM kept").await, "7");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn for_root_the_owner_of_the_home_runs_the_server() {
    if !we_are_root() {
        return;
    }
    let world = World::new();
    fs::create_dir(world.home()).unwrap();
    // `nobody`, which is also who runs it where there is no user `postgres`.
    std::os::unix::fs::chown(world.home(), Some(65534), Some(65534)).unwrap();
    let server = world.start().await;
    assert_eq!(status(world.postmaster(), "Uid:"), Some(65534));
    assert_eq!(status(world.watcher(), "Uid:"), Some(65534));
    assert_eq!(ask(&server, "SELECT 1").await, "1");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn root_refuses_rather_than_starting_afresh_when_existing_data_is_out_of_reach() {
    if !we_are_root() {
        return;
    }
    let world = World::new();
    let parent = world.path("parent");
    fs::create_dir(&parent).unwrap();
    let options = Options { directory: parent.join("postgres"), ..world.options() };
    EmbeddedPostgres::start(options.clone()).await.unwrap().shutdown().await.unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o700)).unwrap();
    let error = EmbeddedPostgres::start(options).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("chmod o+x"), "{error}");
}

#[tokio::test]
async fn an_ordinary_user_is_told_whose_cluster_it_is() {
    if we_are_root() {
        return;
    }
    let world = World::new();
    // Somebody else's directory, which every system has.
    let options = Options { directory: "/usr/lib".into(), ..world.options() };
    let error = EmbeddedPostgres::start(options).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::WrongOwner { .. }), "{error}");
    assert!(error.to_string().contains("belongs to user root"), "{error}");
}

#[tokio::test]
async fn an_odd_and_long_path_works() {
    let world = World::new();
    let odd = world.path("it's, \"odd\" & 100% ção");
    let long = odd.join("d".repeat(120));
    for directory in [odd.join("postgres"), long.join("postgres")] {
        let options = Options { directory, ..world.options() };
        let server = EmbeddedPostgres::start(options.clone()).await.unwrap();
        ask(&server, "CREATE TABLE IF NOT EXISTS kept (n int); INSERT INTO kept VALUES (7)").await;
        assert_eq!(mode(server.socket_directory()), 0o700);
        let other = EmbeddedPostgres::start(options.clone()).await.unwrap();
        assert_eq!(other.socket_directory(), server.socket_directory());
        drop(other);
        let socket_directory = server.socket_directory().to_path_buf();
        server.shutdown().await.unwrap();
        // A cleaner of temporary files, or a reboot.
        fs::remove_dir_all(&socket_directory).unwrap();
        let server = EmbeddedPostgres::start(options).await.unwrap();
        assert_eq!(ask(&server, "SELECT n FROM kept").await, "7");
        server.shutdown().await.unwrap();
        if !socket_directory.starts_with(world.path("")) {
            fs::remove_dir_all(socket_directory).unwrap();
        }
    }
}

#[tokio::test]
async fn a_socket_directory_that_somebody_took_is_passed_over() {
    let world = World::new();
    let options = Options { directory: world.path(&"d".repeat(120)).join("postgres"), ..world.options() };
    let start = async || EmbeddedPostgres::start(options.clone()).await.unwrap();
    let mut used = Vec::new();
    for round in 0..3 {
        let server = start().await;
        let socket = server.socket_directory().to_path_buf();
        assert!(!used.contains(&socket), "{socket:?} is not ours any more");
        assert_eq!(mode(&socket), 0o700);
        let other = start().await;
        assert_eq!(other.socket_directory(), socket, "every process finds the same");
        drop(other);
        server.shutdown().await.unwrap();
        // What a stranger can do once the directory is gone.
        fs::remove_dir_all(&socket).unwrap();
        if round == 0 {
            fs::write(&socket, "mine").unwrap();
        } else {
            std::os::unix::fs::symlink(world.path(""), &socket).unwrap();
        }
        used.push(socket);
    }
    for socket in used {
        fs::remove_file(socket).unwrap();
    }
}

#[tokio::test]
async fn many_who_choose_a_socket_directory_at_once_agree() {
    let world = World::new();
    let options = Options { directory: world.path(&"d".repeat(120)).join("postgres"), ..world.options() };
    let starts: Vec<_> = (0..6).map(|_| tokio::spawn(EmbeddedPostgres::start(options.clone()))).collect();
    let mut servers = Vec::new();
    for start in starts {
        servers.push(start.await.unwrap().unwrap());
    }
    let socket = servers[0].socket_directory().to_path_buf();
    assert!(servers.iter().all(|server| server.socket_directory() == socket));
    let last = servers.pop().unwrap();
    drop(servers);
    last.shutdown().await.unwrap();
    fs::remove_dir_all(socket).unwrap();
}

#[tokio::test]
async fn a_file_in_the_place_of_the_home_is_said_with_the_cure() {
    let world = World::new();
    fs::write(world.path("file"), "").unwrap();
    for directory in [world.path("file"), world.path("file").join("postgres")] {
        let options = Options { directory: directory.clone(), ..world.options() };
        let error = EmbeddedPostgres::start(options).await.unwrap_err();
        assert!(matches!(error, EmbeddedError::NoHome { .. }), "{error}");
        let text = error.to_string();
        for part in [directory.to_str().unwrap(), ": a file is in its place; ", "GUICHE_DATA_DIR"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[tokio::test]
async fn every_spelling_of_a_directory_is_the_same_cluster() {
    let world = World::new();
    let server = world.start().await;
    let link = world.path("link");
    std::os::unix::fs::symlink(world.home(), &link).unwrap();
    let other = EmbeddedPostgres::start(Options { directory: link, ..world.options() }).await.unwrap();
    assert_eq!(other.socket_directory(), server.socket_directory());
    let dotted = world.home().join("../postgres");
    let third = EmbeddedPostgres::start(Options { directory: dotted, ..world.options() }).await.unwrap();
    assert_eq!(third.superuser_url("postgres"), server.superuser_url("postgres"));
}

#[tokio::test]
async fn missing_binaries_come_with_the_command_that_installs_them() {
    let world = World::new();
    let empty = world.path("empty");
    fs::create_dir(&empty).unwrap();
    let options = Options { bin_dir: Some(empty.clone()), ..world.options() };
    let error = EmbeddedPostgres::start(options).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NoBinaries { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(empty.to_str().unwrap()) && text.contains("install") && !text.contains('\n'),
        "{text}"
    );
}

#[tokio::test]
async fn unsupported_binaries_are_refused_by_name() {
    let world = World::new();
    let old = world.path("old");
    fs::create_dir(&old).unwrap();
    for name in ["postgres", "initdb"] {
        program(&old.join(name), "echo 'postgres (PostgreSQL) 14.9'");
    }
    let error = EmbeddedPostgres::start(Options { bin_dir: Some(old), ..world.options() }).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::UnsupportedVersion { .. }), "{error}");
    assert!(error.to_string().contains("14 in "), "{error}");
}

#[tokio::test]
async fn data_of_another_major_version_is_refused_untouched() {
    let world = World::new();
    world.start().await.shutdown().await.unwrap();
    let version = world.data().join("PG_VERSION");
    let ours = fs::read_to_string(&version).unwrap();
    for other in ["14\n", "99\n", "9.6\n"] {
        fs::write(&version, other).unwrap();
        let error = EmbeddedPostgres::start(world.options()).await.unwrap_err();
        assert!(matches!(error, EmbeddedError::OtherMajor { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("made by PostgreSQL {}", other.split('.').next().unwrap().trim())),
            "{text}"
        );
        assert!(!world.data().join("postmaster.pid").exists());
    }
    fs::write(&version, ours).unwrap();
    world.start().await.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_half_made_cluster_is_not_taken_for_one() {
    let world = World::new();
    world.start().await.shutdown().await.unwrap();
    // As if initdb had been killed in the middle: the version is written early, and much is missing.
    let half = world.home().join("data.new-1-0");
    fs::rename(world.data(), &half).unwrap();
    fs::remove_dir_all(half.join("pg_wal")).unwrap();
    let server = world.start().await;
    assert_eq!(ask(&server, "SELECT 1").await, "1");
    assert!(!half.exists());
}

#[tokio::test]
async fn a_failed_initdb_says_why() {
    let world = World::new();
    let broken = world.path("broken");
    fs::create_dir(&broken).unwrap();
    program(&broken.join("postgres"), "echo 'postgres (PostgreSQL) 15.1'");
    program(&broken.join("initdb"), "echo 'no space left on device' >&2; exit 1");
    let error =
        EmbeddedPostgres::start(Options { bin_dir: Some(broken), ..world.options() }).await.unwrap_err();
    assert!(error.to_string().contains("no space left on device"), "{error}");
    // Nothing of it is in the way.
    world.start().await.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_log_stays_small() {
    let world = World::new();
    world.start().await.shutdown().await.unwrap();
    let log = world.home().join("server.log");
    fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(2_000_000).unwrap();
    let server = world.start().await;
    assert!(log.metadata().unwrap().len() < 100_000);
    assert_eq!(world.home().join("server.log.1").metadata().unwrap().len(), 2_000_000);
    server.shutdown().await.unwrap();
}
