//! `just bench`: the service under load, beside the limits of what it is made of.
//!
//! It starts the optimised program on a scratch database, loads it, and in the same run measures what cannot be beaten on
//! the same machine: a bare handler with the same bytes, the same SQL from pgbench, bcrypt alone. What it prints is a
//! share of the limit, because rates of other machines say nothing about this one. It is no test: it never fails a build.

mod bench;
mod chart;
mod http;
mod limits;
mod machine;
mod news;
mod openings;
mod options;
mod people;
mod pgbench;
mod proc;
mod provider;
mod publish;
mod receiver;
mod results;
mod scenarios;
mod seed;
mod table;
mod world;
mod wrk;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use guiche_kernel::BoxError;

use crate::bench::Bench;
use crate::options::Options;
use crate::results::Results;
use crate::world::World;

fn main() -> ExitCode {
    // In the role of the bare handler, which is started by ourselves.
    let mut arguments = std::env::args_os().skip(1);
    let bare = arguments.next().is_some_and(|first| first == limits::Bare::ARGUMENT);
    let done = match (bare, arguments.next()) {
        (true, Some(answer)) => {
            runtime().and_then(|runtime| runtime.block_on(limits::serve_bare(Path::new(&answer))))
        }
        (true | false, _) => measure(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut cause: Option<&dyn Error> = Some(&*error);
            let mut causes = Vec::new();
            while let Some(error) = cause {
                causes.push(error.to_string());
                cause = error.source();
            }
            eprintln!("bench: {}", causes.join(": "));
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), BoxError> {
    let options = Options::parse();
    if let Some(lacking) = lacking() {
        return say(&format!("Nothing was measured: {lacking}"));
    }
    runtime()?.block_on(async {
        let world = World::make(options.program.clone()).await?;
        let measured = measure_in(&world, &options).await;
        // Whatever happened, the cluster is stopped and its directory removed.
        world.remove().await?;
        publish::publish(&measured?, &options)
    })
}

async fn measure_in(world: &World, options: &Options) -> Result<Results, BoxError> {
    let mut bench = Bench::prepare(options, world).await?;
    let mut results = bench.begin().await?;
    scenarios::run(&mut bench, &mut results).await?;
    bench.end()?;
    Ok(results)
}

/// What is not installed, with the cure.
fn lacking() -> Option<&'static str> {
    if !cfg!(target_os = "linux") {
        return Some("processor time and memory are read from /proc, which only Linux has.");
    }
    match (wrk::Wrk::is_there(), pgbench::Pgbench::is_there()) {
        (true, true) => None,
        (false, _) => Some("the load comes from wrk. On Debian: apt-get install wrk postgresql"),
        (true, false) => {
            Some("the database's limit comes from pgbench. On Debian: apt-get install postgresql")
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, BoxError> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// A line on standard output.
pub(crate) fn say(text: &str) -> Result<(), BoxError> {
    Ok(writeln!(io::stdout(), "{text}")?)
}
