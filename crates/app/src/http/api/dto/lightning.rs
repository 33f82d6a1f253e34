//! The setup of a Lightning address on the wire. Nothing here can hold a secret: what is sealed has no field.

use guiche_kernel::Timestamp;
use guiche_lightning_setup::{
    AuditRow, Holdings, Setup, SetupError, SetupFault, SetupStatus, Step, StepRecord, StepState,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::words::{SetupState, StepName, StepProgress};
use crate::http::api::lightning::code_of;
use crate::http::codes::Code;
use crate::http::problem::ApiError;

/// Which address is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupBody {
    /// `name@domain` of one of this service's domains, or just `name`: 3 to 32 of `a-z0-9-_.`; absent: one is generated.
    #[schema(required = false, value_type = String, example = "ana")]
    pub lightning_address: Option<String>,
}

/// How a setup stands.
#[derive(Serialize, ToSchema)]
pub struct SetupDto {
    /// How it stands.
    #[schema(value_type = SetupState)]
    status: &'static str,
    /// The address that is, or is to be, set up.
    #[schema(required = true)]
    lightning_address: Option<String>,
    /// Whether the address is served.
    has_lightning_address: bool,
    /// Whether there is a store, as far as is known.
    has_btcpay_store: bool,
    /// Whether there is a node, as far as is known.
    has_voltage_node: bool,
    /// Whether the node could receive anything now; `null` when it does not say.
    #[schema(required = true)]
    can_receive: Option<bool>,
    /// How much the node could receive now, in satoshis; `null` when it does not say.
    #[schema(required = true)]
    inbound_capacity_sats: Option<u64>,
    /// Whether another attempt may begin.
    can_retry: bool,
    /// How often it was tried.
    attempts: u32,
    /// The steps of the present attempt.
    steps: Vec<StepDto>,
    /// What went wrong in the present or the last attempt.
    #[schema(required = true)]
    error: Option<SetupErrorDto>,
}

/// A step of a setup.
#[derive(Serialize, ToSchema)]
pub struct StepDto {
    /// Which.
    #[schema(value_type = StepName)]
    name: &'static str,
    /// How far it got.
    #[schema(value_type = StepProgress)]
    state: &'static str,
    /// Since when.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

/// What went wrong, in our own words.
#[derive(Serialize, ToSchema)]
pub struct SetupErrorDto {
    /// `setup_failed`, or `setup_provider_unavailable` when trying again later may be all it takes.
    #[schema(example = "setup_failed")]
    code: &'static str,
    /// Who was asked: `node_host`, `node`, `store_host`, or `ours`.
    #[schema(example = "node_host")]
    provider: &'static str,
    /// For what.
    #[schema(example = "create_node")]
    operation: String,
    /// What came of it: `refused`, `unavailable`, `unanswered`, `garbled`, `not_ready`, `internal`.
    #[schema(example = "refused")]
    reason: &'static str,
}

impl SetupDto {
    /// How it stands; what the node said, if it was asked.
    pub fn new(setup: &Setup, holdings: Option<Holdings>) -> Self {
        if setup.status == SetupStatus::Removed {
            return Self::none();
        }
        let inbound = holdings.map(|holdings| holdings.inbound_capacity_sats);
        Self {
            status: super::words::setup_status(setup.status),
            lightning_address: Some(setup.address.to_string()),
            has_lightning_address: setup.status == SetupStatus::FullyConfigured,
            has_btcpay_store: exists(setup, Step::StoreCreated),
            has_voltage_node: exists(setup, Step::NodeCreated),
            can_receive: inbound.map(|sats| sats > 0),
            inbound_capacity_sats: inbound,
            can_retry: can_retry(setup),
            attempts: setup.attempt,
            steps: Step::ALL.into_iter().map(|step| StepDto::new(step, setup.record(step))).collect(),
            error: setup.fault.as_ref().map(SetupErrorDto::from),
        }
    }

    /// Of somebody who has none.
    pub fn none() -> Self {
        Self {
            status: super::words::NOT_CONFIGURED,
            lightning_address: None,
            has_lightning_address: false,
            has_btcpay_store: false,
            has_voltage_node: false,
            can_receive: None,
            inbound_capacity_sats: None,
            can_retry: false,
            attempts: 0,
            steps: Vec::new(),
            error: None,
        }
    }
}

fn can_retry(setup: &Setup) -> bool {
    matches!(setup.status, SetupStatus::Failed | SetupStatus::NeedsAttention)
}

/// Whether something of the step exists outside, in whichever attempt; what was only intended does not count.
fn exists(setup: &Setup, step: Step) -> bool {
    let made = [StepState::Done, StepState::Undoing, StepState::Orphaned];
    setup.journal.iter().any(|record| record.step == step && made.contains(&record.state))
}

impl StepDto {
    fn new(step: Step, record: Option<&StepRecord>) -> Self {
        let state = record.map_or(super::words::PENDING, |record| record.state.as_str());
        Self { name: step.as_str(), state, at: record.map(|record| record.since) }
    }
}

impl From<&SetupFault> for SetupErrorDto {
    fn from(fault: &SetupFault) -> Self {
        Self {
            code: code_of(Some(fault)).as_str(),
            provider: fault.provider.as_str(),
            operation: fault.operation.clone(),
            reason: fault.kind.as_str(),
        }
    }
}

/// What became of the address that was asked for at registration.
#[derive(Serialize, ToSchema)]
pub struct WelcomeDto {
    /// How it stands.
    #[schema(value_type = SetupState)]
    status: &'static str,
    /// Whether another attempt may begin.
    can_retry: bool,
    /// Why it failed, if it did: the code that the setup itself would have been refused with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "address_taken")]
    code: Option<&'static str>,
}

impl From<Result<Setup, SetupError>> for WelcomeDto {
    fn from(begun: Result<Setup, SetupError>) -> Self {
        match begun {
            Ok(setup) => {
                let code = can_retry(&setup).then(|| code_of(setup.fault.as_ref()).as_str());
                Self { status: super::words::setup_status(setup.status), can_retry: can_retry(&setup), code }
            }
            Err(refusal) => {
                let code = ApiError::from(refusal).code();
                let status = if code == Code::AddressTaken { super::words::NOT_CONFIGURED } else { "failed" };
                Self { status, can_retry: true, code: Some(code.as_str()) }
            }
        }
    }
}

/// A page's parameters.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// 1 to 100.
    #[param(default = 20, minimum = 1, maximum = 100)]
    pub limit: Option<u16>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A page of the audit trail.
#[derive(Serialize, ToSchema)]
pub struct LogPage {
    entries: Vec<LogEntry>,
    /// For the next page; `null` on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub struct LogEntry {
    id: Uuid,
    /// The setup.
    setup_id: Uuid,
    /// What was done.
    #[schema(example = "setup_completed")]
    operation: String,
    /// Whether it went well.
    success: bool,
    /// Whether there was a store then.
    has_btcpay_store: bool,
    /// Whether there was a node then.
    has_voltage_node: bool,
    /// What went wrong: who was asked, for what, and what came of it.
    #[schema(required = true, example = "node_host create_node: refused")]
    error: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl LogPage {
    /// The rows as their person may see them.
    pub fn new(rows: Vec<AuditRow>, next_cursor: Option<String>) -> Self {
        Self { entries: rows.into_iter().map(LogEntry::from).collect(), next_cursor }
    }
}

impl From<AuditRow> for LogEntry {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            setup_id: row.setup.as_uuid(),
            operation: row.operation,
            success: row.success,
            has_btcpay_store: row.btcpay_configured,
            has_voltage_node: row.voltage_configured,
            error: row.error_message.map(own_words),
            created_at: row.created_at,
        }
    }
}

/// The part of a fault's text that is ours: behind the first comma stand the provider's status and machine code, which are
/// for the operator.
fn own_words(message: String) -> String {
    message.split_once(", ").map(|(ours, _)| ours.to_owned()).unwrap_or(message)
}

/// The header with which a client says how long it waits.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what the extractor reads")]
pub struct PreferHeader {
    /// `wait=` and seconds (10 without it, at most 25); `respond-async` waits for nothing. Told back in `Preference-Applied`.
    #[param(rename = "Prefer", value_type = String, required = false, example = "wait=5")]
    prefer: Option<String>,
}
