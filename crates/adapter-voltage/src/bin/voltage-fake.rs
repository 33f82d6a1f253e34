//! The fake Voltage as a process of its own:
//! `voltage-fake --listen 127.0.0.1:8092 --data DIRECTORY [--key KEY]… [--slowness-ms N]`. Tells its address as one line
//! of JSON; its nodes are at `<address>/lnd/{host}`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_voltage::fake::{self, FakeSettings};
use guiche_outbound::fake::{Options, SystemClock, serve_until_interrupted};

const USAGE: &str =
    "usage: voltage-fake [--listen ADDRESS:PORT] [--data DIRECTORY] [--key KEY]… [--slowness-ms N]";

#[tokio::main]
async fn main() -> io::Result<()> {
    let options = Options::read(std::env::args().skip(1), &["--key", "--slowness-ms"], USAGE)?;
    let millis =
        options.all("--slowness-ms").last().map(|text| text.parse().map_err(|_| io::Error::other(USAGE)));
    let settings = FakeSettings {
        listen: options.listen,
        keys: options.all("--key"),
        slowness: Duration::from_millis(millis.transpose()?.unwrap_or_default()),
        data: options.data,
    };
    serve_until_interrupted(fake::start(settings, Arc::new(SystemClock)).await?).await
}
