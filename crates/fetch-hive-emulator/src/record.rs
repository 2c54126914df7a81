use std::fmt;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Version};

/// A request as it came in. `Debug` shows neither its key nor its body.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// Path and query, byte for byte as they were sent.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The version of HTTP.
    pub version: Version,
    /// Which connection it came over, counted from 1.
    pub connection: u64,
    /// The operation's name in the contract, if the path is one of its.
    pub operation: Option<String>,
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("version", &self.version)
            .field("connection", &self.connection)
            .field("operation", &self.operation)
            .field("headers", &self.headers.len())
            .field("body_length", &self.body.len())
            .finish()
    }
}

/// A workflow run that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRun {
    /// The public id of the run.
    pub request_id: String,
    /// The deployment.
    pub deployment: String,
    /// Where it stands.
    pub run_status: String,
}

/// One try to deliver a callback. `Debug` does not show the body.
#[derive(Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// The run.
    pub request_id: String,
    /// Where to.
    pub url: String,
    /// Which try, counted from 1.
    pub attempt: u32,
    /// The receiver's status, or why there is none.
    pub outcome: Result<u16, String>,
    /// What was sent.
    pub body: Bytes,
    /// How it was signed.
    pub signature: String,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("request_id", &self.request_id)
            .field("url", &self.url)
            .field("attempt", &self.attempt)
            .field("outcome", &self.outcome)
            .field("body_length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A list that grows while it is read.
#[derive(Debug)]
pub(crate) struct Log<T>(Mutex<Vec<T>>);

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn push(&self, entry: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the newest entry that `change` says it has found.
    pub(crate) fn update_newest(&self, change: impl FnMut(&mut T) -> bool) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = entries.iter_mut().rev().any(change);
    }
}
