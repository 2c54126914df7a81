//! Errors of calls and of transports.

mod display;
mod transport;
mod verdict;
mod wait;

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fetch_hive_core::retry::RetryEvent;
use fetch_hive_core::stream::StreamError;
use fetch_hive_core::types::{ErrorCode, RequestId};
use fetch_hive_core::{
    ApiError, DecodeError, InvalidInput, Operation, RateLimit, RepeatedCursor, Retry, Timeouts, find_request_id,
};
use http::{HeaderMap, StatusCode};

use crate::clock::wall_clock;

pub(crate) use self::transport::MAX_STALE_CONNECTIONS;
#[cfg(any(feature = "hyper", feature = "ureq"))]
pub(crate) use self::transport::find;
pub use self::transport::{BoxError, Timeout, TransportError, TransportErrorKind};
pub use self::wait::WaitError;

/// An error that ended a call.
///
/// Its methods answer the usual questions: [`may_have_run`](Error::may_have_run),
/// [`is_retryable`](Error::is_retryable), [`retry_after`](Error::retry_after),
/// [`code`](Error::code) and [`request_id`](Error::request_id). [`kind`](Error::kind) contains the
/// details. `Display` and `Debug` print no key, no secret and no body.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    attempts: u32,
    waited: Duration,
    partial: Option<PartialResponse>,
    /// The base URL of the client, for the message of a redirect.
    base_url: Option<String>,
    retry: Retry,
    starts_run: bool,
    /// The duration of the timeout that elapsed.
    timeout: Option<Duration>,
    /// The time of day when the call failed.
    at: Option<SystemTime>,
    /// The end of the pause because of the daily cap, if the call waited for it.
    paused_until: Option<SystemTime>,
    request_id: Option<RequestId>,
}

/// The kind of an [`Error`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is invalid. Nothing was sent.
    Invalid(InvalidInput),
    /// The credential provider returned an error instead of a key. Nothing was sent.
    Credentials(BoxError),
    /// The [`RunLimiter`](crate::RunLimiter) or the
    /// [`PendingRuns`](crate::callback::PendingRuns) failed before the call was sent. Nothing was
    /// sent.
    Store(BoxError),
    /// No complete response was received: the connection failed, or a timeout elapsed.
    Transport(TransportError),
    /// The service sent an error response.
    Api(ApiError),
    /// The operation succeeded, but its response could not be decoded.
    Decode(DecodeError),
    /// A stream contains an invalid event, reported a failed run, or was cut.
    Stream(StreamError),
    /// A stream was requested, but the success response is not an event stream. [`Error::body`]
    /// returns its body.
    NotAStream,
    /// A page of a list refers to a page that was already fetched.
    RepeatedCursor(RepeatedCursor),
    /// Waiting for a run ended without the outcome of the run.
    Wait(Box<WaitError>),
    /// The body of the response is larger than
    /// [`max_response_bytes`](crate::ClientBuilder::max_response_bytes).
    TooLarge {
        /// The configured limit, in bytes.
        limit: usize,
    },
}

/// The part of a response that was received before the call failed.
#[derive(Clone)]
#[non_exhaustive]
pub struct PartialResponse {
    /// The HTTP status of the response.
    pub status: StatusCode,
    /// The headers of the response.
    pub headers: HeaderMap,
    /// The received part of the body. For a stream, only bytes that were not returned as events.
    pub body: Bytes,
    /// The total number of bytes of the body that were received, after decompression.
    pub received: u64,
}

impl fmt::Debug for PartialResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartialResponse")
            .field("status", &self.status)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl Error {
    pub(crate) fn new(operation: &'static str, kind: ErrorKind) -> Self {
        let proxy_response = match &kind {
            ErrorKind::Transport(error) => error.proxy_response(),
            _ => None,
        };
        let partial = proxy_response.map(|response| PartialResponse {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.body().clone(),
            received: response.body().len() as u64,
        });
        Self {
            inner: Box::new(Inner {
                kind,
                operation,
                attempts: 0,
                waited: Duration::ZERO,
                partial,
                base_url: None,
                retry: Retry::OnlyIfNotSent,
                starts_run: true,
                timeout: None,
                at: None,
                paused_until: None,
                request_id: None,
            }),
        }
    }

    pub(crate) fn with_attempts(mut self, attempts: u32, waited: Duration) -> Self {
        self.inner.attempts = attempts;
        self.inner.waited = waited;
        self
    }

    /// Adds the timeouts of the call, for the message of one that elapsed.
    pub(crate) fn with_timeouts(mut self, timeouts: &Timeouts) -> Self {
        self.inner.timeout = match self.timeout() {
            Some(Timeout::Connect) => [timeouts.connect, timeouts.deadline].into_iter().flatten().min(),
            Some(Timeout::Headers) => timeouts.headers,
            Some(Timeout::Idle) => timeouts.idle,
            Some(Timeout::Queue | Timeout::Deadline) => timeouts.deadline,
            None => None,
        };
        self
    }

    /// Sets the retry rule of the operation, and whether the operation starts a run.
    pub(crate) fn with_operation(mut self, operation: &Operation) -> Self {
        self.inner.retry = operation.retry;
        self.inner.starts_run = operation.starts_run;
        self
    }

    /// Adds the time of the failure.
    pub(crate) fn failed_at(mut self, at: SystemTime) -> Self {
        self.inner.at = Some(at);
        self
    }

    /// Adds the base URL of the client to a redirect.
    pub(crate) fn with_base_url(mut self, base_url: &str) -> Self {
        if self.status().is_some_and(|status| status.is_redirection()) {
            self.inner.base_url = Some(base_url.to_owned());
        }
        self
    }

    /// Sets the time until which a run limiter starts no run because of the daily cap.
    pub(crate) fn with_paused_until(mut self, until: Option<SystemTime>) -> Self {
        self.inner.paused_until = until;
        self
    }

    /// Returns the event that the retry engine receives for this error, if the error is one of an
    /// attempt.
    pub(crate) fn retry_event(&self) -> Option<RetryEvent<'_>> {
        self.inner.retry_event()
    }

    pub(crate) fn with_request_id(mut self, request_id: Option<RequestId>) -> Self {
        self.inner.request_id = request_id;
        self
    }

    /// Returns whether a run may still be active on the server, where it occupies a slot.
    pub(crate) fn run_may_be_active(&self) -> bool {
        match &self.inner.kind {
            ErrorKind::Transport(error) => !error.is_not_sent(),
            ErrorKind::Api(error) => matches!(error.status.as_u16(), 408 | 499 | 502..=504),
            _ => false,
        }
    }

    pub(crate) fn with_partial(mut self, partial: Option<PartialResponse>) -> Self {
        self.inner.partial = partial;
        self
    }

    pub(crate) fn from_core(operation: &'static str, error: fetch_hive_core::Error) -> Self {
        use fetch_hive_core::Error as Core;
        let kind = match error {
            Core::Invalid(invalid) => ErrorKind::Invalid(*invalid),
            Core::Api(api) => ErrorKind::Api(*api),
            Core::Decode(decode) => ErrorKind::Decode(*decode),
            // The enum is non-exhaustive, although core and client always have the same version.
            _ => ErrorKind::Transport(TransportError::may_have_run(error)),
        };
        Self::new(operation, kind)
    }

    /// Returns the kind of the error, with its details.
    pub fn kind(&self) -> &ErrorKind {
        &self.inner.kind
    }

    /// Converts the error into its kind.
    pub fn into_kind(self) -> ErrorKind {
        self.inner.kind
    }

    /// Returns the name of the operation that failed, such as `invokeWorkflow`.
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// Returns the number of attempts that were sent.
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// Returns the total time of the waits between attempts.
    pub fn waited(&self) -> Duration {
        self.inner.waited
    }

    /// Returns whether the run may have started, and may be charged, although the call failed.
    ///
    /// A direct run whose response was lost has no known request id, and cannot be looked up.
    /// Before you invoke again, decide whether you accept the cost of a second run. For runs that
    /// must not be lost, use callback delivery and set an id in `metadata`.
    ///
    /// It is `false` for an operation that starts no run, such as a look-up.
    pub fn may_have_run(&self) -> bool {
        self.inner.verdict().may_have_run
    }

    /// Returns whether it is safe and useful to retry the call soon.
    ///
    /// It is `true` if the cause may be temporary, and either nothing was started or the operation
    /// is idempotent. It is `false` if a retry is useless, or may run and be charged twice: see
    /// [`may_have_run`](Error::may_have_run). It is also `false` after the daily cap, for which
    /// [`retry_at`](Error::retry_at) returns the start of the next day.
    pub fn is_retryable(&self) -> bool {
        self.inner.verdict().is_retryable && self.inner.paused_until.is_none()
    }

    /// Returns the wait that the service requested, counted from the time of the failure.
    pub fn retry_after(&self) -> Option<Duration> {
        self.api()?.retry_after(self.inner.at.unwrap_or_else(wall_clock))
    }

    /// Returns the time of day from which a retry may succeed, if it is known.
    ///
    /// It is the end of the wait that the service requested, or the next midnight UTC after the
    /// daily cap. A call that waited for a run slot meanwhile returns this midnight, too.
    pub fn retry_at(&self) -> Option<SystemTime> {
        if self.inner.paused_until.is_some() {
            return self.inner.paused_until;
        }
        let at = self.inner.at?;
        let api = self.api()?;
        api.resets_at(at).or_else(|| at.checked_add(api.retry_after(at)?))
    }

    /// Returns the limit that a response with status 429 reports.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.api()?.rate_limit()
    }

    /// Returns a short type of the error for metrics, which is also the `error.type` of spans.
    ///
    /// It is the status of an error response, such as `503`; `not_sent`, `may_have_run`, or a name
    /// such as `timeout_deadline` for transport errors; and otherwise a name of the kind. There are
    /// few distinct values.
    pub fn error_type(&self) -> &str {
        match &self.inner.kind {
            ErrorKind::Invalid(_) => "invalid",
            ErrorKind::Credentials(_) => "credentials",
            ErrorKind::Store(_) => "store",
            ErrorKind::Transport(error) => match error.kind() {
                TransportErrorKind::NotSent => "not_sent",
                TransportErrorKind::MayHaveRun => "may_have_run",
                TransportErrorKind::Timeout(Timeout::Queue) => "timeout_queue",
                TransportErrorKind::Timeout(Timeout::Connect) => "timeout_connect",
                TransportErrorKind::Timeout(Timeout::Headers) => "timeout_headers",
                TransportErrorKind::Timeout(Timeout::Idle) => "timeout_idle",
                TransportErrorKind::Timeout(Timeout::Deadline) => "timeout_deadline",
            },
            ErrorKind::Api(error) => error.status.as_str(),
            ErrorKind::Decode(_) => "decode",
            ErrorKind::Stream(StreamError::Cut { .. }) => "stream_cut",
            ErrorKind::Stream(StreamError::Failed { .. }) => "stream_failed",
            ErrorKind::Stream(_) => "stream",
            ErrorKind::NotAStream => "not_a_stream",
            ErrorKind::Wait(_) => "wait",
            ErrorKind::RepeatedCursor(_) => "repeated_cursor",
            ErrorKind::TooLarge { .. } => "too_large",
        }
    }

    /// Returns the timeout that elapsed, if that is the cause.
    pub fn timeout(&self) -> Option<Timeout> {
        match &self.inner.kind {
            ErrorKind::Transport(error) => match error.kind() {
                TransportErrorKind::Timeout(timeout) => Some(timeout),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the error response of the service, if there is one.
    pub fn api(&self) -> Option<&ApiError> {
        match &self.inner.kind {
            ErrorKind::Api(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the error of a stream, if that is the cause.
    pub fn stream(&self) -> Option<&StreamError> {
        match &self.inner.kind {
            ErrorKind::Stream(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the error code of an error response, or of a run that failed during its stream.
    pub fn code(&self) -> Option<&ErrorCode> {
        match &self.inner.kind {
            ErrorKind::Api(error) => error.code(),
            ErrorKind::Stream(error) => error.code(),
            _ => None,
        }
    }

    /// Returns the status of the response, if its head was received. It is that of the proxy if a
    /// [proxy refused to connect](TransportError::proxy_response).
    pub fn status(&self) -> Option<StatusCode> {
        match &self.inner.kind {
            ErrorKind::Api(error) => Some(error.status),
            ErrorKind::Decode(error) => Some(error.status),
            _ => self.inner.partial.as_ref().map(|partial| partial.status),
        }
    }

    /// Returns the received part of the response body.
    pub fn body(&self) -> Option<&Bytes> {
        match &self.inner.kind {
            ErrorKind::Api(error) => Some(&error.body),
            ErrorKind::Decode(error) => Some(&error.body),
            _ => self.inner.partial.as_ref().map(|partial| &partial.body),
        }
    }

    /// Returns the headers of the response, if they were received.
    pub fn headers(&self) -> Option<&HeaderMap> {
        match &self.inner.kind {
            ErrorKind::Api(error) => Some(&error.headers),
            ErrorKind::Decode(error) => Some(&error.headers),
            _ => self.inner.partial.as_ref().map(|partial| &partial.headers),
        }
    }

    /// Returns the id of the run that the error belongs to, if the response contains it.
    pub fn request_id(&self) -> Option<RequestId> {
        let named = match &self.inner.kind {
            ErrorKind::Api(error) => error.request_id(),
            ErrorKind::Decode(error) => error.request_id(),
            ErrorKind::Stream(error) => error.request_id().cloned(),
            ErrorKind::Wait(error) => error.request_id().cloned(),
            _ => None,
        };
        let partial =
            || self.inner.partial.as_ref().and_then(|partial| find_request_id(&partial.headers, &partial.body));
        named.or_else(|| self.inner.request_id.clone()).or_else(partial)
    }
}

impl From<InvalidInput> for Error {
    fn from(invalid: InvalidInput) -> Self {
        Self::new("", ErrorKind::Invalid(invalid))
    }
}

impl std::error::Error for Inner {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Credentials(source) | ErrorKind::Store(source) => Some(source.as_ref()),
            ErrorKind::Transport(error) => std::error::Error::source(error),
            ErrorKind::Wait(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}
