//! Addresses as wallets use them: LNURL-pay (LUD-06), comments (LUD-12), Lightning addresses with tags (LUD-16), and proof
//! of payment (LUD-21).

mod guard;
mod service;

use guiche_kernel::{StoreError, Timestamp};
use serde::Serialize;

use crate::{AddressDomain, AddressName, HostError, LightningAddress, SetupId};

pub use guard::InvoiceRefusal;
pub use service::{Lnurl, LnurlPorts, LnurlSettings};

/// An invoice that was issued for a payer of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressInvoice {
    /// SHA-256 of its preimage.
    pub payment_hash: [u8; 32],
    /// Which address.
    pub setup: SetupId,
    /// The store that issued it.
    pub store_id: String,
    /// The host's id of it.
    pub invoice_id: String,
    /// The invoice.
    pub bolt11: String,
    /// How much, in millisatoshis.
    pub amount_msat: u64,
    /// What the payer wrote (LUD-12).
    pub comment: Option<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
}

/// Whom a wallet wants to pay: a name at one of our domains, perhaps with a `+tag` (LUD-16), which is the payee's own
/// affair and only repeated to the payer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payee {
    /// The address.
    pub address: LightningAddress,
    /// The tag, lower case.
    pub tag: Option<String>,
}

impl Payee {
    /// Reads `name` or `name+tag`; `None` for what can be no name.
    #[must_use]
    pub fn parse(text: &str, domain: &AddressDomain) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (name, tag) = match lower.split_once('+') {
            Some((name, tag)) => (name, Some(tag)),
            None => (&*lower, None),
        };
        let fine = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
        };
        if tag.is_some_and(|tag| !(1..=32).contains(&tag.len()) || !tag.bytes().all(fine)) {
            return None;
        }
        let address = LightningAddress { name: AddressName::parse(name).ok()?, domain: domain.clone() };
        Some(Self { address, tag: tag.map(str::to_owned) })
    }

    /// What stands in the URL: `name` or `name+tag`.
    #[must_use]
    pub fn user(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}+{tag}", self.address.name),
            None => self.address.name.to_string(),
        }
    }

    /// The metadata, byte for byte the same at every call: invoices commit to its hash (LUD-06).
    #[must_use]
    pub fn metadata(&self) -> String {
        let identifier = format!("{}@{}", self.user(), self.address.domain);
        let mut entries = vec![
            ["text/plain", &*format!("Pagamento a / Payment to {identifier}")].map(str::to_owned),
            ["text/identifier", &*identifier].map(str::to_owned),
        ];
        entries.extend(self.tag.as_ref().map(|tag| ["text/tag", tag].map(str::to_owned)));
        // Arrays of texts: serialising them cannot fail.
        serde_json::to_string(&entries).unwrap_or_default()
    }
}

/// The answer to the first call (LUD-06).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PayParams {
    /// Where the invoice is asked for.
    pub callback: String,
    /// The least, in millisatoshis.
    pub min_sendable: u64,
    /// The most, in millisatoshis.
    pub max_sendable: u64,
    /// [`Payee::metadata`].
    pub metadata: String,
    /// How many characters a comment may have (LUD-12).
    pub comment_allowed: u16,
    /// `payRequest`.
    pub tag: &'static str,
}

/// The answer to the second call (LUD-06, LUD-21).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PayAnswer {
    /// The invoice.
    pub pr: String,
    /// Always empty: a field of the first version of LNURL.
    pub routes: [(); 0],
    /// Where the payment is confirmed.
    pub verify: String,
}

/// The answer to the question whether it was paid (LUD-21).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PayVerified {
    /// `OK`.
    pub status: &'static str,
    /// Whether it was paid.
    pub settled: bool,
    /// What proves it; only once it was paid.
    pub preimage: Option<String>,
    /// The invoice.
    pub pr: String,
}

/// Why a wallet gets nothing. The text is the `reason` that it shows.
#[derive(Debug, thiserror::Error)]
pub enum LnurlError {
    /// No such name, or it is not served.
    #[error("Endereço desconhecido. / No such address.")]
    UnknownAddress,
    /// The amount is missing or no whole number of millisatoshis.
    #[error("Valor ausente ou inválido. / The amount is missing or invalid.")]
    InvalidAmount,
    /// Too little or too much.
    #[error("O valor deve ser de {least} a {most} mSat. / The amount must be {least} to {most} msat.")]
    AmountOutOfBounds {
        /// The least, in millisatoshis.
        least: u64,
        /// The most, in millisatoshis.
        most: u64,
    },
    /// Longer than announced.
    #[error("O comentário é longo demais. / The comment is too long.")]
    CommentTooLong,
    /// The node has no inbound capacity for it.
    #[error("Este endereço ainda não pode receber esse valor. / This address cannot receive that much yet.")]
    CannotReceive,
    /// Nobody asked us for such an invoice.
    #[error("Not found")]
    UnknownInvoice,
    /// The store or its node did not answer.
    #[error("Serviço indisponível no momento. / The service is unavailable for the moment.")]
    Provider(#[source] HostError),
    /// The provider issued another invoice than was asked for.
    #[error("Serviço indisponível no momento. / The service is unavailable for the moment.")]
    Refused(#[source] InvoiceRefusal),
    /// Storage failed.
    #[error("Serviço indisponível no momento. / The service is unavailable for the moment.")]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payee(text: &str) -> Option<Payee> {
        Payee::parse(text, &AddressDomain::parse("guiche.test").unwrap())
    }

    #[test]
    fn metadata_is_a_json_array_of_pairs_with_the_identifier() {
        let metadata = payee("SwiftEagle42").unwrap().metadata();
        let expected = r#"[["text/plain","Pagamento a / Payment to swifteagle42@guiche.test"],["text/identifier","swifteagle42@guiche.test"]]"#;
        assert_eq!(metadata, expected);
    }

    #[test]
    fn a_tag_is_repeated_and_belongs_to_the_identifier() {
        let payee = payee("swifteagle42+Invoice-7").unwrap();
        assert_eq!(payee.address.to_string(), "swifteagle42@guiche.test");
        assert_eq!(payee.user(), "swifteagle42+invoice-7");
        assert!(payee.metadata().ends_with(
            r#"["text/identifier","swifteagle42+invoice-7@guiche.test"],["text/tag","invoice-7"]]"#
        ));
    }

    #[test]
    fn what_can_be_no_name_is_nobody() {
        for text in ["", "ab", "a b c", "abc+", "abc+a+b", "abc+é", "abc@guiche.test"] {
            assert_eq!(payee(text), None, "{text}");
        }
    }
}
