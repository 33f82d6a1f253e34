//! One run: everything that the scenarios need, and the measuring of pairs.

use std::time::Duration;

use guiche_app::system::SystemClock;
use guiche_kernel::{BoxError, Clock as _};
use indicatif::{ProgressBar, ProgressStyle};

use crate::limits::Bare;
use crate::machine::Machine;
use crate::options::Options;
use crate::people::{self, Citizen, Crowd};
use crate::pgbench::Pgbench;
use crate::proc;
use crate::results::{Cost, Results, Row};
use crate::scenarios;
use crate::world::{Database, Service, World};
use crate::wrk::{Play, Request, Seen, Wrk};

/// The numbers of connections that every call is measured at.
pub(crate) const CONNECTIONS: [usize; 2] = [16, 64];
/// Between a start and the first measurement.
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);
const DATABASE: &str = "guiche";

/// Everything that the scenarios need.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) world: &'a World,
    pub(crate) database: Database,
    /// The office that the calls go to, until it is closed.
    service: Option<Service>,
    /// Who reads: each has a hundred tickets, and it stays at that.
    pub(crate) readers: Vec<Citizen>,
    /// Who opens tickets, and pays for them.
    pub(crate) openers: Vec<Citizen>,
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
    /// How long a refused connection rests.
    pub(crate) rest: Duration,
    /// As the table calls the limit.
    pub(crate) limit: &'static str,
    /// The share of the limit that is to be reached, at these numbers of connections.
    pub(crate) goal: Option<(f64, &'static [usize])>,
}

impl<'a> Bench<'a> {
    /// The service on a fresh database, and citizens.
    pub(crate) async fn prepare(options: &'a Options, world: &'a World) -> Result<Self, BoxError> {
        let progress = ProgressBar::new(scenarios::steps(options));
        progress.set_style(ProgressStyle::with_template("{elapsed_precise} {bar:40} {msg}")?);
        progress.enable_steady_tick(Duration::from_millis(500));
        progress.set_message("a scratch database, and citizens");
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let database = world.database(DATABASE).await?;
        let service = world.serve(&database)?;
        let address = service.address;
        let client = world.superuser(DATABASE).await?;
        let mut readers = people::settle(address, &client, Crowd::USUAL).await?;
        let openers = readers.split_off(readers.len() / 2);
        let wrk = Wrk::new(world.directory(), cores)?;
        let pgbench = Pgbench::new(world.directory(), cores);
        let service = Some(service);
        Ok(Self { options, world, database, service, readers, openers, wrk, pgbench, cores, progress })
    }

    /// What a reader must know before the first number.
    pub(crate) async fn begin(&self) -> Result<Results, BoxError> {
        let settings = self.world.settings().await?;
        let version = settings.get("server_version").cloned().unwrap_or_default();
        let machine = Machine::here(self.world.directory(), self.cores, &version)?;
        let of_server = settings.iter().filter(|(name, _)| *name != "server_version");
        let of_server: Vec<String> = of_server.map(|(name, value)| format!("{name} {value}")).collect();
        let (seconds, repeat) = (self.options.seconds(), self.options.repeat());
        let conditions = vec![
            format!(
                "Medians of {repeat} × {seconds} s, the call and its limit in turns; load by wrk, flat out."
            ),
            format!("Database on disk, over a socket: {}.", of_server.join(", ")),
        ];
        Results::begun(SystemClock.now(), machine, conditions)
    }

    /// Closes the office and the progress bar.
    pub(crate) fn end(mut self) -> Result<(), BoxError> {
        self.progress.finish_and_clear();
        self.close()
    }

    /// Stops the service, which otherwise goes on watching what was opened, beside whatever is measured after it.
    pub(crate) fn close(&mut self) -> Result<(), BoxError> {
        self.service.take().map_or(Ok(()), Service::stop)
    }

    /// The service that the calls go to.
    pub(crate) fn service(&self) -> Result<&Service, BoxError> {
        self.service.as_ref().ok_or_else(|| "the office is closed".into())
    }

    /// How long one measurement takes.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.options.seconds().into())
    }

    /// Says what is being measured, where somebody looks on.
    pub(crate) fn tell(&self, what: impl Into<String>) {
        self.progress.set_message(what.into());
    }

    /// One measurement of those that were foreseen is done.
    pub(crate) fn step(&self) {
        self.progress.inc(1);
    }

    /// Loads the service.
    pub(crate) fn play(&self, name: &str, requests: &[Request], play: Play) -> Result<Seen, BoxError> {
        self.wrk.play(name, self.service()?.address, requests, play)
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
            self.tell(format!("{}, {connections} connections", pair.call));
            self.play(pair.call, pair.requests, Play::flat_out(connections, WARM_UP).resting(pair.rest))?;
            let (mut measured, mut limits) = (Vec::new(), Vec::new());
            for _ in 0..self.options.repeat() {
                let play = Play::flat_out(connections, pair.time).resting(pair.rest);
                measured.push(self.measure(pair.call, pair.requests, play)?);
                limits.push(limit(connections).await?);
                self.step();
            }
            rows.push(Row::of(pair, connections, &measured, &limits, self.resident()?));
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
        let spent = || {
            Ok::<_, BoxError>((
                proc::cpu(self.service()?.pid())?,
                proc::cpu_with_children(self.database.postmaster)?,
            ))
        };
        let before = spent()?;
        let seen = self.play(name, requests, play)?;
        let after = spent()?;
        let each = |time: Duration| micros(time) / seen.answered().max(1.0);
        let cost = Cost {
            service_us: each(after.0.saturating_sub(before.0)),
            database_us: each(after.1.saturating_sub(before.1)),
            load_us: each(seen.cpu),
        };
        Ok((seen, cost))
    }

    /// Memory of the service that is resident now, in megabytes.
    pub(crate) fn resident(&self) -> Result<f64, BoxError> {
        Ok(proc::memory(self.service()?.pid())?.resident)
    }

    /// The rate of a bare handler, and the processor time of one of its answers, the load tool's included.
    pub(crate) fn bare(
        &self,
        bare: &Bare,
        requests: &[Request],
        connections: usize,
    ) -> Result<(f64, Duration), BoxError> {
        let before = proc::cpu(bare.pid())?;
        let play = Play::flat_out(connections, self.time());
        let seen = self.wrk.play("bare", bare.address, requests, play)?;
        let cpu = proc::cpu(bare.pid())?.saturating_sub(before) + seen.cpu;
        Ok((seen.rate(), cpu.div_f64(seen.answered().max(1.0))))
    }
}

/// Microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
