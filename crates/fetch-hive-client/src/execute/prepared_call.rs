use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fetch_hive_core::retry::RetryPolicy;
use fetch_hive_core::{InvalidInput, KeyHeader, Operation, ProgressHook, RequestBody, Timeouts};
use http::HeaderMap;

use super::run_limiter::{RunLimiter, RunPermit};
use super::span::Span;
use super::telemetry::RunTelemetry;
use crate::transport::ResponseBody;

/// Builds the request of one attempt.
///
/// It runs for each attempt, so that a rotated key is used, and no request is cloned for a retry
/// that may never happen.
pub(crate) type BuildRequest<'a> =
    dyn Fn(Option<&KeyHeader>) -> Result<http::Request<RequestBody>, InvalidInput> + Send + Sync + 'a;

/// What a success response means for the run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseMode {
    /// The run has ended, or nothing waits for its end.
    Complete,
    /// The body of an event stream is left unread, and the run continues with it.
    EventStream,
    /// The run continues until its callback, so its permit is returned.
    UntilCallback,
}

/// A call that is ready to be executed.
pub(crate) struct PreparedCall<'a> {
    pub(crate) operation: &'a Operation,
    /// The deployment or the agent that is invoked.
    pub(crate) target: Option<&'a str>,
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) retry: RetryPolicy,
    /// Headers that are added to each request.
    pub(crate) headers: &'a HeaderMap,
    /// Called while the body of the request is sent.
    pub(crate) on_upload_progress: Option<&'a Arc<ProgressHook>>,
    /// Whether the operation needs the API key. Otherwise, the key is not fetched.
    pub(crate) needs_key: bool,
    pub(crate) mode: ResponseMode,
    pub(crate) run_limiter: Option<&'a Arc<dyn RunLimiter>>,
    pub(crate) build: &'a BuildRequest<'a>,
}

/// A response with a success status.
pub(crate) struct Executed {
    pub(crate) response: http::Response<Bytes>,
    /// The unread body, if a stream was requested and received.
    pub(crate) stream_body: Option<ResponseBody>,
    /// The permit of the run, if the run continues after the response.
    pub(crate) permit: Option<RunPermit>,
    /// The report of the run, if the call started a run and a hook is set.
    pub(crate) run: Option<Box<RunTelemetry>>,
    pub(crate) span: Span,
    pub(crate) attempts: u32,
    pub(crate) waited: Duration,
}

/// Returns random bits that spread waits, and serve no other purpose.
///
/// The standard library's hash keys change with each use and are random in each process, but not on
/// `wasm32-unknown-unknown`, so the time is added.
pub(crate) fn random_bits(wall_clock: SystemTime) -> u64 {
    std::collections::hash_map::RandomState::new().hash_one(wall_clock)
}
