//! LND's words, and what they mean to us. Whole numbers of 64 bits travel as texts.
//!
//! What a balance or a list does not say is not taken for nothing: a node whose holdings are misread as empty is deleted.

use guiche_lightning_setup::{Holdings, Seed};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The gRPC status behind an error, by its name.
pub(crate) fn error_code(document: &Value) -> Option<&str> {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(usize::try_from(document.get("code")?.as_u64()?).ok()?).copied()
}

#[derive(Deserialize)]
pub(super) struct GeneratedSeed {
    cipher_seed_mnemonic: Vec<SecretString>,
}

impl GeneratedSeed {
    /// The words, if they are some.
    pub(super) fn words(&self) -> Option<Seed> {
        let words: Vec<&str> = self.cipher_seed_mnemonic.iter().map(|word| word.expose_secret()).collect();
        Seed::parse(&words.join(" ").into()).ok()
    }
}

#[derive(Deserialize)]
pub(super) struct InitialisedWallet {
    /// In base64.
    pub(super) admin_macaroon: SecretString,
}

#[derive(Deserialize)]
pub(super) struct BakedMacaroon {
    /// In hex.
    pub(super) macaroon: SecretString,
}

/// `NON_EXISTING`, `LOCKED`, `UNLOCKED`, `RPC_ACTIVE`, `SERVER_ACTIVE`, `WAITING_TO_START`.
#[derive(Deserialize)]
pub(super) struct State {
    state: String,
}

impl State {
    pub(super) fn is_serving(&self) -> bool {
        matches!(self.state.as_str(), "RPC_ACTIVE" | "SERVER_ACTIVE")
    }

    pub(super) fn is_unlocked(&self) -> bool {
        self.is_serving() || self.state == "UNLOCKED"
    }

    pub(super) fn is_locked(&self) -> bool {
        self.state == "LOCKED"
    }
}

/// Satoshis.
#[derive(Default, Clone, Copy)]
pub(super) struct Sat(u64);

impl<'de> Deserialize<'de> for Sat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom("not an amount"))
    }
}

#[derive(Deserialize)]
pub(super) struct OnChain {
    total_balance: Sat,
    confirmed_balance: Sat,
    unconfirmed_balance: Sat,
    /// Set aside for something; older nodes do not tell.
    #[serde(default)]
    locked_balance: Sat,
}

#[derive(Deserialize)]
struct Amount {
    sat: Sat,
}

#[derive(Deserialize)]
pub(super) struct InChannels {
    local_balance: Amount,
    unsettled_local_balance: Amount,
    pending_open_local_balance: Amount,
}

#[derive(Deserialize)]
pub(super) struct OpenChannels {
    channels: Vec<Channel>,
}

#[derive(Deserialize)]
struct Channel {
    active: bool,
    remote_balance: Sat,
    #[serde(default)]
    remote_constraints: Option<Constraints>,
}

#[derive(Deserialize)]
struct Constraints {
    chan_reserve_sat: Sat,
}

#[derive(Deserialize)]
pub(super) struct PendingChannels {
    /// What closing channels will give back.
    total_limbo_balance: Sat,
    pending_open_channels: Vec<IgnoredAny>,
    pending_force_closing_channels: Vec<IgnoredAny>,
    waiting_close_channels: Vec<IgnoredAny>,
}

/// Everything together; rather too much than too little.
pub(super) fn holdings(
    on_chain: &OnChain,
    in_channels: &InChannels,
    open: &OpenChannels,
    pending: &PendingChannels,
) -> Holdings {
    let sum = |parts: &[Sat]| parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.0));
    // Whether the total contains what is locked depends on the version.
    let parts = sum(&[on_chain.confirmed_balance, on_chain.unconfirmed_balance, on_chain.locked_balance]);
    let InChannels { local_balance, unsettled_local_balance, pending_open_local_balance } = in_channels;
    let local = [local_balance, unsettled_local_balance, pending_open_local_balance].map(|amount| amount.sat);
    let channels = open.channels.len()
        + pending.pending_open_channels.len()
        + pending.pending_force_closing_channels.len()
        + pending.waiting_close_channels.len();
    let receivable = open.channels.iter().filter(|channel| channel.active).map(Channel::receivable);
    Holdings {
        balance_sats: on_chain
            .total_balance
            .0
            .max(parts)
            .saturating_add(sum(&local))
            .saturating_add(pending.total_limbo_balance.0),
        channels: u32::try_from(channels).unwrap_or(u32::MAX),
        inbound_capacity_sats: receivable.fold(0, u64::saturating_add),
    }
}

impl Channel {
    /// The other side must keep its reserve.
    fn receivable(&self) -> u64 {
        let reserve =
            self.remote_constraints.as_ref().map_or(0, |constraints| constraints.chan_reserve_sat.0);
        self.remote_balance.0.saturating_sub(reserve)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn an_error_is_known_by_its_grpc_status() {
        assert_eq!(error_code(&json!({ "code": 2, "message": "wallet already exists" })), Some("UNKNOWN"));
        for none in [json!({}), json!({ "code": 99 }), json!({ "code": "2" }), json!([])] {
            assert_eq!(error_code(&none), None, "{none}");
        }
    }

    #[test]
    fn everything_that_would_be_lost_is_counted() {
        let on_chain = from_value(json!({
            "total_balance": "700", "confirmed_balance": "600", "unconfirmed_balance": "100", "locked_balance": "50",
        }));
        let amount = |sat: u64| json!({ "sat": sat.to_string(), "msat": (sat * 1000).to_string() });
        let in_channels = from_value(json!({
            "local_balance": amount(1000), "unsettled_local_balance": amount(20),
            "pending_open_local_balance": amount(3), "remote_balance": amount(999_999),
        }));
        let channel = |active: bool, remote: &str| {
            json!({ "active": active, "remote_balance": remote,
                "remote_constraints": { "chan_reserve_sat": "1000" }, "local_balance": "1000" })
        };
        let open = from_value(json!({
            "channels": [channel(true, "50000"), channel(false, "70000"), channel(true, "10")],
        }));
        let pending = from_value(json!({
            "total_limbo_balance": "4", "pending_open_channels": [{}], "pending_closing_channels": [],
            "pending_force_closing_channels": [{}], "waiting_close_channels": [{}],
        }));
        let found = holdings(&on_chain.unwrap(), &in_channels.unwrap(), &open.unwrap(), &pending.unwrap());
        let expected = Holdings { balance_sats: 750 + 1023 + 4, channels: 6, inbound_capacity_sats: 49_000 };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_told_is_not_taken_for_nothing() {
        for document in [
            json!({}),
            json!({ "total_balance": "0", "confirmed_balance": "0" }),
            json!({ "total_balance": 0, "confirmed_balance": "0", "unconfirmed_balance": "0" }),
            json!({ "total_balance": "-1", "confirmed_balance": "0", "unconfirmed_balance": "0" }),
        ] {
            assert!(from_value::<OnChain>(document.clone()).is_err(), "{document}");
        }
        assert!(from_value::<OpenChannels>(json!({})).is_err());
        assert!(from_value::<PendingChannels>(json!({ "total_limbo_balance": "0" })).is_err());
    }
}
