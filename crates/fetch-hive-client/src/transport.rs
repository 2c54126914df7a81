use std::error::Error as StdError;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ResponseBody;

/// Any error that can cross threads.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// An HTTP stack, as the client sees it: one request in, one response out.
///
/// # Contract
///
/// The names in brackets are those of the checks of the feature `conformance`, which any transport can be put through.
///
/// The response:
/// - Every HTTP status is `Ok`, 4xx and 5xx too, with its body. `Err` means that there is no response. (`statuses`)
/// - It returns as soon as the head of the response is in, and hands the body over as it arrives, of any size. (`headers-first`, `streaming`,
///   `large-body`)
/// - A body that breaks off ends with an error, and never as a shorter body. (`cut-body`)
/// - 204, 304 and a body of no bytes end at once; responses with 1xx are passed over. (`empty-body`, `informational`)
/// - Each value of a repeated header is kept, in order. (`repeated-headers`)
/// - It may ask for an encoding of the body if it undoes it, and removes `content-encoding` then. (`encoding`)
///
/// The request:
/// - It is sent as it is: method, URL, headers (repeated ones too) and the body byte for byte. It may add what its protocol needs (`host`,
///   `content-length`). The URL is absolute, and there is no `host` header: a stack below the level of a client, such as a connection of hyper, wants
///   the path alone and that header. (`request-head`, `upload`)
/// - It is sent once: no redirect is followed, nothing is repeated, also not when a kept connection turns out to be closed. No cookies are kept.
///   (`redirects`, `repeats`, `cookies`)
/// - Several are under way at once. (`concurrency`)
///
/// Its end:
/// - A [`TransportError`] is [`not_sent`](TransportError::not_sent) only where the request surely never reached the service, as when no
///   connection could be made: a run that is repeated after it would otherwise be charged twice. All else, after the first byte of the request was
///   written, is [`may_have_run`](TransportError::may_have_run). (`refused`, `lost-reply`)
/// - Dropping the future, or the response's body, gives the connection up: the exchange ends, and nothing goes on reading it. (`drop-request`,
///   `drop-body`)
/// - The request's extensions carry the [`Operation`](crate::Operation) and the [`Timeouts`](crate::Timeouts) of the attempt. `connect` is for the
///   transport, which alone knows when it is connected; it ends as [`TransportError::timeout`] with [`Timeout::Connect`]. The client enforces
///   `headers`, `idle` and `deadline` by dropping. (`connect-limit`)
/// - A transport that cannot be cancelled by dropping enforces all of them itself, and says which one ran out: `headers` until the head is in, `idle`
///   between two pieces of the body and not before the head, `deadline` from `send` to the end of the body. (`own-timeouts`)
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends one request.
    ///
    /// # Errors
    ///
    /// [`TransportError`] when there is no response; its kind says whether the request may have been processed.
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<ResponseBody>, TransportError>;
}

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
