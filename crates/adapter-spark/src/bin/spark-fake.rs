//! The fake gateway as a process of its own:
//! `spark-fake --listen 127.0.0.1:8090 --ledger FILE [--key KEY]…`. Tells its address as one line of JSON.

use std::io::{self, Write as _};
use std::sync::Arc;

use guiche_adapter_spark::fake::{FakeSettings, FakeSpark};
use guiche_kernel::{Clock, Timestamp, truncate_to_micros};

const USAGE: &str = "usage: spark-fake [--listen ADDRESS:PORT] [--ledger FILE] [--key KEY]…";

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "a program of its own has nobody to hand it the time")]
        let now = Timestamp::now_utc();
        truncate_to_micros(now)
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let settings = settings(std::env::args().skip(1))?;
    let fake = FakeSpark::start(settings, Arc::new(SystemClock)).await?;
    writeln!(io::stdout(), r#"{{"event":"listening","url":"{}"}}"#, fake.url())?;
    tokio::signal::ctrl_c().await
}

fn settings(mut arguments: impl Iterator<Item = String>) -> io::Result<FakeSettings> {
    let mut settings = FakeSettings::default();
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| io::Error::other(USAGE))?;
        match name.as_str() {
            "--listen" => settings.listen = Some(value.parse().map_err(|_| io::Error::other(USAGE))?),
            "--ledger" => settings.ledger = Some(value.into()),
            "--key" => settings.keys.push(value),
            _ => return Err(io::Error::other(USAGE)),
        }
    }
    Ok(settings)
}
