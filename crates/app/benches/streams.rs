//! `cargo bench --bench streams [-- STREAMS]`: what many open streams cost one process, and how soon a commit reaches the
//! last of them. The program is a process of its own on a throwaway database; streams are bare sockets. It is no test: it
//! never fails a build.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use guiche_adapter_postgres::testing::TestDatabase;
use guiche_kernel::BoxError;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const STREAMS: usize = 5_000;
/// As many as an account may have.
const OF_ACCOUNT: usize = 20;
const PASSWORD: &str = "correct horse battery";
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than any timeout of a request, and than two heartbeats.
const QUIET: Duration = Duration::from_secs(40);

fn main() -> Result<(), BoxError> {
    let streams = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(STREAMS);
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    if files < u64::try_from(streams)? + 500 {
        return Err(format!("{files} files may be open, and each stream is one on either side").into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(streams))
}

async fn measure(streams: usize) -> Result<(), BoxError> {
    let database = TestDatabase::new().await;
    let service = Service::start(&database)?;
    let tickets = service.tickets(streams.div_ceil(OF_ACCOUNT)).await?;
    let before = service.memory()?;
    let (heard, mut events) = mpsc::unbounded_channel();
    let begun = Instant::now();
    for ((token, id), _) in
        tickets.iter().flat_map(|ticket| std::iter::repeat_n(ticket, OF_ACCOUNT)).zip(0..streams)
    {
        let request = format!(
            "GET /api/v1/tickets/{id}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        tokio::spawn(follow(service.address, request, heard.clone()));
    }
    all(&mut events, streams, 1).await?;
    let (opened, after) = (begun.elapsed(), service.memory()?);
    say(&format!(
        "{streams} streams opened in {opened:.2?}; each then occupies {} bytes",
        (after - before) * 1024 / u64::try_from(streams)?
    ))?;

    let superuser = database.raw(&database.superuser_url()).await;
    tokio::time::sleep(QUIET).await;
    superuser.batch_execute("UPDATE tickets SET version = version + 1").await?;
    let committed = Instant::now();
    all(&mut events, streams, 2).await?;
    say(&format!("all tickets in one commit: the last of {streams} after {:.2?}", committed.elapsed()))?;

    // One ticket, while all the others are open.
    let one = tickets.first().map(|(_, id)| id.clone()).unwrap_or_default();
    superuser.batch_execute(&format!("UPDATE tickets SET version = version + 1 WHERE id = '{one}'")).await?;
    let committed = Instant::now();
    all(&mut events, OF_ACCOUNT.min(streams), 3).await?;
    say(&format!(
        "one ticket: the last of its {} after {:.2?}",
        OF_ACCOUNT.min(streams),
        committed.elapsed()
    ))?;

    // By now the connection that listens has been asked whether it lives, with an empty query.
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'guiche' AND query = ''";
    superuser.batch_execute(cut).await?;
    superuser.batch_execute("UPDATE tickets SET version = version + 1").await?;
    let committed = Instant::now();
    all(&mut events, streams, 3).await?;
    say(&format!("changed while nobody listened: the last of {streams} after {:.2?}", committed.elapsed()))?;
    say(&format!("resident: {before} kB before, {after} kB with all, {} kB at the end", service.memory()?))?;
    Ok(())
}

/// Waits until so many streams have heard of this version, or of a later one.
async fn all(events: &mut mpsc::UnboundedReceiver<i64>, count: usize, version: i64) -> Result<(), BoxError> {
    let mut heard = 0;
    while heard < count {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await;
        let event = event.map_err(|_| format!("{heard} of {count} heard of version {version}"))?;
        if event.ok_or("every stream has ended")? >= version {
            heard += 1;
        }
    }
    Ok(())
}

/// Reads a stream, and passes on the versions that it tells.
async fn follow(
    address: SocketAddr,
    request: String,
    heard: mpsc::UnboundedSender<i64>,
) -> Result<(), BoxError> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    let mut bytes = [0; 2048];
    loop {
        let read = socket.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        text.push_str(&String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()));
        while let Some((line, rest)) = text.split_once('\n') {
            if let Some(version) = line.strip_prefix("id: ") {
                heard.send(version.trim().parse()?)?;
            }
            text = rest.to_owned();
        }
    }
}

/// The program; it ends with this value.
struct Service {
    child: Child,
    address: SocketAddr,
    client: reqwest::Client,
    _directory: tempfile::TempDir,
}

impl Service {
    fn start(database: &TestDatabase) -> Result<Self, BoxError> {
        let directory = tempfile::tempdir()?;
        let log = directory.path().join("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_guiche"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
        command.env("GUICHE_DATA_DIR", directory.path()).env("LOG_FORMAT", "json").env("BCRYPT_COST", "4");
        command.env("LISTEN_ADDR", "127.0.0.1:0").env("METRICS_ADDR", "127.0.0.1:0");
        command.env("DATABASE_URL", database.app_url()).env("DATABASE_WORKER_URL", database.worker_url());
        for limit in ["RATE_LIMIT_ADDRESS", "RATE_LIMIT_ACCOUNT", "RATE_LIMIT_LOGIN"] {
            command.env(limit, "0");
        }
        let child = command.spawn()?;
        let begun = Instant::now();
        let address = loop {
            let text = std::fs::read_to_string(&log)?;
            let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let listening =
                lines.find(|line| line.get("message").is_some_and(|message| message == "listening"));
            if let Some(address) = listening.as_ref().and_then(|line| line.get("address")?.as_str()) {
                break address.parse()?;
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the service does not start: {text}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Ok(Self { child, address, client: guiche_app::web::client().build()?, _directory: directory })
    }

    /// So many accounts with a ticket each: their tokens and the tickets' ids.
    async fn tickets(&self, count: usize) -> Result<Vec<(String, String)>, BoxError> {
        let mut tickets = Vec::with_capacity(count);
        for n in 0..count {
            let person = json!({ "email": format!("user{n}@example.org"), "password": PASSWORD });
            self.post("auth/register", "", &person).await?;
            let token = text(&self.post("auth/login", "", &person).await?, "access_token")?;
            let form =
                json!({ "cpf": "52998224725", "cnh_number": "02650306461", "cnh_mirror": "123456789" });
            let order = json!({ "operation_id": 1, "form_data": form });
            let id = text(&self.post("tickets", &token, &order).await?, "ticket_id")?;
            tickets.push((token, id));
        }
        Ok(tickets)
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> Result<Value, BoxError> {
        let request = self.client.post(format!("http://{}/api/v1/{path}", self.address));
        Ok(request.bearer_auth(token).json(body).send().await?.error_for_status()?.json().await?)
    }

    /// Resident, in kB.
    fn memory(&self) -> Result<u64, BoxError> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(value: &Value, name: &str) -> Result<String, BoxError> {
    Ok(value.get(name).and_then(Value::as_str).ok_or_else(|| format!("no {name} in {value}"))?.to_owned())
}

fn say(text: &str) -> Result<(), BoxError> {
    Ok(writeln!(io::stdout(), "{text}")?)
}
