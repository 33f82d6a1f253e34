//! Setups of Lightning addresses: what the calls to the providers allow, and what the saga itself costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guiche_adapter_btcpay::fake::{self as btcpay, FakeBtcPay};
use guiche_adapter_voltage::fake::{self as voltage, FakeVoltage};
use guiche_app::system::SystemClock;
use guiche_kernel::BoxError;
use guiche_outbound::fake::{Fault, Rule};
use tokio_postgres::Client;

use crate::bench::{Bench, micros};
use crate::proc;
use crate::results::{Bound, Figure};

const DATABASE: &str = "setups";
const SETUPS: u32 = 1_000;
/// A quick look has fewer.
const FEWER: u32 = 200;
/// Of every call.
const LATENCY: Duration = Duration::from_millis(20);
/// How many a process works on at once.
const AT_ONCE: f64 = 32.0;
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Vec<Figure>, BoxError> {
    let number = if bench.options.quick { FEWER } else { SETUPS };
    bench.tell(format!("{number} setups"));
    let database = bench.world.database(DATABASE).await?;
    let client = bench.world.superuser(DATABASE).await?;
    let providers = Providers::start().await?;
    let service = bench.world.serve_as(DATABASE, &database, &providers.settings())?;
    let before = (proc::cpu(service.pid())?, proc::cpu_with_children(database.postmaster)?);
    client.execute(PEOPLE, &[&i32::try_from(number)?]).await?;
    client.batch_execute(BEGIN).await?;
    providers.until_called().await?;
    let begun = Instant::now();
    until_done(&client, number).await?;
    let taken = begun.elapsed();
    let (cpu, database_cpu) = (
        proc::cpu(service.pid())?.saturating_sub(before.0),
        proc::cpu_with_children(database.postmaster)?.saturating_sub(before.1),
    );
    let resident = proc::memory(service.pid())?;
    service.stop()?;
    bench.step();
    Ok(figures(number, taken, providers.calls(), (cpu, database_cpu), resident))
}

/// Both, played in this process, so that what that costs is in no figure of the service; but on the same cores.
struct Providers {
    voltage: FakeVoltage,
    btcpay: FakeBtcPay,
}

impl Providers {
    async fn start() -> Result<Self, BoxError> {
        let clock = Arc::new(SystemClock);
        let voltage =
            voltage::start(voltage::FakeSettings::default(), Arc::<SystemClock>::clone(&clock)).await?;
        let btcpay = btcpay::start(btcpay::FakeSettings::default(), clock).await?;
        let millis = u64::try_from(LATENCY.as_millis())?;
        voltage.fail(Rule::always("*", Fault::Delay { millis }))?;
        btcpay.fail(Rule::always("*", Fault::Delay { millis }))?;
        Ok(Self { voltage, btcpay })
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("VOLTAGE_API_URL", self.voltage.url()),
            ("VOLTAGE_API_KEY", voltage::DEFAULT_KEY.to_owned()),
            ("VOLTAGE_LND_URL", format!("{}/lnd/{{api_endpoint}}", self.voltage.url())),
            ("BTCPAY_URL", self.btcpay.url()),
            ("BTCPAY_API_KEY", btcpay::DEFAULT_KEY.to_owned()),
        ]
    }

    /// Until the service, which looks four times a second, has found that there is something to do.
    async fn until_called(&self) -> Result<(), BoxError> {
        let begun = Instant::now();
        while self.calls() == 0 {
            if begun.elapsed() > PATIENCE {
                return Err("no provider was ever called".into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    fn calls(&self) -> usize {
        self.voltage.seen().len() + self.btcpay.seen().len()
    }
}

async fn until_done(client: &Client, number: u32) -> Result<(), BoxError> {
    let begun = Instant::now();
    loop {
        let row = client.query_one(STANDING, &[]).await?;
        let (done, failed): (i64, i64) = (row.get(0), row.get(1));
        if done == i64::from(number) {
            return Ok(());
        }
        if failed > 0 || begun.elapsed() > PATIENCE {
            return Err(format!("{done} of {number} setups are complete, {failed} failed").into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn figures(
    number: u32,
    taken: Duration,
    calls: usize,
    (cpu, database_cpu): (Duration, Duration),
    resident: proc::Memory,
) -> Vec<Figure> {
    let setups = f64::from(number);
    let calls = f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / setups;
    let allowed = AT_ONCE / (calls * LATENCY.as_secs_f64());
    let rate = setups / taken.as_secs_f64();
    let millis = |cpu: Duration| micros(cpu) / 1e3 / setups;
    vec![
        Figure {
            what: format!("{number} setups at 32 at once, of what the calls' latencies allow"),
            value: 100.0 * rate / allowed,
            unit: "%",
            bound: Bound::AtLeast(80.0),
            detail: format!(
                "{rate:.0} a second; {calls:.1} calls each, {} ms a call, would allow {allowed:.0}",
                LATENCY.as_millis()
            ),
        },
        Figure {
            what: "processor time of a setup, the database's included".to_owned(),
            value: millis(cpu) + millis(database_cpu),
            unit: "ms",
            bound: Bound::AtMost(15.0),
            detail: format!(
                "{:.1} ms in the service, {:.1} ms in PostgreSQL",
                millis(cpu),
                millis(database_cpu)
            ),
        },
        Figure {
            what: format!("resident memory after {number} setups"),
            value: resident.resident,
            unit: "MB",
            bound: Bound::AtMost(100.0),
            detail: format!("{:.1} MB at the most", resident.peak),
        },
    ]
}

const PEOPLE: &str = "
    INSERT INTO users (id, email, email_key, password_hash, epoch, created_at, updated_at)
    SELECT md5('person ' || n)::uuid, new.email, new.email, 'none', 0, now(), now()
    FROM generate_series(1, $1) n, concat('person-', n, '@example.org') AS new (email)";
/// All at once, as if as many people had asked in the same moment; asking is one call of a function each.
const BEGIN: &str = "
    INSERT INTO lightning_addresses (
        id, user_id, address, status, goal, attempt, active, reserved, begun_at, due_at, created_at, updated_at
    )
    SELECT md5(u.id::text)::uuid, u.id, split_part(u.email, '@', 1) || '@guiche.test', 'in_progress', 'set_up', 1, false, true,
        now(), now(), now(), now()
    FROM users u";
const STANDING: &str = "
    SELECT count(*) FILTER (WHERE status = 'fully_configured'),
        count(*) FILTER (WHERE status NOT IN ('fully_configured', 'in_progress'))
    FROM lightning_addresses";
