//! A sender that answers as the test says, and remembers what it was given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use guiche_kernel::{Clock, Timestamp};

use crate::{Answer, EndpointUrl, EventSender, OutgoingRequest, SendError, UrlRefused};

/// A request that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When.
    pub at: Timestamp,
    /// What, and where to.
    pub request: OutgoingRequest,
}

/// What was sent, and the answers that wait.
#[derive(Default)]
struct State {
    sent: Vec<Sent>,
    queued: VecDeque<Result<Answer, SendError>>,
}

type Script = dyn Fn(&OutgoingRequest) -> Result<Answer, SendError> + Send + Sync;

/// Answers by a script: first what was queued, then what the function says.
pub struct ScriptedSender {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    otherwise: Box<Script>,
}

impl ScriptedSender {
    /// A sender whose endpoints answer 200.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::answering(clock, |_| Self::status(200))
    }

    /// A sender whose endpoints answer as the function says.
    #[must_use]
    pub fn answering(
        clock: Arc<dyn Clock>,
        script: impl Fn(&OutgoingRequest) -> Result<Answer, SendError> + Send + Sync + 'static,
    ) -> Self {
        Self { clock, state: Mutex::default(), otherwise: Box::new(script) }
    }

    /// An answer with this status and nothing more.
    ///
    /// # Errors
    /// Never; it is the type that a script returns.
    pub const fn status(status: u16) -> Result<Answer, SendError> {
        Ok(Answer { status, retry_after: None })
    }

    /// The next request gets this answer.
    pub fn queue(&self, answer: Result<Answer, SendError>) {
        self.lock().queued.push_back(answer);
    }

    /// What was sent so far.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.lock().sent.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventSender for ScriptedSender {
    fn admit(&self, url: &EndpointUrl) -> Result<(), UrlRefused> {
        if url.url().scheme() == "https" { Ok(()) } else { Err(UrlRefused::NotHttps) }
    }

    async fn send(&self, request: OutgoingRequest) -> Result<Answer, SendError> {
        let mut state = self.lock();
        state.sent.push(Sent { at: self.clock.now(), request: request.clone() });
        match state.queued.pop_front() {
            Some(answer) => answer,
            None => (self.otherwise)(&request),
        }
    }
}
