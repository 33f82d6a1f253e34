//! The database as text: every row of every table that the catalogue knows, but for what citizens wrote into their forms.

use crate::books::Books;

/// The one column that is what it is because a citizen must give it: the office serves by it.
const EXCEPTED: (&str, &str) = ("tickets", "form_data");

/// Every row of every table of every schema, a line each.
pub(super) async fn dump(books: &Books) -> String {
    let mut dump = String::new();
    for query in books.texts(&queries()).await {
        for row in books.texts(&query).await {
            dump.push_str(&row);
            dump.push('\n');
        }
    }
    dump
}

/// What is left out of [`dump`].
pub(super) async fn forms(books: &Books) -> String {
    let (table, column) = EXCEPTED;
    books.texts(&format!("SELECT {column}::text FROM {table}")).await.join("\n")
}

/// The names of the tables in [`dump`].
pub(super) async fn tables(books: &Books) -> Vec<String> {
    books.texts(&format!("SELECT c.relname::text {TABLES}")).await
}

const TABLES: &str = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// One query per table. Row by row as text, so that no column needs to be known here.
fn queries() -> String {
    let (table, column) = EXCEPTED;
    format!(
        "SELECT format('SELECT %L || r::text FROM (SELECT %s FROM %I.%I) r', c.relname || ' ',
            (SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                    AND (c.relname::text, a.attname::text) <> ('{table}', '{column}')),
            n.nspname, c.relname) {TABLES}"
    )
}
