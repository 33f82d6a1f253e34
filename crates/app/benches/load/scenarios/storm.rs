//! A login storm: bcrypt takes all the processor time there is, and others are served all the same.

use std::thread;

use guiche_kernel::BoxError;

use super::{accounts, operations};
use crate::bench::{Bench, WARM_UP};
use crate::results::{Bound, Figure, median};
use crate::wrk::{Play, Request};

/// Who goes on asking for the operations.
const QUIET: usize = 16;
/// Who signs in.
const STORM: usize = 64;

pub(crate) fn run(bench: &Bench<'_>) -> Result<Figure, BoxError> {
    let requests = [Request::get(operations::PATH, "")];
    let sign_ins = accounts::sign_ins(bench);
    let ask = || bench.play("storm", &requests, Play::flat_out(QUIET, bench.time()));
    let (mut quiet, mut stormy) = (Vec::new(), Vec::new());
    for _ in 0..bench.options.repeat() {
        bench.tell("operations, in peace");
        quiet.push(ask()?.p99_us / 1e3);
        bench.tell("operations, in a login storm");
        let storm = Play::flat_out(STORM, WARM_UP + bench.time() + WARM_UP);
        let during = thread::scope(|scope| {
            let logins = scope
                .spawn(|| bench.play("storm-logins", &sign_ins, storm).map_err(|error| error.to_string()));
            // The storm has begun, and does not end before us.
            thread::sleep(WARM_UP);
            let asked = ask();
            logins.join().map_err(|_| "the storm panicked")??;
            asked
        })?;
        stormy.push(during.p99_us / 1e3);
        bench.step();
    }
    let ratio = median(quiet.iter().zip(&stormy).map(|(quiet, stormy)| stormy / quiet));
    Ok(Figure {
        what: "p99 of operations in a login storm, to that in peace".to_owned(),
        value: ratio,
        unit: "times",
        bound: Bound::AtMost(5.0),
        detail: format!(
            "{QUIET} connections on operations: {:.1} ms; with {STORM} more on login: {:.1} ms",
            median(quiet),
            median(stormy)
        ),
    })
}
