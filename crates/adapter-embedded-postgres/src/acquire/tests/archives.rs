//! A packed set of binaries: fetched once, from a site or a file, or refused without a trace.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{
    site::{Answer, Site},
    *,
};
use crate::share::EmbeddedPostgres;

#[tokio::test]
async fn an_archive_is_fetched_once_and_kept_for_later() {
    let mut world = World::new();
    let archive = packed_server(17);
    let site = Site::open(Answer::Whole(archive.clone())).await;
    world.names(&site.url, &archive);
    let tree = world.path("cache").join(digest(&archive));
    for _ in 0..2 {
        let found = world.found().await.unwrap();
        assert_eq!((found.major, found.directory), (17, tree.join("package/native/bin")));
        assert_eq!(site.requests(), 1);
    }
    assert_eq!(world.cached(), [digest(&archive)]);
    for (path, expected) in [("bin/initdb", 0o755), ("share/README", 0o644), ("share", 0o755), ("", 0o755)] {
        assert_eq!(mode(&tree.join("package/native").join(path)), expected, "{path}");
    }
    // What is there already may be used without being allowed to fetch.
    world.options.acquire.install = Install::Never;
    assert_eq!(world.found().await.unwrap().major, 17);
}

#[tokio::test]
async fn an_archive_may_be_a_file() {
    let mut world = World::new();
    let archive = packed_server(17);
    let file = world.path("pg.tar.gz");
    fs::write(&file, &archive).unwrap();
    world.names(file.to_str().unwrap(), &archive);
    assert_eq!(world.found().await.unwrap().major, 17);
    for wrong in [world.path("missing"), world.path("root")] {
        let mut world = World::new();
        world.names(wrong.to_str().unwrap(), &archive);
        let error = world.found().await.unwrap_err();
        assert!(matches!(error, EmbeddedError::Archive { .. }), "{error}");
        assert!(error.to_string().contains(wrong.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_digest_names_both_and_leaves_nothing() {
    let mut world = World::new();
    let (expected, sent) = (packed_server(17), packed_server(16));
    let site = Site::open(Answer::Whole(sent.clone())).await;
    world.names(&site.url, &expected);
    let error = world.found().await.unwrap_err();
    assert!(matches!(error, EmbeddedError::WrongDigest { .. }), "{error}");
    let text = error.to_string();
    for part in [digest(&expected), digest(&sent), site.url.clone()] {
        assert!(text.contains(&part) && !text.contains('\n'), "{part}: {text}");
    }
    assert!(world.cached().is_empty());
}

#[tokio::test]
async fn a_download_that_goes_wrong_is_told_and_leaves_nothing() {
    let archive = packed_server(17);
    let refused = async |answer, expected: &str| {
        let mut world = World::new();
        let site = Site::open(answer).await;
        world.names(&site.url, &archive);
        world.machine.patience = Duration::from_secs(2);
        let error = world.found().await.unwrap_err();
        assert!(matches!(error, EmbeddedError::Archive { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.contains(&site.url) && !text.contains('\n'),
            "{expected}: {text}"
        );
        assert!(world.cached().is_empty());
        site.requests()
    };
    refused(Answer::Half(archive.clone()), "end of file before message length reached").await;
    refused(Answer::Status("404 Not Found"), "the server answers 404 Not Found").await;
    refused(Answer::Status("204 No Content"), "the server answers 204").await;
    refused(Answer::Silent(10), "it did not come within 2 s").await;
    refused(Answer::Silent(513 * 1024 * 1024), "it is larger than 512 MB").await;
    let elsewhere = "it redirects to an address that is not https";
    refused(Answer::Redirect("http://192.0.2.1/pg.tar.gz".into()), elsewhere).await;
    refused(Answer::Redirect("https://user:word@localhost/pg.tar.gz".into()), elsewhere).await;
    let asked = refused(Answer::Redirect("/again".into()), "it redirects too often").await;
    assert_eq!(asked, 6, "five redirects are followed");
}

#[tokio::test]
async fn a_redirect_is_followed_to_the_archive() {
    let mut world = World::new();
    let archive = packed_server(17);
    let site = Site::open(Answer::Whole(archive.clone())).await;
    let sign = Site::open(Answer::Redirect(site.url.clone())).await;
    world.names(&sign.url, &archive);
    assert_eq!(world.found().await.unwrap().major, 17);
}

#[tokio::test]
async fn of_two_at_once_one_fetches_and_the_other_waits() {
    let mut world = World::new();
    let archive = packed_server(17);
    let gate = Arc::new(Semaphore::new(0));
    let site = Site::open(Answer::Gated(archive.clone(), gate.clone())).await;
    world.names(&site.url, &archive);
    let starts: Vec<_> = (0..2)
        .map(|_| {
            let (machine, options) = (world.machine.clone(), world.options.clone());
            tokio::spawn(async move { super::super::ensure(&machine, &options).await })
        })
        .collect();
    world.queueing(&format!("{}.lock", digest(&archive)), 2).await;
    // One for each, so that a second request would be served, and counted.
    gate.add_permits(2);
    for start in starts {
        start.await.unwrap().unwrap();
    }
    assert_eq!(site.requests(), 1);
}

#[tokio::test]
async fn leavings_of_a_killed_attempt_are_cleared() {
    let mut world = World::new();
    let archive = packed_server(17);
    fs::write(world.path("pg.tar.gz"), &archive).unwrap();
    world.names(world.path("pg.tar.gz").to_str().unwrap(), &archive);
    let half = world.path("cache").join(format!("{}.new", digest(&archive)));
    fs::create_dir_all(half.join("tree/package")).unwrap();
    fs::write(half.join("archive.tar.gz"), "half").unwrap();
    assert_eq!(world.found().await.unwrap().major, 17);
    assert_eq!(world.cached(), [digest(&archive)]);
}

#[tokio::test]
async fn what_is_installed_or_given_explicitly_wins_over_the_archive() {
    let mut world = World::new();
    let archive = packed_server(17);
    let site = Site::open(Answer::Whole(archive.clone())).await;
    world.names(&site.url, &archive);
    let installed = world.installed(15);
    assert_eq!(world.found().await.unwrap().directory, installed);
    assert_eq!(site.requests(), 0);

    world.options.acquire.install = Install::Never;
    fs::remove_dir_all(world.path("root/usr")).unwrap();
    assert!(matches!(world.found().await, Err(EmbeddedError::NoBinaries { .. })), "never means never");
    world.options.acquire.install = Install::Auto;
    world.options.bin_dir = Some(world.path("programs"));
    assert!(matches!(world.found().await, Err(EmbeddedError::NoBinaries { .. })), "explicit means explicit");
    assert_eq!(site.requests(), 0);
}

#[tokio::test]
async fn the_archive_serves_data_that_only_its_version_can_read() {
    let mut world = World::new();
    world.installed(15);
    world.data_of(17);
    let archive = packed_server(17);
    let site = Site::open(Answer::Whole(archive.clone())).await;
    world.names(&site.url, &archive);
    assert_eq!(world.found().await.unwrap().major, 17);

    // And what neither can read is refused with the way out.
    world.data_of(16);
    let error = world.found().await.unwrap_err();
    assert!(matches!(error, EmbeddedError::OtherMajor { .. }), "{error}");
    assert!(
        error.to_string().contains("made by PostgreSQL 16, and this machine has 17, 15; install"),
        "{error}"
    );

    // New data is made by what is installed, though the unpacked archive is newer.
    fs::remove_dir_all(world.path("home")).unwrap();
    assert_eq!(world.found().await.unwrap().major, 15);
}

#[tokio::test]
async fn the_archive_wins_over_the_package() {
    let mut world = World::new();
    world.program("programs/apt-get", &format!("echo called >>'{}'", world.log().display()));
    let archive = packed_server(17);
    let site = Site::open(Answer::Whole(archive.clone())).await;
    world.names(&site.url, &archive);
    assert_eq!(world.found().await.unwrap().major, 17);
    assert!(world.called().is_empty());
}

#[tokio::test]
async fn an_archive_for_another_machine_is_told_so() {
    let mut world = World::new();
    let archive = packed(&[
        Member::File("bin/postgres", 0o755, "#!/bin/sh\necho 'libicu.so.60: no such file' >&2; exit 127"),
        Member::File("bin/initdb", 0o755, ""),
    ]);
    fs::write(world.path("pg.tar.gz"), &archive).unwrap();
    world.names(world.path("pg.tar.gz").to_str().unwrap(), &archive);
    let error = world.found().await.unwrap_err();
    assert!(error.to_string().contains("its server does not run as user"), "{error}");
    assert!(error.to_string().contains("libicu.so.60: no such file"), "{error}");
}

#[tokio::test]
async fn a_cache_that_others_can_fill_is_refused() {
    let mut world = World::new();
    let archive = packed_server(17);
    let site = Site::open(Answer::Whole(archive.clone())).await;
    world.names(&site.url, &archive);
    fs::create_dir(world.path("cache")).unwrap();
    fs::set_permissions(world.path("cache"), fs::Permissions::from_mode(0o777)).unwrap();
    let error = world.found().await.unwrap_err();
    assert!(matches!(error, EmbeddedError::UnsafeCache { .. }), "{error}");
    assert!(error.to_string().contains("others can write there"), "{error}");
    fs::remove_dir(world.path("cache")).unwrap();
    std::os::unix::fs::symlink(world.path("root"), world.path("cache")).unwrap();
    let error = world.found().await.unwrap_err();
    assert!(error.to_string().contains("it is not a directory"), "{error}");
    assert_eq!(site.requests(), 0);
}

/// The machine's own server, packed as two scripts that call it.
#[tokio::test]
async fn a_server_out_of_an_archive_serves() {
    let mut world = World::new();
    // Or what its variables say where it has none.
    let acquire = Acquire::from_environment().unwrap();
    let here = Options { acquire, ..world.options.clone() };
    let real = EmbeddedPostgres::binaries(&here).await.unwrap();
    let script = |name: &str| format!("#!/bin/sh\nexec '{}' \"$@\"\n", real.join(name).display());
    let archive = packed(&[
        Member::File("pg/bin/postgres", 0o755, &script("postgres")),
        Member::File("pg/bin/initdb", 0o755, &script("initdb")),
    ]);
    let site = Site::open(Answer::Whole(archive.clone())).await;
    world.names(&site.url, &archive);
    let server = EmbeddedPostgres::start_on(world.machine.clone(), world.options.clone()).await.unwrap();
    assert_eq!(server.directory(), world.path("home"));
    let (client, connection) =
        tokio_postgres::connect(&server.superuser_url("postgres"), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let row = client.query_one("SELECT 6 * 7", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
    drop(client);
    connection.await.unwrap().unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(site.requests(), 1);
}
