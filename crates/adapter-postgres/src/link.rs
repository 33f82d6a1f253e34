//! A connection that is driven by whoever awaits its answer.
//!
//! The driver's usual way is a task per connection: a request hands its query over to that task and is woken by it, which
//! on a server whose threads each have a runtime costs two changes of threads per query, more than the query itself. Here
//! the request writes to the socket and reads from it. Nothing of a connection depends on the thread that made it or used
//! it last, which may be busy or gone: only the notice that there is something to read comes from the runtime where the
//! pool was made.
//!
//! A connection that nobody uses is not driven. What the server has said meanwhile, its farewell above all, is heard when
//! the connection is taken out of the pool.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{ConnectionError, ConnectionResult, QueryResult};
use diesel_async::AsyncPgConnection;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::connect::{BareConnection, Connector};

/// A connection, and what moves its bytes. Dropped, its socket is closed at once.
pub(crate) struct Link {
    connection: AsyncPgConnection,
    wire: BareConnection,
}

impl Link {
    /// Asks something of the connection, and moves its bytes until the answer is there.
    pub(crate) async fn drive<'a, A, T>(
        &'a mut self,
        ask: impl FnOnce(&'a mut AsyncPgConnection) -> A,
    ) -> QueryResult<T>
    where
        A: Future<Output = QueryResult<T>> + 'a,
    {
        driven(&mut self.wire, ask(&mut self.connection)).await.unwrap_or_else(|lost| Err(lost.into()))
    }

    /// For asking the server to end what it is doing for this connection.
    pub(crate) fn cancel_token(&self) -> tokio_postgres::CancelToken {
        self.connection.cancel_token()
    }

    /// Hears what the server has said since the last answer; false when it was a farewell. No round trip.
    fn is_alive(&mut self) -> bool {
        hear(&mut self.wire, &mut Context::from_waker(Waker::noop())).is_pending()
    }
}

/// The server has closed the connection, or cannot be reached any more.
#[derive(Debug)]
struct Lost;

impl From<Lost> for Error {
    fn from(_: Lost) -> Self {
        // In the driver's own words, which say that the connection must not be used again.
        Self::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new("connection closed".to_owned()))
    }
}

/// Moves the bytes of a connection until the answer is there.
async fn driven<T>(wire: &mut BareConnection, answer: impl Future<Output = T>) -> Result<T, Lost> {
    let mut answer = pin!(answer);
    poll_fn(|cx| {
        // First what is to be written, then the writing and reading, then what was read. If either side could go on after
        // that, it has woken us.
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        let end = hear(wire, cx);
        match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending => end.map(Err),
        }
    })
    .await
}

/// Writes what is to be written and reads what there is; ready when the connection has ended. Nobody waits for what the
/// server says unasked.
fn hear(wire: &mut BareConnection, cx: &mut Context<'_>) -> Poll<Lost> {
    loop {
        match wire.poll_message(cx) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Lost),
            Poll::Pending => return Poll::Pending,
        }
    }
}

/// Makes the connections of a pool.
pub(crate) struct Links {
    connector: Connector,
    home: Handle,
}

impl Links {
    /// The sockets belong to the runtime `home`.
    pub(crate) const fn new(connector: Connector, home: Handle) -> Self {
        Self { connector, home }
    }
}

impl Manager for Links {
    type Type = Link;
    type Error = ConnectionError;

    /// Given up when nobody waits for it any more.
    async fn create(&self) -> ConnectionResult<Link> {
        let mut connecting = JoinSet::new();
        let connector = self.connector.clone();
        connecting.spawn_on(async move { connect(&connector).await }, &self.home);
        match connecting.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) | None => {
                Err(ConnectionError::BadConnection("the runtime of the connections has ended".to_owned()))
            }
        }
    }

    async fn recycle(&self, link: &mut Link, _: &Metrics) -> RecycleResult<ConnectionError> {
        if link.is_alive() { Ok(()) } else { Err(RecycleError::message("the connection has ended")) }
    }
}

async fn connect(connector: &Connector) -> ConnectionResult<Link> {
    let bad = |reason: String| ConnectionError::BadConnection(reason);
    let (client, mut wire) =
        connector.connect_bare().await.map_err(|refusal| bad(crate::connect::reason(&refusal)))?;
    let connection = driven(&mut wire, AsyncPgConnection::try_from(client)).await;
    let connection = connection.unwrap_or_else(|Lost| Err(bad("connection closed".to_owned())))?;
    Ok(Link { connection, wire })
}
