//! The BOLT11 guard: every invoice that a provider sends is decoded and checked before it is stored or shown.
//!
//! A provider's mistake is a provider incident, not a QR code. The checks follow BOLT11 (lightning/bolts,
//! `11-payment-encoding.md`) for the decoding, and our own contract with the provider for the rest.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use guiche_kernel::{Sats, Timestamp};
use lightning_invoice::{
    Bolt11Invoice, Bolt11InvoiceDescriptionRef, Currency, RawTaggedField, SignedRawBolt11Invoice, TaggedField,
};

use crate::PaymentHash;

/// The longest description that a BOLT11 invoice can carry, in bytes of UTF-8.
pub const MAX_DESCRIPTION_BYTES: usize = 639;

/// How far a BOLT11's own expiry may lie from what was asked for.
const EXPIRY_TOLERANCE: Duration = Duration::from_secs(60);

/// The BOLT11 field type of an on-chain fallback address (`f`); Spark puts its own invoice there, as a version (31)
/// that decoders do not know.
const FALLBACK_FIELD: u8 = 9;

/// The BOLT11 field type of a route hint (`r`).
const ROUTE_HINT_FIELD: u8 = 3;

/// The channel 16000000x16000000x1, which cannot exist: by it Spark marks the route hint whose node is no node but the
/// receiver's Spark identity. Spark's ordinary invoices carry ordinary route hints.
const SPARK_IDENTITY_CHANNEL: u64 = 0xf424_00f4_2400_0001;

/// Which Bitcoin network invoices are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// `lnbc…`
    Mainnet,
    /// `lntb…`
    Testnet,
    /// `lntbs…`
    Signet,
    /// `lnbcrt…`
    Regtest,
}

/// The word is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be mainnet, testnet, signet or regtest")]
pub struct UnknownNetwork;

impl Network {
    /// The word for it in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;
    fn from_str(word: &str) -> Result<Self, UnknownNetwork> {
        match word {
            "mainnet" => Ok(Self::Mainnet),
            "testnet" => Ok(Self::Testnet),
            "signet" => Ok(Self::Signet),
            "regtest" => Ok(Self::Regtest),
            _ => Err(UnknownNetwork),
        }
    }
}

/// What was asked for, and what the provider says about its answer.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The network that this office takes money on.
    pub network: Network,
    /// The exact amount.
    pub amount: Sats,
    /// The exact description.
    pub description: &'a str,
    /// The payment hash that the provider names beside the invoice.
    pub payment_hash: PaymentHash,
    /// `requested_at` plus the lifetime.
    pub expires_at: Timestamp,
    /// The present moment; an invoice that has run out already is refused.
    pub now: Timestamp,
}

/// Why an invoice is refused. None of these says what the invoice contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuardRefusal {
    /// It is not BOLT11: encoding, checksum, mandatory fields, the signature; or it can be read in two ways.
    #[error("the invoice is not valid BOLT11")]
    Malformed,
    /// It is for another network.
    #[error("the invoice is for another network")]
    WrongNetwork,
    /// Its amount is missing or not the price.
    #[error("the invoice is not for the amount that was asked for")]
    WrongAmount,
    /// Its payment hash is not the one that the provider names.
    #[error("the invoice has another payment hash than the provider says")]
    WrongPaymentHash,
    /// Its description is not the one that was asked for.
    #[error("the invoice has another description than was asked for")]
    WrongDescription,
    /// It runs out more than a minute before or after the moment that was asked for.
    #[error("the invoice runs out more than 60 s before or after the moment that was asked for")]
    WrongExpiry,
    /// It has run out already.
    #[error("the invoice has run out already")]
    AlreadyExpired,
    /// It offers another way to pay (a fallback address, or a Spark address, which Spark's wallets prefer): such a
    /// payment would never be noticed.
    #[error("the invoice embeds another way to pay")]
    OtherWayToPay,
}

/// Decodes an invoice and checks it against what was asked for; returns the BOLT11's own expiry.
///
/// # Errors
/// The first [`GuardRefusal`] found.
pub fn guard(bolt11: &str, expected: &Expected<'_>) -> Result<Timestamp, GuardRefusal> {
    let invoice: Bolt11Invoice = bolt11.parse().map_err(|_| GuardRefusal::Malformed)?;
    let raw = invoice.clone().into_signed_raw();
    if !reads_in_one_way(bolt11, &raw) {
        return Err(GuardRefusal::Malformed);
    }
    check_network(&invoice, expected.network)?;
    if invoice.amount_milli_satoshis() != Some(expected.amount.as_msats()) {
        return Err(GuardRefusal::WrongAmount);
    }
    let hash: &[u8; 32] = invoice.payment_hash().as_ref();
    if hash != expected.payment_hash.as_bytes() {
        return Err(GuardRefusal::WrongPaymentHash);
    }
    match invoice.description() {
        Bolt11InvoiceDescriptionRef::Direct(text) if text.as_inner().0 == expected.description => {}
        Bolt11InvoiceDescriptionRef::Direct(_) | Bolt11InvoiceDescriptionRef::Hash(_) => {
            return Err(GuardRefusal::WrongDescription);
        }
    }
    if offers_another_way(&raw) {
        return Err(GuardRefusal::OtherWayToPay);
    }
    check_expiry(&invoice, expected)
}

fn check_network(invoice: &Bolt11Invoice, network: Network) -> Result<(), GuardRefusal> {
    let currency = match network {
        Network::Mainnet => Currency::Bitcoin,
        Network::Testnet => Currency::BitcoinTestnet,
        Network::Signet => Currency::Signet,
        Network::Regtest => Currency::Regtest,
    };
    if invoice.currency() == currency { Ok(()) } else { Err(GuardRefusal::WrongNetwork) }
}

fn check_expiry(invoice: &Bolt11Invoice, expected: &Expected<'_>) -> Result<Timestamp, GuardRefusal> {
    let seconds = invoice.expires_at().ok_or(GuardRefusal::Malformed)?.as_secs();
    let seconds = i64::try_from(seconds).map_err(|_| GuardRefusal::Malformed)?;
    let expires_at = Timestamp::from_unix_timestamp(seconds).map_err(|_| GuardRefusal::Malformed)?;
    if (expires_at - expected.expires_at).unsigned_abs() > EXPIRY_TOLERANCE {
        return Err(GuardRefusal::WrongExpiry);
    }
    if expires_at <= expected.now { Err(GuardRefusal::AlreadyExpired) } else { Ok(expires_at) }
}

/// Whether every decoder finds what ours does. Ours checks the signature over its own spelling of what it has read, takes
/// the first of two equal fields, and ignores the recovery id where the payee is named; the payer's wallet may hash the
/// very words, take the last, or recover another payee.
fn reads_in_one_way(bolt11: &str, raw: &SignedRawBolt11Invoice) -> bool {
    let mut seen = HashSet::new();
    let data = raw.raw_invoice();
    data.known_tagged_fields()
        .filter(|field| !matches!(field, TaggedField::PrivateRoute(_)))
        .all(|field| seen.insert(field.tag().to_u8()))
        && raw.to_string() == bolt11.to_ascii_lowercase()
        && match (raw.recover_payee_pub_key(), data.payee_pub_key()) {
            (Ok(signer), Some(payee)) => signer == *payee,
            (Ok(_), None) => true,
            (Err(_), _) => false,
        }
}

/// Any field `f` counts, also one of a version that the decoder does not know. So does a route hint that it cannot read:
/// a more lenient decoder in the payer's wallet may.
fn offers_another_way(raw: &SignedRawBolt11Invoice) -> bool {
    raw.raw_invoice().data.tagged_fields.iter().any(|field| match field {
        RawTaggedField::KnownSemantics(TaggedField::Fallback(_)) => true,
        RawTaggedField::KnownSemantics(TaggedField::PrivateRoute(hint)) => {
            hint.0.iter().any(|hop| hop.short_channel_id == SPARK_IDENTITY_CHANNEL)
        }
        RawTaggedField::KnownSemantics(_) => false,
        RawTaggedField::UnknownSemantics(words) => {
            words.first().is_some_and(|tag| [FALLBACK_FIELD, ROUTE_HINT_FIELD].contains(&tag.to_u8()))
        }
    })
}
