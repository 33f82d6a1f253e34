//! What must be known about an invoice besides its payment, and the id that carries it.
//!
//! The stub stores no invoices, so the id is the record: the facts in plain text and a MAC over that very text. An id
//! that we did not make, or that was made under another secret, is not an error: it is an invoice never seen.

use std::time::Duration;

use guiche_kernel::{Sats, Timestamp};
use guiche_tickets::bolt11::MAX_DESCRIPTION_BYTES;
use guiche_tickets::{InvoiceId, NewInvoice};
use uuid::Uuid;

use super::error::InvalidRequest;
use super::keys::{Keys, Purpose};

/// Spark's ids have the form `Kind:uuid`. Ours have colons too, so that whoever puts one into a URL learns here, and
/// not in production, that it must be encoded.
const KIND: &str = "SparkStubInvoice";

/// BOLT11 has 35 bits for the moment of the invoice.
const LAST_MOMENT: u64 = (1 << 35) - 1;

const LONGEST_LIFETIME: u64 = 365 * 24 * 60 * 60;

/// The facts of one invoice, in whole seconds, the precision of BOLT11.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    key: Uuid,
    amount: Sats,
    issued_at: u64,
    lifetime: u64,
    issued: Timestamp,
    expires: Timestamp,
}

impl Facts {
    pub(super) fn of(request: &NewInvoice) -> Result<Self, InvalidRequest> {
        let bytes = request.description.len();
        if bytes > MAX_DESCRIPTION_BYTES {
            return Err(InvalidRequest::DescriptionTooLong { bytes });
        }
        // Both are cut, never rounded up: the invoice must not outlive what was asked for.
        let issued_at = u64::try_from(request.requested_at.unix_timestamp());
        let issued_at = issued_at.map_err(|_| InvalidRequest::Moment)?;
        Self::new(request.key, request.amount, issued_at, request.lifetime.as_secs())
    }

    fn new(key: Uuid, amount: Sats, issued_at: u64, lifetime: u64) -> Result<Self, InvalidRequest> {
        if amount.get() == 0 {
            return Err(InvalidRequest::ZeroAmount);
        }
        if !(1..=LONGEST_LIFETIME).contains(&lifetime) {
            return Err(InvalidRequest::Lifetime);
        }
        if issued_at > LAST_MOMENT {
            return Err(InvalidRequest::Moment);
        }
        let issued = moment(issued_at).ok_or(InvalidRequest::Moment)?;
        let expires = moment(issued_at.saturating_add(lifetime)).ok_or(InvalidRequest::Moment)?;
        Ok(Self { key, amount, issued_at, lifetime, issued, expires })
    }

    /// The id that carries these facts.
    pub(super) fn write(&self, keys: &Keys) -> Result<InvoiceId, InvalidRequest> {
        let Self { key, amount, issued_at, lifetime, .. } = self;
        let text = format!("{KIND}:{key}:{}:{issued_at}:{lifetime}", amount.get());
        let mac = keys.seal(Purpose::InvoiceId, &text);
        Ok(InvoiceId::parse(format!("{text}:{mac}"))?)
    }

    /// The facts in an id of ours; `None` for every other id.
    pub(super) fn read(id: &InvoiceId, keys: &Keys) -> Option<Self> {
        let (text, mac) = id.as_str().rsplit_once(':')?;
        if !keys.is_sealed(Purpose::InvoiceId, text, mac) {
            return None;
        }
        let mut parts = text.split(':').skip(1);
        let key = parts.next()?.parse().ok()?;
        let amount = Sats::try_new(parts.next()?.parse().ok()?).ok()?;
        let issued_at = parts.next()?.parse().ok()?;
        let lifetime = parts.next()?.parse().ok()?;
        Self::new(key, amount, issued_at, lifetime).ok()
    }

    pub(super) const fn key(&self) -> Uuid {
        self.key
    }

    pub(super) const fn amount(&self) -> Sats {
        self.amount
    }

    pub(super) const fn issued_at(&self) -> Timestamp {
        self.issued
    }

    pub(super) const fn expires_at(&self) -> Timestamp {
        self.expires
    }

    pub(super) const fn since_epoch(&self) -> Duration {
        Duration::from_secs(self.issued_at)
    }

    pub(super) const fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime)
    }
}

fn moment(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> Keys {
        Keys::derive(&[9; 32]).unwrap()
    }

    proptest! {
        #[test]
        fn an_id_gives_its_facts_back(
            key in any::<u128>(),
            sats in 1..=Sats::MAX.get(),
            issued_at in 0..=LAST_MOMENT,
            lifetime in 1..=LONGEST_LIFETIME,
        ) {
            let amount = Sats::try_new(sats).unwrap();
            let facts = Facts::new(Uuid::from_u128(key), amount, issued_at, lifetime).unwrap();
            let id = facts.write(&keys()).unwrap();
            prop_assert_eq!(Facts::read(&id, &keys()), Some(facts));
            prop_assert_eq!(Facts::read(&id, &Keys::derive(&[8; 32]).unwrap()), None);
        }

        #[test]
        fn an_id_with_one_byte_changed_is_foreign(at in 0..1000_usize, to in 0x21..=0x7e_u8) {
            let amount = Sats::try_new(50_000).unwrap();
            let id = Facts::new(Uuid::from_u128(1), amount, 1_700_000_000, 900).unwrap().write(&keys()).unwrap();
            let mut bytes = id.as_str().as_bytes().to_vec();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let changed = InvoiceId::parse(String::from_utf8(bytes).unwrap()).unwrap();
            prop_assert_eq!(Facts::read(&changed, &keys()), None);
        }

        #[test]
        fn no_text_makes_the_reader_stumble(text in "[!-~]{1,512}") {
            prop_assert_eq!(Facts::read(&InvoiceId::parse(text).unwrap(), &keys()), None);
        }
    }
}
