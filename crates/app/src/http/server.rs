//! The HTTP servers: bounded in every direction, and stopped without cutting anybody off.
//!
//! Bytes that are no request (a broken head, more than 96 headers or 128 KiB of them, a head that does not arrive in
//! time) are refused by the parser below us, with a bare status: there is no request yet to make a problem of.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{App, HttpResponse, HttpServer, middleware};
use tokio::task::JoinHandle;

use super::boundary::{Surface, boundary};
use super::routes::RouteTable;
use crate::telemetry::Metrics;

/// The bounds of a server.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// Threads that handle requests.
    pub workers: usize,
    /// Connections per thread, beyond which newcomers wait to be accepted.
    pub connections_per_worker: usize,
    /// How long a connection may be idle.
    pub keep_alive: Duration,
    /// How long a client may take to send the head of a request.
    pub head_timeout: Duration,
    /// How long requests may go on after the server was told to stop.
    pub drain: Duration,
}

impl ServerSettings {
    /// How many connections may be occupied by streams: half of them, since requests need some too.
    #[must_use]
    pub const fn streams(&self) -> usize {
        self.workers.saturating_mul(self.connections_per_worker) / 2
    }
}

impl Default for ServerSettings {
    /// As many connections as there can be open files, less a reserve for everything else; at most 10,000 per thread.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let files = rlimit::increase_nofile_limit(MOST_FILES).unwrap_or(FEWEST_FILES);
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        Self {
            workers,
            connections_per_worker: (files.saturating_sub(RESERVED_FILES) / workers).clamp(64, 10_000),
            keep_alive: Duration::from_secs(15),
            head_timeout: Duration::from_secs(5),
            drain: Duration::from_secs(20),
        }
    }
}

/// What is asked of the operating system, what it gives everywhere, and what the database, the logs and the second
/// listener need. When files run out, nobody can connect at all, the operator included.
const MOST_FILES: u64 = 65_536;
const FEWEST_FILES: u64 = 256;
const RESERVED_FILES: usize = 128;

/// A server that runs by itself.
#[derive(Debug)]
pub struct RunningServer {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl RunningServer {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the server has ended, which it does by itself only when it failed. Not to be called again.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn ended(&mut self) -> io::Result<()> {
        (&mut self.task).await.map_err(io::Error::other)?
    }

    /// Stops accepting, lets requests finish within the drain time, and returns when the last thread is gone.
    ///
    /// # Errors
    /// When the server had failed.
    pub async fn stop(self) -> io::Result<()> {
        self.handle.stop(true).await;
        self.task.await.map_err(io::Error::other)?
    }
}

/// Serves the table on the listener. Must be called within a tokio runtime; the requests run on threads of their own.
///
/// # Errors
/// When the listener cannot be used.
pub fn start(
    listener: TcpListener,
    table: &RouteTable,
    surface: Arc<Surface>,
    settings: ServerSettings,
) -> io::Result<RunningServer> {
    let table = table.clone();
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::from(Arc::clone(&surface)))
            .configure(|config| table.configure(config))
            .wrap(middleware::from_fn(boundary))
    })
    .workers(settings.workers)
    .max_connections(settings.connections_per_worker)
    .keep_alive(settings.keep_alive)
    .client_request_timeout(settings.head_timeout)
    .shutdown_timeout(settings.drain.as_secs())
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    Ok(RunningServer { address, handle, task: tokio::spawn(server) })
}

/// Serves `/metrics` and nothing else, on a listener of its own that need not be public.
///
/// # Errors
/// When the listener cannot be used.
pub fn start_metrics(listener: TcpListener, metrics: &Metrics) -> io::Result<RunningServer> {
    let metrics = metrics.clone();
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        let metrics = metrics.clone();
        let render = move || {
            let text = metrics.render();
            async move {
                HttpResponse::Ok()
                    .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
                    .body(text)
            }
        };
        App::new().route("/metrics", actix_web::web::get().to(render))
    })
    .workers(1)
    .max_connections(100)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    Ok(RunningServer { address, handle, task: tokio::spawn(server) })
}
