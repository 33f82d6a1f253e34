//! Where the rows live.

use super::*;

#[test]
fn a_database_in_parts() {
    let worker = ("DATABASE_WORKER_URL", "postgresql://guiche_worker@db/guiche");
    let url = |settings: &[(&str, &str)]| match Config::parse(&sources(&[settings, &[worker]].concat()))
        .unwrap()
        .database
    {
        Database::Server { app, .. } => app.expose_secret().to_owned(),
        Database::Embedded => panic!("embedded"),
    };
    assert_eq!(url(&[("POSTGRES_HOST", "db")]), "postgresql://guiche%5Fapp@db:5432/guiche");
    assert_eq!(
        url(&[
            ("POSTGRES_HOST", "::1"),
            ("POSTGRES_PORT", "1"),
            ("POSTGRES_PASSWORD", "p@ss/w:rd?"),
            ("POSTGRES_USER", "u")
        ]),
        "postgresql://u:p%40ss%2Fw%3Ard%3F@[::1]:1/guiche"
    );
    assert_eq!(
        url(&[("POSTGRES_HOST", "/run/pg"), ("POSTGRES_DB", "g")]),
        "postgresql://guiche%5Fapp@/g?host=%2Frun%2Fpg&port=5432"
    );
}

#[test]
fn databases_that_make_no_sense() {
    for (settings, expected) in [
        (&[("POSTGRES_PASSWORD", "x")][..], "POSTGRES_HOST is missing, though its companions are set"),
        (
            &[("POSTGRES_HOST", "x"), ("DATABASE_URL", "postgres://x/y")],
            "DATABASE_URL and POSTGRES_HOST are both set; give the database once",
        ),
        (&[("DATABASE_URL", "mysql://x/y")], "DATABASE_URL must start with postgresql://"),
        (
            &[("DATABASE_URL", "postgres://x/y?sslmode=verify_full")],
            "DATABASE_URL has an unknown sslmode; known are: disable, allow, prefer, require, verify-ca, verify-full",
        ),
        (
            &[("DATABASE_WORKER_URL", "postgres://x/y")],
            "DATABASE_WORKER_URL is set, but neither DATABASE_URL nor POSTGRES_HOST is",
        ),
        (&[("POSTGRES_HOST", "x"), ("POSTGRES_PORT", "0")], "POSTGRES_PORT must be a port"),
    ] {
        assert!(refusals(&sources(settings)).iter().any(|line| line == expected), "{settings:?}");
    }
}

#[test]
fn a_wrong_database_is_one_line_that_names_the_variable() {
    let worker = ("DATABASE_WORKER_URL", "postgresql://guiche_worker@db/guiche");
    for production in [false, true] {
        for (url, expected) in [
            (
                "postgres://u:hidden@h/d?sslmod=require",
                "DATABASE_URL has an unknown parameter \"sslmod\"; known are: ",
            ),
            (
                "postgres://u:hidden@h/d?sslmode=verify_full",
                "DATABASE_URL has an unknown sslmode; known are: ",
            ),
            ("postgres://u:hidden@h:port/d", "DATABASE_URL has an invalid port"),
            ("mysql://u:hidden@h/d", "DATABASE_URL must start with postgresql://"),
        ] {
            let found = if production {
                refusals(&self::production(&[("DATABASE_URL", url)]))
            } else {
                refusals(&sources(&[("DATABASE_URL", url), worker]))
            };
            assert_eq!(found.len(), 1, "{url}: {found:?}");
            assert!(found[0].starts_with(expected) && !found[0].contains("hidden"), "{found:?}");
        }
    }
    let migration =
        sources(&[("GUICHE_ENV", "production"), ("DATABASE_OWNER_URL", "postgres://o@h/d?sslmod=require")]);
    let refused = MigrateConfig::parse(&migration).unwrap_err();
    assert_eq!(refused.lines().len(), 1, "{refused}");
    assert!(refused.to_string().starts_with("DATABASE_OWNER_URL has an unknown parameter \"sslmod\""));
}

#[test]
fn where_the_binaries_of_a_private_server_come_from() {
    let digest = "0123456789ABCDEF".repeat(4);
    let config = Config::parse(&sources(&[])).unwrap();
    assert_eq!(config.acquire, Acquire::default());
    assert!(config.to_redacted_toml().contains("guiche_embedded_install = \"auto\""));
    let settings = [
        ("GUICHE_EMBEDDED_INSTALL", "never"),
        ("GUICHE_POSTGRES_ARCHIVE", "https://example.org/pg.tar.gz"),
        ("GUICHE_POSTGRES_ARCHIVE_SHA256", &digest),
    ];
    let config = Config::parse(&sources(&settings)).unwrap();
    assert!(config.warnings.is_empty());
    assert_eq!(MigrateConfig::parse(&sources(&settings)).unwrap().acquire, config.acquire);
    let printed = config.to_redacted_toml();
    let again = Config::parse(&with_file(&[], &printed)).unwrap();
    assert_eq!(again.acquire, config.acquire, "{printed}");
    assert_eq!(again.acquire.archive.unwrap().sha256(), digest.to_lowercase());

    // Where there is no private server, they say nothing, but nonsense is refused all the same.
    let config = Config::parse(&production(&settings)).unwrap();
    assert_eq!(config.warnings, ["GUICHE_POSTGRES_ARCHIVE has no effect: the database is a server of yours"]);
    assert!(!config.to_redacted_toml().contains("archive"));
}

#[test]
fn binaries_that_cannot_be_meant() {
    let digest = "0".repeat(64);
    let archive = ("GUICHE_POSTGRES_ARCHIVE", "pg.tar.gz");
    for (settings, expected) in [
        (&[("GUICHE_EMBEDDED_INSTALL", "yes")][..], "GUICHE_EMBEDDED_INSTALL must be one of: auto, never"),
        (&[archive], "GUICHE_POSTGRES_ARCHIVE_SHA256 is required beside GUICHE_POSTGRES_ARCHIVE"),
        (
            &[("GUICHE_POSTGRES_ARCHIVE_SHA256", &digest)],
            "GUICHE_POSTGRES_ARCHIVE_SHA256 is set, but GUICHE_POSTGRES_ARCHIVE is not",
        ),
        (
            &[archive, ("GUICHE_POSTGRES_ARCHIVE_SHA256", "abc")],
            "GUICHE_POSTGRES_ARCHIVE_SHA256 must be 64 hexadecimal digits, as sha256sum prints them",
        ),
        (
            &[
                ("GUICHE_POSTGRES_ARCHIVE", "http://example.org/pg.tar.gz"),
                ("GUICHE_POSTGRES_ARCHIVE_SHA256", &digest),
            ],
            "GUICHE_POSTGRES_ARCHIVE must be the path of a file, or an https:// address without a user name or password",
        ),
    ] {
        assert_eq!(refusals(&sources(settings)), [expected]);
        assert_eq!(refusals(&production(settings)), [expected]);
        assert_eq!(MigrateConfig::parse(&sources(settings)).unwrap_err().lines(), [expected]);
    }
    let emptied = sources(&[("GUICHE_EMBEDDED_INSTALL", "")]);
    assert_eq!(refusals(&emptied), ["GUICHE_EMBEDDED_INSTALL is set but empty"]);
}
