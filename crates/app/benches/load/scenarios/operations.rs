//! `GET /operations`, beside a bare handler with the same bytes.

use std::time::Duration;

use guiche_kernel::BoxError;

use crate::bench::{Bench, CONNECTIONS, Pair};
use crate::http;
use crate::limits::Bare;
use crate::results::Row;
use crate::wrk::Request;

pub(crate) const PATH: &str = "/api/v1/operations";

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Vec<Row>, BoxError> {
    let request = Request::get(PATH, "");
    let answer = http::ask(bench.service()?.address, &request)?;
    let bare = Bare::start(bench.world.directory(), &answer)?;
    let requests = [request];
    let pair = Pair {
        call: "operations",
        requests: &requests,
        time: bench.time(),
        rest: Duration::ZERO,
        limit: "bare handler",
        goal: Some((0.5, &CONNECTIONS)),
    };
    bench.pair(&pair, async |connections| Ok(bench.bare(&bare, &requests, connections)?.0)).await
}
