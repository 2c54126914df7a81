//! Errors of calls and of transports.

mod transport;
mod wait;

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fetch_hive_core::retry::is_transient;
use fetch_hive_core::stream::StreamError;
use fetch_hive_core::types::{ErrorCode, RequestId};
use fetch_hive_core::{ApiError, DecodeError, InvalidInput, RateLimit, RepeatedCursor, Retry, find_request_id};
use http::{HeaderMap, StatusCode};

pub use self::transport::{BoxError, Timeout, TransportError, TransportErrorKind};
pub use self::wait::WaitError;

/// Why a call has no reply.
///
/// It answers what a caller asks: [`may_have_run`](Error::may_have_run), [`is_retryable`](Error::is_retryable),
/// [`retry_after`](Error::retry_after), [`code`](Error::code), [`request_id`](Error::request_id); [`kind`](Error::kind) has the rest.
/// `Display` and `Debug` hold no key, no secret and no body.
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
    retry: Retry,
    /// The time of day when the call failed.
    at: Option<SystemTime>,
    request_id: Option<RequestId>,
}

/// What kind of failure ended a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input was refused before anything was sent.
    Invalid(InvalidInput),
    /// The credential provider had no key; nothing was sent.
    Credentials(BoxError),
    /// There is no whole reply: the connection could not be made, or failed, or a time limit ran out.
    Transport(TransportError),
    /// The service answered with a status that is no success.
    Api(ApiError),
    /// The operation was done, and its reply could not be read.
    Decode(DecodeError),
    /// Something is wrong with a stream: a frame that is no event, a run that failed, a stream that was cut.
    Stream(StreamError),
    /// A stream was asked for, and the success that came is none: a JSON text, or an HTML page. It is in [`Error::body`].
    NotAStream,
    /// The pages of a list go round in circles.
    RepeatedCursor(RepeatedCursor),
    /// The wait for a run ended without its outcome.
    Wait(Box<WaitError>),
    /// The reply's body is larger than the client's limit, in bytes.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

/// What had arrived of a reply when it broke off.
#[derive(Clone)]
#[non_exhaustive]
pub struct PartialResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as far as it came; of a stream, what was not handed over as events.
    pub body: Bytes,
    /// How many bytes of the body came in all, after decompression.
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
        Self {
            inner: Box::new(Inner {
                kind,
                operation,
                attempts: 0,
                waited: Duration::ZERO,
                partial: None,
                retry: Retry::OnlyIfNotSent,
                at: None,
                request_id: None,
            }),
        }
    }

    pub(crate) fn with_attempts(mut self, attempts: u32, waited: Duration) -> Self {
        self.inner.attempts = attempts;
        self.inner.waited = waited;
        self
    }

    /// Adds when the operation may be retried, and the time of the failure.
    pub(crate) fn with_retry(mut self, retry: Retry, at: SystemTime) -> Self {
        self.inner.retry = retry;
        self.inner.at = Some(at);
        self
    }

    pub(crate) fn with_request_id(mut self, request_id: Option<RequestId>) -> Self {
        self.inner.request_id = request_id;
        self
    }

    /// Whether a run may still be under way on the server, and keep its place there.
    pub(crate) fn run_may_be_active(&self) -> bool {
        match &self.inner.kind {
            ErrorKind::Transport(error) => !error.is_not_sent(),
            ErrorKind::Api(error) => matches!(error.status.as_u16(), 408 | 502..=504),
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
            // The enum is open; core and client are of one version.
            _ => ErrorKind::Transport(TransportError::may_have_run(error)),
        };
        Self::new(operation, kind)
    }

    /// What kind of failure it is, with all that is known of it.
    pub fn kind(&self) -> &ErrorKind {
        &self.inner.kind
    }

    /// The kind by value.
    pub fn into_kind(self) -> ErrorKind {
        self.inner.kind
    }

    /// The operation that failed, such as `invokeWorkflow`.
    pub fn operation(&self) -> &'static str {
        self.inner.operation
    }

    /// How often the request was sent, the failed attempts included.
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// How long was waited between the attempts.
    pub fn waited(&self) -> Duration {
        self.inner.waited
    }

    /// Whether the run may have been started, and charged, although there is no reply.
    ///
    /// A direct run whose reply was lost has no request id and cannot be looked up. Before you invoke again, decide whether a second
    /// run is worth its price; for runs that must not be lost use callback delivery, with an id of your own in `metadata`.
    pub fn may_have_run(&self) -> bool {
        match &self.inner.kind {
            ErrorKind::Invalid(_) | ErrorKind::Credentials(_) | ErrorKind::RepeatedCursor(_) => false,
            ErrorKind::Transport(error) => !error.is_not_sent(),
            ErrorKind::Api(error) => error.may_have_run(),
            ErrorKind::Decode(_) | ErrorKind::Stream(_) | ErrorKind::NotAStream | ErrorKind::Wait(_) => true,
            ErrorKind::TooLarge { .. } => {
                self.inner.partial.as_ref().is_none_or(|partial| !partial.status.is_client_error())
            }
        }
    }

    /// Whether the same call may succeed soon, without harm: the reason may pass, and nothing was started, or the operation only reads. A
    /// `false` says that trying again is useless, or may run and charge twice (see [`may_have_run`](Error::may_have_run)). After the
    /// daily cap it is `false` too: [`retry_at`](Error::retry_at) says when the next day begins.
    pub fn is_retryable(&self) -> bool {
        match &self.inner.kind {
            ErrorKind::Credentials(_) => true,
            ErrorKind::Transport(error) => self.inner.retry == Retry::Idempotent || error.is_not_sent(),
            ErrorKind::Api(error) => is_transient(self.inner.retry, error),
            _ => false,
        }
    }

    /// How long the service asked to wait, counted from the moment the call failed.
    pub fn retry_after(&self) -> Option<Duration> {
        self.api()?.retry_after(self.inner.at.unwrap_or_else(SystemTime::now))
    }

    /// From which time of day on another call may succeed: when the wait that the service asked for is over, or, after the daily cap, at the
    /// next midnight UTC. `None` where nobody said.
    pub fn retry_at(&self) -> Option<SystemTime> {
        let at = self.inner.at?;
        let api = self.api()?;
        api.resets_at(at).or_else(|| at.checked_add(api.retry_after(at)?))
    }

    /// Which limit a 429 reports.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.api()?.rate_limit()
    }

    /// A short word for what went wrong, of few distinct values, for metrics: the status of a refusal, such as `503`; `timeout_deadline` and
    /// its like; `not_sent`, `may_have_run`; else the kind. It is what spans have as `error.type`.
    pub fn error_type(&self) -> &str {
        match &self.inner.kind {
            ErrorKind::Invalid(_) => "invalid",
            ErrorKind::Credentials(_) => "credentials",
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

    /// The time limit that ran out, if that was it.
    pub fn timeout(&self) -> Option<Timeout> {
        match &self.inner.kind {
            ErrorKind::Transport(error) => match error.kind() {
                TransportErrorKind::Timeout(timeout) => Some(timeout),
                _ => None,
            },
            _ => None,
        }
    }

    /// The service's refusal, if there was one.
    pub fn api(&self) -> Option<&ApiError> {
        match &self.inner.kind {
            ErrorKind::Api(error) => Some(error),
            _ => None,
        }
    }

    /// What is wrong with a stream, if that was it.
    pub fn stream(&self) -> Option<&StreamError> {
        match &self.inner.kind {
            ErrorKind::Stream(error) => Some(error),
            _ => None,
        }
    }

    /// The machine-readable reason of a refusal, or of a run that failed while it streamed.
    pub fn code(&self) -> Option<&ErrorCode> {
        match &self.inner.kind {
            ErrorKind::Api(error) => error.code(),
            ErrorKind::Stream(error) => error.code(),
            _ => None,
        }
    }

    /// The status of the reply, if its head came in.
    pub fn status(&self) -> Option<StatusCode> {
        match &self.inner.kind {
            ErrorKind::Api(error) => Some(error.status),
            ErrorKind::Decode(error) => Some(error.status),
            _ => self.inner.partial.as_ref().map(|partial| partial.status),
        }
    }

    /// The body of the reply, as far as it came in.
    pub fn body(&self) -> Option<&Bytes> {
        match &self.inner.kind {
            ErrorKind::Api(error) => Some(&error.body),
            ErrorKind::Decode(error) => Some(&error.body),
            _ => self.inner.partial.as_ref().map(|partial| &partial.body),
        }
    }

    /// The headers of the reply, if they came in.
    pub fn headers(&self) -> Option<&HeaderMap> {
        match &self.inner.kind {
            ErrorKind::Api(error) => Some(&error.headers),
            ErrorKind::Decode(error) => Some(&error.headers),
            _ => self.inner.partial.as_ref().map(|partial| &partial.headers),
        }
    }

    /// The run that the failure belongs to, if the reply named one.
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

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, attempts, waited, partial, .. } = &*self.inner;
        f.debug_struct("Error")
            .field("operation", operation)
            .field("kind", kind)
            .field("attempts", attempts)
            .field("waited", waited)
            .field("partial", partial)
            .field("request_id", &self.request_id())
            .finish()
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation;
        match &self.kind {
            ErrorKind::Invalid(invalid) if operation.is_empty() => write!(f, "{invalid}")?,
            ErrorKind::Invalid(invalid) => write!(f, "{operation}: {invalid}")?,
            ErrorKind::Credentials(_) => {
                write!(f, "{operation}: the credential provider gave no key; nothing was sent")?;
            }
            ErrorKind::Transport(error) => {
                write!(f, "{operation}: {error}")?;
                f.write_str(if self.retry == Retry::Idempotent {
                    "; it may be tried again"
                } else if error.is_not_sent() {
                    "; nothing was started, so it may be tried again"
                } else {
                    "; the operation may have been done: look before you try again"
                })?;
            }
            ErrorKind::Api(error) => write!(f, "{error}")?,
            ErrorKind::RepeatedCursor(error) => write!(f, "{operation}: {error}")?,
            ErrorKind::Stream(error) => write!(f, "{operation}: {error}")?,
            ErrorKind::Wait(error) => write!(f, "{operation}: {error}")?,
            ErrorKind::NotAStream => {
                write!(f, "{operation} was answered with a success that is no event stream; its body is in the error")?;
            }
            ErrorKind::Decode(error) => write!(f, "{error}")?,
            ErrorKind::TooLarge { limit } => {
                write!(
                    f,
                    "{operation}: the reply is larger than the limit of {limit} bytes; raise `max_response_bytes`"
                )?;
            }
        }
        if let Some(partial) = &self.partial {
            write!(f, " (the reply broke off: {}, {} bytes of its body)", partial.status, partial.received)?;
        }
        match (self.attempts, self.waited) {
            (0 | 1, _) => {}
            (attempts, Duration::ZERO) => write!(f, " ({attempts} attempts)")?,
            (attempts, waited) => {
                write!(f, " ({attempts} attempts, {:.1} s waited)", waited.as_secs_f64())?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Inner {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Credentials(source) => Some(source.as_ref()),
            ErrorKind::Transport(error) => std::error::Error::source(error),
            ErrorKind::Wait(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}
