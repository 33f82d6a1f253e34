//! The guard of the money path against what a provider may send: invoices that are right but for one thing, made with
//! lightning-invoice itself. Not one of them may become a QR code.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use bitcoin::PubkeyHash;
use bitcoin::bech32::primitives::iter::{ByteIterExt, Fe32IterExt};
use bitcoin::bech32::{Bech32, Fe32, Hrp, primitives::decode::CheckedHrpstring};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use guiche_kernel::{Sats, Timestamp};
use guiche_tickets::bolt11::{Expected, GuardRefusal, Network, guard};
use guiche_tickets::{PaymentHash, Preimage};
use lightning_invoice::{
    Bolt11Invoice, Currency, Fallback, InvoiceBuilder, PaymentSecret, RawBolt11Invoice, RawTaggedField,
    RouteHint, RouteHintHop, RoutingFees, TaggedField,
};
use time::macros::datetime;

const NOW: Timestamp = datetime!(2026-01-01 12:00 UTC);
const LIFETIME: Duration = Duration::from_secs(900);
const DESCRIPTION: &str = "Renovação da carteira";
const SATS: u64 = 50_000;

/// What a provider might put into an invoice.
#[derive(Clone)]
struct Draft {
    currency: Currency,
    msats: Option<u64>,
    preimage: [u8; 32],
    description: &'static str,
    hashed: bool,
    issued_at: Timestamp,
    lifetime: Option<Duration>,
    extra: Vec<RawTaggedField>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            currency: Currency::Regtest,
            msats: Some(SATS * 1000),
            preimage: [5; 32],
            description: DESCRIPTION,
            hashed: false,
            issued_at: NOW,
            lifetime: Some(LIFETIME),
            extra: Vec::new(),
        }
    }
}

fn node() -> SecretKey {
    SecretKey::from_slice(&[3; 32]).unwrap()
}

fn node_id() -> PublicKey {
    node().public_key(&Secp256k1::new())
}

impl Draft {
    fn raw(self) -> RawBolt11Invoice {
        let hash = Preimage::new(self.preimage).payment_hash();
        let moment = Duration::from_secs(self.issued_at.unix_timestamp().try_into().unwrap());
        let builder = InvoiceBuilder::new(self.currency)
            .payment_hash(sha256::Hash::from_byte_array(*hash.as_bytes()))
            .duration_since_epoch(moment)
            .min_final_cltv_expiry_delta(80)
            .payment_secret(PaymentSecret([9; 32]));
        let mut builder = if self.hashed {
            builder.description_hash(sha256::Hash::hash(self.description.as_bytes()))
        } else {
            builder.description(self.description.to_owned())
        };
        if let Some(msats) = self.msats {
            builder = builder.amount_milli_satoshis(msats);
        }
        if let Some(lifetime) = self.lifetime {
            builder = builder.expiry_time(lifetime);
        }
        let mut raw = builder.payee_pub_key(node_id()).build_raw().unwrap();
        raw.data.tagged_fields.extend(self.extra);
        raw
    }

    fn sign(self) -> String {
        let secp = Secp256k1::new();
        let signed = self.raw().sign::<_, ()>(|digest| Ok(secp.sign_ecdsa_recoverable(digest, &node())));
        signed.unwrap().to_string()
    }

    fn check(self) -> Result<Timestamp, GuardRefusal> {
        check(&self.sign())
    }
}

fn check(bolt11: &str) -> Result<Timestamp, GuardRefusal> {
    let expected = Expected {
        network: Network::Regtest,
        amount: Sats::try_new(SATS).unwrap(),
        description: DESCRIPTION,
        payment_hash: Preimage::new([5; 32]).payment_hash(),
        expires_at: NOW + LIFETIME,
        now: NOW,
    };
    guard(bolt11, &expected)
}

/// A field as any provider may write it: type, length and content, each of 5 bits.
fn field(tag: u8, content: &[Fe32]) -> RawTaggedField {
    let word = |value: usize| Fe32::try_from(u8::try_from(value % 32).unwrap()).unwrap();
    let mut words = vec![Fe32::try_from(tag).unwrap(), word(content.len() / 32), word(content.len())];
    words.extend(content);
    RawTaggedField::UnknownSemantics(words)
}

/// Takes an invoice apart into words and puts it together again with a checksum that fits.
fn with_words(bolt11: &str, change: impl FnOnce(&mut Vec<Fe32>)) -> String {
    let parsed = CheckedHrpstring::new::<LongBech32>(bolt11).unwrap();
    let mut words: Vec<Fe32> = parsed.fe32_iter::<&mut dyn Iterator<Item = u8>>().collect();
    change(&mut words);
    let hrp = Hrp::parse(parsed.hrp().as_str()).unwrap();
    words.into_iter().with_checksum::<LongBech32>(&hrp).chars().collect()
}

/// Bech32 without the limit of 90 characters.
enum LongBech32 {}

impl bitcoin::bech32::Checksum for LongBech32 {
    type MidstateRepr = <Bech32 as bitcoin::bech32::Checksum>::MidstateRepr;
    const CODE_LENGTH: usize = usize::MAX;
    const CHECKSUM_LENGTH: usize = Bech32::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32::TARGET_RESIDUE;
}

#[test]
fn what_was_asked_for_passes() {
    assert_eq!(Draft::default().check(), Ok(NOW + LIFETIME));
    assert_eq!(check(&Draft::default().sign().to_uppercase()), Ok(NOW + LIFETIME), "as in a QR code");
    assert_eq!(
        check(&with_words(&Draft::default().sign(), |_| ())),
        Ok(NOW + LIFETIME),
        "taken apart and unchanged"
    );
}

#[test]
fn another_network() {
    for currency in [Currency::Bitcoin, Currency::BitcoinTestnet, Currency::Signet, Currency::Simnet] {
        let refused = Draft { currency, ..Draft::default() }.check();
        assert_eq!(refused, Err(GuardRefusal::WrongNetwork));
    }
}

#[test]
fn another_amount() {
    for msats in
        [None, Some(SATS * 1000 - 1), Some(SATS * 1000 + 1), Some(SATS), Some(SATS * 1_000_000), Some(0)]
    {
        let refused = Draft { msats, ..Draft::default() }.check();
        assert_eq!(refused, Err(GuardRefusal::WrongAmount), "{msats:?}");
    }
}

#[test]
fn another_payment_hash() {
    let refused = Draft { preimage: [6; 32], ..Draft::default() }.check();
    assert_eq!(refused, Err(GuardRefusal::WrongPaymentHash));
}

#[test]
fn another_description() {
    for (description, hashed) in [
        ("Renovacao da carteira", false),
        ("", false),
        ("Renovação da carteira ", false),
        (DESCRIPTION, true),
    ] {
        let refused = Draft { description, hashed, ..Draft::default() }.check();
        assert_eq!(refused, Err(GuardRefusal::WrongDescription), "{description:?}");
    }
}

#[test]
fn two_of_what_there_must_be_one_of() {
    let description = lightning_invoice::Description::new("another".to_owned()).unwrap();
    let hash = lightning_invoice::Sha256(sha256::Hash::hash(b"another"));
    for second in [
        TaggedField::Description(description),
        TaggedField::DescriptionHash(hash.clone()),
        TaggedField::PaymentHash(hash),
        TaggedField::PaymentSecret(PaymentSecret([8; 32])),
    ] {
        let extra = vec![RawTaggedField::KnownSemantics(second)];
        assert_eq!(Draft { extra, ..Draft::default() }.check(), Err(GuardRefusal::Malformed));
    }
}

#[test]
fn an_expiry_more_than_a_minute_off() {
    for (seconds, refused) in
        [(840, false), (960, false), (839, true), (961, true), (30 * 24 * 60 * 60, true)]
    {
        let lifetime = Some(Duration::from_secs(seconds));
        let outcome = Draft { lifetime, ..Draft::default() }.check();
        let expected =
            if refused { Err(GuardRefusal::WrongExpiry) } else { Ok(NOW + Duration::from_secs(seconds)) };
        assert_eq!(outcome, expected, "{seconds}");
    }
    // BOLT11's default of an hour, where the provider says nothing.
    assert_eq!(Draft { lifetime: None, ..Draft::default() }.check(), Err(GuardRefusal::WrongExpiry));
    let early = Draft { issued_at: NOW - Duration::from_secs(61), ..Draft::default() };
    assert_eq!(early.check(), Err(GuardRefusal::WrongExpiry));
}

/// The first of two expiries is the one that was asked for; a wallet may go by the last.
#[test]
fn two_of_what_may_be_missing() {
    let month = lightning_invoice::ExpiryTime::from_seconds(30 * 24 * 60 * 60);
    let delta = lightning_invoice::MinFinalCltvExpiryDelta(1000);
    for second in [
        TaggedField::ExpiryTime(month),
        TaggedField::MinFinalCltvExpiryDelta(delta),
        TaggedField::PayeePubKey(lightning_invoice::PayeePubKey(node_id())),
    ] {
        let extra = vec![RawTaggedField::KnownSemantics(second)];
        assert_eq!(Draft { extra, ..Draft::default() }.check(), Err(GuardRefusal::Malformed));
    }
}

#[test]
fn an_invoice_that_has_run_out() {
    let expected = Expected {
        network: Network::Regtest,
        amount: Sats::try_new(SATS).unwrap(),
        description: DESCRIPTION,
        payment_hash: Preimage::new([5; 32]).payment_hash(),
        expires_at: NOW + LIFETIME,
        now: NOW + LIFETIME,
    };
    assert_eq!(guard(&Draft::default().sign(), &expected), Err(GuardRefusal::AlreadyExpired));
}

#[test]
fn a_changed_character_anywhere() {
    let bolt11 = Draft::default().sign();
    for at in 0..bolt11.len() {
        let mut bytes = bolt11.clone().into_bytes();
        bytes[at] = if bytes[at] == b'q' { b'p' } else { b'q' };
        let changed = String::from_utf8(bytes).unwrap();
        assert_eq!(check(&changed), Err(GuardRefusal::Malformed), "character {at}");
    }
    for text in
        ["", "lnbcrt1", &bolt11[..bolt11.len() - 1], &format!("lightning:{bolt11}"), &format!("{bolt11} ")]
    {
        assert_eq!(check(text), Err(GuardRefusal::Malformed), "{text:?}");
    }
}

/// With a checksum that fits, only the signature protects the content, and it does where the payee is named. What no
/// decoder can see is that the field with the name was turned into one that nobody knows: then a changed invoice is the
/// valid invoice of somebody else, whom nobody can reach.
#[test]
fn a_changed_word_with_a_new_checksum() {
    let bolt11 = Draft::default().sign();
    let count = CheckedHrpstring::new::<LongBech32>(&bolt11).unwrap().data_part_ascii_no_checksum().len();
    let mut passed = 0;
    for at in 0..count {
        for bit in 0..5 {
            let changed = with_words(&bolt11, |words| flip(&mut words[at], 1 << bit));
            if check(&changed).is_ok() {
                let invoice: Bolt11Invoice = changed.parse().unwrap();
                assert_eq!(invoice.payee_pub_key(), None, "word {at} of {count}");
                assert_ne!(invoice.recover_payee_pub_key(), node_id());
                passed += 1;
            }
        }
    }
    assert!(passed <= 5, "the five changes of one type word, not {passed}");
}

fn flip(word: &mut Fe32, bits: u8) {
    *word = Fe32::try_from(word.to_u8() ^ bits).unwrap();
}

#[test]
fn a_fallback_address() {
    let known = |fallback| RawTaggedField::KnownSemantics(TaggedField::Fallback(fallback));
    let version = |number: u8| {
        let address = "spark1pgss8u5jdqvg0zmhlgvk5hnkn2kshyd5wnhv7fzqtlj5aq6q4r3t6c6xq8tvk0";
        let mut words = vec![Fe32::try_from(number).unwrap()];
        words.extend(address.bytes().bytes_to_fes());
        field(9, &words)
    };
    for (name, extra) in [
        ("P2PKH", known(Fallback::PubKeyHash(PubkeyHash::from_byte_array([1; 20])))),
        ("Spark's version", version(31)),
        ("an unknown version", version(19)),
        ("a version of segwit, too long", version(1)),
        ("an empty one", field(9, &[])),
    ] {
        let refused = Draft { extra: vec![extra], ..Draft::default() }.check();
        // What the decoder itself refuses is malformed; both keep it from the payer.
        assert!(
            matches!(refused, Err(GuardRefusal::OtherWayToPay | GuardRefusal::Malformed)),
            "{name}: {refused:?}"
        );
    }
    let refused = Draft { extra: vec![version(31)], ..Draft::default() }.check();
    assert_eq!(refused, Err(GuardRefusal::OtherWayToPay));
}

fn hop(short_channel_id: u64) -> RouteHintHop {
    RouteHintHop {
        src_node_id: node_id(),
        short_channel_id,
        fees: RoutingFees { base_msat: 4_000_000_000, proportional_millionths: 1 },
        cltv_expiry_delta: 40,
        htlc_minimum_msat: None,
        htlc_maximum_msat: None,
    }
}

fn route(channels: &[u64]) -> RawTaggedField {
    let hops = RouteHint(channels.iter().copied().map(hop).collect());
    RawTaggedField::KnownSemantics(TaggedField::PrivateRoute(
        lightning_invoice::PrivateRoute::new(hops).unwrap(),
    ))
}

/// `includeSparkAddress` of Spark's SDK: no fallback, but a route hint whose node is the receiver's identity, marked by
/// a channel that cannot exist. The SDK looks for it in every hop of every hint.
#[test]
fn a_spark_address_in_a_route_hint() {
    const SPARK: u64 = 0xf424_00f4_2400_0001;
    const ORDINARY: u64 = 0x0c96_d2ff_b3d5_0000;
    for extra in [
        vec![route(&[SPARK])],
        vec![route(&[ORDINARY]), route(&[SPARK])],
        vec![route(&[ORDINARY, SPARK])],
        vec![route(&[SPARK, ORDINARY])],
    ] {
        assert_eq!(Draft { extra, ..Draft::default() }.check(), Err(GuardRefusal::OtherWayToPay));
    }
    let ordinary = vec![route(&[ORDINARY]), route(&[ORDINARY, SPARK - 1])];
    assert_eq!(
        Draft { extra: ordinary, ..Draft::default() }.check(),
        Ok(NOW + LIFETIME),
        "Spark's are reached by hints"
    );
}

/// The same hint with bits after its end: ours drops them, others do so too, or do not.
#[test]
fn a_route_hint_with_bits_after_its_end() {
    let mut bytes = node_id().serialize().to_vec();
    bytes.extend(0xf424_00f4_2400_0001_u64.to_be_bytes());
    bytes.extend([0; 10]);
    let exact: Vec<Fe32> = bytes.into_iter().bytes_to_fes().collect();
    let refused = Draft { extra: vec![field(3, &exact)], ..Draft::default() }.check();
    assert_eq!(refused, Err(GuardRefusal::OtherWayToPay));
    let longer: Vec<Fe32> = exact.iter().copied().chain([Fe32::Q]).collect();
    let mut dirty = exact;
    flip(dirty.last_mut().unwrap(), 1);
    for words in [dirty, longer] {
        let refused = Draft { extra: vec![field(3, &words)], ..Draft::default() }.check();
        assert_eq!(refused, Err(GuardRefusal::Malformed));
    }
}

#[test]
fn fields_that_nobody_knows_are_skipped_as_bolt11_says() {
    let extra = vec![field(2, &[Fe32::P; 7])];
    assert_eq!(Draft { extra, ..Draft::default() }.check(), Ok(NOW + LIFETIME));
}

#[test]
fn another_hash_than_the_provider_says() {
    let expected = Expected {
        network: Network::Regtest,
        amount: Sats::try_new(SATS).unwrap(),
        description: DESCRIPTION,
        payment_hash: PaymentHash::new([0; 32]),
        expires_at: NOW + LIFETIME,
        now: NOW,
    };
    assert_eq!(guard(&Draft::default().sign(), &expected), Err(GuardRefusal::WrongPaymentHash));
}
