use std::fmt;

use crate::state::log::LogEntry;
use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use serde_json::{Map, Value};

/// A request that the emulator received.
///
/// The `Debug` output contains neither the headers nor the body.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The HTTP method.
    pub method: Method,
    /// The path and the query, byte for byte as the client sent them.
    pub path: String,
    /// The request headers, including the API key.
    pub headers: HeaderMap,
    /// The request body.
    pub body: Bytes,
    /// The HTTP version.
    pub version: Version,
    /// The number of the connection, counted from 1. It is 0 for a request to a
    /// [`Handler`](crate::Handler).
    pub connection: u64,
    /// The operation id in [`OPENAPI`](crate::OPENAPI), if the request matches an operation.
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

/// A workflow run that the emulator started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRun {
    /// The id of the run, which starts with `req_`.
    pub request_id: String,
    /// The name of the deployment.
    pub deployment: String,
    /// The status of the run, such as `running` or `completed`.
    pub run_status: String,
    /// The metadata of the request.
    pub metadata: Map<String, Value>,
}

/// One attempt to deliver a callback.
///
/// The `Debug` output contains neither the body nor the signature.
#[derive(Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// The id of the run whose event is delivered.
    pub request_id: String,
    /// The URL of the receiver.
    pub url: String,
    /// The number of the attempt, counted from 1.
    pub attempt: u32,
    /// The HTTP status of the receiver's response, or the reason why there is no response.
    pub outcome: Result<u16, String>,
    /// The body that was sent.
    pub body: Bytes,
    /// The value of the signature header. It is empty if the callback was not signed.
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

impl LogEntry for RecordedRequest {
    fn body_size(&self) -> usize {
        self.body.len()
    }
}

impl LogEntry for RecordedRun {
    fn body_size(&self) -> usize {
        self.metadata.iter().map(|(name, value)| name.len() + value.as_str().map_or(8, str::len)).sum()
    }
}

impl LogEntry for Delivery {
    fn body_size(&self) -> usize {
        self.body.len()
    }
}
