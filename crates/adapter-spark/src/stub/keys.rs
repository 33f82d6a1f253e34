//! Everything secret, derived from one secret: HMAC-SHA-256 under it, with a label of its own for each purpose, so
//! that no value of one kind can ever be taken for one of another.

use bitcoin::secp256k1::{All, Message, PublicKey, Secp256k1, SecretKey, ecdsa::RecoverableSignature};
use guiche_tickets::Preimage;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// What a derived value is for. A label contains no NUL, which ends it in the input of the HMAC.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    NodeKey,
    Preimage,
    PaymentSecret,
    InvoiceId,
    LedgerLine,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::NodeKey => b"guiche/spark-stub/1/node-key",
            Self::Preimage => b"guiche/spark-stub/1/preimage",
            Self::PaymentSecret => b"guiche/spark-stub/1/payment-secret",
            Self::InvoiceId => b"guiche/spark-stub/1/invoice-id",
            Self::LedgerLine => b"guiche/spark-stub/1/ledger-line",
        }
    }
}

/// The keys of one stub. They do not print.
pub(super) struct Keys {
    root: Hmac<Sha256>,
    secp: Secp256k1<All>,
    node: SecretKey,
    node_id: PublicKey,
}

impl Keys {
    /// `None` when the secret yields no valid signing key, which has a chance of about 2^-128 at each of the tries.
    pub(super) fn derive(secret: &[u8; 32]) -> Option<Self> {
        // HMAC itself pads a short key with zeros to its block of 64 bytes; done here, there is no length to refuse.
        let mut block = [0_u8; 64];
        for (to, from) in block.iter_mut().zip(secret) {
            *to = *from;
        }
        let root = Hmac::<Sha256>::new((&block).into());
        let candidate = |count: u8| SecretKey::from_slice(&tag(&root, Purpose::NodeKey, &[count])).ok();
        let node = (0..4).find_map(candidate)?;
        let secp = Secp256k1::new();
        let node_id = node.public_key(&secp);
        Some(Self { root, secp, node, node_id })
    }

    /// The key to the payment under a request's key. One request key is one payment: whatever else a second request
    /// under it says, money can be taken for it only once.
    pub(super) fn preimage(&self, key: Uuid) -> Preimage {
        Preimage::new(tag(&self.root, Purpose::Preimage, key.as_bytes()))
    }

    /// What keeps a node on the way from probing for the payment (BOLT11 field `s`).
    pub(super) fn payment_secret(&self, key: Uuid) -> [u8; 32] {
        tag(&self.root, Purpose::PaymentSecret, key.as_bytes())
    }

    /// The MAC that lets us believe our own text again.
    pub(super) fn seal(&self, purpose: Purpose, text: &str) -> String {
        hex::encode(tag(&self.root, purpose, text.as_bytes()))
    }

    /// Whether `mac` is what [`seal`](Self::seal) made of the text; compared in constant time.
    pub(super) fn is_sealed(&self, purpose: Purpose, text: &str, mac: &str) -> bool {
        // Lower case only: there is one spelling of a MAC, so there is one spelling of an id.
        if mac.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return false;
        }
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(mac, &mut bytes).is_ok()
            && input(&self.root, purpose, text.as_bytes()).verify_slice(&bytes).is_ok()
    }

    pub(super) const fn node_id(&self) -> &PublicKey {
        &self.node_id
    }

    /// The signature is deterministic (RFC 6979): the same invoice has the same bytes.
    pub(super) fn sign(&self, digest: &Message) -> RecoverableSignature {
        self.secp.sign_ecdsa_recoverable(digest, &self.node)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

fn input(root: &Hmac<Sha256>, purpose: Purpose, message: &[u8]) -> Hmac<Sha256> {
    root.clone().chain_update(purpose.label()).chain_update([0]).chain_update(message)
}

fn tag(root: &Hmac<Sha256>, purpose: Purpose, message: &[u8]) -> [u8; 32] {
    input(root, purpose, message).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Uuid = Uuid::from_u128(7);

    #[test]
    fn each_purpose_and_each_secret_has_values_of_its_own() {
        let keys = Keys::derive(&[1; 32]).unwrap();
        let others = Keys::derive(&[2; 32]).unwrap();
        assert_ne!(keys.preimage(KEY).expose(), &keys.payment_secret(KEY));
        assert_ne!(keys.seal(Purpose::InvoiceId, "text"), keys.seal(Purpose::LedgerLine, "text"));
        assert_ne!(keys.preimage(KEY).expose(), others.preimage(KEY).expose());
        assert_ne!(keys.node_id(), others.node_id());
    }

    #[test]
    fn a_seal_fits_its_text_its_purpose_and_its_spelling_only() {
        let keys = Keys::derive(&[1; 32]).unwrap();
        let mac = keys.seal(Purpose::InvoiceId, "text");
        assert!(keys.is_sealed(Purpose::InvoiceId, "text", &mac));
        assert!(!keys.is_sealed(Purpose::InvoiceId, "texts", &mac));
        assert!(!keys.is_sealed(Purpose::LedgerLine, "text", &mac));
        assert!(!keys.is_sealed(Purpose::InvoiceId, "text", &mac.to_uppercase()));
        assert!(!keys.is_sealed(Purpose::InvoiceId, "text", &mac[..62]));
        assert!(!keys.is_sealed(Purpose::InvoiceId, "text", ""));
        assert!(!format!("{keys:?}").contains(&mac));
    }

    /// Invoices of running installations depend on these derivations: a change here makes every open one unknown.
    #[test]
    fn the_derivation_is_the_one_of_the_first_release() {
        // python3: hmac.new(bytes([1])*32, b"guiche/spark-stub/1/preimage\0" + (7).to_bytes(16, "big"), "sha256")
        let keys = Keys::derive(&[1; 32]).unwrap();
        assert_eq!(
            hex::encode(keys.preimage(KEY).expose()),
            "3eeb41eaddfc6bbebebea84fb0687477cd40a3be72b6e4ae22fe3864d89a9138"
        );
    }
}
