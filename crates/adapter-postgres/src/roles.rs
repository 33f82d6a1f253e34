//! Whether the logins are ones that row-level security binds.
//!
//! A superuser, an owner or a role with `BYPASSRLS` would see every citizen's rows, and nothing would look wrong.
//!
//! Of policies this checks that each one that lets the app's login through asks for `app.user_id`, in what it shows and in
//! what it takes in; that it asks for nothing else is what the tests of the catalogue compare word by word.

use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};

use crate::RoleError;
use crate::pool::PgPool;

/// What a role's memberships may not lead to: past row-level security, into the tables' ownership, or into the server's
/// files. Other memberships (a cloud provider's login group, say) are harmless.
const LOOK: &str = "
    SELECT
        r.rolname::text AS role,
        r.rolsuper AS superuser,
        r.rolbypassrls AS bypass_rls,
        d.datdba = r.oid OR EXISTS (
            SELECT FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relowner = r.oid
        ) AS owner,
        (
            SELECT m.rolname::text FROM pg_roles m
            WHERE m.oid <> r.oid AND NOT r.rolsuper AND pg_has_role(r.oid, m.oid, 'MEMBER') AND (
                m.rolsuper OR m.rolbypassrls OR d.datdba = m.oid
                OR m.rolname IN (
                    'guiche_owner', 'guiche_app', 'guiche_worker', 'guiche_auth', 'pg_read_server_files',
                    'pg_write_server_files', 'pg_execute_server_program'
                )
                OR EXISTS (
                    SELECT FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relowner = m.oid
                )
            )
            ORDER BY m.rolname LIMIT 1
        ) AS member_of,
        (
            SELECT c.relname::text FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                AND (
                    c.relname = 'users' OR EXISTS (
                        SELECT FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attname = 'user_id' AND NOT a.attisdropped
                    )
                )
                AND (
                    NOT (c.relrowsecurity AND c.relforcerowsecurity)
                    OR EXISTS (
                        SELECT FROM pg_policy p, unnest(p.polroles) AS of_role
                        WHERE p.polrelid = c.oid AND p.polpermissive
                            -- An absent half is the other one's, or there is none to ask.
                            AND EXISTS (
                                SELECT FROM (VALUES (p.polqual), (p.polwithcheck)) AS half (condition)
                                WHERE pg_get_expr(half.condition, p.polrelid) NOT LIKE '%current_setting(''app.user_id''%'
                            )
                            AND (of_role = 0 OR pg_has_role(r.oid, nullif(of_role, 0), 'MEMBER'))
                    )
                )
            ORDER BY c.relname LIMIT 1
        ) AS unisolated,
        EXISTS (
            SELECT FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = 'invoices'
        ) AND NOT EXISTS (
            SELECT FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid, unnest(p.polroles) AS of_role
            WHERE c.relnamespace = 'public'::regnamespace AND c.relname = 'invoices'
                AND pg_get_expr(p.polqual, p.polrelid) = 'true'
                AND pg_has_role(r.oid, nullif(of_role, 0), 'USAGE')
        ) AS blind
    FROM pg_roles r, pg_database d
    WHERE r.rolname = session_user AND d.datname = current_database()
";

#[derive(QueryableByName)]
struct Login {
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Bool)]
    superuser: bool,
    #[diesel(sql_type = Bool)]
    bypass_rls: bool,
    #[diesel(sql_type = Bool)]
    owner: bool,
    #[diesel(sql_type = Nullable<Text>)]
    member_of: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    unisolated: Option<String>,
    #[diesel(sql_type = Bool)]
    blind: bool,
}

/// What a login is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    App,
    Worker,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Worker => "worker",
        }
    }
}

/// Refuses a login that must not serve.
pub(crate) async fn check(pool: &PgPool, purpose: Purpose) -> Result<(), RoleError> {
    let login: Option<Login> = pool.rows(diesel::sql_query(LOOK)).await?.pop();
    let Some(login) = login else {
        return Err(RoleError::Unknown { purpose: purpose.word() });
    };
    let (role, purpose_word) = (login.role, purpose.word());
    if login.superuser {
        return Err(RoleError::Superuser { purpose: purpose_word, role });
    }
    if login.bypass_rls {
        return Err(RoleError::BypassRls { purpose: purpose_word, role });
    }
    if login.owner {
        return Err(RoleError::Owner { purpose: purpose_word, role });
    }
    if let Some(of) = login.member_of {
        return Err(RoleError::Member { purpose: purpose_word, role, of });
    }
    match (purpose, login.unisolated) {
        (Purpose::App, Some(table)) => Err(RoleError::Unisolated { role, table }),
        (Purpose::Worker, _) if login.blind => Err(RoleError::Blind { role }),
        (Purpose::App | Purpose::Worker, _) => Ok(()),
    }
}
