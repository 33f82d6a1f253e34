//! Addresses as strangers see them, in memory.

use async_trait::async_trait;
use guiche_kernel::{StoreError, Timestamp};

use super::MemorySetupStore;
use crate::{AddressBook, AddressInvoice, LightningAddress, ServedAddress, SetupId, SetupStatus};

#[async_trait]
impl AddressBook for MemorySetupStore {
    async fn served(&self, address: &LightningAddress) -> Result<Option<ServedAddress>, StoreError> {
        let state = self.lock();
        let mut active = state.rows.values().filter(|row| row.setup.status == SetupStatus::FullyConfigured);
        let row = active.find(|row| row.setup.address == *address);
        Ok(row.and_then(|row| {
            let (id, address) = (row.setup.id, address.clone());
            row.store_id.clone().map(|store_id| ServedAddress { id, address, store_id })
        }))
    }

    async fn keep_invoice(&self, invoice: &AddressInvoice) -> Result<(), StoreError> {
        let mut state = self.lock();
        if !state.rows.contains_key(&invoice.setup) {
            return Err(StoreError::corrupt("an invoice of no address"));
        }
        if state.invoices.contains_key(&invoice.payment_hash) {
            return Err(StoreError::Duplicate);
        }
        state.invoices.insert(invoice.payment_hash, invoice.clone());
        Ok(())
    }

    async fn invoice(&self, payment_hash: &[u8; 32]) -> Result<Option<AddressInvoice>, StoreError> {
        Ok(self.lock().invoices.get(payment_hash).cloned())
    }

    async fn settle_invoice(&self, payment_hash: &[u8; 32], paid_at: Timestamp) -> Result<(), StoreError> {
        if let Some(invoice) = self.lock().invoices.get_mut(payment_hash) {
            invoice.paid_at.get_or_insert(paid_at);
        }
        Ok(())
    }

    async fn note_delivery(&self, id: SetupId, delivery: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if !state.rows.contains_key(&id) {
            return Err(StoreError::corrupt("a message about no address"));
        }
        let key = (id, delivery.to_owned());
        if state.deliveries.contains_key(&key) {
            return Ok(false);
        }
        state.deliveries.insert(key, now);
        Ok(true)
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.lock();
        let count = state.invoices.len() + state.deliveries.len();
        state.invoices.retain(|_, invoice| invoice.paid_at.is_some() || invoice.expires_at >= before);
        state.deliveries.retain(|_, received_at| *received_at >= before);
        let left = state.invoices.len() + state.deliveries.len();
        Ok(u64::try_from(count - left).unwrap_or(u64::MAX))
    }
}
