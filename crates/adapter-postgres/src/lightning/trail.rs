//! The audit trail as a whole.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};
use guiche_kernel::{Limit, StoreError};
use guiche_lightning_setup::{AuditEntry, AuditTrail};

use super::PgLightning;
use super::rows::{LogRow, hash};
use crate::query::one;
use crate::schema::lightning_setup_log as log;

#[async_trait]
impl AuditTrail for PgLightning {
    async fn rows(&self, after: Option<i64>, limit: Limit) -> Result<Vec<AuditEntry>, StoreError> {
        // Numbers below the first are no row's, and would be found.
        let query = log::table
            .filter(log::number.gt(after.unwrap_or(i64::MIN)))
            .order(log::number)
            .limit(limit.get().into());
        let rows: Vec<LogRow> = self.worker.rows(query).await?;
        rows.into_iter().map(LogRow::entry).collect()
    }

    async fn head(&self) -> Result<Option<(i64, [u8; 32])>, StoreError> {
        let query = diesel::sql_query("SELECT number, hash FROM lightning_setup_log_head");
        let head: HeadRow = one(self.worker.rows(query).await?)?;
        if head.number == 0 { Ok(None) } else { Ok(Some((head.number, hash(head.hash)?))) }
    }
}

#[derive(QueryableByName)]
struct HeadRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Binary)]
    hash: Vec<u8>,
}
