//! What the numbers were measured on.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use guiche_kernel::BoxError;
use serde::Serialize;

use crate::bench::micros;
use crate::proc::kib;
use crate::results::median;

/// A machine, as far as it matters.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_gb: f64,
    /// The median time of a write of 8 KiB with its flush, where the database lies.
    pub(crate) flush_us: f64,
    pub(crate) postgresql: String,
    /// Processes that wanted to run, over the minute before the run: above zero, others were at work.
    pub(crate) load_before: f64,
}

impl Machine {
    /// Looks around. `directory` is where the database lies.
    pub(crate) fn here(directory: &Path, cores: usize, postgresql: &str) -> Result<Self, BoxError> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = fs::read_to_string("/proc/meminfo")?;
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            cores,
            processor: model.map_or("unknown", |(_, model)| model).to_owned(),
            memory_gb: kib(&memory, "MemTotal:").unwrap_or_default() * 1024.0 / 1e9,
            flush_us: flush_us(directory)?,
            postgresql: postgresql.to_owned(),
            load_before: load
                .split_whitespace()
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
        })
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let Self { cores, processor, memory_gb, flush_us, postgresql, load_before } = self;
        format!(
            "{cores} cores ({processor}), {memory_gb:.0} GB, flush to disk {:.2} ms, PostgreSQL {postgresql}, load average \
             {load_before:.1} before the run",
            flush_us / 1e3
        )
    }
}

fn flush_us(directory: &Path) -> Result<f64, BoxError> {
    const FLUSHES: usize = 100;
    let path = directory.join("flush");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let begun = Instant::now();
        file.write_all(&[1; 8192])?;
        file.sync_data()?;
        times.push(micros(begun.elapsed()));
    }
    fs::remove_file(path)?;
    Ok(median(times))
}
