//! What has changed, as the database tells it (`LISTEN`): hints, for whoever shows a state and wants to show the next one.
//!
//! A hint names a row and says nothing of it. Hints get lost whenever the connection does, and nobody can tell which; so
//! every new connection begins with [`Notice::Gap`], after which whoever follows anything looks at it once.

use std::time::Duration;

use futures::StreamExt as _;
use guiche_kernel::UserId;
use guiche_tickets::TicketId;
use tokio_postgres::AsyncMessage;

use crate::PgStores;
use crate::connect::{Connector, reason};

/// The one channel, so that one `LISTEN` is all.
const LISTEN: &str = "LISTEN guiche";
/// How often a connection that is silent is asked whether it still is one, and how long it may think about that: a peer
/// that is gone without a word is noticed after both.
const ASK_EVERY: Duration = Duration::from_secs(15);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Between two attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The ticket has this version now, or a later one.
    TicketChanged {
        /// Which ticket.
        ticket: TicketId,
        /// The version that this hint is about.
        version: i64,
    },
    /// Every session of this account has ended.
    SessionsEnded(UserId),
    /// Hints may have been lost before this one.
    Gap,
}

impl Notice {
    /// Reads what a trigger has written; `None` for what a later version may tell.
    fn parse(payload: &str) -> Option<Self> {
        let mut words = payload.split(' ');
        let notice = match (words.next()?, words.next()?, words.next()) {
            ("ticket", id, Some(version)) => Self::TicketChanged {
                ticket: TicketId::new(id.parse().ok()?),
                version: version.parse().ok()?,
            },
            ("user", id, None) => Self::SessionsEnded(UserId::new(id.parse().ok()?)),
            _ => return None,
        };
        words.next().is_none().then_some(notice)
    }
}

impl PgStores {
    /// Passes on every hint, on a connection of its own as the workers' login (which needs no privilege for it, and is not
    /// in the way of any request). Connects again when the connection is lost; never returns. `tell` MUST NOT block.
    pub async fn follow(&self, tell: impl Fn(Notice) + Send + Sync) {
        let connector = self.listener();
        let mut pause = FIRST_PAUSE;
        loop {
            let mut listened = false;
            let reason = listen(connector, &mut listened, &tell).await;
            pause = if listened { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            tracing::warn!(
                reason,
                "not listening to the database; live status waits until it is reached again"
            );
            tokio::time::sleep(pause).await;
        }
    }
}

/// Listens until the connection ends, and says why it did.
async fn listen(connector: &Connector, listened: &mut bool, tell: &(dyn Fn(Notice) + Send + Sync)) -> String {
    let (client, mut connection) = match connector.connect_bare().await {
        Ok(connected) => connected,
        Err(refusal) => return reason(&refusal),
    };
    let mut messages = futures::stream::poll_fn(|cx| connection.poll_message(cx));
    let talk = async {
        client.batch_execute(LISTEN).await.map_err(|refusal| reason(&refusal))?;
        *listened = true;
        tell(Notice::Gap);
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            match tokio::time::timeout(ANSWER_WITHIN, client.batch_execute("")).await {
                Ok(answer) => answer.map_err(|refusal| reason(&refusal))?,
                Err(_) => return Err::<(), _>("it does not answer".to_owned()),
            }
        }
    };
    let hear = async {
        while let Some(message) = messages.next().await {
            match message {
                Ok(AsyncMessage::Notification(hint)) => {
                    Notice::parse(hint.payload()).into_iter().for_each(tell);
                }
                Ok(_) => {}
                Err(refusal) => return reason(&refusal),
            }
        }
        "it has ended".to_owned()
    };
    // What is said can only be answered while the other side is heard, so both go on together.
    tokio::select! {
        said = talk => said.err().unwrap_or_default(),
        heard = hear => heard,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_the_triggers_write_is_read_and_the_rest_is_passed_over() {
        let id = Uuid::from_u128(7);
        let ticket = Notice::TicketChanged { ticket: TicketId::new(id), version: 12 };
        assert_eq!(Notice::parse(&format!("ticket {id} 12")), Some(ticket));
        assert_eq!(Notice::parse(&format!("user {id}")), Some(Notice::SessionsEnded(UserId::new(id))));
        for strange in ["", "ticket", "user", "ticket x 1", "user x", "moon 1 2"] {
            assert_eq!(Notice::parse(strange), None, "{strange}");
        }
        for strange in [format!("ticket {id}"), format!("ticket {id} 1 2"), format!("user {id} 1")] {
            assert_eq!(Notice::parse(&strange), None, "{strange}");
        }
    }
}
