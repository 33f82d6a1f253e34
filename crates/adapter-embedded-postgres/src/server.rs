//! Brings the server to where it should be: running, watched, and prepared.

use std::{
    fs::File,
    io,
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use crate::{
    account::Account,
    binaries, bootstrap,
    error::{EmbeddedError, io_error},
    locks,
    machine::Machine,
    options::Options,
    place::Place,
    postmaster::{self, Run, State},
};

const PAUSE: Duration = Duration::from_millis(5);
/// A watcher ends within moments of its server; after this long it is stuck on a server that it did not start.
const EVICT_AFTER: Duration = Duration::from_millis(500);
/// A server that stops, or is deaf, gets this long by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// A new server can meet the leavings of a killed one for this long.
const RETRY_FOR: Duration = Duration::from_secs(20);
/// A running server's log is cut when it is longer (bytes).
const LONGEST_LOG: u64 = 16_000_000;

/// The cluster and how to run it. Whoever calls its methods holds a share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) place: Place,
    pub(crate) options: Options,
    pub(crate) machine: Machine,
}

/// A server that was just launched; its watcher's exit means that it is gone.
struct Launch {
    exited: oneshot::Receiver<io::Result<ExitStatus>>,
    log_offset: u64,
}

impl Server {
    /// Whether all is well, by what costs next to nothing: two small files, a lock, the process table.
    pub(crate) fn looks_well(&self) -> Result<Option<Run>, EmbeddedError> {
        let (state, run) = postmaster::look(&self.place);
        let socket = self.place.socket.join(crate::place::SOCKET_FILE);
        let well = state == State::Ready && socket.exists() && locks::watched(&self.place)?;
        Ok(run.filter(|_| well))
    }

    /// Makes the server run, be watched and be prepared, whatever it finds.
    pub(crate) async fn bring_up(&self) -> Result<(), EmbeddedError> {
        if let Some(run) = self.looks_well()?
            && bootstrap::is_done(&self.place, &run, &self.options)
        {
            return Ok(());
        }
        self.bring_up_slowly().await
    }

    /// As [`bring_up`](Self::bring_up), and believes only an answer.
    pub(crate) async fn ensure_running(&self) -> Result<(), EmbeddedError> {
        if self.looks_well()?.is_some() && bootstrap::answers(&self.place).await {
            return self.bring_up().await;
        }
        self.bring_up_slowly().await
    }

    /// As [`ensure_running`](Self::ensure_running), and keeps the log of a long run small.
    pub(crate) async fn care(&self) -> Result<(), EmbeddedError> {
        if postmaster::log_length(&self.place) > LONGEST_LOG {
            let script = r#"umask 077; cd "$1" && tail -c 1000000 server.log >server.log.1 && : >server.log"#;
            self.place.shell_at_home("shorten the log in", script).await?;
        }
        self.ensure_running().await
    }

    async fn bring_up_slowly(&self) -> Result<(), EmbeddedError> {
        let limit = self.options.start_timeout;
        let _start = locks::start(&self.place, limit).await?;
        let run = self.run(Instant::now() + limit).await?;
        if !locks::watched(&self.place)? {
            tracing::warn!(pid = run.pid, "the private PostgreSQL had lost its watcher");
            self.adopt(&run).await?;
        }
        bootstrap::apply(&self.place, &run, &self.options).await
    }

    /// Looks and acts until the server answers. The caller holds the start lock.
    async fn run(&self, deadline: Instant) -> Result<Run, EmbeddedError> {
        let begun = Instant::now();
        let mut launch: Option<Launch> = None;
        let mut unwell_since = Instant::now();
        let mut interrupted: Option<Run> = None;
        loop {
            if Instant::now() >= deadline {
                let waited = self.options.start_timeout;
                return Err(EmbeddedError::TimedOut {
                    awaited: "the server to be ready",
                    waited,
                    log: self.place.log(),
                });
            }
            let (state, run) = postmaster::look(&self.place);
            match (state, run) {
                (State::Ready, Some(run)) if bootstrap::answers(&self.place).await => {
                    if launch.is_some() {
                        tracing::info!(pid = run.pid, duration_ms = %begun.elapsed().as_millis(), "private PostgreSQL started");
                    }
                    return Ok(run);
                }
                // Stopping by somebody else's wish, or deaf: let it finish, then insist.
                (State::Ready | State::Stopping, Some(run)) => {
                    if unwell_since.elapsed() > PATIENCE && interrupted.as_ref() != Some(&run) {
                        tracing::warn!(
                            pid = run.pid,
                            "the private PostgreSQL neither serves nor stops; stopping it"
                        );
                        postmaster::interrupt(&self.place, &run).await?;
                        interrupted = Some(run);
                    }
                }
                (State::Starting, _) => unwell_since = Instant::now(),
                (State::Dead | State::Ready | State::Stopping, _) => {
                    match launch.as_mut().map(|launch| (launch.exited.try_recv().is_ok(), launch.log_offset))
                    {
                        Some((false, _)) => {}
                        Some((true, offset)) => {
                            self.judge(begun, offset).await?;
                            launch = None;
                            sleep(Duration::from_millis(200)).await;
                        }
                        None => {
                            launch = self.launch(unwell_since).await?;
                            if launch.is_some() {
                                unwell_since = Instant::now();
                            }
                        }
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Whether a failed launch is worth another: the leavings of a killed server go away by themselves.
    async fn judge(&self, begun: Instant, log_offset: u64) -> Result<(), EmbeddedError> {
        let tail = postmaster::log_tail(&self.place, log_offset);
        let passing = ["lock file", "shared memory block", "still in use", "in use by"];
        if begun.elapsed() > RETRY_FOR || !passing.iter().any(|sign| tail.contains(sign)) {
            return Err(EmbeddedError::StartFailed { log: self.place.log(), tail });
        }
        tracing::warn!("the private PostgreSQL met the leavings of a killed one; trying again");
        if begun.elapsed() > Duration::from_secs(1) {
            postmaster::end_orphans(&self.place).await?;
        }
        Ok(())
    }

    /// Starts the server under a new watcher, or returns `None` while the last one is still there.
    async fn launch(&self, since: Instant) -> Result<Option<Launch>, EmbeddedError> {
        let watch = locks::open(&self.place, "watch")?;
        if !locks::taken(&self.place, "watch", watch.try_lock())? {
            if since.elapsed() > EVICT_AFTER {
                self.evict().await?;
            }
            return Ok(None);
        }
        let found = binaries::find(&self.machine, &self.options, &self.place)?;
        if binaries::data_major(&self.place.data())?.is_none() {
            self.make_cluster(&found.directory).await?;
        }
        postmaster::disarm(&self.place).await?;
        let script = r#"cd "$1" && [ "$(wc -c 2>/dev/null <server.log || echo 0)" -gt 1000000 ] && mv -f server.log server.log.1; :"#;
        self.place.shell_at_home("turn over the log in", script).await?;
        let log_offset = postmaster::log_length(&self.place);
        let mut arguments = vec![
            found.directory.join("postgres").into_os_string(),
            "-D".into(),
            self.place.data().into_os_string(),
        ];
        for (name, value) in self.settings() {
            arguments.push("-c".into());
            arguments.push(format!("{name}={value}").into());
        }
        let exited = self.watch(watch, 0, &arguments).await?;
        Ok(Some(Launch { exited, log_offset }))
    }

    /// The caller's settings may change ours, but not where the server listens: its peace rests on that.
    fn settings(&self) -> Vec<(String, String)> {
        let quoted = format!("\"{}\"", self.place.socket.display().to_string().replace('"', "\"\""));
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut settings =
            vec![own("fsync", "on"), own("full_page_writes", "on"), own("log_destination", "stderr")];
        settings.extend(self.options.settings.iter().cloned());
        settings.extend([
            own("logging_collector", "off"),
            own("listen_addresses", ""),
            own("port", "5432"),
            own("unix_socket_directories", &quoted),
            own("unix_socket_permissions", "0700"),
        ]);
        settings
    }

    /// Gives a running server without a watcher a new one.
    async fn adopt(&self, run: &Run) -> Result<(), EmbeddedError> {
        let watch = locks::open(&self.place, "watch")?;
        // Another process that asks whether somebody watches holds this lock for a moment.
        for _ in 0..100 {
            if locks::taken(&self.place, "watch", watch.try_lock())? {
                self.watch(watch, run.pid, &[]).await?;
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Spawns a watcher, which inherits the lock `watch`.
    async fn watch(
        &self,
        watch: File,
        server: u32,
        arguments: &[std::ffi::OsString],
    ) -> Result<oneshot::Receiver<io::Result<ExitStatus>>, EmbeddedError> {
        use std::os::unix::process::CommandExt as _;

        // A file, not `-c`: the process list stays readable.
        let script = r#"umask 077; cd "$1/lock" && cat >watcher.new && mv watcher.new watcher.sh"#;
        let home = self.place.home.as_os_str();
        let written = self.place.account.shell(script, &[home], include_str!("watcher.sh")).await;
        written.map_err(io_error("write the watcher in", &self.place.home))?;
        let mut command = self.place.account.command("/bin/sh");
        command.arg(self.place.lock_file("watcher.sh"));
        command.arg(&self.place.home).arg(self.options.linger.as_secs().to_string()).arg(server.to_string());
        command.args(arguments);
        // In a group of its own: a Ctrl-C at our terminal is for us, and we give back our share in good order.
        command
            .stdin(watch)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .current_dir(self.place.data());
        let mut child = command.spawn().map_err(io_error("start a watcher in", &self.place.home))?;
        let (sender, exited) = oneshot::channel();
        // A thread, because the child must be reaped also when the runtime that started it has gone.
        let reaper = std::thread::Builder::new().name("postgres-watcher".into()).spawn(move || {
            // Nobody may be listening any more.
            let _ = sender.send(child.wait());
        });
        reaper.map_err(io_error("wait for the watcher in", &self.place.home))?;
        Ok(exited)
    }

    /// Ends a watcher whose server is gone. Its number is its own for as long as it holds the lock.
    async fn evict(&self) -> Result<(), EmbeddedError> {
        tracing::warn!("ending a watcher that outlived its private PostgreSQL");
        let script = r#"read -r group <"$1/lock/watch.pid" && kill -KILL -"$group"; :"#;
        self.place.shell_at_home("end the watcher in", script).await.map(drop)
    }

    /// `initdb` beside the data directory, then a rename: a half-made cluster is never taken for one.
    async fn make_cluster(&self, bin: &std::path::Path) -> Result<(), EmbeddedError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (place, account) = (&self.place, &self.place.account);
        let fresh = format!("data.new-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let new = place.home.join(&fresh);
        let durable = !self.options.settings.iter().any(|(name, value)| name == "fsync" && value == "off");
        let begun = Instant::now();
        let mut last_words = String::new();
        // Not every C library has the second-simplest locale.
        for locale in ["C.UTF-8", "C"] {
            // Leavings of killed starts. One may still be at work there; it fails, and so may this, without harm.
            place.shell_at_home("clear", r#"rm -rf "$1"/data.new-* 2>/dev/null; :"#).await?;
            let mut command = account.command(bin.join("initdb"));
            command.arg("-D").arg(&new).args(["-U", "postgres", "-E", "UTF8", "--data-checksums"]);
            command.args(["--auth-local=trust", "--auth-host=reject"]).arg(format!("--locale={locale}"));
            if !durable {
                command.arg("--no-sync");
            }
            let output = Account::output(command).await.map_err(io_error("run initdb for", &new))?;
            if output.status.success() {
                let script = format!(r#"cd "$1" && mv {fresh} data"#);
                place.shell_at_home("put the new cluster in place in", &script).await?;
                let synced = File::open(&place.home).and_then(|home| home.sync_all());
                synced.map_err(io_error("make durable", &place.home))?;
                tracing::info!(directory = %place.data().display(), duration_ms = %begun.elapsed().as_millis(), "private PostgreSQL cluster made");
                return Ok(());
            }
            let text = [output.stdout, output.stderr].concat();
            last_words = String::from_utf8_lossy(&text).lines().rev().take(6).collect::<Vec<_>>().join(" | ");
        }
        Err(EmbeddedError::Initdb { directory: place.home.clone(), output: last_words })
    }
}
