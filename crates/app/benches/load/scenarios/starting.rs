//! How soon the service is ready, and what it occupies.

use guiche_kernel::BoxError;

use crate::bench::Bench;
use crate::proc;
use crate::results::{Bound, Figure, median};

/// What is resident after all that was played so far, 64 connections among it.
pub(crate) fn memory(bench: &Bench<'_>) -> Result<Figure, BoxError> {
    let memory = proc::memory(bench.service()?.pid())?;
    bench.step();
    Ok(Figure {
        what: "resident memory after the load at 64 connections".to_owned(),
        value: memory.resident,
        unit: "MB",
        bound: Bound::AtMost(60.0),
        detail: format!("{:.1} MB at the most", memory.peak),
    })
}

/// From the start of the process to the first yes on `/readyz`.
pub(crate) fn run(bench: &Bench<'_>) -> Result<Vec<Figure>, BoxError> {
    let mut figures = Vec::new();
    bench.tell("starts on an external database");
    let starts = (0..bench.options.repeat()).map(|_| {
        bench.step();
        let service = bench.world.serve(&bench.database)?;
        let after = service.ready_after.as_secs_f64();
        service.stop().map(|()| after)
    });
    let starts: Vec<f64> = starts.collect::<Result<_, _>>()?;
    figures.push(figure("ready, on an external database", 0.5, median(starts.iter().copied()), &starts));
    if !bench.world.is_open() {
        return Ok(figures);
    }
    bench.tell("starts on an embedded database");
    let start = || -> Result<f64, BoxError> {
        let service = bench.world.serve_embedded("embedded")?;
        let after = service.ready_after.as_secs_f64();
        service.stop().map(|()| after)
    };
    let first = start()?;
    figures.push(figure("ready, at the first embedded start", 6.0, first, &[first]));
    let later: Vec<f64> = (0..bench.options.repeat()).map(|_| start()).collect::<Result<_, _>>()?;
    figures.push(figure("ready, at a later embedded start", 2.0, median(later.iter().copied()), &later));
    Ok(figures)
}

fn figure(what: &str, at_most: f64, value: f64, all: &[f64]) -> Figure {
    let all: Vec<String> = all.iter().map(|seconds| format!("{seconds:.3}")).collect();
    let detail = format!("measured: {} s", all.join(", "));
    Figure { what: what.to_owned(), value, unit: "s", bound: Bound::AtMost(at_most), detail }
}
