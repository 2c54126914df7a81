use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use super::Exchange;
use super::recording::{RecordingError, read};
use crate::{ResponseBody, Transport, TransportError};

/// A transport that gives replies in their order, and checks the request of each.
///
/// A request that is not as expected, or one too many, gets an error that says what is wrong; so does every one after it. Keep a clone
/// and ask [`finish`](Replay::finish) at the end of the test: a program may have swallowed that error.
#[derive(Clone)]
pub struct Replay(Arc<Mutex<State>>);

struct State {
    left: VecDeque<Exchange>,
    requests: Vec<Request<Bytes>>,
    mismatch: Option<Mismatch>,
}

/// What was not as a [`Replay`] expected it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(String);

impl Replay {
    /// A transport for these exchanges.
    pub fn new(exchanges: impl IntoIterator<Item = Exchange>) -> Self {
        let left = exchanges.into_iter().collect();
        Self(Arc::new(Mutex::new(State { left, requests: Vec::new(), mismatch: None })))
    }

    /// A transport for the exchanges that a [`Recorder`](super::Recorder) wrote to a file. Method, path and JSON body of each request must be as
    /// recorded, secrets aside; other bodies are not compared.
    ///
    /// # Errors
    ///
    /// [`RecordingError`] when the file cannot be read, or is no recording.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        Ok(Self::new(read(path.as_ref())?))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.state().requests.clone()
    }

    /// Whether every request was as expected, and every exchange took place.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] with the first thing that was not as expected.
    pub fn finish(&self) -> Result<(), Mismatch> {
        let state = self.state();
        if let Some(mismatch) = &state.mismatch {
            return Err(mismatch.clone());
        }
        match state.left.len() {
            0 => Ok(()),
            left => Err(Mismatch(format!("{} requests came, and {left} more were expected", state.requests.len()))),
        }
    }

    fn next(&self, request: Request<Bytes>) -> Result<Exchange, Mismatch> {
        let mut state = self.state();
        let number = state.requests.len() + 1;
        let exchange = state.left.pop_front();
        let checked = match (&state.mismatch, exchange) {
            (Some(mismatch), _) => Err(mismatch.clone()),
            (None, None) => Err(Mismatch(format!("request {number} was not expected: {}", request.method()))),
            (None, Some(exchange)) => match exchange.check(&request) {
                Ok(()) => Ok(exchange),
                Err(wrong) => Err(Mismatch(format!("request {number}: {wrong}"))),
            },
        };
        state.requests.push(request);
        if let Err(mismatch) = &checked {
            state.mismatch = Some(mismatch.clone());
        }
        checked
    }
}

#[async_trait]
impl Transport for Replay {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
        // Not "not sent": the client would send it again, and the test would be told of the second request only.
        self.next(request).map_err(TransportError::may_have_run)?.outcome().await
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Replay").field("requests", &state.requests.len()).field("left", &state.left.len()).finish()
    }
}
