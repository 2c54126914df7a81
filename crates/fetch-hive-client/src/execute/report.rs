use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::Operation;
use fetch_hive_core::types::{RequestId, TokenUsage};
use http::StatusCode;

/// A report of one attempt of a call, for metrics.
///
/// It does not contain bodies, keys or queries, nor ids from the path other than the target.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AttemptReport<'a> {
    /// The operation, with its name, its method, and its path with placeholders.
    pub operation: &'a Operation,
    /// The deployment or the agent that is invoked, if the operation has one.
    pub target: Option<&'a str>,
    /// The number of the attempt, counted from 1.
    pub attempt: u32,
    /// The status code of the response, if its headers were received.
    pub status: Option<StatusCode>,
    /// The type of the error as in [`Error::error_type`](crate::Error::error_type), or `cancelled`
    /// if the call was dropped.
    pub error_type: Option<&'a str>,
    /// The duration of the attempt. For a stream, it ends when the response headers are received.
    pub duration: Duration,
    /// The request id of the run, if the response contains it.
    pub request_id: Option<&'a RequestId>,
    /// The host of the base URL.
    pub server_address: &'a str,
    /// The port of the base URL.
    pub server_port: u16,
}

/// A report of one call, including all its attempts and the waits between them, for metrics.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallReport<'a> {
    /// The operation, with its name, its method, and its path with placeholders.
    pub operation: &'a Operation,
    /// The deployment or the agent that is invoked, if the operation has one.
    pub target: Option<&'a str>,
    /// The number of attempts that were sent.
    pub attempts: u32,
    /// The total time that the call waited between attempts.
    pub waited: Duration,
    /// The time that the call waited for a run slot.
    pub queued: Duration,
    /// The total duration of the call. For a stream, it ends when the response headers are
    /// received.
    pub duration: Duration,
    /// The type of the error as in [`Error::error_type`](crate::Error::error_type), or `cancelled`
    /// if the call was dropped.
    pub error_type: Option<&'a str>,
    /// Whether the call failed or was dropped although a run may have started, as in
    /// [`Error::may_have_run`](crate::Error::may_have_run).
    pub may_have_run: bool,
}

/// A report of one run whose result was received in a response, a stream or a callback, for
/// metrics.
///
/// If the result cannot be read or the stream ends early, the report contains the error.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RunReport<'a> {
    /// The name of the operation that started the run, such as `invokeWorkflow`.
    pub operation: &'static str,
    /// The deployment or the agent that was invoked, if the operation has one.
    pub target: Option<&'a str>,
    /// The status of the run, such as `completed`, `failed` or `awaiting_approval`, if it is known.
    pub status: Option<&'a str>,
    /// The type of the error as in [`Error::error_type`](crate::Error::error_type), or `cancelled`
    /// if the stream was dropped before its end.
    pub error_type: Option<&'a str>,
    /// The time from the start of the call until the result was received, excluding the time that
    /// the call waited for a run slot.
    pub duration: Duration,
}

/// A report of the token usage that one response or stream contains.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UsageReport<'a> {
    /// The name of the operation, such as `invokePrompt`.
    pub operation: &'static str,
    /// The deployment or the agent that was invoked.
    pub target: &'a str,
    /// The token usage.
    pub usage: &'a TokenUsage,
}

pub(crate) type AttemptHook = Arc<dyn Fn(AttemptReport<'_>) + Send + Sync>;
pub(crate) type CallHook = Arc<dyn Fn(CallReport<'_>) + Send + Sync>;
pub(crate) type RunHook = Arc<dyn Fn(RunReport<'_>) + Send + Sync>;
pub(crate) type UsageHook = Arc<dyn Fn(UsageReport<'_>) + Send + Sync>;
