//! A gateway in memory that issues real BOLT11 and does what the test says: pays, holds, fails, loses answers, cheats.
//! A key is for one request: another one under it is refused, so that nobody asks twice under one name for two things.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use guiche_kernel::{Sats, Timestamp};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    GatewayError, InvoiceGateway, InvoiceId, IssuedInvoice, Network, NewInvoice, PaymentHash, Preimage,
    ProviderStatus,
};

/// A scriptable gateway.
#[derive(Debug)]
pub struct FakeGateway {
    network: Network,
    state: Mutex<State>,
    /// What calls wait at while the gateway holds them.
    gate: async_lock::Semaphore,
}

#[derive(Debug, Default)]
struct State {
    issued: BTreeMap<Uuid, (NewInvoice, IssuedInvoice)>,
    statuses: HashMap<InvoiceId, ProviderStatus>,
    issue_calls: u32,
    status_calls: u32,
    held: bool,
    waiting: usize,
    down: bool,
    silent: HashSet<InvoiceId>,
    rejections: u32,
    lose_answers: u32,
    overcharge: bool,
    repeated: Option<Uuid>,
}

impl State {
    fn id_of(&self, hash: &PaymentHash) -> Option<InvoiceId> {
        let mut issued = self.issued.values();
        issued.find(|(_, issued)| issued.payment_hash == *hash).map(|(_, issued)| issued.id.clone())
    }
}

impl FakeGateway {
    /// A gateway that issues invoices of the given network.
    #[must_use]
    pub fn on(network: Network) -> Self {
        Self { network, state: Mutex::default(), gate: async_lock::Semaphore::new(0) }
    }

    /// The preimage of the invoice that was issued under a key.
    #[must_use]
    pub fn preimage(&self, key: Uuid) -> Preimage {
        Preimage::new(Sha256::digest(key.as_bytes()).into())
    }

    /// Plays the payer: from now on the invoice is paid, at the given moment if the provider tells it.
    pub fn pay(&self, hash: &PaymentHash, paid_at: Option<Timestamp>) {
        self.set(hash, ProviderStatus::Paid { paid_at });
    }

    /// As [`pay`](Self::pay), by the provider's name for the invoice.
    pub fn pay_id(&self, id: &InvoiceId, paid_at: Option<Timestamp>) {
        self.lock().statuses.insert(id.clone(), ProviderStatus::Paid { paid_at });
    }

    /// From now on the provider says this of the invoice.
    pub fn set(&self, hash: &PaymentHash, status: ProviderStatus) {
        let mut state = self.lock();
        if let Some(id) = state.id_of(hash) {
            state.statuses.insert(id, status);
        }
    }

    /// From now on every call waits, after it was counted, until it is let through.
    pub fn hold(&self) {
        while let Some(left_over) = self.gate.try_acquire() {
            left_over.forget();
        }
        self.lock().held = true;
    }

    /// Lets so many of the held calls through, those that came first.
    pub fn let_through(&self, calls: usize) {
        self.gate.add_permits(calls);
    }

    /// Lets every call through, those that wait and those to come.
    pub fn release(&self) {
        let mut state = self.lock();
        state.held = false;
        self.gate.add_permits(state.waiting);
    }

    async fn pass_the_gate(&self) {
        {
            let mut state = self.lock();
            if !state.held {
                return;
            }
            state.waiting += 1;
        }
        self.gate.acquire().await.forget();
        self.lock().waiting -= 1;
    }

    /// From now on nothing is answered about this one invoice.
    pub fn silence(&self, hash: &PaymentHash) {
        let mut state = self.lock();
        if let Some(id) = state.id_of(hash) {
            state.silent.insert(id);
        }
    }

    /// The next so many invoices are refused.
    pub fn reject(&self, count: u32) {
        self.lock().rejections = count;
    }

    /// From now on every new invoice has the payment hash of the one that was issued under this key.
    pub fn repeat_hash_of(&self, key: Uuid) {
        self.lock().repeated = Some(key);
    }

    /// From now on the provider cannot be reached, or can again.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// The next so many invoices are issued, and the answers lost.
    pub fn lose_answers(&self, count: u32) {
        self.lock().lose_answers = count;
    }

    /// From now on invoices are for one satoshi more than was asked for.
    pub fn overcharge(&self) {
        self.lock().overcharge = true;
    }

    /// How often an invoice was asked for.
    #[must_use]
    pub fn issue_calls(&self) -> u32 {
        self.lock().issue_calls
    }

    /// How often a status was asked for.
    #[must_use]
    pub fn status_calls(&self) -> u32 {
        self.lock().status_calls
    }

    /// How many invoices exist.
    #[must_use]
    pub fn invoices(&self) -> usize {
        self.lock().issued.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(
        &self,
        request: &NewInvoice,
        overcharge: bool,
        secret: Uuid,
    ) -> Result<IssuedInvoice, GatewayError> {
        let refused = |what: &str| GatewayError::Rejected(what.into());
        let sats = request.amount.get().saturating_add(u64::from(overcharge));
        let amount = Sats::try_new(sats).map_err(|_| refused("amount"))?;
        let preimage = self.preimage(secret);
        let issued_at = u64::try_from(request.requested_at.unix_timestamp()).map_err(|_| refused("time"))?;
        let key = SecretKey::from_slice(&[42; 32]).map_err(|_| refused("key"))?;
        let invoice = InvoiceBuilder::new(currency(self.network))
            .description(request.description.clone())
            .payment_hash(sha256::Hash::from_byte_array(*preimage.payment_hash().as_bytes()))
            .payment_secret(PaymentSecret([7; 32]))
            .duration_since_epoch(Duration::from_secs(issued_at))
            .expiry_time(request.lifetime)
            .min_final_cltv_expiry_delta(18)
            .amount_milli_satoshis(amount.as_msats())
            .build_signed(|hash| Secp256k1::signing_only().sign_ecdsa_recoverable(hash, &key))
            .map_err(|_| refused("invoice"))?;
        Ok(IssuedInvoice {
            id: InvoiceId::parse(format!("fake:{}", request.key)).map_err(|_| refused("id"))?,
            bolt11: invoice.to_string(),
            payment_hash: preimage.payment_hash(),
        })
    }
}

const fn currency(network: Network) -> Currency {
    match network {
        Network::Mainnet => Currency::Bitcoin,
        Network::Testnet => Currency::BitcoinTestnet,
        Network::Signet => Currency::Signet,
        Network::Regtest => Currency::Regtest,
    }
}

#[async_trait]
impl InvoiceGateway for FakeGateway {
    async fn issue(&self, request: NewInvoice) -> Result<IssuedInvoice, GatewayError> {
        self.lock().issue_calls += 1;
        self.pass_the_gate().await;
        let mut state = self.lock();
        if state.down {
            return Err(GatewayError::Unavailable("down".into()));
        }
        if state.rejections > 0 {
            state.rejections -= 1;
            return Err(GatewayError::Rejected("refused".into()));
        }
        let issued = match state.issued.get(&request.key) {
            Some((known, _)) if *known != request => {
                return Err(GatewayError::Rejected("the key was used for another request".into()));
            }
            Some((_, issued)) => issued.clone(),
            None => self.make(&request, state.overcharge, state.repeated.unwrap_or(request.key))?,
        };
        state.issued.insert(request.key, (request, issued.clone()));
        if state.lose_answers > 0 {
            state.lose_answers -= 1;
            return Err(GatewayError::Unavailable("the answer was lost".into()));
        }
        Ok(issued)
    }

    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        self.lock().status_calls += 1;
        self.pass_the_gate().await;
        let state = self.lock();
        if state.down || state.silent.contains(id) {
            return Err(GatewayError::Unavailable("down".into()));
        }
        if !state.issued.values().any(|(_, issued)| issued.id == *id) {
            return Ok(None);
        }
        Ok(Some(state.statuses.get(id).copied().unwrap_or(ProviderStatus::Unpaid)))
    }
}
