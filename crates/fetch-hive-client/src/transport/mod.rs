//! The seam between the client and an HTTP stack, and the transports that are included.

#[cfg(feature = "blocking")]
pub(crate) mod blocking;
mod body;
#[cfg(any(feature = "hyper", feature = "ureq"))]
mod encoding;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(any(feature = "hyper", feature = "ureq"))]
mod proxy;
mod request_body;
#[cfg(any(feature = "hyper", feature = "ureq"))]
mod tls;
#[cfg(feature = "ureq")]
mod ureq;

use async_trait::async_trait;
use fetch_hive_core::RequestBody;

pub use self::body::ResponseBody;
#[cfg(feature = "hyper")]
pub use self::hyper::{HyperTransport, HyperTransportBuilder};
pub(crate) use self::request_body::check_files;
pub use self::request_body::{FileError, RequestBodyReader, buffer_request};
#[cfg(feature = "ureq")]
pub use self::ureq::{UreqTransport, UreqTransportBuilder};
use crate::error::TransportError;

/// An HTTP stack that sends the requests of a client.
///
/// # Contract
///
/// The names in parentheses are those of the checks of the conformance suite, with which you can
/// test any transport.
///
/// The response:
/// - Every HTTP status is returned as `Ok` with its body, including 4xx and 5xx. `Err` means that
///   there is no response. (`statuses`)
/// - `send` returns as soon as the head of the response is received. The body, of any size, is
///   passed on as it arrives. (`headers-first`, `streaming`, `large-body`)
/// - A truncated body ends with an error, and never looks like a shorter body. (`truncated-body`)
/// - The body of a 204 or 304, and an empty body, end at once. Responses with 1xx are skipped.
///   (`empty-body`, `informational`)
/// - All values of a repeated header are kept, in order. (`repeated-headers`)
/// - A transport may request an encoding of the body if it decodes it and removes
///   `content-encoding`. (`encoding`)
///
/// The request:
/// - The method, the URL, the headers (including repeated ones) and the body are sent unchanged.
///   Headers that the protocol needs (`host`, `content-length`) may be added. The URL is absolute,
///   and there is no `host` header. A low-level stack, such as a connection of hyper, needs the
///   path and that header instead. (`request-head`, `upload`)
/// - A body that contains a file is read while it is sent, with
///   [`RequestBodyReader`], and its exact length
///   is sent as `content-length`. A stack that needs the whole body in memory can use
///   [`buffer_request`]. If reading fails with a [`FileError`], the
///   server must not receive a complete body, and the error is `not_sent`. (`upload`)
/// - A response that arrives before the whole body is sent is returned, even if the server then
///   closes the connection. (`early-response`)
/// - The request is sent once: no redirect is followed and nothing is retried, even if a pooled
///   connection turns out to be closed. No cookies are stored. (`redirects`, `retries`, `cookies`)
/// - Several requests can be in progress at the same time. (`concurrency`)
///
/// Errors, cancellation and timeouts:
/// - A [`TransportError`] is [`not_sent`](TransportError::not_sent) only if the request certainly
///   did not reach the service, for example because no connection could be opened. Otherwise, a
///   retry could be charged twice. All errors after the first byte was written are
///   [`may_have_run`](TransportError::may_have_run). (`connection-refused`, `lost-response`)
/// - Dropping the future, or the body of the response, closes the connection, and nothing continues
///   to read from it. (`drop-request`, `drop-body`)
/// - The extensions of the request contain the [`Operation`](crate::Operation) and the
///   [`Timeouts`](crate::Timeouts) of the attempt. The transport enforces `connect`, because only
///   the transport knows when it is connected, and returns [`TransportError::timeout`] with
///   [`Timeout::Connect`](crate::Timeout::Connect). The client enforces `headers`, `idle` and
///   `deadline` by dropping. (`connect-timeout`)
/// - A transport that cannot be cancelled by dropping enforces all timeouts itself, and reports
///   which one elapsed: `headers` until the head is received, `idle` between two chunks of the body
///   and not before the head, and `deadline` from `send` to the end of the body. (`own-timeouts`)
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends one request, and returns when the head of its response is received.
    ///
    /// # Errors
    ///
    /// Returns a [`TransportError`] if there is no response. Its kind states whether the request
    /// may have been processed.
    async fn send(&self, request: http::Request<RequestBody>) -> Result<http::Response<ResponseBody>, TransportError>;
}
