use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::Operation;
use fetch_hive_core::types::{RequestId, TokenUsage};
use http::StatusCode;

/// A report of one attempt of a call, for metrics. It contains no body, no key, no id of a path
/// except the target, and no query.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AttemptReport<'a> {
    /// The operation: its name, its method, and its path with placeholders.
    pub operation: &'a Operation,
    /// The deployment or the agent that is invoked, if the operation has one.
    pub target: Option<&'a str>,
    /// The number of the attempt, counted from 1.
    pub attempt: u32,
    /// The status of the response, if its head was received.
    pub status: Option<StatusCode>,
    /// The type of the error as in [`Error::error_type`](crate::Error::error_type), or `cancelled`
    /// if the call was dropped.
    pub error_type: Option<&'a str>,
    /// The duration of the attempt. For a stream, it ends when the head of the response is
    /// received.
    pub duration: Duration,
    /// The id of the run, if the response contains it.
    pub request_id: Option<&'a RequestId>,
    /// The host of the base URL.
    pub server_address: &'a str,
    /// The port of the base URL.
    pub server_port: u16,
}

/// A report of one call with all its attempts and waits, for metrics.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallReport<'a> {
    /// The operation: its name, its method, and its path with placeholders.
    pub operation: &'a Operation,
    /// The deployment or the agent that is invoked, if the operation has one.
    pub target: Option<&'a str>,
    /// The number of attempts that were sent.
    pub attempts: u32,
    /// The total time of the waits between attempts.
    pub waited: Duration,
    /// The time that the call waited because of
    /// [`max_concurrent_runs`](crate::ClientBuilder::max_concurrent_runs).
    pub queued: Duration,
    /// The total duration of the call. For a stream, it ends when the head of the response is
    /// received.
    pub duration: Duration,
    /// The type of the error as in [`Error::error_type`](crate::Error::error_type), or `cancelled`
    /// if the call was dropped.
    pub error_type: Option<&'a str>,
    /// Whether the call failed or was dropped although its run may have started, as in
    /// [`Error::may_have_run`](crate::Error::may_have_run).
    pub may_have_run: bool,
}

/// A report of one run whose result was received in a response, a stream or a callback, for
/// metrics.
///
/// A result that cannot be read and a stream that ends early are reported with their error.
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
    /// The time from the start of the call until the result was received, without the time in the
    /// queue of the run limiter.
    pub duration: Duration,
}

/// A report of the tokens that one response or stream states.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UsageReport<'a> {
    /// The name of the operation, such as `invokePrompt`.
    pub operation: &'static str,
    /// The deployment or the agent that was invoked.
    pub target: &'a str,
    /// The numbers of tokens.
    pub usage: &'a TokenUsage,
}

pub(crate) type AttemptHook = Arc<dyn Fn(AttemptReport<'_>) + Send + Sync>;
pub(crate) type CallHook = Arc<dyn Fn(CallReport<'_>) + Send + Sync>;
pub(crate) type RunHook = Arc<dyn Fn(RunReport<'_>) + Send + Sync>;
pub(crate) type UsageHook = Arc<dyn Fn(UsageReport<'_>) + Send + Sync>;
