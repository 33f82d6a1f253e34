//! Rows to setups, invoices and entries of the audit trail.

use std::str::FromStr;

use diesel::Queryable;
use guiche_kernel::{Sealed, StoreError, Timestamp, UserId};
use guiche_lightning_setup::{
    AddressDomain, AddressInvoice, AddressName, AuditEntry, AuditRow, Lease, LightningAddress, Services,
    Setup, SetupId, StepRecord,
};
use serde_json::Value;
use uuid::Uuid;

/// A row of the view `lightning_setup_readings`: the setup, and one record of its journal, if it has any.
#[derive(Queryable)]
pub(super) struct Reading {
    id: Uuid,
    user_id: Uuid,
    address: String,
    status: String,
    goal: String,
    attempt: i32,
    fault: Option<Value>,
    voltage_node_id: Option<String>,
    btcpay_store_id: Option<String>,
    encrypted_voltage_config: Option<String>,
    encrypted_btcpay_config: Option<String>,
    begun_at: Timestamp,
    activated_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    run: i64,
    step_attempt: Option<i32>,
    step: Option<String>,
    step_state: Option<String>,
    resource: Option<String>,
    sealed: Option<String>,
    tries: Option<i32>,
    since: Option<Timestamp>,
}

/// The setups that the rows describe, which stand together for each setup, in their order; with the number of each
/// one's last claim.
pub(super) fn setups(readings: Vec<Reading>) -> Result<Vec<(Lease, Setup)>, StoreError> {
    let mut setups: Vec<(Lease, Setup)> = Vec::new();
    for mut reading in readings {
        let record = reading.record()?;
        let id = SetupId::new(reading.id);
        if setups.last().is_none_or(|(_, last)| last.id != id) {
            setups.push((Lease { setup: id, run: reading.run }, reading.setup()?));
        }
        if let Some((_, setup)) = setups.last_mut() {
            setup.journal.extend(record);
        }
    }
    for (_, setup) in &mut setups {
        setup.journal.sort_by_key(|record| (record.attempt, record.step));
    }
    Ok(setups)
}

/// The one setup that the rows describe, if any.
pub(super) fn setup(readings: Vec<Reading>) -> Result<Option<Setup>, StoreError> {
    Ok(setups(readings)?.into_iter().next().map(|(_, setup)| setup))
}

impl Reading {
    fn record(&mut self) -> Result<Option<StepRecord>, StoreError> {
        let (Some(attempt), Some(step), Some(state), Some(tries), Some(since)) =
            (self.step_attempt, &self.step, &self.step_state, self.tries, self.since)
        else {
            return Ok(None);
        };
        Ok(Some(StepRecord {
            attempt: count(attempt)?,
            step: word(step)?,
            state: word(state)?,
            resource: self.resource.take(),
            sealed: self.sealed.take().map(Sealed::from_text),
            tries: u16::try_from(tries).map_err(|_| corrupt("tries beyond all counting"))?,
            since,
        }))
    }

    /// Without its journal.
    fn setup(self) -> Result<Setup, StoreError> {
        let fault = self.fault.map(serde_json::from_value).transpose();
        let services = self.voltage_node_id.zip(self.btcpay_store_id).map(|(node_id, store_id)| Services {
            node_id,
            store_id,
            node_config: self.encrypted_voltage_config.map(Sealed::from_text),
            store_config: self.encrypted_btcpay_config.map(Sealed::from_text),
        });
        Ok(Setup {
            id: SetupId::new(self.id),
            user_id: UserId::new(self.user_id),
            address: address(&self.address)?,
            status: word(&self.status)?,
            goal: word(&self.goal)?,
            attempt: count(self.attempt)?,
            fault: fault.map_err(|_| corrupt("a fault that is none"))?,
            services,
            begun_at: self.begun_at,
            activated_at: self.activated_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
            journal: Vec::new(),
        })
    }
}

/// Records of the journal, column by column.
#[derive(Default)]
pub(super) struct RecordColumns<'a> {
    pub(super) attempts: Vec<i32>,
    pub(super) steps: Vec<&'static str>,
    pub(super) states: Vec<&'static str>,
    pub(super) resources: Vec<Option<&'a str>>,
    pub(super) sealed: Vec<Option<&'a str>>,
    pub(super) tries: Vec<i32>,
    pub(super) since: Vec<Timestamp>,
}

impl<'a> RecordColumns<'a> {
    pub(super) fn of(records: &'a [StepRecord]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for record in records {
            columns.attempts.push(attempt(record)?);
            columns.steps.push(record.step.as_str());
            columns.states.push(record.state.as_str());
            columns.resources.push(record.resource.as_deref());
            columns.sealed.push(record.sealed.as_ref().map(Sealed::as_str));
            columns.tries.push(record.tries.into());
            columns.since.push(record.since);
        }
        Ok(columns)
    }
}

pub(super) fn attempt(record: &StepRecord) -> Result<i32, StoreError> {
    i32::try_from(record.attempt).map_err(|_| StoreError::corrupt("an attempt beyond all counting"))
}

/// A row of `lightning_setup_log`.
#[derive(Queryable)]
pub(super) struct LogRow {
    number: i64,
    id: Uuid,
    user_id: Option<Uuid>,
    lightning_address_id: Uuid,
    operation_type: String,
    btcpay_configured: bool,
    voltage_configured: bool,
    success: bool,
    error_message: Option<String>,
    created_at: Timestamp,
    hash: Vec<u8>,
}

impl LogRow {
    pub(super) fn entry(self) -> Result<AuditEntry, StoreError> {
        let hash = hash(self.hash)?;
        let row = AuditRow {
            number: self.number,
            id: self.id,
            user_id: self.user_id.map(UserId::new),
            setup: SetupId::new(self.lightning_address_id),
            operation: self.operation_type,
            btcpay_configured: self.btcpay_configured,
            voltage_configured: self.voltage_configured,
            success: self.success,
            error_message: self.error_message,
            created_at: self.created_at,
        };
        Ok(AuditEntry { row, hash })
    }
}

/// A row of `lightning_address_invoices`, but for whose it is.
#[derive(Queryable)]
pub(super) struct InvoiceRow {
    payment_hash: Vec<u8>,
    lightning_address_id: Uuid,
    store_id: String,
    invoice_id: String,
    bolt11: String,
    amount_msat: i64,
    comment: Option<String>,
    issued_at: Timestamp,
    expires_at: Timestamp,
    paid_at: Option<Timestamp>,
}

impl InvoiceRow {
    pub(super) fn invoice(self) -> Result<AddressInvoice, StoreError> {
        Ok(AddressInvoice {
            payment_hash: hash(self.payment_hash)?,
            setup: SetupId::new(self.lightning_address_id),
            store_id: self.store_id,
            invoice_id: self.invoice_id,
            bolt11: self.bolt11,
            amount_msat: u64::try_from(self.amount_msat)
                .map_err(|_| corrupt("an amount that cannot exist"))?,
            comment: self.comment,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            paid_at: self.paid_at,
        })
    }
}

fn address(text: &str) -> Result<LightningAddress, StoreError> {
    let parsed = text.split_once('@').and_then(|(name, domain)| {
        Some(LightningAddress {
            name: AddressName::parse(name).ok()?,
            domain: AddressDomain::parse(domain).ok()?,
        })
    });
    parsed.ok_or_else(|| corrupt("a Lightning address that is none"))
}

pub(super) fn hash(bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| corrupt("a hash that is none"))
}

fn count(number: i32) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| corrupt("a count below zero"))
}

pub(super) fn word<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt("an unknown word"))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::corrupt(what)
}
