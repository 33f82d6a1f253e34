//! What can go wrong, on demand.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The two calls of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /v1/invoices`
    Issue,
    /// `GET /v1/invoices/{id}`
    Status,
}

/// What one call meets. Over HTTP: `{"kind": "delay", "millis": 5}`, `{"kind": "lose_answer"}` and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Fault {
    /// Everything is well, only late.
    Delay {
        /// By so many milliseconds.
        millis: u64,
    },
    /// This status, before anything is done.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The code of the error document; without one the body is not the gateway's.
        code: Option<String>,
    },
    /// The connection ends before anything is done.
    HangUp,
    /// It is done, and the connection ends instead of an answer.
    LoseAnswer,
    /// It is done, and nothing is ever answered.
    Silence,
    /// It is done, and the answer is not a document.
    Garbage,
    /// It is done, and the answer is megabytes long.
    Oversized,
    /// It is done, and this is answered instead.
    Instead {
        /// The document.
        document: Value,
    },
    /// The invoice is made for one satoshi more.
    WrongAmount,
    /// The invoice is made for mainnet.
    WrongNetwork,
    /// The answer names another payment hash than the invoice has.
    WrongHash,
    /// The invoice has the payment hash of the one that was issued first.
    DuplicateHash,
    /// The status is told as if nobody had ever paid.
    Flap,
    /// The status is told without the moment of the payment.
    NoPaidAt,
    /// The status is told in words that nobody has heard of yet.
    UnknownStatus,
}

/// The faults to come, per operation.
#[derive(Debug, Default)]
pub(super) struct Script {
    issue: VecDeque<Fault>,
    status: VecDeque<Fault>,
}

/// More than any test can mean.
const MOST: u32 = 1_000_000;

impl Script {
    pub(super) fn add(&mut self, on: Operation, times: u32, fault: Fault) {
        let times = usize::try_from(times.min(MOST)).unwrap_or(0);
        self.queue(on).extend(std::iter::repeat_n(fault, times));
    }

    pub(super) fn next(&mut self, on: Operation) -> Option<Fault> {
        self.queue(on).pop_front()
    }

    const fn queue(&mut self, on: Operation) -> &mut VecDeque<Fault> {
        match on {
            Operation::Issue => &mut self.issue,
            Operation::Status => &mut self.status,
        }
    }
}
