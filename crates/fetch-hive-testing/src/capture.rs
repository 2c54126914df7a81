use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{RequestBody, ResponseBody, Transport, TransportError};
use http::{Request, Response};

use crate::Exchange;

/// A transport that stores every request and returns the same response to each.
///
/// Clones share the stored requests, so keep a clone to inspect them.
#[derive(Clone)]
pub struct Capture {
    exchange: Exchange,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Capture {
    /// Creates a transport that answers every request with the response of the exchange.
    ///
    /// The expectations of the exchange are not checked.
    pub fn new(exchange: Exchange) -> Self {
        Self { exchange, requests: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Request<Bytes>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the requests received so far, oldest first.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.lock().clone()
    }
}

impl Default for Capture {
    /// Creates a transport that answers every request with status 200 and an empty JSON object.
    fn default() -> Self {
        Self::new(Exchange::status(200).body("{}"))
    }
}

#[async_trait]
impl Transport for Capture {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let request = fetch_hive_client::buffer_request(request)?;
        self.lock().push(request);
        self.exchange.respond().await
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("exchange", &self.exchange).field("requests", &self.lock().len()).finish()
    }
}

/// A transport that never returns a response, for tests of timeouts.
///
/// With a [`PausedClock`](crate::PausedClock), the timeout of the call ends it without real
/// waiting.
#[derive(Clone, Copy, Debug, Default)]
pub struct NeverResponds;

#[async_trait]
impl Transport for NeverResponds {
    async fn send(&self, _: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        std::future::pending().await
    }
}
