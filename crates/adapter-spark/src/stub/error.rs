//! What the stub refuses, and what can go wrong with its ledger.

use std::io;
use std::path::PathBuf;

use guiche_kernel::Timestamp;
use guiche_tickets::InvoiceIdError;
use lightning_invoice::CreationError;

/// A request that no BOLT11 invoice can be made of; the source of a
/// [`GatewayError::Rejected`](guiche_tickets::GatewayError::Rejected).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// An invoice over nothing.
    #[error("an invoice must be for at least 1 satoshi")]
    ZeroAmount,
    /// BOLT11 counts bytes of UTF-8, not characters.
    #[error("the description has {bytes} bytes; an invoice carries at most 639")]
    DescriptionTooLong {
        /// How many there are.
        bytes: usize,
    },
    /// Shorter than a second, or longer than a year.
    #[error("an invoice must live between one second and one year")]
    Lifetime,
    /// Before 1970, or so late that 35 bits cannot hold the seconds.
    #[error("an invoice cannot carry this moment of request")]
    Moment,
    /// More than an invoice can be for, or a defect.
    #[error("the invoice cannot be encoded")]
    Encoding(#[from] CreationError),
    /// A defect: the id that was made is none.
    #[error(transparent)]
    Id(#[from] InvoiceIdError),
}

/// Why the stub does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The secret yields no signing key; with random bytes that does not happen.
    #[error("no signing key can be derived from the stub's secret")]
    NoKey,
}

/// Why the played wallet could not pay.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// The stub has not issued this invoice, or under another secret.
    #[error("the invoice is not known")]
    UnknownInvoice,
    /// A Lightning invoice is paid once.
    #[error("the invoice is paid already")]
    AlreadyPaid {
        /// When it was paid; that moment stays.
        paid_at: Timestamp,
    },
    /// It has run out; see [`PayMoment::Late`](crate::PayMoment::Late).
    #[error("the invoice has run out")]
    Expired {
        /// When.
        expires_at: Timestamp,
    },
    /// No wallet can pay an invoice before there is one.
    #[error("the moment of payment lies before the invoice")]
    BeforeIssued {
        /// When the invoice was asked for.
        issued_at: Timestamp,
    },
    /// The payment could not be written down; whether it was is unknown, so ask again.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What can go wrong with the file of payments.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file system refused.
    #[error("cannot {attempt} the payment ledger {}", path.display())]
    Io {
        /// What was tried.
        attempt: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A complete line is not what was written. Only the last, incomplete one is explained by a crash, so nothing is
    /// repaired here: move the file away to begin without payments, or take it from a backup.
    #[error("line {line} of the payment ledger {} is damaged", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: u64,
    },
    /// The file belongs to another secret: one of the two was replaced or copied alone.
    #[error("the payment ledger {} was written under another secret (or is none)", path.display())]
    OtherSecret {
        /// Which file.
        path: PathBuf,
    },
    /// The file was removed, cut or replaced under a running process.
    #[error("the payment ledger {} was replaced while in use; start again", path.display())]
    Replaced {
        /// Which file.
        path: PathBuf,
    },
    /// Another process has kept the file locked for seconds.
    #[error("the payment ledger {} is locked by another process", path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
    },
    /// The process is ending.
    #[error("the payment ledger is closed: the process is shutting down")]
    ShuttingDown,
}
