//! The way up, the way down, and up again.

use guiche_adapter_postgres::testing::{TestDatabase, revert_all};
use guiche_adapter_postgres::{MigrateError, PgStores, migrate};
use guiche_tickets::OperationId;
use guiche_tickets::testing::license_form;
use tokio_postgres::Client;

use crate::scene::{number, texts};

/// Everything in the schema, in words.
async fn catalogue(client: &Client) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [
        "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
            FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1",
        "SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT pg_get_functiondef(oid) || ' ' || proowner::regrole || ' ' || coalesce(proacl::text, '')
            FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT tablename || ' ' || policyname || ' ' || roles::text || cmd || ' ' || coalesce(qual, '')
            FROM pg_policies WHERE schemaname = 'public' ORDER BY 1",
        "SELECT relname || ' ' || relowner::regrole || ' ' || coalesce(relacl::text, '') || relrowsecurity || relforcerowsecurity
            FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i' ORDER BY 1",
        "SELECT nspname || ' ' || coalesce(nspacl::text, '') FROM pg_namespace WHERE nspname = 'public'",
    ] {
        all.extend(texts(client, sql).await);
    }
    all
}

/// How many migrations there are.
fn written() -> usize {
    let directory = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations")).unwrap();
    directory.filter(|entry| entry.as_ref().unwrap().path().join("up.sql").exists()).count()
}

#[tokio::test]
async fn down_leaves_nothing_and_up_again_is_the_same() {
    let database = TestDatabase::empty().await;
    let owner = || database.owner_url().into();
    let up = migrate(owner()).await.unwrap();
    assert_eq!(up.len(), written(), "{up:?}");
    let client = database.raw(&database.superuser_url()).await;
    let first = catalogue(&client).await;
    assert!(migrate(owner()).await.unwrap().is_empty(), "again is nothing");
    assert_eq!(revert_all(owner()).await.unwrap().len(), written());
    let left = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relname NOT LIKE '\\_\\_diesel%'";
    assert!(texts(&client, left).await.is_empty());
    assert_eq!(
        number(&client, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace").await,
        0
    );
    migrate(owner()).await.unwrap();
    assert_eq!(catalogue(&client).await, first);
}

#[tokio::test]
async fn a_copy_of_the_template_is_what_a_migration_makes() {
    let (migrated, copied) = (TestDatabase::empty().await, TestDatabase::new().await);
    migrate(migrated.owner_url().into()).await.unwrap();
    let one = catalogue(&migrated.raw(&migrated.superuser_url()).await).await;
    assert_eq!(one, catalogue(&copied.raw(&copied.superuser_url()).await).await);
}

#[tokio::test]
async fn of_many_migrators_at_once_one_migrates() {
    let database = TestDatabase::empty().await;
    let all = (0..4).map(|_| tokio::spawn(migrate(database.owner_url().into())));
    let mut applied = Vec::new();
    for migrator in all.collect::<Vec<_>>() {
        applied.extend(migrator.await.unwrap().unwrap());
    }
    assert_eq!(applied.len(), written(), "{applied:?}");
}

#[tokio::test]
async fn only_the_owner_migrates() {
    let database = TestDatabase::empty().await;
    let refused = migrate(database.superuser_url().into()).await;
    assert!(matches!(refused, Err(MigrateError::Privileged(_))), "{refused:?}");
    let refused = migrate(database.app_url().into()).await;
    assert!(matches!(refused, Err(MigrateError::Store(_))), "{refused:?}");
}

#[tokio::test]
async fn a_server_knows_what_its_database_lacks() {
    let database = TestDatabase::empty().await;
    let stores = PgStores::connect(database.options()).await.unwrap();
    assert_eq!(stores.migrations_pending().await.unwrap().len(), written());
    migrate(database.owner_url().into()).await.unwrap();
    assert!(stores.migrations_pending().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_seeded_operation_can_be_bought() {
    let database = TestDatabase::new().await;
    let operations = database.stores().await.operations();
    let renewal = operations.find_by_name("driver_license_renewal").await.unwrap().unwrap();
    assert_eq!((renewal.id, renewal.price.get()), (OperationId::new(1), 50_000));
    assert_eq!(renewal.form.required(), ["cpf", "cnh_number", "cnh_mirror"]);
    renewal.form.check(license_form()).unwrap();
    let mut with_more = license_form();
    with_more.insert("note".to_owned(), "x".into());
    assert!(renewal.form.check(with_more).is_err());
    for (field, value) in [("cpf", "11111111111"), ("cnh_number", "1"), ("cnh_mirror", "12345678")] {
        let mut wrong = license_form();
        wrong.insert(field.to_owned(), value.into());
        assert!(renewal.form.check(wrong).is_err(), "{field}");
    }
    let listed = operations.list().await.unwrap();
    assert_eq!(listed.iter().map(|operation| operation.id).collect::<Vec<_>>(), [renewal.id]);
    assert!(std::sync::Arc::ptr_eq(&listed[0].form, &renewal.form), "compiled once");
    let client = database.raw(&database.superuser_url()).await;
    client.batch_execute("UPDATE operations SET price_sats = 60000").await.unwrap();
    assert_eq!(
        operations.find(renewal.id).await.unwrap().unwrap().price.get(),
        60_000,
        "prices are not kept"
    );
    client.batch_execute("UPDATE operations SET active = false").await.unwrap();
    assert!(operations.find(renewal.id).await.unwrap().is_none());
    assert!(operations.find_by_name("driver_license_renewal").await.unwrap().is_none());
    assert!(operations.find_by_name("no\0such").await.unwrap().is_none());
    assert!(operations.list().await.unwrap().is_empty());
}
