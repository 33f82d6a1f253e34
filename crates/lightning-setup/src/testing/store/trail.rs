//! The audit trail in memory.

use async_trait::async_trait;
use guiche_kernel::{Limit, StoreError, Timestamp};
use uuid::Uuid;

use super::{MemorySetupStore, State};
use crate::{AuditEntry, AuditRow, AuditTrail, SetupId, Step, audit};

impl State {
    /// Appends a row about a setup as it now stands, if there is one; a row with a reason tells of a failure.
    pub(super) fn append(&mut self, setup: SetupId, operation: &str, reason: Option<String>, now: Timestamp) {
        let of = self.rows.get(&setup);
        let last = self.log.last();
        let number = last.map_or(0, |entry| entry.row.number).saturating_add(1);
        let row = AuditRow {
            number,
            id: Uuid::from_u128(0x8000_0000_0000_0000_0000 + u128::from(number.unsigned_abs())),
            user_id: of.map(|of| of.setup.user_id),
            setup,
            operation: operation.to_owned(),
            btcpay_configured: of.is_some_and(|of| of.store_id.is_some() || of.has(Step::StoreCreated)),
            voltage_configured: of.is_some_and(|of| of.node_id.is_some() || of.has(Step::NodeCreated)),
            success: reason.is_none(),
            error_message: reason,
            created_at: now,
        };
        let hash = audit::link(&last.map_or(audit::GENESIS, |entry| entry.hash), &row);
        self.log.push(AuditEntry { row, hash });
    }
}

#[async_trait]
impl AuditTrail for MemorySetupStore {
    async fn rows(&self, after: Option<i64>, limit: Limit) -> Result<Vec<AuditEntry>, StoreError> {
        let state = self.lock();
        let rows = state.log.iter().filter(|entry| after.is_none_or(|after| entry.row.number > after));
        Ok(rows.take(limit.get().into()).cloned().collect())
    }

    async fn head(&self) -> Result<Option<(i64, [u8; 32])>, StoreError> {
        Ok(self.lock().log.last().map(|entry| (entry.row.number, entry.hash)))
    }
}
