//! The fake BTCPay Server as a process of its own:
//! `btcpay-fake --listen 127.0.0.1:8093 --data DIRECTORY [--key KEY]…`. Tells its address as one line of JSON.

use std::io;
use std::sync::Arc;

use guiche_adapter_btcpay::fake::{self, FakeSettings};
use guiche_outbound::fake::{Options, SystemClock, serve_until_interrupted};

const USAGE: &str = "usage: btcpay-fake [--listen ADDRESS:PORT] [--data DIRECTORY] [--key KEY]…";

#[tokio::main]
async fn main() -> io::Result<()> {
    let options = Options::read(std::env::args().skip(1), &["--key"], USAGE)?;
    let settings = FakeSettings { listen: options.listen, keys: options.all("--key"), data: options.data };
    serve_until_interrupted(fake::start(settings, Arc::new(SystemClock)).await?).await
}
