//! `POST /auth/login`, beside bcrypt alone on all cores.

use std::time::Duration;

use guiche_kernel::BoxError;

use crate::bench::{Bench, CONNECTIONS, Pair};
use crate::limits;
use crate::people;
use crate::results::Row;
use crate::wrk::Request;

/// A few sign-ins a second are all there is: one more or less must not change the picture.
const LONGER: u32 = 3;

/// What the service asks of those whom it refuses, and what a client does that knows HTTP. Clients that ask again at once
/// would be answered a thousand refusals for each sign-in, and the table would show what refusals cost.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A sign-in of each citizen.
pub(crate) fn sign_ins(bench: &Bench<'_>) -> Vec<Request> {
    bench.readers.iter().map(|citizen| people::sign_in_request(&citizen.email)).collect()
}

pub(crate) async fn login(bench: &Bench<'_>) -> Result<Vec<Row>, BoxError> {
    let requests = sign_ins(bench);
    let long = bench.time() * LONGER;
    let pair = Pair {
        call: "login",
        requests: &requests,
        time: long,
        rest: RETRY_AFTER,
        limit: "bcrypt",
        goal: Some((0.9, &CONNECTIONS)),
    };
    bench.pair(&pair, async |_| limits::bcrypt_rate(bench.cores, long)).await
}
