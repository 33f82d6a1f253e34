//! What the driver says, in the words of the ports.
//!
//! Nothing that was bound or stored may appear in an error's text: PostgreSQL puts row contents into DETAIL, which is
//! never read here, and typed values into a few messages, which are replaced.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};
use diesel_async::pooled_connection::deadpool::PoolError;
use guiche_kernel::StoreError;

/// The database cannot be used as configured. Each variant is one clear line for whoever starts the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text of the connection makes no sense.
    #[error("the database URL {0}")]
    Url(String),
    /// The root certificates cannot be read, or there are none.
    #[error("the database's root certificates: {0}")]
    RootCertificates(String),
    /// The TLS library refuses its own configuration.
    #[error("TLS for the database cannot be configured")]
    Tls(#[source] rustls::Error),
    /// The pool cannot be made.
    #[error("the connection pool cannot be made")]
    Pool(#[source] guiche_kernel::BoxError),
    /// The database does not answer, or refuses us.
    #[error("the database cannot be used")]
    Store(#[source] StoreError),
}

/// The login is one that must not serve. Each variant is one clear line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// Row-level security does not bind a superuser.
    #[error(
        "refusing to start: the {purpose} login \"{role}\" is a superuser, so row-level security would not hold"
    )]
    Superuser {
        /// `app` or `worker`.
        purpose: &'static str,
        /// The login.
        role: String,
    },
    /// The role has `BYPASSRLS`.
    #[error(
        "refusing to start: the {purpose} login \"{role}\" has BYPASSRLS, so row-level security would not hold"
    )]
    BypassRls {
        /// `app` or `worker`.
        purpose: &'static str,
        /// The login.
        role: String,
    },
    /// The role owns tables of ours, and could switch their row-level security off.
    #[error("refusing to start: the {purpose} login \"{role}\" owns tables of this database")]
    Owner {
        /// `app` or `worker`.
        purpose: &'static str,
        /// The login.
        role: String,
    },
    /// The role can become another one, and with it get past row-level security.
    #[error("refusing to start: the {purpose} login \"{role}\" is a member of \"{of}\"")]
    Member {
        /// `app` or `worker`.
        purpose: &'static str,
        /// The login.
        role: String,
        /// What it is a member of.
        of: String,
    },
    /// Citizens' rows are open to the app's login: the table's row-level security is not forced, or a policy lets the
    /// login through to everything (the worker's login serves as the app's, say).
    #[error(
        "refusing to start: the app login \"{role}\" would see every citizen's rows of the table \"{table}\""
    )]
    Unisolated {
        /// The login.
        role: String,
        /// The table.
        table: String,
    },
    /// The worker would see no rows: payments would go unnoticed without an error.
    #[error("refusing to start: the worker login \"{role}\" would see no invoices; it must be guiche_worker")]
    Blind {
        /// The login.
        role: String,
    },
    /// The catalogue does not know the login.
    #[error("refusing to start: the {purpose} login is not in the catalogue of roles")]
    Unknown {
        /// `app` or `worker`.
        purpose: &'static str,
    },
    /// The database could not be asked.
    #[error("the roles of the database cannot be checked")]
    Store(#[from] StoreError),
}

/// The migrations could not be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The owner's URL is unusable.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Tables made by a superuser would belong to it, and definer functions would get past row-level security.
    #[error(
        "refusing to migrate: the login \"{0}\" is a superuser or has BYPASSRLS; migrate as guiche_owner"
    )]
    Privileged(String),
    /// A role is missing that deploy/postgres/roles.sql makes.
    #[error(
        "refusing to migrate: the role \"{0}\" does not exist; run deploy/postgres/roles.sql as a superuser first"
    )]
    RoleMissing(String),
    /// A step failed; it was rolled back, and the ones before it were kept.
    #[error("a migration failed")]
    Step(#[source] guiche_kernel::BoxError),
    /// The database could not be used.
    #[error("the database cannot be migrated")]
    Store(#[from] StoreError),
}

/// An error of the database without what was in the rows.
#[derive(Debug, thiserror::Error)]
#[error("{what}{}{}", .name.as_deref().map_or("", |_| ": "), .name.as_deref().unwrap_or_default())]
struct Fault {
    what: &'static str,
    name: Option<String>,
}

fn fault(what: &'static str, name: Option<&str>) -> guiche_kernel::BoxError {
    Fault { what, name: name.map(str::to_owned) }.into()
}

/// The kernel's word for what the database answered.
#[expect(clippy::wildcard_enum_match_arm, reason = "the driver's errors are open to additions")]
pub(crate) fn store_error(error: Error) -> StoreError {
    match error {
        Error::DatabaseError(kind, information) => database_error(kind, &*information),
        Error::BrokenTransactionManager => {
            StoreError::Unavailable(fault("a transaction was cut short", None))
        }
        Error::NotFound => StoreError::Corrupt(fault("a row that must be there is missing", None)),
        Error::DeserializationError(_) => StoreError::Corrupt(fault("a stored value cannot be read", None)),
        Error::SerializationError(_) => StoreError::Corrupt(fault("a value cannot be stored", None)),
        _ => StoreError::Corrupt(fault("the database driver refused", None)),
    }
}

fn database_error(kind: DatabaseErrorKind, information: &dyn DatabaseErrorInformation) -> StoreError {
    match information.constraint_name() {
        // Raised by our own functions; see the migrations.
        Some("guiche_revoked") => return StoreError::Revoked,
        Some("guiche_duplicate") => return StoreError::Duplicate,
        Some("guiche_conflict") => return StoreError::Conflict,
        // The account was there when the call began, and was forgotten before the row came.
        Some(
            "tickets_user_id_fkey"
            | "sessions_user_id_fkey"
            | "idempotency_claims_user_id_fkey"
            | "lightning_addresses_user_id_fkey",
        ) => return StoreError::Revoked,
        Some(_) | None => {}
    }
    match kind {
        DatabaseErrorKind::UniqueViolation => StoreError::Duplicate,
        DatabaseErrorKind::SerializationFailure => StoreError::Conflict,
        DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
            StoreError::Unavailable(fault("the connection was lost", None))
        }
        DatabaseErrorKind::ReadOnlyTransaction => {
            StoreError::Unavailable(fault("the database is read-only", None))
        }
        DatabaseErrorKind::ForeignKeyViolation
        | DatabaseErrorKind::RestrictViolation
        | DatabaseErrorKind::NotNullViolation
        | DatabaseErrorKind::CheckViolation
        | DatabaseErrorKind::ExclusionViolation => {
            let name = information.constraint_name().or_else(|| information.column_name());
            StoreError::Corrupt(fault("a constraint refused a row", name))
        }
        _ => by_message(information.message()),
    }
}

/// What the driver gives us no code for. `deploy/postgres/roles.sql` sees to it that the words are English.
fn by_message(message: &str) -> StoreError {
    const CONTENDED: [&str; 3] =
        ["deadlock detected", "could not serialize access", "canceling statement due to lock timeout"];
    const DOWN: [&str; 15] = [
        "canceling statement",
        "terminating connection",
        "terminating walsender",
        "the database system is",
        "sorry, too many clients",
        "too many connections",
        "remaining connection slots",
        "out of memory",
        "out of shared memory",
        "could not extend file",
        "could not write",
        "No space left",
        "could not resize shared memory",
        "could not open file",
        // A migration changed a result under a prepared statement; the connection is replaced.
        "cached plan must not change result type",
    ];
    if CONTENDED.iter().any(|sign| message.contains(sign)) {
        return StoreError::Conflict;
    }
    if DOWN.iter().any(|sign| message.contains(sign)) {
        return StoreError::Unavailable(fault("the database gave up", Some(message)));
    }
    // These repeat the value that they complain about.
    let repeats_a_value =
        ["invalid ", "date/time", "value \"", "malformed "].iter().any(|sign| message.contains(sign));
    StoreError::Corrupt(fault("the database refused", (!repeats_a_value).then_some(message)))
}

/// Whether the connection must not be used again after this error.
#[expect(clippy::wildcard_enum_match_arm, reason = "the driver's errors are open to additions")]
pub(crate) fn breaks_connection(error: &Error) -> bool {
    match error {
        Error::DatabaseError(_, information) => {
            let message = information.message();
            ["connection", "cached plan"].iter().any(|sign| message.contains(sign))
        }
        Error::BrokenTransactionManager => true,
        _ => false,
    }
}

pub(crate) fn pool_error(error: PoolError) -> StoreError {
    StoreError::Unavailable(match error {
        PoolError::Timeout(_) => fault("no connection was free or could be made in time", None),
        PoolError::Backend(refusal) => connection_fault(&refusal),
        PoolError::Closed => fault("the connection pool is closed", None),
        PoolError::NoRuntimeSpecified => fault("the connection pool has no runtime", None),
        PoolError::PostCreateHook(_) => fault("a new connection was refused", None),
    })
}

fn connection_fault(refusal: &diesel_async::pooled_connection::PoolError) -> guiche_kernel::BoxError {
    fault("no connection could be made", Some(&refusal.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Info(&'static str, Option<&'static str>);

    impl DatabaseErrorInformation for Info {
        fn message(&self) -> &str {
            self.0
        }
        fn details(&self) -> Option<&str> {
            Some("Key (email_key)=(ana@example.org) already exists.")
        }
        fn hint(&self) -> Option<&str> {
            None
        }
        fn table_name(&self) -> Option<&str> {
            None
        }
        fn column_name(&self) -> Option<&str> {
            None
        }
        fn constraint_name(&self) -> Option<&str> {
            self.1
        }
        fn statement_position(&self) -> Option<i32> {
            None
        }
    }

    fn mapped(
        kind: DatabaseErrorKind,
        message: &'static str,
        constraint: Option<&'static str>,
    ) -> StoreError {
        store_error(Error::DatabaseError(kind, Box::new(Info(message, constraint))))
    }

    #[test]
    fn every_answer_becomes_what_the_caller_can_act_on() {
        use DatabaseErrorKind as Kind;
        let unknown = |message| format!("{:?}", mapped(Kind::Unknown, message, None));
        assert!(matches!(mapped(Kind::Unknown, "x", Some("guiche_revoked")), StoreError::Revoked));
        assert!(matches!(mapped(Kind::Unknown, "x", Some("guiche_duplicate")), StoreError::Duplicate));
        assert!(matches!(mapped(Kind::Unknown, "x", Some("guiche_conflict")), StoreError::Conflict));
        assert!(matches!(mapped(Kind::UniqueViolation, "x", Some("y")), StoreError::Duplicate));
        assert!(matches!(mapped(Kind::CheckViolation, "x", Some("y")), StoreError::Corrupt(_)));
        assert!(matches!(
            mapped(Kind::UnableToSendCommand, "connection closed", None),
            StoreError::Unavailable(_)
        ));
        for message in ["deadlock detected", "canceling statement due to lock timeout"] {
            assert_eq!(unknown(message), "Conflict");
        }
        for message in [
            "canceling statement due to statement timeout",
            "terminating connection due to administrator command",
            "the database system is shutting down",
            "sorry, too many clients already",
        ] {
            assert!(unknown(message).starts_with("Unavailable"), "{message}");
        }
        for message in ["permission denied for table users", "function become(uuid) does not exist"] {
            assert!(unknown(message).starts_with("Corrupt"), "{message}");
        }
    }

    #[test]
    fn no_text_repeats_what_was_stored_or_bound() {
        let all = [
            mapped(DatabaseErrorKind::CheckViolation, "new row violates check", Some("tickets_amount")),
            mapped(
                DatabaseErrorKind::Unknown,
                "invalid input syntax for type uuid: \"ana@example.org\"",
                None,
            ),
        ];
        for error in all {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            let text = format!("{error} {error:?} {source:?}");
            assert!(!text.contains("ana@example.org"), "{text}");
        }
    }
}
