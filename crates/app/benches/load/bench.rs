//! One run: everything that the scenarios need, and the measuring of pairs.

use std::time::Duration;

use guiche_kernel::BoxError;
use indicatif::ProgressBar;

use crate::limits::Bare;
use crate::options::Options;
use crate::people::{self, Citizen};
use crate::pgbench::Pgbench;
use crate::report::{Cost, Row};
use crate::world::{Database, Service, World};
use crate::wrk::{Play, Request, Seen, Wrk};
use crate::{proc, scenarios};

/// The numbers of connections that every call is measured at.
pub(crate) const CONNECTIONS: [usize; 2] = [16, 64];
/// Between a start and the first measurement.
const WARM_UP: Duration = Duration::from_secs(1);
const DATABASE: &str = "guiche";

/// Everything that the scenarios need.
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) world: World,
    pub(crate) database: Database,
    pub(crate) service: Service,
    pub(crate) citizens: Vec<Citizen>,
    pub(crate) wrk: Wrk,
    pub(crate) pgbench: Pgbench,
    pub(crate) cores: usize,
    progress: ProgressBar,
}

/// A thing to be measured beside its limit.
pub(crate) struct Pair<'a> {
    /// As the table calls it.
    pub(crate) call: &'static str,
    pub(crate) requests: &'a [Request],
    /// How long one measurement takes.
    pub(crate) time: Duration,
    /// As the table calls the limit.
    pub(crate) limit: &'static str,
    /// The share of the limit that is to be reached, at these numbers of connections.
    pub(crate) goal: Option<(f64, &'static [usize])>,
}

impl Bench {
    pub(crate) async fn prepare(options: Options) -> Result<Self, BoxError> {
        let progress = ProgressBar::new_spinner();
        progress.enable_steady_tick(Duration::from_millis(200));
        progress.set_message("a scratch database and citizens");
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let world = World::make(options.program.clone()).await?;
        let database = world.database(DATABASE).await?;
        let service = world.serve(&database)?;
        let client = world.superuser(DATABASE).await?;
        let citizens = people::settle(service.address, &client).await?;
        let wrk = Wrk::new(world.directory(), cores)?;
        let pgbench = Pgbench::new(world.directory(), cores);
        Ok(Self { options, world, database, service, citizens, wrk, pgbench, cores, progress })
    }

    pub(crate) async fn run(&self) -> Result<(), BoxError> {
        let report = scenarios::run(self).await?;
        self.progress.finish_and_clear();
        report.publish(&self.options)
    }

    pub(crate) async fn remove(self) -> Result<(), BoxError> {
        let Self { world, service, .. } = self;
        service.stop()?;
        world.remove().await
    }

    /// How long one measurement takes.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.options.seconds().into())
    }

    /// Says what is being measured, where somebody looks on.
    pub(crate) fn tell(&self, what: &str) {
        self.progress.set_message(what.to_owned());
    }

    /// Loads the service.
    pub(crate) fn play(&self, name: &str, requests: &[Request], play: Play) -> Result<Seen, BoxError> {
        self.wrk.play(name, self.service.address, requests, play)
    }

    /// Measures a call and its limit in turns, at each number of connections: what disturbs the machine then disturbs
    /// both. `limit` measures the limit's rate at so many connections.
    pub(crate) async fn pair(
        &self,
        pair: &Pair<'_>,
        mut limit: impl AsyncFnMut(usize) -> Result<f64, BoxError>,
    ) -> Result<Vec<Row>, BoxError> {
        let mut rows = Vec::new();
        for connections in CONNECTIONS {
            self.tell(&format!("{}, {connections} connections", pair.call));
            self.play(pair.call, pair.requests, Play::flat_out(connections, WARM_UP))?;
            let (mut measured, mut limits) = (Vec::new(), Vec::new());
            for _ in 0..self.options.repeat() {
                measured.push(self.measure(
                    pair.call,
                    pair.requests,
                    Play::flat_out(connections, pair.time),
                )?);
                limits.push(limit(connections).await?);
            }
            let resident_mb = proc::memory(self.service.pid())?.resident;
            rows.push(Row::of(pair, connections, &measured, &limits, resident_mb));
        }
        Ok(rows)
    }

    /// Loads the service, and counts what it cost.
    pub(crate) fn measure(
        &self,
        name: &str,
        requests: &[Request],
        play: Play,
    ) -> Result<(Seen, Cost), BoxError> {
        let before = (proc::cpu(self.service.pid())?, proc::cpu_with_children(self.database.postmaster)?);
        let seen = self.play(name, requests, play)?;
        let after = (proc::cpu(self.service.pid())?, proc::cpu_with_children(self.database.postmaster)?);
        let each = |from: Duration, to: Duration| micros(to.saturating_sub(from)) / seen.answered().max(1.0);
        let cost = Cost {
            service_us: each(before.0, after.0),
            database_us: each(before.1, after.1),
            load_us: micros(seen.cpu) / seen.answered().max(1.0),
        };
        Ok((seen, cost))
    }

    /// The rate of a bare handler, and the processor time of one of its answers, the load tool's included.
    pub(crate) fn bare(
        &self,
        bare: &Bare,
        requests: &[Request],
        connections: usize,
    ) -> Result<(f64, Duration), BoxError> {
        let before = proc::cpu(bare.pid())?;
        let seen = self.wrk.play("bare", bare.address, requests, Play::flat_out(connections, self.time()))?;
        let cpu = proc::cpu(bare.pid())?.saturating_sub(before) + seen.cpu;
        Ok((seen.rate(), cpu.div_f64(seen.answered().max(1.0))))
    }
}

/// Microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
