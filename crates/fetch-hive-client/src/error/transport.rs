use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

/// Any error that can be sent between threads.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// The number of pooled connections that may be found closed before an attempt counts as failed.
pub(crate) const MAX_STALE_CONNECTIONS: usize = 5;

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
    proxy: Option<ProxyRejection>,
    stale_connection: bool,
}

/// The response with which a proxy refused to connect to the service.
#[derive(Clone)]
pub(crate) struct ProxyRejection(pub(crate) Arc<Response<Bytes>>);

impl fmt::Display for ProxyRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy refused to connect to the service: {}", self.0.status())?;
        match self.0.status().as_u16() {
            407 => f.write_str("; check the user name and the password in the proxy URL"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for ProxyRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyRejection({})", self.0.status())
    }
}

impl StdError for ProxyRejection {}

impl TransportError {
    /// Creates an error for a request that certainly did not reach the service.
    pub fn not_sent(source: impl Into<BoxError>) -> Self {
        let source = source.into();
        let proxy = find::<ProxyRejection>(&*source).cloned();
        Self { kind: TransportErrorKind::NotSent, source: Some(source), proxy, stale_connection: false }
    }

    /// Creates an error for a request that may have been processed. Use this one when in doubt.
    pub fn may_have_run(source: impl Into<BoxError>) -> Self {
        Self { source: Some(source.into()), ..Self::of_kind(TransportErrorKind::MayHaveRun) }
    }

    /// Creates an error for a pooled connection that had been closed before the first byte of the
    /// request was written.
    ///
    /// The client sends the request again at once, up to five times, and does not count these
    /// attempts.
    pub fn stale_connection(source: impl Into<BoxError>) -> Self {
        Self { stale_connection: true, ..Self::not_sent(source) }
    }

    fn of_kind(kind: TransportErrorKind) -> Self {
        Self { kind, source: None, proxy: None, stale_connection: false }
    }

    /// Creates an error for a timeout that elapsed.
    pub fn timeout(timeout: Timeout) -> Self {
        Self::of_kind(TransportErrorKind::Timeout(timeout))
    }

    /// Creates an error for a proxy that refused to connect to the service, with its response.
    ///
    /// The request was not sent. It is retried after 408, 429 and 5xx only.
    pub fn proxy_rejected(response: Response<Bytes>) -> Self {
        Self::not_sent(ProxyRejection(Arc::new(response)))
    }

    /// Returns the response of a proxy that refused to connect to the service.
    pub fn proxy_response(&self) -> Option<&Response<Bytes>> {
        self.proxy.as_ref().map(|ProxyRejection(response)| &**response)
    }

    /// Returns whether the request may have started a run, and which timeout elapsed.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns whether a pooled connection had been closed before the first byte of the request was
    /// written.
    pub fn is_stale_connection(&self) -> bool {
        self.stale_connection
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
            TransportErrorKind::NotSent => match &self.proxy {
                Some(rejection) => rejection.fmt(f),
                None => f.write_str("the request could not be sent"),
            },
            TransportErrorKind::MayHaveRun => f.write_str("the connection failed after the request was sent"),
            TransportErrorKind::Timeout(timeout) => TimeoutElapsed { timeout, after: None }.fmt(f),
        }
    }
}

/// Returns the first error of a type in a chain of sources.
pub(crate) fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // An I/O error does not return the error inside of it as its source.
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
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
