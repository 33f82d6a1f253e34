//! The calls of our SQL functions as diesel queries.
//!
//! `diesel::sql_query` is never cached as a prepared statement, and `#[declare_sql_function]` knows no functions that
//! return rows. So each call is a small query node of its own: its type is its key in the statement cache.

/// Declares a call of an SQL function: a struct of its arguments, in their order, which is a query for the rows.
///
/// ```text
/// sql_call! {
///     /// What it does.
///     struct TicketOf<'a> = "ticket_of" {
///         user: Uuid => sql_types::Uuid,
///         hash: &'a [u8] => sql_types::Binary,
///     } -> (sql_types::Uuid,)
/// }
/// ```
macro_rules! sql_call {
    (
        $(#[$attribute:meta])*
        $vis:vis struct $name:ident $(<$lifetime:lifetime>)? = $function:literal {
            $($argument:ident: $rust:ty => $sql:ty,)+
        } -> $row:ty
    ) => {
        $(#[$attribute])*
        $vis struct $name $(<$lifetime>)? {
            $($vis $argument: $rust,)+
        }

        impl $(<$lifetime>)? ::diesel::query_builder::QueryFragment<::diesel::pg::Pg> for $name $(<$lifetime>)? {
            fn walk_ast<'b>(
                &'b self,
                mut out: ::diesel::query_builder::AstPass<'_, 'b, ::diesel::pg::Pg>,
            ) -> ::diesel::QueryResult<()> {
                out.push_sql(concat!("SELECT * FROM ", $function));
                let mut separator = "(";
                $(
                    out.push_sql(separator);
                    out.push_bind_param::<$sql, _>(&self.$argument)?;
                    separator = ", ";
                )+
                let _ = separator;
                out.push_sql(")");
                Ok(())
            }
        }

        // The text depends on nothing but the type, so the type is enough of a key for the statement cache.
        impl $(<$lifetime>)? ::diesel::query_builder::QueryId for $name $(<$lifetime>)? {
            type QueryId = $crate::query::sql_call!(@static $name $($lifetime)?);
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl $(<$lifetime>)? ::diesel::query_builder::Query for $name $(<$lifetime>)? {
            type SqlType = $row;
        }
    };
    (@static $name:ident) => { $name };
    (@static $name:ident $lifetime:lifetime) => { $name<'static> };
}

pub(crate) use sql_call;

use futures::future::BoxFuture;
use guiche_kernel::StoreError;

/// The row of a function that returns exactly one.
pub(crate) fn one<R>(mut rows: Vec<R>) -> Result<R, StoreError> {
    rows.pop().ok_or_else(|| StoreError::corrupt("a function returned no row"))
}

/// How many rows one call forgets at most. Old rows may be many: in one statement they would run into its timeout, be
/// taken back, and be more the next time.
pub(crate) const PRUNED_AT_ONCE: i64 = 5_000;

/// Repeats a call that forgets up to [`PRUNED_AT_ONCE`] rows and says how many, each time a transaction by itself, until
/// there are no more; returns how many in all.
pub(crate) async fn in_batches<'a, F>(mut call: F) -> Result<u64, StoreError>
where
    F: FnMut() -> BoxFuture<'a, Result<Vec<(i64,)>, StoreError>> + Send,
{
    let mut pruned = 0_u64;
    loop {
        let (batch,) = one(call().await?)?;
        pruned = pruned.saturating_add(u64::try_from(batch).unwrap_or_default());
        if batch < PRUNED_AT_ONCE {
            return Ok(pruned);
        }
    }
}
