//! How somebody learns of a ticket's change: from the commit, and from a stream of events.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt as _;
use guiche_app::system::SystemClock;
use guiche_kernel::{BoxError, Clock as _, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_postgres::{AsyncMessage, Client};

use crate::world::World;

/// How long news may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A ticket, one of its versions, and when it was heard of.
pub(crate) type News = (String, i64, Timestamp);

/// What is committed in a database from now on: its triggers tell it in the very moment.
pub(crate) struct Commits {
    news: UnboundedReceiver<News>,
    /// With it the connection would end.
    _client: Client,
}

/// Begins to listen to a database.
pub(crate) async fn commits(world: &World, database: &str) -> Result<Commits, BoxError> {
    let (client, mut connection) = world.superuser_on(database).await?;
    let (heard, news) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures::stream::poll_fn(|cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            // Nobody takes it any more when the scenario is over.
            if let AsyncMessage::Notification(hint) = message
                && let Some((ticket, version)) = ticket_in(hint.payload())
            {
                let _ = heard.send((ticket, version, SystemClock.now()));
            }
        }
    });
    client.batch_execute("LISTEN guiche").await?;
    Ok(Commits { news, _client: client })
}

/// The ticket and its version, in what a trigger has written.
fn ticket_in(hint: &str) -> Option<(String, i64)> {
    let (id, version) = hint.strip_prefix("ticket ")?.split_once(' ')?;
    Some((id.to_owned(), version.parse().ok()?))
}

impl Commits {
    /// As [`all`].
    pub(crate) async fn all(
        &mut self,
        tickets: usize,
        version: i64,
    ) -> Result<HashMap<String, Timestamp>, BoxError> {
        all(&mut self.news, tickets, version).await
    }
}

/// Opens the stream of a ticket's events, and passes on what it tells.
pub(crate) async fn follow(
    server: SocketAddr,
    token: &str,
    ticket: String,
    heard: UnboundedSender<News>,
) -> Result<(), BoxError> {
    let mut socket = TcpStream::connect(server).await?;
    let request = format!(
        "GET /api/v1/tickets/{ticket}/events HTTP/1.1\r\nhost: {server}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    tokio::spawn(async move {
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        while let Ok(read @ 1..) = socket.read(&mut bytes).await {
            text.push_str(&String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()));
            while let Some((line, rest)) = text.split_once('\n') {
                if let Some(Ok(version)) = line.strip_prefix("id: ").map(|version| version.trim().parse()) {
                    let _ = heard.send((ticket.clone(), version, SystemClock.now()));
                }
                text = rest.to_owned();
            }
        }
    });
    Ok(())
}

/// Waits until a version, or a later one, was heard of so many tickets, and tells when of each.
pub(crate) async fn all(
    news: &mut UnboundedReceiver<News>,
    tickets: usize,
    version: i64,
) -> Result<HashMap<String, Timestamp>, BoxError> {
    let mut moments = HashMap::new();
    while moments.len() < tickets {
        let next = tokio::time::timeout(PATIENCE, news.recv()).await;
        let next = next.map_err(|_| format!("{} of {tickets} tickets were heard of", moments.len()))?;
        let (ticket, told, at) = next.ok_or("whoever told of tickets has ended")?;
        if told >= version {
            moments.entry(ticket).or_insert(at);
        }
    }
    Ok(moments)
}
