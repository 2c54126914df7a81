use std::error::Error as StdError;
use std::fmt;

/// Any error that can cross threads.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// A time limit that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// No place among the client's [`max_concurrent_runs`](crate::ClientBuilder::max_concurrent_runs) in time. Nothing was sent.
    Queue,
    /// No connection in time: name lookup, TCP, proxy and TLS together. Nothing was sent.
    Connect,
    /// No head of a response in time.
    Headers,
    /// No further piece of the response's body in time.
    Idle,
    /// The whole call took too long.
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

/// What a failed exchange means for the run behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The request surely never reached the service: no connection could be made, or the one at hand was closed before it took the
    /// request. Sending it again cannot run anything twice.
    NotSent,
    /// The request, or a part of it, was sent. It may have been processed.
    MayHaveRun,
    /// A limit ran out. After all but [`Timeout::Queue`] and [`Timeout::Connect`] the request may have been processed.
    Timeout(Timeout),
}

/// Why an exchange ended without a whole response.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Option<BoxError>,
}

impl TransportError {
    /// The request surely never reached the service.
    pub fn not_sent(source: impl Into<BoxError>) -> Self {
        Self { kind: TransportErrorKind::NotSent, source: Some(source.into()) }
    }

    /// The request may have been processed. When in doubt, this one.
    pub fn may_have_run(source: impl Into<BoxError>) -> Self {
        Self { kind: TransportErrorKind::MayHaveRun, source: Some(source.into()) }
    }

    /// A limit ran out.
    pub fn timeout(timeout: Timeout) -> Self {
        Self { kind: TransportErrorKind::Timeout(timeout), source: None }
    }

    /// What it means for the run.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether the request surely never reached the service.
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
            TransportErrorKind::Timeout(timeout) => write!(f, "the {timeout} limit ran out"),
        }
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
