use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use super::Exchange;
use crate::{ResponseBody, Transport, TransportError};

/// A transport that keeps every request, and answers each alike. Keep a clone to look at them.
#[derive(Clone)]
pub struct Capture {
    answer: Exchange,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Capture {
    /// A transport with this answer; what the exchange expects is not looked at.
    pub fn new(answer: Exchange) -> Self {
        Self { answer, requests: Arc::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Request<Bytes>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.kept().clone()
    }
}

impl Default for Capture {
    /// Answers 200 with an empty JSON object.
    fn default() -> Self {
        Self::new(Exchange::status(200).body("{}"))
    }
}

#[async_trait]
impl Transport for Capture {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
        self.kept().push(request);
        self.answer.outcome().await
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("answer", &self.answer).field("requests", &self.kept().len()).finish()
    }
}

/// A transport that never answers. The timeouts of a call end it; with a [`PausedClock`](super::PausedClock), at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

#[async_trait]
impl Transport for Never {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
        std::future::pending().await
    }
}
