use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::Operation;
use fetch_hive_core::types::RequestId;
use http::StatusCode;

/// How one attempt of a call went: for metrics. It holds no body, no key, no id in a path and no query.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AttemptReport<'a> {
    /// The operation: its name, method, and path with placeholders.
    pub operation: &'a Operation,
    /// Which attempt it was, counted from 1.
    pub attempt: u32,
    /// The status of the reply, if its head came in.
    pub status: Option<StatusCode>,
    /// A short word for what went wrong: see [`Error::error_type`](crate::Error::error_type); `cancelled` when the call was dropped.
    pub error_type: Option<&'a str>,
    /// How long it took. For a stream, until the head of the reply was in.
    pub duration: Duration,
    /// The run, if the reply names it.
    pub request_id: Option<&'a RequestId>,
}

/// How one call went, attempts and waits together: for metrics.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallReport<'a> {
    /// The operation: its name, method, and path with placeholders.
    pub operation: &'a Operation,
    /// How often the request was sent.
    pub attempts: u32,
    /// How long was waited between the attempts.
    pub waited: Duration,
    /// How long the call stood in line for one of the client's places for runs: see
    /// [`max_concurrent_runs`](crate::ClientBuilder::max_concurrent_runs).
    pub queued: Duration,
    /// How long it took, all in all. For a stream, until the head of the reply was in.
    pub duration: Duration,
    /// As in [`AttemptReport`].
    pub error_type: Option<&'a str>,
}

/// A function that sees every attempt of a client.
pub(crate) type AttemptHook = Arc<dyn Fn(AttemptReport<'_>) + Send + Sync>;
/// A function that sees every call of a client.
pub(crate) type CallHook = Arc<dyn Fn(CallReport<'_>) + Send + Sync>;
