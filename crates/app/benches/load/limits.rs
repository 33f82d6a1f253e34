//! What cannot be beaten: a bare handler, bcrypt alone, one invoice signed and checked.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpServer, web};
use guiche_adapter_spark::{SparkStub, StubSettings};
use guiche_app::system::SystemClock;
use guiche_kernel::{BoxError, Clock as _, Sats};
use guiche_tickets::bolt11::{Expected, guard};
use guiche_tickets::{InvoiceGateway, NewInvoice};
use secrecy::SecretBox;
use uuid::Uuid;

use crate::http::Answer;
use crate::proc;

/// The cost of the service's own hashes.
const BCRYPT_COST: u32 = 12;

/// A process of this program that answers everything with one answer.
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Bare {
    /// The argument that makes this program be one.
    pub(crate) const ARGUMENT: &'static str = "--bare";

    pub(crate) fn start(directory: &Path, answer: &Answer) -> Result<Self, BoxError> {
        let file = directory.join("bare.json");
        std::fs::write(&file, serde_json::to_vec(answer)?)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(Self::ARGUMENT).arg(&file).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.trim().parse().map_err(|_| "the bare handler does not start")?;
        Ok(Self { child, address })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until it is killed.
pub(crate) async fn serve_bare(file: &Path) -> Result<(), BoxError> {
    let answer: Answer = serde_json::from_slice(&std::fs::read(file)?)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let status = StatusCode::from_u16(answer.status)?;
    let body = web::Bytes::from(answer.body);
    let headers = answer.headers;
    let server = HttpServer::new(move || {
        let (headers, body) = (headers.clone(), body.clone());
        App::new().default_service(web::to(move |_: web::Bytes| {
            let mut response = HttpResponse::build(status);
            for (name, value) in &headers {
                response.insert_header((name.as_str(), value.as_str()));
            }
            let response = response.body(body.clone());
            async move { response }
        }))
    });
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let server = server.workers(workers).listen(listener)?.run();
    crate::say(&address.to_string())?;
    Ok(server.await?)
}

/// How many passwords a second all cores can verify, and nothing else.
pub(crate) fn bcrypt_rate(cores: usize, time: Duration) -> Result<f64, BoxError> {
    let begun = Instant::now();
    let workers: Vec<_> = (0..cores)
        .map(|_| {
            thread::spawn(move || -> Result<f64, bcrypt::BcryptError> {
                let mut hashed = 0.0;
                while begun.elapsed() < time {
                    bcrypt::hash_with_salt(crate::people::PASSWORD, BCRYPT_COST, [7; 16])?;
                    hashed += 1.0;
                }
                // The last one ends after the time; so does its clock.
                Ok(hashed / begun.elapsed().as_secs_f64())
            })
        })
        .collect();
    let mut rate = 0.0;
    for worker in workers {
        rate += worker.join().map_err(|_| "a thread of bcrypt panicked")??;
    }
    Ok(rate)
}

/// Processor time of one invoice: derived and signed by the stub, decoded and checked by the guard.
pub(crate) async fn invoice_cpu(directory: &Path) -> Result<Duration, BoxError> {
    const WARM_UP: u32 = 200;
    const INVOICES: u32 = 2000;
    let clock = Arc::new(SystemClock);
    let settings =
        StubSettings { secret: SecretBox::new(Box::new([42; 32])), ledger: directory.join("limit.ledger") };
    let stub = SparkStub::open(settings, clock.clone())?.provider_view();
    let mut before = Duration::ZERO;
    for number in 0..WARM_UP + INVOICES {
        if number == WARM_UP {
            before = proc::cpu_of_thread()?;
        }
        one_invoice(&*stub, u128::from(number), clock.now()).await?;
    }
    Ok((proc::cpu_of_thread()?.saturating_sub(before)) / INVOICES)
}

async fn one_invoice(
    stub: &dyn InvoiceGateway,
    number: u128,
    now: guiche_kernel::Timestamp,
) -> Result<(), BoxError> {
    let description = format!("Guichê driver_license_renewal {}", Uuid::from_u128(number));
    let lifetime = Duration::from_secs(900);
    let amount = Sats::try_new(50_000)?;
    let request = NewInvoice {
        key: Uuid::from_u128(number),
        amount,
        description: description.clone(),
        requested_at: now,
        lifetime,
    };
    let issued = stub.issue(request).await?;
    let expected = Expected {
        network: SparkStub::NETWORK,
        amount,
        description: &description,
        payment_hash: issued.payment_hash,
        expires_at: now + lifetime,
        now,
    };
    guard(&issued.bolt11, &expected)?;
    Ok(())
}
