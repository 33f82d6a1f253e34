//! A node's part: LND over REST, with its one way of saying no for almost everything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_kernel::Timestamp;
use guiche_outbound::fake::{Asked, HangUp, Reply};
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::{Node, World};
use super::{Baked, VoltagePlay, Wallet, made};

pub(super) const MACAROON: &str = "grpc-metadata-macaroon";

const ENTITIES: [&str; 8] =
    ["onchain", "offchain", "address", "message", "peers", "info", "invoices", "signer"];

/// What is written down; of a seed, that it was given.
const CHANGING: [&str; 4] = ["genseed", "initwallet", "unlockwallet", "macaroon"];

pub(super) fn operation(method: &str, path: &[&str]) -> Option<&'static str> {
    match (method, path) {
        ("GET", ["genseed"]) => Some("genseed"),
        ("POST", ["initwallet"]) => Some("initwallet"),
        ("POST", ["unlockwallet"]) => Some("unlockwallet"),
        ("GET", ["state"]) => Some("state"),
        ("POST", ["macaroon"]) => Some("macaroon"),
        ("GET", ["getinfo"]) => Some("getinfo"),
        ("GET", ["balance", "blockchain"]) => Some("balance_blockchain"),
        ("GET", ["balance", "channels"]) => Some("balance_channels"),
        ("GET", ["channels"]) => Some("channels"),
        ("GET", ["channels", "pending"]) => Some("channels_pending"),
        _ => None,
    }
}

/// gRPC's "unknown".
pub(super) fn no(status: u16, message: &str) -> Reply {
    Reply::document(status, &json!({ "code": 2, "message": message, "details": [] }))
}

fn refused(message: &str) -> Reply {
    no(500, message)
}

impl VoltagePlay {
    pub(super) fn play_node(
        &self,
        operation: &'static str,
        endpoint: &str,
        asked: &Asked,
    ) -> Result<Reply, HangUp> {
        let now = self.clock.now();
        let serves_at = now + self.slowness;
        let play = |world: &mut World| {
            let number = world.next();
            let Some(node) = world.find(endpoint).filter(|node| now >= node.ready_at) else {
                // Nobody is there, and whoever stands in front says so.
                return Ok(Reply::text(503, "<html>no such upstream</html>"));
            };
            if !node.answers {
                return Err(HangUp);
            }
            Ok(Turn { node, now, serves_at, number }.play(operation, asked))
        };
        if !CHANGING.contains(&operation) {
            return play(&mut self.world.read(|world| world.with_only(endpoint)));
        }
        self.world.change(play).unwrap_or_else(|_| Ok(Reply::text(500, "the ledger cannot be written")))
    }
}

#[derive(Deserialize)]
struct Init {
    wallet_password: String,
    cipher_seed_mnemonic: Vec<String>,
}

#[derive(Deserialize)]
struct Unlock {
    wallet_password: String,
}

#[derive(Deserialize)]
struct Bake {
    permissions: Vec<Permission>,
}

#[derive(Deserialize)]
struct Permission {
    entity: String,
    action: String,
}

/// One call of one node.
struct Turn<'a> {
    node: &'a mut Node,
    now: Timestamp,
    serves_at: Timestamp,
    number: u64,
}

impl Turn<'_> {
    fn play(self, operation: &'static str, asked: &Asked) -> Reply {
        match operation {
            "state" => Reply::ok(&json!({ "state": self.state() })),
            "genseed" => self.generate_seed(),
            "initwallet" => self.init_wallet(asked),
            "unlockwallet" => self.unlock(asked),
            "macaroon" => self.bake(asked),
            _ => self.look(operation, asked),
        }
    }

    fn state(&self) -> &'static str {
        match &self.node.wallet {
            None => "NON_EXISTING",
            Some(wallet) if wallet.is_locked => "LOCKED",
            Some(wallet) if self.now < wallet.serves_at => "UNLOCKED",
            Some(_) => "SERVER_ACTIVE",
        }
    }

    fn generate_seed(self) -> Reply {
        if self.node.wallet.is_some() {
            return refused("wallet already exists");
        }
        Reply::ok(&json!({ "cipher_seed_mnemonic": made::seed(self.number), "enciphered_seed": "AAAA" }))
    }

    fn init_wallet(self, asked: &Asked) -> Reply {
        if self.node.wallet.is_some() {
            return refused("wallet already exists");
        }
        let Some(Init { wallet_password, cipher_seed_mnemonic: seed }) = asked.json() else {
            return no(400, "invalid request");
        };
        let Some(password) = password(&wallet_password) else {
            return refused("password must have at least 8 characters");
        };
        if !made::is_seed(&seed) {
            return refused("checksum mismatch");
        }
        let admin = made::macaroon(&self.node.node_id, self.number);
        let told = STANDARD.encode(hex::decode(&admin).unwrap_or_default());
        let (seed, baked, serves_at) = (seed.join(" "), Vec::new(), self.serves_at);
        self.node.wallet = Some(Wallet { seed, password, admin, baked, serves_at, is_locked: false });
        Reply::ok(&json!({ "admin_macaroon": told }))
    }

    fn unlock(self, asked: &Asked) -> Reply {
        let Some(wallet) = &mut self.node.wallet else { return refused("wallet not found") };
        if !wallet.is_locked {
            return refused("wallet already unlocked, WalletUnlocker service is no longer available");
        }
        let Some(Unlock { wallet_password }) = asked.json() else { return no(400, "invalid request") };
        if password(&wallet_password).as_ref() != Some(&wallet.password) {
            return refused("invalid passphrase for master public key");
        }
        wallet.is_locked = false;
        wallet.serves_at = self.serves_at;
        Reply::ok(&json!({}))
    }

    /// Whether the call's macaroon may do that.
    fn admit(&self, asked: &Asked, permission: &str) -> Result<(), Reply> {
        match (self.state(), &self.node.wallet) {
            ("SERVER_ACTIVE", Some(wallet)) => {
                let Some(shown) = asked.header(MACAROON) else {
                    return Err(refused("expected 1 macaroon, got 0"));
                };
                let baked = wallet.baked.iter().find(|baked| baked.macaroon == shown);
                let may = |baked: &Baked| baked.permissions.iter().any(|may| may == permission);
                match baked {
                    _ if wallet.admin == shown => Ok(()),
                    Some(baked) if may(baked) => Ok(()),
                    Some(_) => Err(refused("permission denied")),
                    None => Err(refused("verification failed: signature mismatch after caveat verification")),
                }
            }
            ("UNLOCKED", _) => Err(refused("the RPC server is in the process of starting up")),
            _ => Err(refused("wallet locked, unlock it to enable full RPC access")),
        }
    }

    fn bake(self, asked: &Asked) -> Reply {
        if let Err(refusal) = self.admit(asked, "macaroon:generate") {
            return refusal;
        }
        let Some(Bake { permissions }) = asked.json() else { return no(400, "invalid request") };
        let known = |permission: &Permission| {
            ENTITIES.contains(&permission.entity.as_str())
                && matches!(permission.action.as_str(), "read" | "write")
        };
        if permissions.is_empty() || !permissions.iter().all(known) {
            return refused("invalid permission");
        }
        let permissions = permissions
            .iter()
            .map(|permission| format!("{}:{}", permission.entity, permission.action))
            .collect();
        let macaroon = made::macaroon(&self.node.node_id, self.number);
        let told = json!({ "macaroon": macaroon });
        if let Some(wallet) = &mut self.node.wallet {
            wallet.baked.push(Baked { macaroon, permissions });
        }
        Reply::ok(&told)
    }

    fn look(self, operation: &'static str, asked: &Asked) -> Reply {
        let permission = match operation {
            "getinfo" => "info:read",
            "balance_blockchain" => "onchain:read",
            _ => "offchain:read",
        };
        if let Err(refusal) = self.admit(asked, permission) {
            return refusal;
        }
        Reply::ok(&match operation {
            "getinfo" => self.info(),
            "balance_blockchain" => self.on_chain(),
            "balance_channels" => self.in_channels(),
            "channels" => self.channels(),
            _ => self.pending(),
        })
    }

    fn info(&self) -> Value {
        json!({
            "version": "0.18.5-beta", "identity_pubkey": format!("02{}", "5a".repeat(32)), "alias": self.node.name,
            "block_height": 800_000, "num_peers": 1, "num_active_channels": self.node.purse.channels.len(),
            "num_inactive_channels": 0, "num_pending_channels": self.node.purse.opening, "color": "#ef820d",
        })
    }

    fn on_chain(&self) -> Value {
        let sats = self.node.purse.on_chain_sats.to_string();
        json!({
            "total_balance": sats, "confirmed_balance": sats, "unconfirmed_balance": "0",
            "locked_balance": "0", "reserved_balance_anchor_chan": "0", "account_balance": {},
        })
    }

    fn in_channels(&self) -> Value {
        let channels = &self.node.purse.channels;
        let local = channels.iter().fold(0_u64, |sum, channel| sum.saturating_add(channel.local_sats));
        let remote = channels.iter().fold(0_u64, |sum, channel| sum.saturating_add(channel.remote_sats));
        json!({
            "balance": local.to_string(), "pending_open_balance": "0",
            "local_balance": amount(local), "remote_balance": amount(remote),
            "unsettled_local_balance": amount(0), "unsettled_remote_balance": amount(0),
            "pending_open_local_balance": amount(0), "pending_open_remote_balance": amount(0),
        })
    }

    fn channels(&self) -> Value {
        let channel = |(place, channel): (usize, &super::Channel)| {
            json!({
                "active": true, "chan_id": place.to_string(), "local_balance": channel.local_sats.to_string(),
                "remote_balance": channel.remote_sats.to_string(),
                "capacity": channel.local_sats.saturating_add(channel.remote_sats).to_string(),
                "remote_constraints": { "chan_reserve_sat": "1000" },
            })
        };
        let channels: Vec<_> = self.node.purse.channels.iter().enumerate().map(channel).collect();
        json!({ "channels": channels })
    }

    fn pending(&self) -> Value {
        let opening: Vec<_> = (0..self.node.purse.opening).map(|_| json!({ "channel": {} })).collect();
        json!({
            "total_limbo_balance": self.node.purse.limbo_sats.to_string(), "pending_open_channels": opening,
            "pending_closing_channels": [], "pending_force_closing_channels": [], "waiting_close_channels": [],
        })
    }
}

fn amount(sats: u64) -> Value {
    json!({ "sat": sats.to_string(), "msat": sats.saturating_mul(1000).to_string() })
}

/// A password travels in base64, and has at least 8 bytes.
fn password(encoded: &str) -> Option<String> {
    let bytes = STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().filter(|password| password.len() >= 8)
}
