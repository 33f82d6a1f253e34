//! A sealing key must be replaceable in the time of a coffee, however many secrets there are.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guiche_adapter_crypto::{KeyRing, SealingKey};
use guiche_app::system::OsRandomness;
use guiche_kernel::{BoxError, Randomness as _, SecretVault as _};
use guiche_webhooks::EndpointId;
use secrecy::SecretBox;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::bench::Bench;
use crate::openings::{Counted, Openings};
use crate::results::{Bound, Figure, median};
use crate::world::Database;

const SECRETS: u32 = 100_000;
/// A quick look has fewer.
const FEWER: u32 = 20_000;
/// What is to be reached.
const IN_A_SECOND: u32 = 20_000;
const DATABASE: &str = "rotation";
/// As long as those that are generated.
const SECRET: [u8; 32] = [7; 32];

/// The time of `guiche keys rotate`, its start and its counting included, from one key to the other and back in turns, while
/// somebody goes on opening secrets with both keys at hand.
pub(crate) async fn run(bench: &Bench<'_>) -> Result<[Figure; 2], BoxError> {
    let secrets = if bench.options.quick { FEWER } else { SECRETS };
    bench.tell(format!("{secrets} sealed secrets"));
    let database = bench.world.database(DATABASE).await?;
    let client = bench.world.superuser(DATABASE).await?;
    let mut ring = [Key::make("a"), Key::make("b")];
    let endpoints = fill(&client, &ring[0], secrets).await?;
    let reader = bench.world.superuser(DATABASE).await?;
    let openings = Openings::begin(reader, Key::ring(&ring)?, endpoints, SECRET.to_vec()).await?;
    let mut seconds = Vec::new();
    for _ in 0..bench.options.repeat() {
        ring.reverse();
        seconds.push(rotate(bench, &database, &ring)?);
        let [new, _] = &ring;
        let left = client.query_one(LEFT, &[&format!("v1.{}.%", new.id)]).await?.get::<_, i64>(0);
        if left > 0 {
            return Err(format!("{left} secrets were not sealed anew").into());
        }
        bench.step();
    }
    let Counted { all, failed } = openings.end().await?;
    let value = median(seconds);
    let rate = f64::from(secrets) / value;
    let rotation = Figure {
        what: format!("guiche keys rotate, {secrets} secrets"),
        value,
        unit: "s",
        bound: Bound::AtMost(f64::from(secrets) / f64::from(IN_A_SECOND)),
        detail: format!("{rate:.0} secrets a second, everything included"),
    };
    let reading = Figure {
        what: "secrets that did not open during a rotation".to_owned(),
        value: failed.into(),
        unit: "",
        bound: Bound::AtMost(0.0),
        detail: format!("of {all} that were opened meanwhile"),
    };
    Ok([rotation, reading])
}

const LEFT: &str = "SELECT count(*) FROM webhook_endpoints WHERE secret NOT LIKE $1";

/// One run of the program; how many seconds it took.
fn rotate(bench: &Bench<'_>, database: &Database, ring: &[Key; 2]) -> Result<f64, BoxError> {
    let [new, old] = ring;
    bench.tell(format!("from one key to the other: {} to {}", old.id, new.id));
    let mut command = bench.world.on(database);
    command.args(["keys", "rotate"]);
    command.env("SERVICE_ENCRYPTION_KEYS", format!("{},{}", new.setting(), old.setting()));
    let begun = Instant::now();
    let ended = command.output()?;
    let took = begun.elapsed().as_secs_f64();
    if ended.status.success() {
        Ok(took)
    } else {
        Err(format!("guiche keys rotate: {}", String::from_utf8_lossy(&ended.stderr)).into())
    }
}

/// A sealing key, and the setting that names it.
pub(super) struct Key {
    id: &'static str,
    bytes: [u8; 32],
}

impl Key {
    pub(super) fn make(id: &'static str) -> Self {
        let mut bytes = [0; 32];
        OsRandomness.fill(&mut bytes);
        Self { id, bytes }
    }

    fn ring(keys: &[Self]) -> Result<KeyRing, BoxError> {
        let sealing = |key: &Self| SealingKey {
            id: key.id.to_owned(),
            secret: Arc::new(SecretBox::new(Box::new(key.bytes))),
        };
        Ok(KeyRing::try_new(keys.iter().map(sealing).collect(), Arc::new(OsRandomness))?)
    }

    pub(super) fn setting(&self) -> String {
        format!("{}:{}", self.id, STANDARD.encode(self.bytes))
    }
}

/// Endpoints, each with the same secret.
async fn fill(client: &Client, under: &Key, rows: u32) -> Result<Vec<Uuid>, BoxError> {
    let ring = Key::ring(std::slice::from_ref(under))?;
    let (mut endpoints, mut ids, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        // As spread over the table as ids of different moments and machines are.
        let mut bytes = [0; 16];
        OsRandomness.fill(&mut bytes);
        let id = Uuid::from_bytes(bytes);
        let sealed = ring.seal(EndpointId::new(id).secret_place(), &SECRET.to_vec().into())?;
        endpoints.push(id);
        ids.push(id.to_string());
        secrets.push(sealed.as_str().to_owned());
    }
    let insert = "
        INSERT INTO webhook_endpoints (id, url, description, secret, created_at)
        SELECT n.id::uuid, 'https://example.org/hooks', '', n.secret, now() FROM unnest($1::text[], $2::text[]) AS n (id, secret)";
    client.execute(insert, &[&ids, &secrets]).await?;
    // One by one: several statements at once are one transaction, in which nothing can be vacuumed.
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        client.batch_execute(statement).await?;
    }
    Ok(endpoints)
}
