//! A configuration is judged by what it refuses.

mod databases;
mod lightning;

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::ExposeSecret as _;

use super::*;

const LONG: &str = "Zk3v9qL0sX7bT2mN8wYc5RfJ1hGdPaUe";

fn sources(environment: &[(&str, &str)]) -> Sources {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Sources { environment: environment.collect(), file: None }
}

fn with_file(environment: &[(&str, &str)], text: &str) -> Sources {
    Sources { file: Some((PathBuf::from("guiche.toml"), text.to_owned())), ..sources(environment) }
}

fn refusals(sources: &Sources) -> Vec<String> {
    Config::parse(sources).map(|_| Vec::new()).unwrap_or_else(|error| error.lines().to_vec())
}

/// Production settings that are fine, changed by the given ones; an empty value takes a setting away.
fn production(changes: &[(&str, &str)]) -> Sources {
    let mut all = BTreeMap::from([
        ("GUICHE_ENV", "production"),
        ("DATABASE_URL", "postgresql://guiche_app:one@db/guiche?sslmode=verify-full&sslrootcert=/ca.pem"),
        ("DATABASE_WORKER_URL", "postgresql://guiche_worker:two@db/guiche"),
        ("JWT_SECRET_KEY", LONG),
        ("SPARK_MODE", "live"),
        ("SPARK_API_URL", "https://spark.example.org"),
        ("SPARK_API_KEY", "key"),
    ]);
    for (name, value) in changes {
        if value.is_empty() {
            all.remove(name)
        } else {
            all.insert(name, value)
        };
    }
    sources(&all.into_iter().collect::<Vec<_>>())
}

#[test]
fn nothing_at_all_is_a_development_server() {
    let config = Config::parse(&sources(&[])).unwrap();
    assert_eq!(config.environment, Environment::Development);
    assert!(matches!(config.database, Database::Embedded));
    assert!(matches!(config.spark, Spark::Stub));
    assert!(matches!(config.tokens.keys, JwtKeys::Generated));
    assert_eq!(config.network, Network::Regtest);
    assert_eq!(config.http.listen_addr.to_string(), "127.0.0.1:8080");
    assert_eq!(config.http.limits.login.unwrap().to_string(), "10/60");
    assert_eq!(config.tokens.access_lifetime, Duration::from_mins(30));
    assert_eq!(config.bcrypt_cost, 12);
    assert!(config.warnings.is_empty());
}

#[test]
fn production_with_everything_in_place() {
    let config = Config::parse(&production(&[])).unwrap();
    assert!(config.is_production());
    assert_eq!(config.network, Network::Mainnet);
    let Database::Server { app, worker } = config.database else { panic!("embedded") };
    assert!(app.expose_secret().ends_with("sslmode=verify-full&sslrootcert=/ca.pem"), "passed on as it is");
    assert_eq!(worker.expose_secret(), "postgresql://guiche_worker:two@db/guiche");
}

#[test]
fn each_unsafe_setting_is_one_line_in_production() {
    for (change, expected) in [
        (("JWT_SECRET_KEY", ""), "JWT_SECRET_KEY is required in production"),
        (
            ("JWT_SECRET_KEY", "short"),
            "the JWT secret key \"default\" is shorter than 32 bytes; make one with: openssl rand -base64 48",
        ),
        (
            ("JWT_SECRET_KEY", "your-secret-key-change-in-production!!"),
            "the JWT secret key \"default\" looks like a placeholder; make one with: openssl rand -base64 48",
        ),
        (
            ("JWT_SECRET_KEY", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            "the JWT secret key \"default\" hardly varies; make one with: openssl rand -base64 48",
        ),
        (("SPARK_MODE", ""), "SPARK_MODE=stub is refused in production: nobody would ever be paid"),
        (("SPARK_API_URL", ""), "SPARK_API_URL is required with SPARK_MODE=live"),
        (("SPARK_API_KEY", ""), "SPARK_API_KEY is required with SPARK_MODE=live"),
        (
            ("SPARK_API_URL", "http://localhost"),
            "SPARK_API_URL must be an https:// address without a user name or password",
        ),
        (("SPARK_API_KEY", "one,,two"), "SPARK_API_KEY must be keys without spaces, separated by commas"),
        (("SPARK_API_KEY", "two words"), "SPARK_API_KEY must be keys without spaces, separated by commas"),
        (("SPARK_API_URL", "https://x.test?a=b"), "SPARK_API_URL must not hold a query or a fragment"),
        (("BCRYPT_COST", "11"), "BCRYPT_COST must be at least 12 in production"),
        (
            ("DATABASE_URL", ""),
            "DATABASE_URL (or POSTGRES_HOST and its companions) is required in production",
        ),
        (
            ("DATABASE_WORKER_URL", ""),
            "DATABASE_WORKER_URL is required beside the database: workers have a login of their own",
        ),
        (("SPARK_MODE", "Live"), "SPARK_MODE must be one of: stub, live, production"),
    ] {
        let found = refusals(&production(&[change]));
        assert!(found.iter().any(|line| line == expected), "{change:?}: {found:?}");
    }
}

#[test]
fn all_reasons_are_reported_together() {
    let found = refusals(&sources(&[
        ("GUICHE_ENV", "production"),
        ("BCRYPT_COST", "4"),
        ("LISTEN_ADDR", "nowhere"),
        ("GUICHE_DATADIR", "/data"),
    ]));
    assert_eq!(
        found,
        [
            "GUICHE_DATADIR is not a setting (did you mean GUICHE_DATA_DIR?)",
            "SPARK_MODE=stub is refused in production: nobody would ever be paid",
            "LISTEN_ADDR must be an address and a port, like 127.0.0.1:8080",
            "DATABASE_WORKER_URL is required beside the database: workers have a login of their own",
            "DATABASE_URL (or POSTGRES_HOST and its companions) is required in production",
            "JWT_SECRET_KEY is required in production",
            "BCRYPT_COST must be at least 12 in production",
        ]
    );
}

#[test]
fn words_are_exact_and_never_empty() {
    for (name, value) in [
        ("GUICHE_ENV", "prod"),
        ("GUICHE_ENV", ""),
        ("GUICHE_ENV", "Production"),
        ("SPARK_MODE", "prod"),
        ("SPARK_MODE", ""),
        ("LIGHTNING_NETWORK", "bitcoin"),
        ("JWT_ALGORITHM", "none"),
        ("JWT_ALGORITHM", "RS256"),
        ("LOG_FORMAT", "pretty"),
    ] {
        assert_eq!(refusals(&sources(&[(name, value)])).len(), 1, "{name}={value}");
    }
    assert!(Config::parse(&production(&[("SPARK_MODE", "production")])).is_ok(), "production means live");
}

#[test]
fn an_emptied_variable_is_not_set_and_does_not_hide_the_file() {
    let config =
        Config::parse(&with_file(&[("LISTEN_ADDR", ""), ("DATABASE_URL", "")], "listen_addr = '0.0.0.0:1'"));
    assert_eq!(config.unwrap().http.listen_addr.to_string(), "0.0.0.0:1");
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "bcrypt_cost = 5\nlisten_addr = '127.0.0.1:1'\ntrusted_proxies = ['10.0.0.0/8', '::1']";
    let config = Config::parse(&with_file(&[("BCRYPT_COST", "6")], file)).unwrap();
    assert_eq!(config.bcrypt_cost, 6);
    assert_eq!(config.http.listen_addr.port(), 1);
    assert_eq!(config.http.trusted_proxies.len(), 2);
}

#[test]
fn what_the_file_may_not_say() {
    for (text, expected) in [
        (
            "listen_adr = 'x'",
            "listen_adr in the configuration file is not a setting (did you mean listen_addr?)",
        ),
        (
            "LISTEN_ADDR = '127.0.0.1:1'",
            "LISTEN_ADDR in the configuration file is not a setting: write it in lower case, listen_addr",
        ),
        (
            "Jwt_Secret_Key_File = '/x'",
            "Jwt_Secret_Key_File in the configuration file is not a setting: write it in lower case, jwt_secret_key_file",
        ),
        (
            "LISTEN_ADR = 'x'",
            "LISTEN_ADR in the configuration file is not a setting (did you mean listen_addr?)",
        ),
        (
            "guiche_config = 'x'",
            "guiche_config in the configuration file is not a setting: it says where this file is",
        ),
        ("[http]\nlisten = 'x'", "http in the configuration file is not a setting"),
        ("bcrypt_cost = true", "bcrypt_cost in the configuration file must be text, a number or a list"),
        ("a = 1\njwt_secret_key = 'do not show", "guiche.toml is not TOML (around line 2)"),
    ] {
        assert_eq!(refusals(&with_file(&[], text)), [expected], "{text}");
    }
}

#[test]
fn secrets_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, format!("{LONG}\r\n")).unwrap();
    let path = path.to_str().unwrap();
    let config =
        Config::parse(&production(&[("JWT_SECRET_KEY", ""), ("JWT_SECRET_KEY_FILE", path)])).unwrap();
    let JwtKeys::Given(keys) = config.tokens.keys else { panic!("generated") };
    assert_eq!(keys[0].secret.expose_secret(), LONG);

    assert_eq!(
        refusals(&sources(&[("JWT_SECRET_KEY", LONG), ("JWT_SECRET_KEY_FILE", path)])),
        ["JWT_SECRET_KEY and JWT_SECRET_KEY_FILE are both set; set one"]
    );
    assert_eq!(
        refusals(&sources(&[("SPARK_API_KEY_FILE", "/no/such/file")])),
        ["the file of SPARK_API_KEY_FILE cannot be read: entity not found"]
    );
    let overridden = with_file(&[("JWT_SECRET_KEY", LONG)], "jwt_secret_key_file = '/no/such/file'");
    assert!(refusals(&overridden).len() <= 1, "a file that is overridden may at most be complained about");
    std::fs::write(path, "\n").unwrap();
    assert_eq!(
        refusals(&sources(&[("JWT_SECRET_KEY_FILE", path)])),
        ["the file of JWT_SECRET_KEY_FILE is empty"]
    );
}

#[test]
fn where_a_providers_keys_stand_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("keys"), dir.path().join("others"));
    for path in [&path, &other] {
        std::fs::write(path, "one,two\n").unwrap();
    }
    let live = [("SPARK_MODE", "live"), ("SPARK_API_URL", "https://spark.example.org")];
    let file = |more: &[(&str, &str)], toml: String| {
        let settings = [&live, more].concat();
        let Spark::Live { api_keys, key_file, .. } =
            Config::parse(&with_file(&settings, &toml)).unwrap().spark
        else {
            panic!("the stub")
        };
        (api_keys.len(), key_file.map(|file| (file.setting(), file.read().unwrap().len())))
    };
    let known = Some(("SPARK_API_KEY", 2));
    let (path, other) = (path.to_str().unwrap(), other.to_str().unwrap());
    assert_eq!(file(&[("SPARK_API_KEY_FILE", path)], String::new()), (2, known));
    assert_eq!(file(&[], format!("spark_api_key_file = '{path}'")), (2, known));
    assert_eq!(file(&[("SPARK_API_KEY_FILE", other)], format!("spark_api_key_file = '{path}'")), (2, known));
    assert_eq!(file(&[("SPARK_API_KEY", "key")], format!("spark_api_key_file = '{path}'")), (1, None));
}

#[test]
fn only_secrets_come_from_files() {
    assert_eq!(refusals(&with_file(&[], "listen_addr_file = 'x'")).len(), 1);
    assert!(refusals(&sources(&[("LISTEN_ADDR_FILE", "x")])).is_empty(), "not ours to judge");
}

#[test]
fn lists_of_signing_keys() {
    let keys =
        |list: &str| Config::parse(&sources(&[("JWT_SECRET_KEYS", list)])).map(|config| config.tokens.keys);
    let JwtKeys::Given(list) = keys(&format!("new:{LONG}:x, old:{LONG}")).unwrap() else {
        panic!("generated")
    };
    assert_eq!(list.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["new", "old"]);
    assert_eq!(list[0].secret.expose_secret(), format!("{LONG}:x"));
    let twice = format!("a:{LONG},a:{LONG}");
    for wrong in ["nocolon", "a:", ":b", "a:x", &twice, "a b:x", "a:x,"] {
        assert!(keys(wrong).is_err(), "{wrong}");
    }
    assert_eq!(
        refusals(&sources(&[("JWT_SECRET_KEYS", "a:x"), ("JWT_SECRET_KEY", "x")])),
        ["JWT_SECRET_KEY and JWT_SECRET_KEYS are both set; set one"]
    );
}

#[test]
fn a_short_key_is_refused_everywhere() {
    for secret in ["short", &LONG[1..]] {
        let expected =
            "the JWT secret key \"default\" is shorter than 32 bytes; make one with: openssl rand -base64 48";
        assert_eq!(refusals(&sources(&[("JWT_SECRET_KEY", secret)])), [expected]);
        assert_eq!(refusals(&production(&[("JWT_SECRET_KEY", secret)])), [expected]);
    }
    let poor = Config::parse(&sources(&[("JWT_SECRET_KEY", &"a".repeat(32))])).unwrap();
    assert_eq!(poor.warnings.len(), 1, "poor and long enough is for development: {:?}", poor.warnings);
    let old = format!("new:{LONG},old:short");
    assert_eq!(refusals(&sources(&[("JWT_SECRET_KEYS", &old)])).len(), 1, "keys that only verify, too");
}

#[test]
fn a_development_server_on_the_network_is_warned_about() {
    for (address, open) in [
        ("127.0.0.1:1", false),
        ("127.9.9.9:1", false),
        ("[::1]:1", false),
        ("[::ffff:127.0.0.1]:1", false),
        ("0.0.0.0:1", true),
        ("[::]:1", true),
        ("192.0.2.1:1", true),
    ] {
        let warnings = Config::parse(&sources(&[("LISTEN_ADDR", address)])).unwrap().warnings;
        assert_eq!(warnings.len(), usize::from(open), "{address}: {warnings:?}");
        assert!(
            warnings.iter().all(|line| line.contains("LISTEN_ADDR") && line.contains("pay without money"))
        );
    }
    assert!(Config::parse(&production(&[("LISTEN_ADDR", "0.0.0.0:1")])).unwrap().warnings.is_empty());
}

#[test]
fn a_near_miss_in_the_environment_warns() {
    let config =
        Config::parse(&sources(&[("DATABSE_URL", "postgres://u:hidden@h/d"), ("JWT_SECRT_KEY", "")]));
    let expected = "DATABSE_URL is not a setting of ours and has no effect (did you mean DATABASE_URL?)";
    assert_eq!(config.unwrap().warnings, [expected]);
    let migration = MigrateConfig::parse(&sources(&[("DATABASE_OWNR_URL", "x")])).unwrap();
    assert_eq!(migration.warnings.len(), 1);
}

#[test]
fn the_printed_configuration_says_where_the_private_database_is() {
    let printed = Config::parse(&sources(&[("GUICHE_DATA_DIR", "/srv/a\nb")])).unwrap().to_redacted_toml();
    let first = printed.lines().next().unwrap();
    assert_eq!(first, r#"# No database is set: a private PostgreSQL runs in "/srv/a\nb/postgres"."#);
    let again = Config::parse(&with_file(&[], &printed)).unwrap();
    assert_eq!(again.to_redacted_toml(), printed);
    assert!(!Config::parse(&production(&[])).unwrap().to_redacted_toml().contains('#'));
}

#[test]
fn a_migration_needs_the_owner_and_nothing_else() {
    let owner =
        sources(&[("GUICHE_ENV", "production"), ("DATABASE_OWNER_URL", "postgres://owner@db/guiche")]);
    assert!(matches!(MigrateConfig::parse(&owner).unwrap().target, MigrationTarget::Server(_)));
    assert!(matches!(MigrateConfig::parse(&sources(&[])).unwrap().target, MigrationTarget::Embedded));
    for without in [&[("GUICHE_ENV", "production")][..], &[("DATABASE_URL", "postgres://app@db/guiche")]] {
        let error = MigrateConfig::parse(&sources(without)).unwrap_err();
        assert_eq!(
            error.lines(),
            ["DATABASE_OWNER_URL is required: only the owner of the tables migrates them"]
        );
    }
}

#[test]
fn the_printed_configuration_holds_no_secret_and_says_the_same() {
    let config =
        Config::parse(&production(&[("TRUSTED_PROXIES", "10.0.0.0/8"), ("RATE_LIMIT_LOGIN", "0")])).unwrap();
    let printed = config.to_redacted_toml();
    for secret in [LONG, ":one@", ":two@", "\"key\""] {
        assert!(!printed.contains(secret), "{secret} in\n{printed}");
        assert!(!format!("{config:?}").contains(secret), "{secret} in the debug form");
    }
    assert!(printed.contains("guiche_app:redacted@db/guiche?sslmode=verify-full"));
    let again =
        Config::parse(&with_file(&[("JWT_SECRET_KEYS", LONG)], &printed.replace("jwt_secret_keys", "#")));
    assert!(again.is_err(), "a list of keys is needed, so that the next line can be tested");
    let lines =
        printed.lines().filter(|line| !line.starts_with("jwt_secret_keys")).collect::<Vec<_>>().join("\n");
    let again =
        Config::parse(&with_file(&[("JWT_SECRET_KEYS", &format!("default:{LONG}"))], &lines)).unwrap();
    assert_eq!(again.to_redacted_toml(), printed);
}

#[test]
fn wrong_numbers_and_filters() {
    for (name, value) in [
        ("BCRYPT_COST", "3"),
        ("BCRYPT_COST", "99"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "0"),
        ("REFRESH_TOKEN_EXPIRE_DAYS", "-1"),
        ("RATE_LIMIT_ACCOUNT", "lots"),
        ("RUST_LOG", "guiche=loud"),
        ("RUST_LOG", "[http.request]=trace"),
        ("TRUSTED_PROXIES", "everyone"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/0"),
        ("TRUSTED_PROXIES", "::/0"),
    ] {
        assert_eq!(refusals(&sources(&[(name, value)])).len(), 1, "{name}={value}");
    }
    let off = Config::parse(&sources(&[("RATE_LIMIT_ACCOUNT", "0")])).unwrap();
    assert_eq!(off.http.limits.account, None);
}
