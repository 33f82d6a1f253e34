//! How soon a payment is on the ticket: found by the watcher alone, told by the provider's push, and on the payer's screen.

use std::collections::HashMap;
use std::time::Duration;

use guiche_app::system::{OsRandomness, SystemClock};
use guiche_kernel::{BoxError, Clock as _, Timestamp};
use guiche_tickets::watch;
use guiche_webhooks::{ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER, sign};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio_postgres::Client;

use crate::bench::Bench;
use crate::people::{self, Citizen, Crowd, order_request};
use crate::provider::Provider;
use crate::results::{Bound, Figure, percentile};
use crate::seed::LIFETIME;
use crate::world::{Service, World};
use crate::{http, news};

const DATABASE: &str = "payments";
const TICKETS: usize = 200;
/// A quick look pays fewer.
const FEWER: usize = 50;
/// Who pays: nobody may follow more than twenty tickets at once.
const PAYERS: Crowd = Crowd { citizens: 10, tickets: 0 };
/// The ages at which invoices are paid without a push: four intervals of the schedule lie between them.
const PAID_FROM: Duration = Duration::from_millis(500);
const PAID_UNTIL: Duration = Duration::from_secs(14);
/// Between two payments that are pushed.
const PACE: Duration = Duration::from_millis(25);
/// Milliseconds that the service may add to the schedule, or to the push.
const NOTICED: f64 = 250.0;
/// And those that the way to the payer's screen may add to these.
const SHOWN: f64 = 50.0;
/// The versions of a ticket that was opened, and then paid.
const OPENED: i64 = 1;
const PAID: i64 = 2;

pub(crate) async fn run(bench: &Bench<'_>) -> Result<Vec<Figure>, BoxError> {
    let mut window = Window::open(bench.world).await?;
    let tickets = if bench.options.quick { FEWER } else { TICKETS };
    bench.tell(format!("{tickets} payments, found by the watcher"));
    let mut figures = vec![window.found(bench.world, tickets).await?];
    bench.tell(format!("{tickets} payments, pushed"));
    figures.extend(window.pushed(bench.world, tickets).await?);
    window.service.stop()?;
    bench.step();
    Ok(figures)
}

/// A service that is paid through the fake gateway, and who pays.
struct Window {
    provider: Provider,
    service: Service,
    client: Client,
    citizens: Vec<Citizen>,
    secret: SigningSecret,
}

/// A ticket that waits for its payment.
struct Open<'a> {
    citizen: &'a Citizen,
    id: String,
    payment_hash: String,
}

/// What storage knows of a ticket's invoice.
struct Stored {
    provider_id: String,
    issued_at: Timestamp,
}

impl Window {
    async fn open(world: &World) -> Result<Self, BoxError> {
        let database = world.database(DATABASE).await?;
        let provider = Provider::start(None).await?;
        let secret = SigningSecret::generate(&OsRandomness);
        let mut settings = provider.settings();
        settings.push(("WEBHOOK_SECRET_SPARK", secret.to_text().expose_secret().to_owned()));
        let service = world.serve_as(DATABASE, &database, &settings)?;
        let client = world.superuser(DATABASE).await?;
        let citizens = people::settle(service.address, &client, PAYERS).await?;
        Ok(Self { provider, service, client, citizens, secret })
    }

    /// Opens tickets, in turns.
    fn tickets(&self, number: usize) -> Result<Vec<Open<'_>>, BoxError> {
        let turns = self.citizens.iter().cycle().take(number);
        turns
            .map(|citizen| {
                let answer = http::ask(self.service.address, &order_request(&citizen.token))?;
                let answer: Value = serde_json::from_str(&answer.body)?;
                let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
                let id = text("ticket_id").ok_or("a ticket without an id")?;
                let payment_hash = text("payment_hash").ok_or("a ticket without an invoice")?;
                Ok(Open { citizen, id, payment_hash })
            })
            .collect()
    }

    async fn stored(&self) -> Result<HashMap<String, Stored>, BoxError> {
        let stored = "
            SELECT ticket_id::text, provider_invoice_id::text, (extract(epoch FROM issued_at) * 1000000)::bigint
            FROM invoices";
        let rows = self.client.query(stored, &[]).await?;
        rows.iter()
            .map(|row| {
                let nanos = i128::from(row.get::<_, i64>(2)) * 1000;
                let issued_at = Timestamp::from_unix_timestamp_nanos(nanos)?;
                Ok((row.get(0), Stored { provider_id: row.get(1), issued_at }))
            })
            .collect()
    }

    /// Payments of which nobody tells anything.
    async fn found(&self, world: &World, number: usize) -> Result<Figure, BoxError> {
        let mut commits = news::commits(world, DATABASE).await?;
        let open = self.tickets(number)?;
        let mut paid = Vec::new();
        let pause = (PAID_UNTIL - PAID_FROM) / u32::try_from(number)?;
        tokio::time::sleep(PAID_FROM).await;
        for ticket in &open {
            paid.push((&ticket.id, SystemClock.now()));
            self.provider.pay(&ticket.payment_hash)?;
            tokio::time::sleep(pause).await;
        }
        let found = commits.all(number, PAID).await?;
        let stored = self.stored().await?;
        let (mut late, mut lags) = (Vec::new(), Vec::new());
        for (id, paid_at) in paid {
            let (found, stored) = (found.get(id), stored.get(id));
            let (found, stored) = found.zip(stored).ok_or("a ticket was paid that nobody knows")?;
            let issued_at = stored.issued_at;
            let due = watch::next_look(issued_at, issued_at + LIFETIME, paid_at).ok_or("nobody looks")?;
            // A look that was due before the payment may have been taken after it.
            late.push(millis(*found - due).max(0.0));
            lags.push(millis(*found - paid_at));
        }
        Ok(Figure {
            what: "paid, found by the watcher alone: p99 after the look was due".to_owned(),
            value: percentile(late.iter().copied(), 99),
            unit: "ms",
            bound: Bound::AtMost(NOTICED),
            detail: format!(
                "{number} payments, p50 {:.0} ms; from the payment, with the interval: p50 {:.1} s, p99 {:.1} s",
                percentile(late.iter().copied(), 50),
                percentile(lags.iter().copied(), 50) / 1e3,
                percentile(lags, 99) / 1e3,
            ),
        })
    }

    /// Payments that the provider tells of, while somebody looks on.
    async fn pushed(&mut self, world: &World, number: usize) -> Result<[Figure; 2], BoxError> {
        let mut commits = news::commits(world, DATABASE).await?;
        let open = self.tickets(number)?;
        let (heard, mut streams) = mpsc::unbounded_channel();
        for ticket in &open {
            let (token, id) = (&ticket.citizen.token, ticket.id.clone());
            news::follow(self.service.address, token, id, heard.clone()).await?;
        }
        news::all(&mut streams, number, OPENED).await?;
        // Whatever is noticed from now on, it is by a push.
        self.client
            .batch_execute("UPDATE invoice_looks SET due_at = now() + interval '1 hour', leased_until = NULL")
            .await?;
        let stored = self.stored().await?;
        let pusher = guiche_app::web::client().build()?;
        let (mut paid, mut pushes) = (Vec::new(), Vec::new());
        for ticket in &open {
            let invoice = &stored.get(&ticket.id).ok_or("a ticket without an invoice")?.provider_id;
            paid.push((&ticket.id, SystemClock.now()));
            self.provider.pay(&ticket.payment_hash)?;
            pushes.push(tokio::spawn(self.push(&pusher, &ticket.id, invoice)?.send()));
            tokio::time::sleep(PACE).await;
        }
        for push in pushes {
            push.await??.error_for_status()?;
        }
        let committed = commits.all(number, PAID).await?;
        let shown = news::all(&mut streams, number, PAID).await?;
        let figure = |what: &str, moments: &HashMap<String, Timestamp>, most| {
            let lags = paid.iter().filter_map(|(id, paid_at)| Some(millis(*moments.get(*id)? - *paid_at)));
            let lags: Vec<f64> = lags.collect();
            Figure {
                what: format!("paid and pushed, until {what}: p99"),
                value: percentile(lags.iter().copied(), 99),
                unit: "ms",
                bound: Bound::AtMost(most),
                detail: format!("{number} payments, p50 {:.0} ms", percentile(lags, 50)),
            }
        };
        Ok([
            figure("the ticket is paid", &committed, NOTICED),
            figure("the payer's stream says so", &shown, NOTICED + SHOWN),
        ])
    }

    fn push(
        &self,
        pusher: &reqwest::Client,
        id: &str,
        invoice: &str,
    ) -> Result<reqwest::RequestBuilder, BoxError> {
        let now = SystemClock.now();
        let data = json!({ "invoice_id": invoice });
        let body = json!({ "type": "invoice.updated", "timestamp": now.format(&Rfc3339)?, "data": data });
        let body = body.to_string();
        let signed = sign([&self.secret], id, now, body.as_bytes());
        let request = pusher.post(format!("http://{}/webhooks/spark", self.service.address));
        let request = request.header(ID_HEADER, signed.id).header(TIMESTAMP_HEADER, signed.timestamp);
        let request = request.header(SIGNATURE_HEADER, signed.signature);
        Ok(request.header("content-type", "application/json").body(body))
    }
}

fn millis(duration: time::Duration) -> f64 {
    duration.as_seconds_f64() * 1e3
}
