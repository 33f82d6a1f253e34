//! What can be chosen.

use std::path::PathBuf;

use clap::Parser;

/// Measures the service under load, beside the limits of what it is made of
#[derive(Debug, Clone, Parser)]
#[command(name = "just bench")]
pub(crate) struct Options {
    /// A look that takes a minute: fewer seconds, no repetition
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only these scenarios
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(crate::scenarios::NAMES))]
    pub(crate) only: Vec<String>,
    /// How long each measurement takes [default: 4, quick: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) seconds: Option<u32>,
    /// How often each thing and its limit are measured, in turns; the medians count [default: 3, quick: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) repeat: Option<u32>,
    /// Write the results there as JSON as well
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write table, JSON and chart to docs/benchmarks
    #[arg(long, conflicts_with_all = ["quick", "only", "program", "json"])]
    pub(crate) write_docs: bool,
    /// Measure this program instead of the one that was built with the benchmark
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_guiche"), hide_default_value = true)]
    pub(crate) program: PathBuf,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Seconds of each measurement.
    pub(crate) fn seconds(&self) -> u32 {
        self.seconds.unwrap_or(if self.quick { 1 } else { 4 })
    }

    /// Repetitions of each measurement.
    pub(crate) fn repeat(&self) -> u32 {
        self.repeat.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// Whether a scenario was asked for.
    pub(crate) fn wants(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == scenario)
    }
}
