//! A Lightning provider that lives in this process: real BOLT11, no network, no money.
//!
//! Everything but payments is derived from the request and one secret, so there is nothing to lose in a crash and
//! nothing to migrate: the invoice of a request is recomputed, and its id carries what must be known about it.
//! Payments are facts that nobody can recompute; they go to the [`Ledger`], durably, before anyone is told.

mod bolt11;
mod error;
mod facts;
mod keys;
mod ledger;
mod looks;
mod views;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use guiche_kernel::{Clock, Sats, Timestamp, truncate_to_micros};
use guiche_tickets::{
    GatewayError, InvoiceGateway, InvoiceId, IssuedInvoice, Network, NewInvoice, PaymentHash, Preimage,
    ProviderStatus,
};
use secrecy::{ExposeSecret, SecretBox};
use time::UtcOffset;

pub use error::{InvalidRequest, LedgerError, OpenError, PayError};

use facts::Facts;
use keys::Keys;
use ledger::{Ledger, Recorded};
use looks::Looks;
use views::{PayerView, ProviderView};

/// What the stub needs to come back as the same provider after a restart.
#[derive(Debug)]
pub struct StubSettings {
    /// 32 random bytes, kept as long as the tickets are. With another secret it is another provider, which has never
    /// seen the invoices of the first.
    pub secret: SecretBox<[u8; 32]>,
    /// Where payments are kept. Made with mode 0600 if it does not exist; its directory must.
    pub ledger: PathBuf,
}

/// When the wallet that [`SparkStub::force_pay`] plays pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayMoment {
    /// Now. Refused once the invoice has run out, as every node would.
    #[default]
    Now,
    /// After the expiry, as a payment held up on its way can arrive: now, or, where the invoice is still open, one
    /// second after its expiry, so that nobody has to wait for it: until then its money is on its way.
    Late,
    /// At exactly this moment, however it lies to the expiry and to the present: to play a payment that is noticed
    /// long after it was made. Only a moment before the invoice was asked for is refused. Until a moment in the future
    /// the money is on its way.
    At(Timestamp),
}

/// A payment as the payer's wallet has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalletPayment {
    /// What was paid.
    pub payment_hash: PaymentHash,
    /// The proof of payment.
    pub preimage: Preimage,
    /// How much.
    pub amount: Sats,
    /// When.
    pub paid_at: Timestamp,
}

/// The development stub of the Lightning provider. See the crate's front page for what it promises.
pub struct SparkStub {
    keys: Arc<Keys>,
    ledger: Arc<Ledger>,
    looks: Mutex<Looks>,
    clock: Arc<dyn Clock>,
}

impl SparkStub {
    /// The only network that the stub issues invoices for: nobody can pay one by mistake.
    pub const NETWORK: Network = Network::Regtest;

    /// At which look through [`payer_view`](Self::payer_view) an invoice is found paid.
    pub const LOOKS_UNTIL_PAID: u8 = 3;

    /// Opens the stub and reads its ledger. Blocks on the file; call it at start-up.
    ///
    /// # Errors
    /// [`OpenError`] when the ledger cannot be used: out of reach, damaged, or of another secret.
    pub fn open(settings: StubSettings, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenError> {
        let keys = Arc::new(Keys::derive(settings.secret.expose_secret()).ok_or(OpenError::NoKey)?);
        let ledger = Ledger::open(settings.ledger, Arc::clone(&keys))?;
        Ok(Arc::new(Self { keys, ledger: Arc::new(ledger), looks: Mutex::default(), clock }))
    }

    /// The gateway for what is done on the payer's behalf (`confirm-payment`): looks are counted here, and the third at
    /// an open invoice finds it paid, so that a developer without a wallet can see a ticket paid.
    #[must_use]
    pub fn payer_view(self: &Arc<Self>) -> Arc<dyn InvoiceGateway> {
        Arc::new(PayerView(Arc::clone(self)))
    }

    /// The gateway for everybody else (watchers, operators): it never counts, so however often a worker
    /// looks, nothing is paid by that.
    #[must_use]
    pub fn provider_view(self: &Arc<Self>) -> Arc<dyn InvoiceGateway> {
        Arc::new(ProviderView(Arc::clone(self)))
    }

    /// The public key that signs the invoices, in hexadecimal: what a decoder that recovers the payee must find.
    #[must_use]
    pub fn node_id(&self) -> String {
        self.keys.node_id().to_string()
    }

    /// Plays the payer's wallet: pays an invoice, durably, and answers with the proof. An invoice is paid once; the
    /// first moment stays.
    ///
    /// # Errors
    /// [`PayError`], as a wallet would be refused; or because the ledger is out of reach.
    pub async fn force_pay(&self, id: &InvoiceId, moment: PayMoment) -> Result<WalletPayment, PayError> {
        let facts = Facts::read(id, &self.keys).ok_or(PayError::UnknownInvoice)?;
        // A wallet that pays twice must hear "already paid" even when the invoice has run out since.
        if let Some(paid_at) = self.paid_at(&facts).await? {
            return Err(PayError::AlreadyPaid { paid_at });
        }
        let paid_at = moment_of_payment(&facts, moment, self.clock.now())?;
        match self.record(&facts, paid_at).await? {
            Recorded::First => Ok(self.wallet_payment(&facts, paid_at)),
            Recorded::Before(paid_at) => Err(PayError::AlreadyPaid { paid_at }),
        }
    }

    /// The payment of an invoice as the payer's wallet has it, however it was made; `None` while there is none, and
    /// for an invoice that the stub has never seen.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger cannot be read.
    pub async fn find_payment(&self, id: &InvoiceId) -> Result<Option<WalletPayment>, LedgerError> {
        let Some(facts) = Facts::read(id, &self.keys) else { return Ok(None) };
        let paid_at = self.paid_at(&facts).await?;
        Ok(paid_at.map(|paid_at| self.wallet_payment(&facts, paid_at)))
    }

    fn issue(&self, request: &NewInvoice) -> Result<IssuedInvoice, GatewayError> {
        let invoice = Facts::of(request).and_then(|facts| {
            Ok(IssuedInvoice {
                id: facts.write(&self.keys)?,
                bolt11: bolt11::sign(&facts, &request.description, &self.keys)?,
                payment_hash: self.payment_hash(&facts),
            })
        });
        invoice.map_err(|refusal| GatewayError::Rejected(refusal.into()))
    }

    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        let Some(facts) = Facts::read(id, &self.keys) else { return Ok(None) };
        let paid_at = self.paid_at(&facts).await.map_err(unavailable)?;
        Ok(Some(self.status_of(paid_at)))
    }

    async fn look(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        let Some(facts) = Facts::read(id, &self.keys) else { return Ok(None) };
        let paid_at = match self.paid_at(&facts).await.map_err(unavailable)? {
            Some(paid_at) => Some(paid_at),
            None => self.count_look(&facts).await.map_err(unavailable)?,
        };
        Ok(Some(self.status_of(paid_at)))
    }

    /// Counts a look at an unpaid invoice, and pays it when it is time. When the ledger fails, the next look tries again.
    async fn count_look(&self, facts: &Facts) -> Result<Option<Timestamp>, LedgerError> {
        let now = self.clock.now();
        if now > facts.expires_at() {
            return Ok(None);
        }
        let hash = self.payment_hash(facts);
        if self.looks().count(facts.expires_at(), hash, now) < Self::LOOKS_UNTIL_PAID {
            return Ok(None);
        }
        Ok(Some(match self.record(facts, now).await? {
            Recorded::First => now,
            Recorded::Before(paid_at) => paid_at,
        }))
    }

    /// A payment is told from its moment on, never before: told early, the money path would take it for one made now.
    fn status_of(&self, paid_at: Option<Timestamp>) -> ProviderStatus {
        match paid_at {
            None => ProviderStatus::Unpaid,
            Some(moment) if moment > self.clock.now() => ProviderStatus::InFlight,
            paid_at @ Some(_) => ProviderStatus::Paid { paid_at },
        }
    }

    async fn paid_at(&self, facts: &Facts) -> Result<Option<Timestamp>, LedgerError> {
        let hash = self.payment_hash(facts);
        // A payment is for ever, so one that is known needs no look at the file.
        if let Some(paid_at) = self.ledger.known(&hash) {
            return Ok(Some(paid_at));
        }
        let ledger = Arc::clone(&self.ledger);
        off_thread(move || ledger.paid_at(&hash)).await
    }

    async fn record(&self, facts: &Facts, paid_at: Timestamp) -> Result<Recorded, LedgerError> {
        let (ledger, hash) = (Arc::clone(&self.ledger), self.payment_hash(facts));
        off_thread(move || ledger.record(&hash, paid_at)).await
    }

    fn payment_hash(&self, facts: &Facts) -> PaymentHash {
        self.keys.preimage(facts.key()).payment_hash()
    }

    fn wallet_payment(&self, facts: &Facts, paid_at: Timestamp) -> WalletPayment {
        let preimage = self.keys.preimage(facts.key());
        WalletPayment { payment_hash: preimage.payment_hash(), preimage, amount: facts.amount(), paid_at }
    }

    fn looks(&self) -> std::sync::MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for SparkStub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SparkStub").field("node_id", &self.node_id()).finish_non_exhaustive()
    }
}

fn moment_of_payment(facts: &Facts, moment: PayMoment, now: Timestamp) -> Result<Timestamp, PayError> {
    let expires_at = facts.expires_at();
    match moment {
        PayMoment::Now if now > expires_at => Err(PayError::Expired { expires_at }),
        PayMoment::Now => Ok(now),
        PayMoment::Late => Ok(now.max(expires_at + time::Duration::SECOND)),
        PayMoment::At(at) if at < facts.issued_at() => {
            Err(PayError::BeforeIssued { issued_at: facts.issued_at() })
        }
        // As storage will give it back, so that the first answer and all later ones are equal.
        PayMoment::At(at) => Ok(truncate_to_micros(at.to_offset(UtcOffset::UTC))),
    }
}

/// The stub has no other way to fail on a question: without its ledger it does not know, and must not guess.
fn unavailable(error: LedgerError) -> GatewayError {
    GatewayError::Unavailable(error.into())
}

/// Runs file I/O (a flush to disk takes milliseconds) where it holds up no other task.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(LedgerError::ShuttingDown))
}
