//! The stub from outside: what it issues, who may make it pay, and what is left after a crash.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod issuing;
mod ledger;
mod looks;
mod paying;
mod settling;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_spark::{OpenError, SparkStub, StubSettings};
use guiche_kernel::testing::ManualClock;
use guiche_kernel::{Clock, Sats, Timestamp};
use guiche_tickets::{InvoiceId, IssuedInvoice, NewInvoice, ProviderStatus};
use secrecy::SecretBox;
use tempfile::TempDir;
use uuid::Uuid;

const LIFETIME: Duration = Duration::from_secs(900);

/// A directory with the ledger of a stub, and a clock: what stays when the process ends.
struct Place {
    directory: TempDir,
    clock: Arc<ManualClock>,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: Arc::default() }
    }

    fn ledger(&self) -> PathBuf {
        self.directory.path().join("payments")
    }

    fn try_open(&self, secret: u8) -> Result<Arc<SparkStub>, OpenError> {
        let settings = StubSettings { secret: SecretBox::new(Box::new([secret; 32])), ledger: self.ledger() };
        SparkStub::open(settings, self.clock.clone())
    }

    /// The stub as a process at this place has it; each call is another process.
    fn open(&self) -> Arc<SparkStub> {
        self.try_open(1).unwrap()
    }

    fn request(&self, key: u128) -> NewInvoice {
        NewInvoice {
            key: Uuid::from_u128(key),
            amount: Sats::try_new(50_000).unwrap(),
            description: "Renovação da carteira de motorista".to_owned(),
            requested_at: self.clock.now(),
            lifetime: LIFETIME,
        }
    }

    async fn issued(&self, stub: &Arc<SparkStub>, key: u128) -> IssuedInvoice {
        stub.provider_view().issue(self.request(key)).await.unwrap()
    }
}

async fn paid_at(stub: &Arc<SparkStub>, id: &InvoiceId) -> Option<Timestamp> {
    match stub.provider_view().status(id).await.unwrap().unwrap() {
        ProviderStatus::Paid { paid_at } => Some(paid_at.unwrap()),
        ProviderStatus::Unpaid => None,
        ProviderStatus::InFlight => panic!("the payment lies in the future"),
    }
}
