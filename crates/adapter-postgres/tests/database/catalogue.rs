//! The schema's own rules, read from the catalogue: a table that is added without them fails here.

use guiche_adapter_postgres::testing::TestDatabase;

use crate::scene::{PERSONAL, number, texts};

const TABLES: &str = "pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')";
const HAS_USER: &str = "(c.relname = 'users' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
    AND a.attname = 'user_id' AND NOT a.attisdropped))";

#[tokio::test]
async fn every_personal_table_is_isolated_even_from_its_owner() {
    let database = TestDatabase::new().await;
    let client = database.raw(&database.superuser_url()).await;
    let mut personal = texts(&client, &format!("SELECT c.relname::text FROM {TABLES} AND {HAS_USER}")).await;
    let mut known: Vec<_> = PERSONAL.iter().map(|(table, _)| (*table).to_owned()).collect();
    personal.sort();
    known.sort();
    assert_eq!(
        personal, known,
        "a new personal table belongs into the list, so that the isolation tests see it"
    );
    let open = format!(
        "SELECT c.relname::text FROM {TABLES} AND {HAS_USER} AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
    );
    assert!(texts(&client, &open).await.is_empty());
    // A policy is for one role by name, and the app's is the identity and nothing else.
    let public = "SELECT tablename || '.' || policyname FROM pg_policies WHERE 'public' = ANY(roles)";
    assert!(texts(&client, public).await.is_empty());
    let identity = "(NULLIF(current_setting('app.user_id'::text, true), ''::text))::uuid";
    for (table, owner) in PERSONAL {
        let expected = format!("({owner} = {identity})");
        let policies = format!(
            "SELECT qual || ' ' || with_check || ' ' || cmd FROM pg_policies
            WHERE tablename = '{table}' AND 'guiche_app' = ANY(roles)"
        );
        assert_eq!(texts(&client, &policies).await, [format!("{expected} {expected} ALL")], "{table}");
    }
}

#[tokio::test]
async fn nothing_is_everybodys_and_everything_is_the_owners() {
    let database = TestDatabase::new().await;
    let client = database.raw(&database.superuser_url()).await;
    let executable = "SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')";
    assert!(texts(&client, executable).await.is_empty());
    let granted = "SELECT table_name || ' ' || privilege_type FROM information_schema.table_privileges
        WHERE grantee = 'PUBLIC' AND table_schema = 'public'";
    assert!(texts(&client, granted).await.is_empty());
    for (what, privilege) in
        [("schema", "CREATE"), ("schema", "USAGE"), ("database", "TEMP"), ("database", "CONNECT")]
    {
        let name = if what == "schema" { "'public'".to_owned() } else { format!("'{}'", database.name()) };
        let open = format!("SELECT has_{what}_privilege('public', {name}, '{privilege}')::int::bigint");
        assert_eq!(number(&client, &open).await, 0, "{what} {privilege}");
    }
    let foreign = "SELECT c.relname::text FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relowner <> 'guiche_owner'::regrole";
    assert!(texts(&client, foreign).await.is_empty());
    assert_eq!(
        number(&client, "SELECT has_schema_privilege('guiche_auth', 'public', 'CREATE')::int::bigint").await,
        0
    );
}

#[tokio::test]
async fn definer_functions_are_the_few_that_must_see_more_and_look_nowhere_else() {
    let database = TestDatabase::new().await;
    let client = database.raw(&database.superuser_url()).await;
    let definers =
        "SELECT p.proname || ' ' || p.proowner::regrole || ' ' || array_to_string(p.proconfig, ';')
        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef ORDER BY p.proname";
    assert_eq!(
        texts(&client, definers).await,
        [
            "active_lightning_address guiche_auth search_path=pg_catalog, public, pg_temp",
            "append_lightning_setup_log guiche_auth search_path=pg_catalog, public, pg_temp",
            "begin_lightning_setup guiche_auth search_path=pg_catalog, public, pg_temp",
            "credentials_by_email guiche_auth search_path=pg_catalog, public, pg_temp",
            "follow_invoice guiche_auth search_path=pg_catalog, public, pg_temp",
            "session_by_token_hash guiche_auth search_path=pg_catalog, public, pg_temp",
            "tear_down_lightning_setup guiche_auth search_path=pg_catalog, public, pg_temp",
            "watch_invoices guiche_auth search_path=pg_catalog, public, pg_temp",
        ]
    );
    let callers = "SELECT DISTINCT r.rolname::text FROM pg_proc p, pg_roles r
        WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND NOT r.rolsuper
            AND has_function_privilege(r.oid, p.oid, 'EXECUTE') AND r.rolname LIKE 'guiche%' ORDER BY 1";
    assert_eq!(texts(&client, callers).await, ["guiche_app", "guiche_auth", "guiche_worker"]);
    let overloaded = "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        GROUP BY proname HAVING count(*) > 1";
    assert!(texts(&client, overloaded).await.is_empty(), "a changed function gets a new name");
    let blind_views = "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
        AND c.relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY(c.reloptions), false)";
    assert!(texts(&client, blind_views).await.is_empty(), "a view reads with its reader's rights");
}

#[tokio::test]
async fn roles_are_as_weak_as_they_must_be() {
    let database = TestDatabase::new().await;
    let client = database.raw(&database.superuser_url()).await;
    let strong = "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'guiche%'
        AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolinherit)";
    assert!(texts(&client, strong).await.is_empty());
    let members = "SELECT m.member::regrole || ' in ' || m.roleid::regrole FROM pg_auth_members m
        WHERE m.member::regrole::text LIKE 'guiche%'";
    assert_eq!(texts(&client, members).await, ["guiche_owner in guiche_auth"]);
    assert_eq!(
        number(&client, "SELECT count(*) FROM pg_roles WHERE rolname = 'guiche_auth' AND rolcanlogin").await,
        0
    );
}

#[tokio::test]
async fn moments_have_zones_and_foreign_keys_have_indexes() {
    let database = TestDatabase::new().await;
    let client = database.raw(&database.superuser_url()).await;
    let zoneless = "SELECT table_name || '.' || column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type IN ('timestamp without time zone', 'time without time zone', 'date',
            'real', 'double precision', 'character varying') AND table_name <> '__diesel_schema_migrations'";
    assert!(texts(&client, zoneless).await.is_empty());
    // The first column of a composite key is always a ticket's or a family's id, which is enough to find the few rows.
    let unindexed = "SELECT f.conname::text FROM pg_constraint f
        WHERE f.contype = 'f' AND f.connamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_index i
            WHERE i.indrelid = f.conrelid AND i.indpred IS NULL AND i.indkey[0] = f.conkey[1]
        )";
    assert!(texts(&client, unindexed).await.is_empty());
}

/// `src/schema.rs`, as lines `table.column type nullable`.
fn declared() -> Vec<String> {
    let (mut table, mut lines) = ("", Vec::new());
    for line in include_str!("../../src/schema.rs").lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix('{').and_then(|line| line.split_once(" (")) {
            table = name;
        } else if !line.starts_with("diesel::")
            && let Some((column, of_type)) = line.trim_end_matches(',').split_once(" -> ")
        {
            let inner = of_type.strip_prefix("Nullable<").and_then(|of_type| of_type.strip_suffix('>'));
            let nullable = if inner.is_some() { "YES" } else { "NO" };
            let of_type = match inner.unwrap_or(of_type) {
                "Uuid" => "uuid",
                "Integer" => "integer",
                "BigInt" => "bigint",
                "Text" => "text",
                "Bool" => "boolean",
                "Binary" => "bytea",
                "Jsonb" => "jsonb",
                "Array<Text>" => "ARRAY",
                "Timestamptz" => "timestamp with time zone",
                other => panic!("{other}"),
            };
            lines.push(format!("{table}.{column} {of_type} {nullable}"));
        }
    }
    lines
}

#[tokio::test]
async fn the_declared_schema_is_that_of_the_database() {
    let database = TestDatabase::new().await;
    let client = database.raw(&database.superuser_url()).await;
    let declared = declared();
    let mut tables: Vec<_> = declared.iter().filter_map(|line| line.split('.').next()).collect();
    tables.dedup();
    let mut present = Vec::new();
    for table in &tables {
        // A view's columns are all nullable to the catalogue; there the underlying ones count.
        let columns = format!(
            "SELECT c.table_name || '.' || c.column_name || ' ' || c.data_type || ' ' || coalesce(
                (
                    SELECT u.is_nullable FROM information_schema.columns u
                    WHERE c.table_name = 'ticket_readings' AND u.table_schema = 'public' AND u.table_name =
                        CASE WHEN c.ordinal_position <= 13 THEN 'tickets' ELSE 'invoices' END
                        AND u.column_name = CASE WHEN c.ordinal_position <= 13 THEN c.column_name
                            ELSE replace(c.column_name, 'invoice_', '') END
                ),
                (
                    -- Of a setup without a journal, the columns of a record are null.
                    SELECT u.is_nullable FROM information_schema.columns u
                    WHERE c.table_name = 'lightning_setup_readings' AND u.table_schema = 'public'
                        AND u.table_name = 'lightning_addresses' AND u.column_name = c.column_name
                ),
                CASE WHEN c.column_name = 'provider_invoice_id' THEN 'NO' ELSE c.is_nullable END
            )
            FROM information_schema.columns c WHERE c.table_schema = 'public' AND c.table_name = '{table}'
            ORDER BY c.ordinal_position"
        );
        present.extend(texts(&client, &columns).await);
    }
    assert_eq!(declared, present);
}
