use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// Any error that can be sent between threads.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// The timeout that elapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// The call got no run slot in time because of
    /// [`max_concurrent_runs`](crate::ClientBuilder::max_concurrent_runs). Nothing was sent.
    Queue,
    /// No connection was established in time, including name lookup, TCP, the proxy and TLS.
    /// Nothing was sent.
    Connect,
    /// The head of the response was not received in time.
    Headers,
    /// The next chunk of the response body was not received in time.
    Idle,
    /// The whole call did not finish in time.
    Deadline,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::Headers => "headers",
            Self::Idle => "idle",
            Self::Deadline => "deadline",
        })
    }
}

/// States whether a request that failed in transport may have started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The request certainly did not reach the service: no connection could be opened, or the
    /// pooled connection was closed before it accepted the request. Sending it again cannot run
    /// anything twice.
    NotSent,
    /// At least a part of the request was sent, so it may have been processed.
    MayHaveRun,
    /// A timeout elapsed. The request may have been processed, except after [`Timeout::Queue`] and
    /// [`Timeout::Connect`].
    Timeout(Timeout),
}

/// An error that occurs when a transport receives no complete response.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Option<BoxError>,
}

impl TransportError {
    /// Creates an error for a request that certainly did not reach the service.
    pub fn not_sent(source: impl Into<BoxError>) -> Self {
        Self { kind: TransportErrorKind::NotSent, source: Some(source.into()) }
    }

    /// Creates an error for a request that may have been processed. Use this one when in doubt.
    pub fn may_have_run(source: impl Into<BoxError>) -> Self {
        Self { kind: TransportErrorKind::MayHaveRun, source: Some(source.into()) }
    }

    /// Creates an error for a timeout that elapsed.
    pub fn timeout(timeout: Timeout) -> Self {
        Self { kind: TransportErrorKind::Timeout(timeout), source: None }
    }

    /// Returns whether the request may have started a run, and which timeout elapsed.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns whether the request certainly did not reach the service.
    pub fn is_not_sent(&self) -> bool {
        matches!(
            self.kind,
            TransportErrorKind::NotSent | TransportErrorKind::Timeout(Timeout::Connect | Timeout::Queue)
        )
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TransportErrorKind::NotSent => f.write_str("the request could not be sent"),
            TransportErrorKind::MayHaveRun => f.write_str("the connection failed after the request was sent"),
            TransportErrorKind::Timeout(timeout) => TimeoutElapsed { timeout, after: None }.fmt(f),
        }
    }
}

/// The message for a timeout, with its duration if that is known, and the setting that changes it.
pub(super) struct TimeoutElapsed {
    pub(super) timeout: Timeout,
    pub(super) after: Option<Duration>,
}

impl fmt::Display for TimeoutElapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, setting) = match self.timeout {
            Timeout::Queue => ("no run slot was free", "timeout or max_concurrent_runs"),
            Timeout::Connect => ("not connected", "connect_timeout or timeout"),
            Timeout::Headers => ("no response", "headers_timeout"),
            Timeout::Idle => ("no more data", "idle_timeout"),
            Timeout::Deadline => ("not finished", "timeout"),
        };
        match self.after {
            Some(after) => write!(f, "{what} within {} s ({setting})", after.as_secs_f64()),
            None => write!(f, "{what} in time ({setting})"),
        }
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
