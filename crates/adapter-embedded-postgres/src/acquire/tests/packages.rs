//! The system's package, by an `apt-get` of our own.

use super::*;

/// An `apt-get` that notes how it was called, and runs `install` when it is to install something.
fn apt_get(world: &World, install: &str) {
    let log = world.log();
    let log = log.display();
    let script = format!(
        r#"echo "$DEBIAN_FRONTEND apt-get $*" >>'{log}'
        case $1 in
            update) echo 'W: Failed to fetch the index'; exit 100 ;;
            install) for package; do :; done; {install} ;;
        esac"#
    );
    world.program("programs/apt-get", &script);
}

/// What a real one does as far as we can see: the server appears.
fn brings(world: &World, major: u32) -> String {
    let bin = world.path(&format!("root/usr/lib/postgresql/{major}/bin"));
    let bin = bin.display();
    let version = server_script(major);
    format!(
        r#"mkdir -p '{bin}' && cd '{bin}' && printf '#!/bin/sh\n{}\n' >postgres && echo >initdb && chmod 755 postgres"#,
        version.replace('\'', "\"")
    )
}

const UPDATE: &str = "noninteractive apt-get update";
const INSTALL: &str =
    "noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 postgresql";

#[tokio::test]
async fn root_installs_the_package_on_debian_and_its_children() {
    for release in ["ID=debian", "ID=ubuntu\nID_LIKE=debian", "ID=mint\nID_LIKE=\"ubuntu debian\""] {
        let world = World::new();
        world.release(release);
        apt_get(&world, &brings(&world, 15));
        let found = world.found().await.unwrap();
        assert_eq!(found.major, 15);
        assert_eq!(world.called(), [UPDATE, INSTALL], "once each, and nobody meddles with clusters");
        world.found().await.unwrap();
        assert_eq!(world.called().len(), 2, "what is there is not installed again");
    }
}

#[tokio::test]
async fn data_that_is_there_already_names_the_version_of_the_package() {
    let world = World::new();
    world.data_of(16);
    apt_get(&world, &brings(&world, 16));
    assert_eq!(world.found().await.unwrap().major, 16);
    assert_eq!(world.called(), [UPDATE.to_owned(), format!("{INSTALL}-16")]);
}

#[tokio::test]
async fn a_package_is_no_cure_for_data_of_another_major_version() {
    let world = World::new();
    world.installed(15);
    world.data_of(16);
    apt_get(&world, &brings(&world, 16));
    let error = world.found().await.unwrap_err();
    assert!(error.to_string().contains("made by PostgreSQL 16, and this machine has 15; install"), "{error}");
    world.data_of(14);
    fs::remove_dir_all(world.path("root/usr")).unwrap();
    let error = world.found().await.unwrap_err();
    assert!(error.to_string().contains("made by PostgreSQL 14, and this machine has none"), "{error}");
    assert!(world.called().is_empty());
}

#[tokio::test]
async fn versions_that_are_too_old_are_joined_by_the_package() {
    let world = World::new();
    world.installed(13);
    apt_get(&world, &brings(&world, 15));
    assert_eq!(world.found().await.unwrap().major, 15);
}

#[tokio::test]
async fn a_failed_installation_is_told_with_what_it_said() {
    let world = World::new();
    apt_get(
        &world,
        "echo 'Reading package lists...'; echo 'E: Unable to locate package postgresql' >&2; exit 100",
    );
    let error = world.found().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, EmbeddedError::NotInstalled { .. }) && !text.contains('\n'), "{text}");
    for part in [
        "`apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 postgresql`",
        "W: Failed to fetch the index | Reading package lists... | E: Unable to locate package postgresql",
        "GUICHE_POSTGRES_ARCHIVE_SHA256",
        "GUICHE_EMBEDDED_INSTALL=never",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(world.called().len(), 2);
}

#[tokio::test]
async fn an_installation_that_hangs_is_given_up() {
    let mut world = World::new();
    world.machine.patience = Duration::from_secs(1);
    let pid = world.path("pid");
    apt_get(&world, &format!("echo $$ >'{}'; exec sleep 600", pid.display()));
    let error = world.found().await.unwrap_err();
    assert!(error.to_string().contains("it did not end within 1 s"), "{error}");
    let pid = fs::read_to_string(pid).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "it was ended, and buried");
}

#[tokio::test]
async fn of_many_at_once_one_installs_and_the_others_wait() {
    const PROCESSES: usize = 4;
    let world = World::new();
    let gate = world.path("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    apt_get(&world, &format!("read -r go <'{}'; {}", gate.display(), brings(&world, 15)));
    let (machine, options) = (&world.machine, &world.options);
    let starts: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let (machine, options) = (machine.clone(), options.clone());
            tokio::spawn(async move { super::super::ensure(&machine, &options).await })
        })
        .collect();
    world.queueing("install.lock", PROCESSES).await;
    // Opening a pipe waits for its reader: the one that installs is at it.
    tokio::task::spawn_blocking(move || fs::write(gate, "go\n")).await.unwrap().unwrap();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    assert_eq!(world.called(), [UPDATE, INSTALL]);
    assert_eq!(world.found().await.unwrap().major, 15);
}

#[tokio::test]
async fn where_it_is_forbidden_or_not_ours_to_do_nothing_is_called() {
    let told = async |change: fn(&mut World)| {
        let mut world = World::new();
        apt_get(&world, &brings(&world, 15));
        change(&mut world);
        let error = world.found().await.unwrap_err();
        assert!(matches!(error, EmbeddedError::NoBinaries { .. }), "{error}");
        assert!(world.called().is_empty());
        assert!(!world.path("cache").exists(), "and nothing is made");
        let text = error.to_string();
        assert!(!text.contains('\n'));
        for part in ["GUICHE_POSTGRES_ARCHIVE ", "GUICHE_POSTGRES_ARCHIVE_SHA256", "database URL"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        text
    };
    let command = "`apt-get update && apt-get install -y --no-install-recommends postgresql`";
    let never = told(|world| world.options.acquire.install = Install::Never).await;
    assert!(never.contains(&format!("with {command}, or")), "{never}");
    let ordinary = told(|world| world.machine.we_are_root = false).await;
    assert!(ordinary.contains(&format!("with {command} (root must run that), or")), "{ordinary}");
    let elsewhere = told(|world| world.release("ID=alpine")).await;
    assert!(elsewhere.contains("with `apk add postgresql17`, or"), "{elsewhere}");
    let without = told(|world| fs::remove_file(world.path("programs/apt-get")).unwrap()).await;
    assert!(without.contains(command), "{without}");
    let nowhere = World::new();
    let explicit = Options { bin_dir: Some(nowhere.path("programs")), ..nowhere.options.clone() };
    apt_get(&nowhere, "exit 0");
    super::super::ensure(&nowhere.machine, &explicit).await.unwrap();
    assert!(nowhere.called().is_empty(), "an explicit directory is meant");
}
