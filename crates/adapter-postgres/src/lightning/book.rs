//! Addresses as strangers see them, and their invoices.

use async_trait::async_trait;
use diesel::prelude::*;
use guiche_kernel::{StoreError, Timestamp};
use guiche_lightning_setup::{AddressBook, AddressInvoice, LightningAddress, ServedAddress, SetupId};
use uuid::Uuid;

use super::PgLightning;
use super::calls::{ActiveAddress, KeepInvoice, NoteDelivery, Prune};
use super::rows::InvoiceRow;
use crate::query::{PRUNED_AT_ONCE, in_batches, one};
use crate::schema::lightning_address_invoices as invoices;

#[async_trait]
impl AddressBook for PgLightning {
    async fn served(&self, address: &LightningAddress) -> Result<Option<ServedAddress>, StoreError> {
        let rows: Vec<(Uuid, String)> = self.app.rows(ActiveAddress { address: address.to_string() }).await?;
        let served =
            |(id, store_id)| ServedAddress { id: SetupId::new(id), address: address.clone(), store_id };
        Ok(rows.into_iter().next().map(served))
    }

    async fn keep_invoice(&self, invoice: &AddressInvoice) -> Result<(), StoreError> {
        let amount_msat = i64::try_from(invoice.amount_msat);
        let call = KeepInvoice {
            hash: &invoice.payment_hash,
            setup: invoice.setup.as_uuid(),
            store_id: &invoice.store_id,
            invoice_id: &invoice.invoice_id,
            bolt11: &invoice.bolt11,
            amount_msat: amount_msat.map_err(|_| StoreError::corrupt("an amount that cannot exist"))?,
            comment: invoice.comment.as_deref(),
            issued_at: invoice.issued_at,
            expires_at: invoice.expires_at,
            paid_at: invoice.paid_at,
        };
        let (kept,): (bool,) = one(self.worker.rows(call).await?)?;
        if kept { Ok(()) } else { Err(StoreError::Duplicate) }
    }

    async fn invoice(&self, payment_hash: &[u8; 32]) -> Result<Option<AddressInvoice>, StoreError> {
        let query = invoices::table.filter(invoices::payment_hash.eq(payment_hash.to_vec())).select((
            invoices::payment_hash,
            invoices::lightning_address_id,
            invoices::store_id,
            invoices::invoice_id,
            invoices::bolt11,
            invoices::amount_msat,
            invoices::comment,
            invoices::issued_at,
            invoices::expires_at,
            invoices::paid_at,
        ));
        let row: Option<InvoiceRow> = self.worker.rows(query).await?.pop();
        row.map(InvoiceRow::invoice).transpose()
    }

    async fn settle_invoice(&self, payment_hash: &[u8; 32], paid_at: Timestamp) -> Result<(), StoreError> {
        let unpaid = invoices::table
            .filter(invoices::payment_hash.eq(payment_hash.to_vec()))
            .filter(invoices::paid_at.is_null());
        self.worker.run(diesel::update(unpaid).set(invoices::paid_at.eq(paid_at))).await.map(drop)
    }

    async fn note_delivery(&self, id: SetupId, delivery: &str, now: Timestamp) -> Result<bool, StoreError> {
        let call = NoteDelivery { setup: id.as_uuid(), delivery, now };
        let (fresh,): (bool,) = one(self.worker.rows(call).await?)?;
        Ok(fresh)
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        in_batches(|| self.worker.rows(Prune { before, limit: PRUNED_AT_ONCE })).await
    }
}
