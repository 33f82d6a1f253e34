//! `GET /tickets/{id}/events`: where a ticket stands, and then every change, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures::future::BoxFuture;
use guiche_kernel::{Caller, Clock, StoreError, Timer, Timestamp};
use guiche_tickets::{Ticket, TicketError, TicketId, Tickets};
use uuid::Uuid;

use super::SignedInUntil;
use super::dto::{LastEventHeader, TicketDto};
use super::refusals;
use crate::http::codes::Code;
use crate::http::extract::Path;
use crate::http::problem::ApiError;
use crate::live::{Following, Live, Refused};

/// So that whatever lies between does not take a quiet stream for a dead one, and we notice a dead one.
const HEARTBEAT: Duration = Duration::from_secs(15);
const A_COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// The beginning: how many milliseconds a client waits before it connects again.
const RECONNECT: &str = "retry: 2000\n\n";
const LAST_EVENT_ID: &str = "last-event-id";
/// Before a reading that storage did not give is tried again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// By then a stream whose client is gone has been noticed.
const ROOM_AFTER: Duration = Duration::from_secs(15);

/// What streams work with, besides the tickets.
pub struct Stage {
    /// Who follows what.
    pub live: Arc<Live>,
    /// Tells when a token ends.
    pub clock: Arc<dyn Clock>,
    /// Waits for that, and for the next heartbeat.
    pub timer: Arc<dyn Timer>,
}

/// Follows one of the caller's tickets: the present state at once, then every change.
///
/// Server-sent events: `event: ticket`, `id:` the ticket's version, `data:` the ticket as in lists, in one line. A comment
/// every 15 seconds. The stream ends with the access token, with the session, and when the server stops; never with the ticket.
#[utoipa::path(get, path = "/api/v1/tickets/{id}/events", tag = "tickets",
    operation_id = "follow_ticket", security(("bearer" = [])),
    params(("id" = Uuid, Path), LastEventHeader), responses(
        (status = 200, body = String, content_type = "text/event-stream", description = "events, without an end"),
        refusals::FollowTicket,
))]
pub(in crate::http) async fn follow(
    request: HttpRequest,
    tickets: Data<Tickets>,
    stage: Data<Stage>,
    SignedInUntil(caller, until): SignedInUntil,
    id: Path<Uuid>,
) -> Result<HttpResponse, ApiError> {
    let id = TicketId::new(id.into_inner());
    let last_event = last_event_id(request.headers())?;
    let following = stage.live.follow(id, caller.user_id)?;
    let reader = Reader { tickets: tickets.into_inner(), stage: stage.into_inner(), caller, id };
    let ticket = reader.now().await?;
    let stream = Stream::begin(reader, following, until, &ticket, last_event)?;
    let stream = futures::stream::unfold(stream, |mut stream| async move {
        stream.next().await.map(|bytes| (Ok::<_, Infallible>(bytes), stream))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"))
        .streaming(stream))
}

/// The version that the client saw last.
fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let mut values = headers.get_all(LAST_EVENT_ID);
    let Some(value) = values.next() else { return Ok(None) };
    let version = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|version| *version > 0);
    match (version, values.next()) {
        (Some(version), None) => Ok(Some(version)),
        (Some(_), Some(_)) | (None, _) => {
            Err(ApiError::malformed("Last-Event-ID must be the id of an event of this stream."))
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Account => Self::new(Code::RateLimited, "Too many streams of this account are open.")
                .retry_after(ROOM_AFTER),
            Refused::Process => {
                Self::new(Code::TimedOut, "too many streams are open").retry_after(ROOM_AFTER)
            }
            Refused::Ending => {
                Self::new(Code::TimedOut, "the process is ending").retry_after(READ_AGAIN_AFTER)
            }
        }
    }
}

/// Reads the ticket as its follower may.
#[derive(Clone)]
struct Reader {
    tickets: Arc<Tickets>,
    stage: Arc<Stage>,
    caller: Caller,
    id: TicketId,
}

impl Reader {
    /// The ticket as it is now, as soon as it is this reader's turn. The first reading waits for one too: after a restart
    /// everybody comes back at once, and requests should not have to wait for them.
    async fn now(&self) -> Result<Ticket, TicketError> {
        let _turn = self.stage.live.turn().await;
        self.tickets.get(self.caller, self.id).await
    }

    /// As [`now`](Self::now), and what storage cannot do at the moment is tried again.
    async fn read(self) -> Result<Ticket, TicketError> {
        loop {
            match self.now().await {
                Err(TicketError::Store(StoreError::Unavailable(_) | StoreError::Conflict)) => {
                    self.stage.timer.sleep(READ_AGAIN_AFTER).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits for the next heartbeat, or for the end of the token if that comes first.
    fn alarm(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        let left = Duration::try_from(until - self.stage.clock.now()).unwrap_or_default();
        let timer = Arc::clone(&self.stage.timer);
        Box::pin(async move { timer.sleep(left.min(HEARTBEAT)).await })
    }
}

/// One stream. It does nothing unless its client takes what it has: a client that does not gets the newest state when it
/// does again.
struct Stream {
    reader: Reader,
    following: Following,
    until: Timestamp,
    sent: i64,
    beginning: Option<Bytes>,
    alarm: BoxFuture<'static, ()>,
    /// A reading under way; kept here, so that a heartbeat does not begin it anew.
    reading: Option<BoxFuture<'static, Result<Ticket, TicketError>>>,
}

impl Stream {
    /// A stream that begins with the ticket as it is, unless the client has seen just that.
    fn begin(
        reader: Reader,
        following: Following,
        until: Timestamp,
        ticket: &Ticket,
        last_event: Option<i64>,
    ) -> Result<Self, ApiError> {
        let version = ticket.record().version;
        following.seen(version);
        let mut beginning = RECONNECT.to_owned();
        if last_event != Some(version) {
            beginning.push_str(&event(ticket)?);
        }
        let alarm = reader.alarm(until);
        let beginning = Some(beginning.into());
        Ok(Self { reader, following, until, sent: version, beginning, alarm, reading: None })
    }

    /// What is sent next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(beginning) = self.beginning.take() {
            return Some(beginning);
        }
        let live = Arc::clone(&self.reader.stage.live);
        loop {
            tokio::select! {
                biased;
                () = live.shutdown().begun() => return None,
                () = &mut self.alarm => {
                    if self.reader.stage.clock.now() >= self.until {
                        return None;
                    }
                    self.alarm = self.reader.alarm(self.until);
                    return Some(A_COMMENT);
                }
                outcome = present(&self.reader, &self.following, &mut self.reading) => match outcome {
                    Ok(ticket) if ticket.record().version <= self.sent => {}
                    Ok(ticket) => {
                        self.sent = ticket.record().version;
                        self.following.seen(self.sent);
                        return event(&ticket).ok().map(Bytes::from);
                    }
                    // The session has ended, or the ticket is gone. Whoever asks again is told which.
                    Err(refusal) => {
                        tracing::debug!(%refusal, "a stream ends");
                        return None;
                    }
                },
            }
        }
    }
}

/// The ticket, once there is something to look at. May be dropped and called again: nothing is lost by it.
async fn present(
    reader: &Reader,
    following: &Following,
    reading: &mut Option<BoxFuture<'static, Result<Ticket, TicketError>>>,
) -> Result<Ticket, TicketError> {
    if reading.is_none() {
        following.hinted().await;
    }
    let outcome = reading.get_or_insert_with(|| Box::pin(reader.clone().read())).await;
    *reading = None;
    outcome
}

/// The ticket as one event.
fn event(ticket: &Ticket) -> Result<String, ApiError> {
    let data = serde_json::to_string(&TicketDto::try_from(ticket)?).map_err(ApiError::internal)?;
    Ok(format!("event: ticket\nid: {}\ndata: {data}\n\n", ticket.record().version))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn ids_of_events_are_versions_and_nothing_else() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(
                    HeaderName::from_static(LAST_EVENT_ID),
                    HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                );
            }
            last_event_id(&headers).map_err(|error| error.code())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["7"]), Ok(Some(7)));
        for nonsense in
            [&[""][..], &["0"], &["-1"], &["1.5"], &["seven"], &["99999999999999999999"], &["é"], &["7", "7"]]
        {
            assert_eq!(read(nonsense), Err(Code::MalformedRequest), "{nonsense:?}");
        }
    }
}
