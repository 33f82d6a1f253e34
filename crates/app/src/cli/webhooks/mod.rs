//! `guiche webhooks …`: who is told of events, and how that goes. Works on the database as the server's worker does, whether
//! or not a server runs.

mod render;

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use guiche_kernel::Limit;
use guiche_webhooks::{
    Attempted, DeliveryQuery, DeliveryState, EndpointId, EndpointUrl, EventId, EventType, NewEndpoint,
    Subscription, Webhooks,
};
use secrecy::ExposeSecret as _;

use super::failure::Failure;
use super::moments::duration;
use super::output::print;
use super::runtime;
use super::settings::Given;
use crate::config::{Config, SealingKeys};
use crate::database::Database;
use crate::wiring::World;
use crate::{logging, sealing, telling};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add an endpoint; its secret is printed once, now
    #[command(
        after_help = "Example:\n  guiche webhooks add --url https://example.org/hooks --events ticket.paid,ticket.refund_due"
    )]
    Add {
        /// Where events are sent
        #[arg(long, value_parser = url)]
        url: EndpointUrl,
        /// Which events, separated by commas; all when left out
        #[arg(long, value_delimiter = ',', value_parser = event_type)]
        events: Vec<EventType>,
        /// What you call it
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List the endpoints
    #[command(after_help = "Example:\n  guiche webhooks list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop telling an endpoint, and drop what waits for it
    #[command(after_help = "Example:\n  guiche webhooks disable 0195f3a4-7c1e-7c3a-8d5e-0123456789ab")]
    Disable {
        /// The endpoint
        id: EndpointId,
    },
    /// Tell a disabled endpoint again, of what happens from now on
    #[command(after_help = "Example:\n  guiche webhooks enable 0195f3a4-7c1e-7c3a-8d5e-0123456789ab")]
    Enable {
        /// The endpoint
        id: EndpointId,
    },
    /// List deliveries, the newest first
    #[command(after_help = "Example:\n  guiche webhooks deliveries --state failed --limit 50")]
    Deliveries {
        /// To this endpoint only
        #[arg(long)]
        endpoint: Option<EndpointId>,
        /// In this state only: pending, delivered, failed or dropped
        #[arg(long, value_parser = state)]
        state: Option<DeliveryState>,
        /// So many at most (1 to 100)
        #[arg(long, default_value = "20", value_parser = limit)]
        limit: Limit,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Send an event again: to one endpoint, or to all that want to hear of it
    #[command(after_help = "Example:\n  guiche webhooks redeliver 0195f3a4-7c1e-7c3a-8d5e-0123456789ab")]
    Redeliver {
        /// The event; the `webhook-id` of its requests
        event: EventId,
        /// To this endpoint only
        #[arg(long)]
        endpoint: Option<EndpointId>,
    },
    /// Give an endpoint a new secret, which is printed once, now; for a while the old one signs as well
    #[command(
        after_help = "Example:\n  guiche webhooks rotate-secret 0195f3a4-7c1e-7c3a-8d5e-0123456789ab --overlap 48h"
    )]
    RotateSecret {
        /// The endpoint
        id: EndpointId,
        /// For how long both sign (like 90s, 30m, 24h or 7d; at most 7d)
        #[arg(long, default_value = "24h", value_parser = duration)]
        overlap: Duration,
    },
    /// Send a `webhook.test` event now, and tell how it went
    #[command(after_help = "Example:\n  guiche webhooks test 0195f3a4-7c1e-7c3a-8d5e-0123456789ab")]
    Test {
        /// The endpoint
        id: EndpointId,
    },
}

pub(super) fn run(options: &Options, given: &Given) -> Result<(), Failure> {
    let config = given.config()?;
    let seals = matches!(options.command, Command::Add { .. } | Command::RotateSecret { .. });
    if seals && matches!(config.sealing, SealingKeys::Absent) {
        let line = "SERVICE_ENCRYPTION_KEY is required: an endpoint's secret is sealed; make one with: openssl rand \
             -base64 32, and give it to the server, too";
        return Err(line.into());
    }
    logging::start(&config.log)?;
    runtime()?.block_on(with_webhooks(&config, &options.command))
}

async fn with_webhooks(config: &Config, command: &Command) -> Result<(), Failure> {
    let world = World::real();
    let vault = sealing::vault(config, &world.randomness)?;
    let database = Database::open(config).await?;
    let done = match telling::assemble(config, &database.stores, vault, &world) {
        Ok(webhooks) => act(&webhooks, command).await,
        Err(refusal) => Err(refusal.into()),
    };
    let closed = database.close().await;
    print(&done?)?;
    Ok(closed?)
}

/// Does it, and returns what there is to print.
async fn act(webhooks: &Webhooks, command: &Command) -> Result<String, Failure> {
    Ok(match command {
        Command::Add { url, events, description } => {
            let subscription = Subscription::of(events.iter().copied())?;
            let new = NewEndpoint { url: url.clone(), description: description.clone(), subscription };
            let added = webhooks.add(new).await.map_err(sealing::explained)?;
            render::with_secret(added.endpoint.id, added.secret.to_text().expose_secret())
        }
        Command::List { json: true } => render::endpoints_as_json(&webhooks.endpoints().await?),
        Command::List { json: false } => render::endpoints(&webhooks.endpoints().await?),
        Command::Disable { id } => {
            let was_active = webhooks.disable(*id).await?;
            format!("{id} {}\n", if was_active { "is disabled" } else { "was disabled already" })
        }
        Command::Enable { id } => {
            let was_disabled = webhooks.enable(*id).await?;
            format!("{id} {}\n", if was_disabled { "is active" } else { "was active already" })
        }
        Command::Deliveries { endpoint, state, limit, json } => {
            let query = DeliveryQuery { endpoint_id: *endpoint, state: *state, limit: *limit };
            let deliveries = webhooks.deliveries(&query).await?;
            if *json { render::deliveries_as_json(&deliveries) } else { render::deliveries(&deliveries) }
        }
        Command::Redeliver { event, endpoint } => {
            let ordered = webhooks.redeliver(*event, *endpoint).await?;
            format!("ordered {ordered} {} of {event}\n", if ordered == 1 { "delivery" } else { "deliveries" })
        }
        Command::RotateSecret { id, overlap } => {
            let secret = webhooks.rotate_secret(*id, *overlap).await.map_err(sealing::explained)?;
            render::with_secret(*id, secret.to_text().expose_secret())
        }
        Command::Test { id } => match webhooks.test(*id).await.map_err(sealing::explained)? {
            Attempted::Answered(status @ 200..=299) => format!("{id} took it ({status})\n"),
            Attempted::Answered(status) => return Err(format!("{id} answered with {status}").into()),
            Attempted::NotSent(reason) => return Err(format!("{id} was not reached: {reason}").into()),
            ended @ (Attempted::NotSigned | Attempted::Unreadable) => return Err(ended.to_string().into()),
        },
    })
}

fn url(text: &str) -> Result<EndpointUrl, String> {
    EndpointUrl::parse(text).map_err(|refusal| refusal.to_string())
}

fn event_type(text: &str) -> Result<EventType, String> {
    let known = EventType::from_str(text).ok().filter(|known| known.can_be_subscribed());
    known.ok_or_else(|| {
        let all = EventType::ALL.iter().filter(|known| known.can_be_subscribed());
        format!("must be one of: {}", all.map(|known| known.as_str()).collect::<Vec<_>>().join(", "))
    })
}

fn state(text: &str) -> Result<DeliveryState, String> {
    text.parse()
        .map_err(|()| format!("must be one of: {}", DeliveryState::ALL.map(DeliveryState::as_str).join(", ")))
}

fn limit(text: &str) -> Result<Limit, String> {
    let expected = || format!("must be a whole number from 1 to {}", Limit::MAX);
    text.parse().ok().and_then(|rows| Limit::try_new(rows).ok()).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_subscribe_to_is_not_offered() {
        assert_eq!(event_type("ticket.paid"), Ok(EventType::TicketPaid));
        let refused = event_type("webhook.test").unwrap_err();
        assert!(refused.contains("ticket.refund_due") && !refused.contains("webhook.test"), "{refused}");
    }
}
