use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{RequestBody, ResponseBody, Transport, TransportError};
use http::{Request, Response};

use crate::Exchange;
use crate::recording::{self, RecordingError};

/// A transport that returns prepared responses in order and checks each request.
///
/// A request that does not match its [`Exchange`], or that has none, fails with the reason. Every
/// later request fails with the same reason. Clones share their state, so keep a clone and call
/// [`finish`](Self::finish) at the end of the test, because the program may have ignored the error.
#[derive(Clone)]
pub struct Replay(Arc<Mutex<State>>);

struct State {
    remaining: VecDeque<Exchange>,
    requests: Vec<Request<Bytes>>,
    mismatch: Option<Mismatch>,
}

/// An error that occurs when the requests differ from the exchanges of a [`Replay`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(String);

impl Replay {
    /// Creates a transport that plays the exchanges in order.
    pub fn new(exchanges: impl IntoIterator<Item = Exchange>) -> Self {
        let remaining = exchanges.into_iter().collect();
        Self(Arc::new(Mutex::new(State { remaining, requests: Vec::new(), mismatch: None })))
    }

    /// Creates a transport that plays the exchanges that a [`Recorder`](crate::Recorder) wrote to a
    /// file.
    ///
    /// The method, the path and the JSON body of each request must match the recording, except for
    /// the redacted secrets. Headers and bodies that are not JSON are not compared.
    ///
    /// # Errors
    ///
    /// Returns a [`RecordingError`] if the file cannot be read or contains an invalid line.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        Ok(Self::new(recording::read(path.as_ref())?))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the requests received so far, oldest first.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.state().requests.clone()
    }

    /// Checks that every request matched its exchange and that no exchange is left.
    ///
    /// # Errors
    ///
    /// Returns the first [`Mismatch`].
    pub fn finish(&self) -> Result<(), Mismatch> {
        let state = self.state();
        if let Some(mismatch) = &state.mismatch {
            return Err(mismatch.clone());
        }
        match state.remaining.len() {
            0 => Ok(()),
            left => Err(Mismatch(format!("got {} requests, expected {left} more", state.requests.len()))),
        }
    }

    fn next(&self, request: Request<Bytes>) -> Result<Exchange, Mismatch> {
        let mut state = self.state();
        let number = state.requests.len() + 1;
        let exchange = state.remaining.pop_front();
        let result = match (&state.mismatch, exchange) {
            (Some(mismatch), _) => Err(mismatch.clone()),
            (None, None) => Err(Mismatch(format!("unexpected request {number}: {}", request.method()))),
            (None, Some(exchange)) => match exchange.check(&request) {
                Ok(()) => Ok(exchange),
                Err(reason) => Err(Mismatch(format!("request {number}: {reason}"))),
            },
        };
        state.requests.push(request);
        if let Err(mismatch) = &result {
            state.mismatch = Some(mismatch.clone());
        }
        result
    }
}

#[async_trait]
impl Transport for Replay {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let request = fetch_hive_client::buffer_request(request)?;
        // A mismatch is reported as `MayHaveRun`, because the client would retry after `NotSent`.
        self.next(request).map_err(TransportError::may_have_run)?.respond().await
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Replay")
            .field("requests", &state.requests.len())
            .field("remaining", &state.remaining.len())
            .finish()
    }
}
