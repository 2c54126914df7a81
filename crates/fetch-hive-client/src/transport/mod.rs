//! The seam between the client and an HTTP stack, and the transports that are included.

#[cfg(feature = "blocking")]
pub(crate) mod blocking;
mod body;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(any(feature = "hyper", feature = "ureq"))]
mod proxy;
#[cfg(any(feature = "hyper", feature = "ureq"))]
mod tls;
#[cfg(feature = "ureq")]
mod ureq;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::body::ResponseBody;
#[cfg(feature = "hyper")]
pub use self::hyper::{HyperTransport, HyperTransportBuilder};
#[cfg(feature = "ureq")]
pub use self::ureq::{UreqTransport, UreqTransportBuilder};
use crate::error::TransportError;

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
