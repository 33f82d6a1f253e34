//! The Lightning provider of the scenarios about payments: the fake Spark gateway, in this process, so that what it costs
//! to play it is in no figure of the service.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_spark::fake::{DEFAULT_KEY, FakeSettings, FakeSpark, Fault, Operation};
use guiche_app::system::SystemClock;
use guiche_kernel::BoxError;

/// More questions than any measurement asks.
const ALL: u32 = 200_000;

/// A gateway that answers at once, unless it is told to be far away.
pub(crate) struct Provider {
    fake: FakeSpark,
}

impl Provider {
    /// Starts it with the invoices of a ledger, or with none.
    pub(crate) async fn start(ledger: Option<PathBuf>) -> Result<Self, BoxError> {
        let settings = FakeSettings { ledger, ..FakeSettings::default() };
        Ok(Self { fake: FakeSpark::start(settings, Arc::new(SystemClock)).await? })
    }

    /// The settings of a service that is paid through it.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SPARK_MODE", "live".to_owned()),
            ("SPARK_API_URL", self.fake.url()),
            ("SPARK_API_KEY", DEFAULT_KEY.to_owned()),
            ("LIGHTNING_NETWORK", "regtest".to_owned()),
        ]
    }

    /// From now on, and for a very long time, every question is answered only after this.
    pub(crate) fn answer_after(&self, latency: Duration) -> Result<(), BoxError> {
        self.fake.heal();
        let millis = u64::try_from(latency.as_millis())?;
        self.fake.fail(Operation::Status, ALL, Fault::Delay { millis });
        Ok(())
    }

    /// Plays the payer's wallet: the invoice with this payment hash is paid from now on.
    pub(crate) fn pay(&self, payment_hash: &str) -> Result<(), BoxError> {
        self.fake.pay(payment_hash, None)?;
        Ok(())
    }

    /// How many times it was asked where an invoice stands.
    pub(crate) fn questions(&self) -> u64 {
        self.fake.calls(Operation::Status)
    }
}
