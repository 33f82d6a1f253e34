//! A store host's invoices in memory: real BOLT11, signed, and every mistake that one can make with it.

#![expect(clippy::expect_used, reason = "test code: a failed expectation is the point")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};

use super::MemoryHosts;
use crate::{FaultKind, HostError, HostInvoice, NewAddressInvoice, Provider, ReceiveGateway};

/// How the next invoice is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// One millisatoshi more than was asked for.
    Amount,
    /// It commits to other metadata.
    Metadata,
    /// It is for the main network.
    Network,
    /// It lives a day longer.
    Expiry,
    /// It is no invoice.
    Garbage,
}

#[derive(Default)]
struct State {
    /// By id: the store, the preimage, and the invoice.
    invoices: BTreeMap<String, (String, [u8; 32], HostInvoice)>,
    mistake: Option<Mistake>,
    away: bool,
    receivable: Option<u64>,
    issued: u8,
}

/// Issues the invoices of the stores that there are in memory. Clones share their state.
#[derive(Clone)]
pub struct MemoryReceive {
    state: Arc<Mutex<State>>,
    hosts: MemoryHosts,
}

impl MemoryReceive {
    /// Nothing is issued yet.
    #[must_use]
    pub fn new(hosts: MemoryHosts) -> Self {
        Self { state: Arc::default(), hosts }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every invoice from now on is wrong in that way.
    pub fn mistaken(&self, mistake: Option<Mistake>) {
        self.lock().mistake = mistake;
    }

    /// Whether nothing answers from now on.
    pub fn away(&self, away: bool) {
        self.lock().away = away;
    }

    /// How much every store's node could receive, in satoshis; `None`: it does not say.
    pub fn receivable(&self, sats: Option<u64>) {
        self.lock().receivable = sats;
    }

    /// How many invoices were issued.
    #[must_use]
    pub fn issued(&self) -> usize {
        self.lock().invoices.len()
    }

    /// Pays an invoice.
    pub fn pay(&self, bolt11: &str) {
        let now = self.hosts.clock().now();
        for (_, _, invoice) in self.lock().invoices.values_mut() {
            if invoice.bolt11 == bolt11 {
                invoice.paid_at = Some(now);
            }
        }
    }

    fn answering(&self, operation: &'static str) -> Result<MutexGuard<'_, State>, HostError> {
        let state = self.lock();
        if state.away {
            return Err(HostError::new(Provider::StoreHost, operation, FaultKind::Unavailable));
        }
        Ok(state)
    }
}

#[async_trait]
impl ReceiveGateway for MemoryReceive {
    async fn issue(&self, store: &str, new: &NewAddressInvoice) -> Result<HostInvoice, HostError> {
        let now = self.hosts.clock().now();
        let mut state = self.answering("issue")?;
        if !self.hosts.has_store(store) {
            return Err(HostError::new(Provider::StoreHost, "issue", FaultKind::Refused));
        }
        state.issued = state.issued.wrapping_add(1);
        let preimage = [state.issued; 32];
        let payment_hash = sha256::Hash::hash(&preimage);
        let wrong = |mistake| state.mistake == Some(mistake);
        let metadata = if wrong(Mistake::Metadata) { "[]" } else { &*new.metadata };
        let lifetime = new.expiry_secs + if wrong(Mistake::Expiry) { 86_400 } else { 0 };
        let key = SecretKey::from_slice(&[42; 32]).expect("a key");
        let invoice =
            InvoiceBuilder::new(if wrong(Mistake::Network) { Currency::Bitcoin } else { Currency::Regtest })
                .description_hash(sha256::Hash::hash(metadata.as_bytes()))
                .payment_hash(payment_hash)
                .payment_secret(PaymentSecret([7; 32]))
                .duration_since_epoch(Duration::from_secs(now.unix_timestamp().unsigned_abs()))
                .expiry_time(Duration::from_secs(lifetime.into()))
                .min_final_cltv_expiry_delta(18)
                .amount_milli_satoshis(new.amount_msat + u64::from(wrong(Mistake::Amount)))
                .build_signed(|hash| Secp256k1::signing_only().sign_ecdsa_recoverable(hash, &key))
                .expect("an invoice");
        let bolt11 = if wrong(Mistake::Garbage) { "lnbcrt1".to_owned() } else { invoice.to_string() };
        let invoice = HostInvoice { id: payment_hash.to_string(), bolt11, paid_at: None, preimage: None };
        state.invoices.insert(invoice.id.clone(), (store.to_owned(), preimage, invoice.clone()));
        Ok(invoice)
    }

    async fn receivable_sats(&self, _: &str) -> Result<Option<u64>, HostError> {
        Ok(self.answering("receivable")?.receivable)
    }

    async fn invoice(&self, store: &str, id: &str) -> Result<Option<HostInvoice>, HostError> {
        let state = self.answering("invoice")?;
        let found = state.invoices.get(id).filter(|(its, _, _)| its == store);
        Ok(found.map(|(_, preimage, invoice)| HostInvoice {
            preimage: invoice.paid_at.map(|_| hex::encode(preimage)),
            ..invoice.clone()
        }))
    }
}
