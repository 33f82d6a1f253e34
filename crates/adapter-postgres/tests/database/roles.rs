//! Which logins may serve.

use guiche_adapter_postgres::testing::TestDatabase;
use guiche_adapter_postgres::{ConnectError, PgOptions, PgStores, RoleError};

async fn check(app: String, worker: String) -> Result<(), RoleError> {
    PgStores::connect(PgOptions::new(app, worker)).await.unwrap().check_role().await
}

#[tokio::test]
async fn the_two_logins_of_the_office_may_serve() {
    let database = TestDatabase::new().await;
    check(database.app_url(), database.worker_url()).await.unwrap();
    let empty = TestDatabase::empty().await;
    check(empty.app_url(), empty.worker_url()).await.unwrap();
}

#[tokio::test]
async fn whoever_gets_past_row_level_security_may_not() {
    let database = TestDatabase::new().await;
    let (app, worker) = (database.app_url(), database.worker_url());
    let refused = check(database.superuser_url(), worker.clone()).await;
    assert!(matches!(refused, Err(RoleError::Superuser { purpose: "app", .. })), "{refused:?}");
    let refused = check(app.clone(), database.superuser_url()).await;
    assert!(matches!(refused, Err(RoleError::Superuser { purpose: "worker", .. })), "{refused:?}");
    let refused = check(database.owner_url(), worker.clone()).await;
    assert!(matches!(refused, Err(RoleError::Owner { .. })), "{refused:?}");
    let refused = check(worker.clone(), worker.clone()).await;
    assert!(matches!(&refused, Err(RoleError::Unisolated { .. })), "{refused:?}");
    let refused = check(app.clone(), app.clone()).await;
    assert!(matches!(refused, Err(RoleError::Blind { .. })), "{refused:?}");

    // Roles are of the whole cluster, so these have names of their own.
    let admin = database.raw(&database.superuser_url()).await;
    let name = database.name();
    for (role, granted) in
        [("bypass", "BYPASSRLS"), ("member", "IN ROLE guiche_worker"), ("auth", "IN ROLE guiche_auth")]
    {
        let role = format!("{role}_{name}");
        admin
            .batch_execute(&format!(
                "CREATE ROLE {role} LOGIN {granted}; GRANT CONNECT ON DATABASE {name} TO {role};
                GRANT USAGE ON SCHEMA public TO {role}"
            ))
            .await
            .unwrap();
        let refused = check(database.url(&role), worker.clone()).await;
        admin.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
        let line = refused.as_ref().map_err(ToString::to_string).unwrap_err();
        assert!(line.starts_with("refusing to start: the app login"), "{line}");
        match granted {
            "BYPASSRLS" => assert!(matches!(refused, Err(RoleError::BypassRls { .. })), "{line}"),
            _ => assert!(matches!(refused, Err(RoleError::Member { .. })), "{line}"),
        }
    }
}

#[tokio::test]
async fn a_table_whose_isolation_was_switched_off_is_noticed() {
    let database = TestDatabase::new().await;
    let admin = database.raw(&database.superuser_url()).await;
    admin.batch_execute("ALTER TABLE tickets NO FORCE ROW LEVEL SECURITY").await.unwrap();
    let refused = check(database.app_url(), database.worker_url()).await;
    assert!(
        matches!(&refused, Err(RoleError::Unisolated { table, .. }) if table == "tickets"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_policy_that_does_not_ask_who_is_there_is_noticed() {
    let database = TestDatabase::new().await;
    let admin = database.raw(&database.superuser_url()).await;
    for (policy, opens) in [
        ("FOR SELECT TO guiche_app USING (true)", true),
        ("FOR SELECT TO guiche_app USING (status <> 'refunded')", true),
        ("FOR SELECT TO PUBLIC USING (1 = 1)", true),
        ("FOR INSERT TO guiche_app WITH CHECK (1 = 1)", true),
        ("AS RESTRICTIVE TO guiche_app USING (true)", false),
        ("TO guiche_worker USING (1 = 1)", false),
    ] {
        admin.batch_execute(&format!("CREATE POLICY further ON tickets {policy}")).await.unwrap();
        let checked = check(database.app_url(), database.worker_url()).await;
        admin.batch_execute("DROP POLICY further ON tickets").await.unwrap();
        match checked {
            Ok(()) => assert!(!opens, "{policy}"),
            Err(RoleError::Unisolated { table, .. }) => assert!(opens && table == "tickets", "{policy}"),
            Err(other) => panic!("{policy}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_wrong_url_is_noticed_at_once_and_not_repeated() {
    let database = TestDatabase::new().await;
    let nowhere = "postgresql://guiche_app:hidden@%2Fnowhere/guiche".to_owned();
    let refused = PgStores::connect(PgOptions::new(nowhere, database.worker_url())).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Store(_)), "{refused:?}");
    let unknown = PgStores::connect(PgOptions::new(database.url("nobody_here"), database.worker_url())).await;
    let text = format!("{refused:?} {unknown:?}");
    assert!(unknown.is_err() && !text.contains("hidden"), "{text}");
}
