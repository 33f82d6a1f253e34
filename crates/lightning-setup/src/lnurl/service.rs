//! What wallets may ask.

use std::sync::Arc;
use std::time::Duration;

use guiche_kernel::{Clock, StoreError, Timestamp, truncate_to_micros};
use lightning_invoice::Currency;
use sha2::{Digest as _, Sha256};

use super::guard::{Expected, guard};
use super::{AddressInvoice, LnurlError, PayAnswer, PayParams, PayVerified, Payee};
use crate::{
    AddressBook, AddressDomain, HostInvoice, NewAddressInvoice, ReceiveGateway, ServedAddress, SetupId,
};

/// Everything from outside.
#[derive(Clone)]
pub struct LnurlPorts {
    /// Addresses and their invoices.
    pub book: Arc<dyn AddressBook>,
    /// Issues invoices.
    pub gateway: Arc<dyn ReceiveGateway>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// How much, how long, where.
#[derive(Debug, Clone)]
pub struct LnurlSettings {
    /// Our domains; the first is the default.
    pub domains: Vec<AddressDomain>,
    /// The service's own address as the world sees it, without a slash at the end.
    pub public_url: String,
    /// The least that may be sent, in millisatoshis.
    pub min_msat: u64,
    /// The most that may be sent, in millisatoshis.
    pub max_msat: u64,
    /// How many characters a comment may have.
    pub comment_chars: u16,
    /// How long invoices live.
    pub expiry: Duration,
    /// The network of the nodes.
    pub currency: Currency,
}

/// Addresses as wallets use them. Nothing here opens a seal: invoices come through the store, with the service's own key.
#[derive(Clone)]
pub struct Lnurl {
    ports: LnurlPorts,
    settings: LnurlSettings,
}

impl Lnurl {
    /// Over these ports.
    #[must_use]
    pub const fn new(ports: LnurlPorts, settings: LnurlSettings) -> Self {
        Self { ports, settings }
    }

    fn now(&self) -> Timestamp {
        truncate_to_micros(self.ports.clock.now())
    }

    /// Reads whom a URL names: `name` or `name+tag` at the host that was asked (the default domain, if that is none of
    /// ours), or `name@domain`, which says it itself. `None` for what can be nobody.
    #[must_use]
    pub fn payee(&self, text: &str, host: &str) -> Option<Payee> {
        let domains = &self.settings.domains;
        let ours = |domain: &str| domains.iter().find(|ours| ours.as_str().eq_ignore_ascii_case(domain));
        match text.split_once('@') {
            Some((user, domain)) => Payee::parse(user, ours(domain)?),
            None => Payee::parse(text, ours(host).or(domains.first())?),
        }
    }

    /// How a callback names a payee. Callbacks of all domains come to one host, so where there are several it says which.
    fn callback_name(&self, payee: &Payee) -> String {
        match self.settings.domains.as_slice() {
            [_] => payee.user(),
            _ => format!("{}@{}", payee.user(), payee.address.domain),
        }
    }

    /// What may be paid to an address, and how.
    ///
    /// # Errors
    /// [`LnurlError::UnknownAddress`], [`LnurlError::CannotReceive`] when nothing can be paid to it yet,
    /// [`LnurlError::Store`].
    pub async fn params(&self, payee: &Payee) -> Result<PayParams, LnurlError> {
        let served = self.served(payee).await?;
        let most = self.most(&served).await?;
        Ok(PayParams {
            callback: format!("{}/lnurlp/{}/callback", self.settings.public_url, self.callback_name(payee)),
            min_sendable: self.settings.min_msat,
            max_sendable: most,
            metadata: payee.metadata(),
            comment_allowed: self.settings.comment_chars,
            tag: "payRequest",
        })
    }

    /// An invoice for a payer.
    ///
    /// # Errors
    /// [`LnurlError`].
    pub async fn invoice(
        &self,
        payee: &Payee,
        amount: Option<&str>,
        comment: Option<&str>,
    ) -> Result<PayAnswer, LnurlError> {
        let amount_msat: u64 =
            amount.and_then(|amount| amount.parse().ok()).ok_or(LnurlError::InvalidAmount)?;
        let comment = comment.filter(|comment| !comment.is_empty());
        if comment.is_some_and(|it| it.chars().count() > usize::from(self.settings.comment_chars)) {
            return Err(LnurlError::CommentTooLong);
        }
        let served = self.served(payee).await?;
        let (least, most) = (self.settings.min_msat, self.settings.max_msat);
        if !(least..=most).contains(&amount_msat) {
            return Err(LnurlError::AmountOutOfBounds { least, most });
        }
        if amount_msat > self.most(&served).await? {
            return Err(LnurlError::CannotReceive);
        }
        let invoice = self.issue(payee, &served, amount_msat, comment).await?;
        Ok(PayAnswer {
            verify: format!(
                "{}/lnurlp/verify/{}",
                self.settings.public_url,
                hex::encode(invoice.payment_hash)
            ),
            pr: invoice.bolt11,
            routes: [],
        })
    }

    async fn issue(
        &self,
        payee: &Payee,
        served: &ServedAddress,
        amount_msat: u64,
        comment: Option<&str>,
    ) -> Result<AddressInvoice, LnurlError> {
        let metadata = payee.metadata();
        let expiry_secs = u32::try_from(self.settings.expiry.as_secs()).unwrap_or(u32::MAX);
        let new = NewAddressInvoice { amount_msat, metadata: metadata.clone(), expiry_secs };
        let issued = self.ports.gateway.issue(&served.store_id, &new).await.map_err(LnurlError::Provider)?;
        let now = self.now();
        let expected = Expected {
            currency: &self.settings.currency,
            amount_msat,
            metadata: &metadata,
            expires_at: now + self.settings.expiry,
            now,
        };
        let (payment_hash, expires_at) = guard(&issued.bolt11, &expected).map_err(LnurlError::Refused)?;
        let invoice = AddressInvoice {
            payment_hash,
            setup: served.id,
            store_id: served.store_id.clone(),
            invoice_id: issued.id,
            bolt11: issued.bolt11,
            amount_msat,
            comment: comment.map(str::to_owned),
            issued_at: now,
            expires_at,
            paid_at: None,
        };
        self.ports.book.keep_invoice(&invoice).await?;
        Ok(invoice)
    }

    /// Whether an invoice of ours was paid, by its payment hash in hex.
    ///
    /// # Errors
    /// [`LnurlError::UnknownInvoice`], [`LnurlError::Provider`] when the store must be asked and does not answer,
    /// [`LnurlError::Store`].
    pub async fn verify(&self, payment_hash: &str) -> Result<PayVerified, LnurlError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(payment_hash, &mut hash).map_err(|_| LnurlError::UnknownInvoice)?;
        let invoice = self.ports.book.invoice(&hash).await?.ok_or(LnurlError::UnknownInvoice)?;
        let seen = self.look(&invoice).await;
        let (settled, preimage) = match (invoice.paid_at, seen) {
            (_, Ok(Some(HostInvoice { paid_at: Some(_), preimage, .. }))) => (true, preimage),
            // It was paid, whatever the store says now.
            (Some(_), _) => (true, None),
            (None, Ok(_)) => (false, None),
            (None, Err(refusal)) => return Err(refusal),
        };
        let preimage = preimage.filter(|preimage| proves(preimage, &hash));
        Ok(PayVerified { status: "OK", settled, preimage, pr: invoice.bolt11 })
    }

    /// A store's message about one of its invoices, whose signature was checked. It is a hint: the invoice is read again
    /// before anything changes. `false` when the message came before.
    ///
    /// # Errors
    /// [`LnurlError::Provider`], [`LnurlError::Store`].
    pub async fn heard(
        &self,
        id: SetupId,
        delivery: &str,
        invoice_id: Option<&str>,
    ) -> Result<bool, LnurlError> {
        let mut hash = [0; 32];
        // The id of a node's invoice is its payment hash; others are none of ours.
        let named = invoice_id.is_some_and(|id| hex::decode_to_slice(id, &mut hash).is_ok());
        if named && let Some(invoice) = self.ports.book.invoice(&hash).await?.filter(|it| it.setup == id) {
            self.look(&invoice).await?;
        }
        Ok(self.ports.book.note_delivery(id, delivery, self.now()).await?)
    }

    /// Asks the store about an invoice, and notes that it was paid.
    async fn look(&self, invoice: &AddressInvoice) -> Result<Option<HostInvoice>, LnurlError> {
        let seen = self
            .ports
            .gateway
            .invoice(&invoice.store_id, &invoice.invoice_id)
            .await
            .map_err(LnurlError::Provider)?
            .filter(|seen| seen.bolt11 == invoice.bolt11);
        if let Some(paid_at) = seen.as_ref().and_then(|seen| seen.paid_at) {
            self.ports.book.settle_invoice(&invoice.payment_hash, paid_at).await?;
        }
        Ok(seen)
    }

    async fn served(&self, payee: &Payee) -> Result<ServedAddress, LnurlError> {
        self.ports.book.served(&payee.address).await?.ok_or(LnurlError::UnknownAddress)
    }

    /// The most that can be paid to an address now. A store that does not say is taken at its best: the invoice will show.
    async fn most(&self, served: &ServedAddress) -> Result<u64, LnurlError> {
        let receivable = match self.ports.gateway.receivable_sats(&served.store_id).await {
            Ok(Some(sats)) => sats.saturating_mul(1000),
            Ok(None) | Err(_) => u64::MAX,
        };
        if receivable < self.settings.min_msat {
            return Err(LnurlError::CannotReceive);
        }
        Ok(receivable.min(self.settings.max_msat))
    }

    /// Forgets invoices that ran out, unpaid, and messages from before the given moment; how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.ports.book.prune(before).await
    }
}

fn proves(preimage: &str, payment_hash: &[u8; 32]) -> bool {
    hex::decode(preimage)
        .is_ok_and(|bytes| bytes.len() == 32 && Sha256::digest(bytes).as_slice() == payment_hash)
}
