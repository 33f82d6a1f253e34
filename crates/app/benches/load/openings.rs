//! Sealed secrets are opened all the time, whatever else goes on: who does that, and how often it failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guiche_adapter_crypto::KeyRing;
use guiche_kernel::{BoxError, Sealed, SecretVault as _};
use guiche_webhooks::EndpointId;
use secrecy::ExposeSecret as _;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

/// Between two readings.
const PAUSE: Duration = Duration::from_millis(1);
const READ: &str = "SELECT secret FROM webhook_endpoints WHERE id = $1::text::uuid";

/// Somebody who opens one secret after the other, until it is enough.
pub(crate) struct Openings {
    enough: Arc<AtomicBool>,
    counted: JoinHandle<Result<Counted, tokio_postgres::Error>>,
}

/// How often secrets were opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) all: u32,
    /// Those that did not give the secret.
    pub(crate) failed: u32,
}

impl Openings {
    /// Begins. Each of the endpoints has this secret, sealed under a key of the ring.
    pub(crate) async fn begin(
        client: Client,
        ring: KeyRing,
        endpoints: Vec<Uuid>,
        secret: Vec<u8>,
    ) -> Result<Self, BoxError> {
        let read = client.prepare(READ).await?;
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let counted = tokio::spawn(async move {
            let mut counted = Counted::default();
            for endpoint in endpoints.into_iter().cycle() {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                counted.all += 1;
                if !opens(&client, &read, &ring, endpoint, &secret).await? {
                    counted.failed += 1;
                }
                tokio::time::sleep(PAUSE).await;
            }
            Ok(counted)
        });
        Ok(Self { enough, counted })
    }

    /// Ends, and tells how it was.
    pub(crate) async fn end(self) -> Result<Counted, BoxError> {
        self.enough.store(true, Ordering::Relaxed);
        Ok(self.counted.await??)
    }
}

async fn opens(
    client: &Client,
    read: &Statement,
    ring: &KeyRing,
    endpoint: Uuid,
    secret: &[u8],
) -> Result<bool, tokio_postgres::Error> {
    let Some(row) = client.query_opt(read, &[&endpoint.to_string()]).await? else { return Ok(false) };
    let sealed = Sealed::from_text(row.get::<_, String>(0));
    let opened = ring.open(EndpointId::new(endpoint).secret_place(), &sealed);
    Ok(opened.is_ok_and(|opened| opened.expose_secret() == secret))
}
