//! What commands print, on a configuration that is good and on those that are not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Scene;

/// Every command that looks at something. What they print is looked through with everything else.
pub(super) async fn look(scene: &Scene, email: &str) {
    let commands: [&[&str]; 13] = [
        &["check-config"],
        &["doctor", "--json"],
        &["doctor"],
        &["healthcheck"],
        &["keys", "status"],
        &["keys", "status", "--json"],
        &["operations", "list"],
        &["operations", "list", "--json"],
        &["reconcile", "--since", "1h", "--json"],
        &["refunds", "list"],
        &["users", "delete", email, "--dry-run", "--json"],
        &["users", "delete", email],
        &["openapi"],
    ];
    for arguments in commands {
        let ended = scene.world.run(arguments).await;
        assert!(
            !(ended.stdout.is_empty() && ended.stderr.is_empty()) || arguments == ["healthcheck"],
            "{arguments:?}"
        );
        assert!(ended.code.is_some_and(|code| code < 2), "{arguments:?}: {ended:?}");
    }
}

/// Settings that are refused, each with something in it that a hasty message would quote.
pub(super) async fn refusals(scene: &mut Scene) {
    let Scene { world, canaries, cluster, .. } = scene;
    let short = STANDARD.encode("canary of a key that is too short");
    canaries.add("a key that is too short", "canary of a key");
    let wrong_password =
        cluster.url("guiche_app").replace(&cluster.password, "canary-of-a-wrong-db-password");
    canaries.add("a wrong password of the database", "canary-of-a-wrong-db-password");
    canaries.add("a value that is refused", "canary-that-is-refused");
    for (name, value, code) in [
        ("SPARK_API_KEY", "canary-that-is-refused with a space", 2),
        ("SPARK_API_URL", "https://canary-that-is-refused:canary-that-is-refused@example.org", 2),
        ("WEBHOOK_SECRET_SPARK", "whsec_canary-that-is-refused", 2),
        ("JWT_SECRET_KEY", "canary-that-is-refused", 2),
        ("SERVICE_ENCRYPTION_KEYS", "one:canary-that-is-refused", 2),
        ("SERVICE_ENCRYPTION_KEYS", &format!("one:{short}"), 2),
        ("DATABASE_URL", "postgresql://guiche_app:canary-that-is-refused@[::/guiche", 2),
        ("POSTGRES_PASSWORD", "canary-that-is-refused", 2),
        ("RUST_LOG", "[canary-that-is-refused", 2),
        ("GUICHE_CANARY", "canary-that-is-refused", 2),
        ("DATABASE_URL", &wrong_password, 0),
    ] {
        let checked = world.run_with(&["check-config"], &[(name, value)]).await;
        assert_eq!(checked.code, Some(code), "{name}: {checked:?}");
        let looked_at = world.run_with(&["doctor", "--json"], &[(name, value)]).await;
        assert_eq!(looked_at.stderr, "", "{name}: {looked_at:?}");
        let tried = world.run_with(&["keys", "status"], &[(name, value)]).await;
        assert!(tried.code.is_some_and(|code| code > 0), "{name}: {tried:?}");
    }
    let file = world.path().join("broken.toml");
    std::fs::write(&file, "guiche_env = \"development\"\njwt_secret_key = \"canary-that-is-refused\n")
        .unwrap();
    let refused = world.run(&["--config", file.to_str().unwrap(), "check-config"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
}
