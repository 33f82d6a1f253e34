//! The columns that hold sealed values: a registry, and the rotation of keys over any of them. On the workers' login.

use std::num::NonZeroU16;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Uuid as SqlUuid};
use guiche_kernel::{KeyUse, Resealed, Sealed, SealedColumn, SealedRow, SecretPlace, StoreError, UserId};
use guiche_lightning_setup::{journal_place, node_place, store_place};
use guiche_webhooks::EndpointId;
use uuid::Uuid;

use crate::pool::PgPool;

/// Where sealed values are. The names are constants of ours, so that they can be part of a statement's text.
struct Place {
    table: &'static str,
    column: &'static str,
    /// The column that tells rows apart: unique, and indexed.
    key: &'static str,
    /// The column that says whose the value is.
    owner: &'static str,
    /// What its values are sealed for.
    of: fn(Uuid) -> SecretPlace,
}

/// All of them: every column whose constraint is called `…_is_sealed` (a test compares). Where a value moves from one
/// column to another, the one that it comes from stands first, so that a move meanwhile escapes nobody.
const PLACES: [Place; 5] = [
    Place {
        table: "webhook_endpoints",
        column: "secret",
        key: "id",
        owner: "id",
        of: |owner| EndpointId::new(owner).secret_place(),
    },
    Place {
        table: "webhook_endpoints",
        column: "previous_secret",
        key: "id",
        owner: "id",
        of: |owner| EndpointId::new(owner).secret_place(),
    },
    Place {
        table: "lightning_setup_steps",
        column: "sealed",
        key: "id",
        owner: "user_id",
        of: |owner| journal_place(UserId::new(owner)),
    },
    Place {
        table: "lightning_addresses",
        column: "encrypted_voltage_config",
        key: "id",
        owner: "user_id",
        of: |owner| node_place(UserId::new(owner)),
    },
    Place {
        table: "lightning_addresses",
        column: "encrypted_btcpay_config",
        key: "id",
        owner: "user_id",
        of: |owner| store_place(UserId::new(owner)),
    },
];

pub(crate) fn columns(worker: &PgPool) -> Vec<Arc<dyn SealedColumn>> {
    let column = |place: &'static Place| -> Arc<dyn SealedColumn> {
        let name = format!("{}.{}", place.table, place.column);
        Arc::new(PgSealedColumn { worker: worker.clone(), place, name })
    };
    PLACES.iter().map(column).collect()
}

struct PgSealedColumn {
    worker: PgPool,
    place: &'static Place,
    name: String,
}

impl PgSealedColumn {
    /// A statement about this column.
    fn sql(&self, text: &str) -> String {
        let Place { table, column, key, owner, .. } = self.place;
        [("{table}", table), ("{column}", column), ("{key}", key), ("{owner}", owner)]
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// The id of the key is the second part of the text, if the first one is our version.
const KEYS_IN_USE: &str = "
    SELECT CASE WHEN {column} LIKE 'v1.%' THEN nullif(split_part({column}, '.', 2), '') END AS key_id, count(*) AS total
    FROM {table} WHERE {column} IS NOT NULL
    GROUP BY 1 ORDER BY 1";

const NOT_UNDER: &str = "
    SELECT {key} AS row_id, {owner} AS owner_id, {column} AS sealed
    FROM {table}
    WHERE {column} IS NOT NULL AND ({column} NOT LIKE 'v1.%' OR split_part({column}, '.', 2) <> ALL ($1))
        AND ($2 IS NULL OR {key} > $2)
    ORDER BY {key} LIMIT $3";

/// Locked in the order of the keys, so that two of these at once wait for each other and never form a ring; and compared
/// again in the update, which sees what the one that it waited for has left.
const REPLACE: &str = "
    WITH change AS (
        SELECT * FROM unnest($1, $2, $3) AS c (row_id, old, new)
    ), unchanged AS MATERIALIZED (
        SELECT t.{key} AS row_id, c.old, c.new FROM {table} t JOIN change c ON t.{key} = c.row_id AND t.{column} = c.old
        ORDER BY t.{key} FOR NO KEY UPDATE OF t
    )
    UPDATE {table} t SET {column} = u.new FROM unchanged u WHERE t.{key} = u.row_id AND t.{column} = u.old";

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Nullable<Text>)]
    key_id: Option<String>,
    #[diesel(sql_type = BigInt)]
    total: i64,
}

#[derive(QueryableByName)]
struct ValueRow {
    #[diesel(sql_type = SqlUuid)]
    row_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    owner_id: Uuid,
    #[diesel(sql_type = Text)]
    sealed: String,
}

#[async_trait]
impl SealedColumn for PgSealedColumn {
    fn name(&self) -> &str {
        &self.name
    }

    fn place(&self, owner: Uuid) -> SecretPlace {
        (self.place.of)(owner)
    }

    async fn keys_in_use(&self) -> Result<Vec<KeyUse>, StoreError> {
        let rows: Vec<KeyRow> = self.worker.rows(diesel::sql_query(self.sql(KEYS_IN_USE))).await?;
        rows.into_iter()
            .map(|row| {
                let rows = u64::try_from(row.total).map_err(|_| StoreError::corrupt("a negative count"))?;
                Ok(KeyUse { key: row.key_id, rows })
            })
            .collect()
    }

    async fn not_under(
        &self,
        keys: &[&str],
        after: Option<Uuid>,
        most: NonZeroU16,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let query = diesel::sql_query(self.sql(NOT_UNDER))
            .bind::<Array<Text>, _>(keys.to_vec())
            .bind::<Nullable<SqlUuid>, _>(after)
            .bind::<BigInt, _>(i64::from(most.get()));
        let rows: Vec<ValueRow> = self.worker.rows(query).await?;
        let value = |row: ValueRow| SealedRow {
            row: row.row_id,
            owner: row.owner_id,
            sealed: Sealed::from_text(row.sealed),
        };
        Ok(rows.into_iter().map(value).collect())
    }

    async fn replace(&self, changes: &[Resealed]) -> Result<u64, StoreError> {
        let query = diesel::sql_query(self.sql(REPLACE))
            .bind::<Array<SqlUuid>, _>(changes.iter().map(|change| change.row).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(changes.iter().map(|change| change.old.as_str()).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(changes.iter().map(|change| change.new.as_str()).collect::<Vec<_>>());
        let replaced = self.worker.run(query).await?;
        u64::try_from(replaced).map_err(|_| StoreError::corrupt("a count beyond all counting"))
    }
}
