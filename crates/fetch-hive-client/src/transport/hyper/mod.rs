//! The included transport of the async client: hyper with rustls.

mod builder;
mod connect;
mod gzip;
mod idle;
mod open;
mod pool;
mod resolver;
mod send_body;
mod stream_limit;
mod task;
mod tracked;
mod tunnel;

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_core::{RequestBody, Timeouts};
use http::Uri;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::Parts;
use tokio::runtime::{self, Handle};

pub use self::builder::HyperTransportBuilder;
use self::connect::Proxies;
use self::pool::{Connection, Pool};
use self::send_body::SendBody;
pub(super) use self::tracked::TrackedBody;
use super::Transport;
use super::body::ResponseBody;
use super::encoding::accept_gzip;
use super::tls::is_rejected_certificate;
use crate::error::{Timeout, TransportError};

/// A [`Transport`] that uses hyper for HTTP/1.1 and HTTP/2, rustls for TLS, and a connection pool.
///
/// - Server certificates are verified against the platform's roots, or against the bundled ones if
///   the platform has none.
/// - The variables `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are respected, except
///   for loopback hosts. An explicit proxy is used for all hosts.
/// - A response may have 64 KiB of headers unless another limit is set, and over HTTP/1.1 at most
///   100 headers.
/// - An idle connection is kept for at most 90 seconds unless another timeout is set. Keep-alive
///   pings detect an HTTP/2 connection that a network forgot.
/// - A host with several addresses is tried at each of them within the connect timeout.
/// - Another HTTP/2 connection is opened when the server allows no more streams on the first.
/// - gzip responses are requested and decoded. Redirects are not followed, and nothing is retried.
/// - Sending needs a tokio runtime with I/O and time enabled, but building the transport does not.
///   Each runtime has separate connections.
pub struct HyperTransport {
    pool: Pool,
    proxies: Proxies,
    max_header_bytes: u32,
}

impl HyperTransport {
    /// Returns a builder for a transport.
    pub fn builder() -> HyperTransportBuilder {
        HyperTransportBuilder::default()
    }

    async fn send_request(
        &self,
        mut request: http::Request<SendBody>,
        connect_timeout: Option<Duration>,
        runtime: runtime::Id,
    ) -> Result<http::Response<TrackedBody>, TransportError> {
        let host = self.pool.host(request.uri(), runtime)?;
        let ready = host.ready();
        let was_pooled = ready.is_some();
        let mut connection = if let Some(connection) = ready {
            connection
        } else {
            let connecting = Box::pin(host.connect(request.uri(), connect_timeout));
            within_connect_timeout(connect_timeout, connecting).await?
        };
        let sent = match &mut connection {
            Connection::Http1(connection) => {
                request.headers_mut().entry(HOST).or_insert_with(|| host.header_value.clone());
                if !connection.proxied {
                    keep_path_only(request.uri_mut());
                }
                connection.sender.send_request(request).await
            }
            Connection::Http2(connection) => connection.sender.send_request(request).await,
        };
        let error = match sent {
            Ok(response) => return Ok(response.map(|body| TrackedBody::new(body, connection))),
            Err(error) => error,
        };
        let error = if connection.is_stale() || (was_pooled && error.is_canceled()) {
            host.found_stale();
            TransportError::stale_connection(error)
        } else {
            classify(error)
        };
        if error.is_not_sent() {
            host.reset_protocol(match &connection {
                Connection::Http1(_) => None,
                Connection::Http2(connection) => Some(connection),
            });
        }
        Err(error)
    }
}

async fn within_connect_timeout<C>(
    timeout: Option<Duration>,
    connecting: impl Future<Output = Result<C, TransportError>>,
) -> Result<C, TransportError> {
    let Some(timeout) = timeout else { return connecting.await };
    let elapsed = |_| Err(TransportError::timeout(Timeout::Connect));
    tokio::time::timeout(timeout, connecting).await.unwrap_or_else(elapsed)
}

/// Reduces a URL to the path and query that HTTP/1.1 sends to a server.
fn keep_path_only(uri: &mut Uri) {
    let mut parts = Parts::default();
    parts.path_and_query = uri.path_and_query().cloned();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

#[async_trait]
impl Transport for HyperTransport {
    async fn send(&self, request: http::Request<RequestBody>) -> Result<http::Response<ResponseBody>, TransportError> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(TransportError::not_sent("the hyper transport needs a tokio runtime: call it within one"));
        };
        let timeouts = request.extensions().get::<Timeouts>().copied().unwrap_or_default();
        let (parts, body) = request.into_parts();
        let (body, file_error) = SendBody::new(body).map_err(TransportError::not_sent)?;
        let mut request = http::Request::from_parts(parts, body);
        accept_gzip(request.headers_mut());
        if let Some(authorization) = self.proxies.authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        // If another timeout elapses while connecting, the error still states that nothing was
        // sent.
        let connect_timeout = [timeouts.connect, timeouts.headers, timeouts.deadline].into_iter().flatten().min();
        let sent = self.send_request(request, connect_timeout, runtime.id()).await;
        // Without the rest of a file, the server cannot process the request.
        let file_error = || file_error.and_then(|error| error.get().cloned());
        let response = sent.map_err(|error| file_error().map_or(error, TransportError::not_sent))?;
        // hyper's own limit is that of a buffer, which may hold more than the headers.
        if header_bytes(response.headers()) > self.max_header_bytes as usize {
            return Err(TransportError::may_have_run(format!(
                "the response headers exceed {} bytes; raise `max_header_bytes`",
                self.max_header_bytes
            )));
        }
        Ok(gzip::decode(response))
    }
}

fn header_bytes(headers: &http::HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// Converts an error of hyper.
///
/// The request was not sent if the connection had ended before it accepted the request, or if the
/// server states that it did not process it.
fn classify(error: hyper::Error) -> TransportError {
    let not_sent = || {
        let mut cause = error.source();
        while let Some(error) = cause {
            if error.downcast_ref::<h2::Error>().is_some_and(is_unprocessed) {
                return true;
            }
            cause = error.source();
        }
        error.is_canceled() || is_rejected_certificate(&error)
    };
    if not_sent() {
        TransportError::not_sent(error)
    } else if error.is_parse() {
        // hyper's client reports headers beyond its limits as one kind with all other invalid
        // responses.
        TransportError::may_have_run(format!(
            "{error}; if the response has many or large headers, raise `max_headers` or `max_header_bytes`"
        ))
    } else {
        TransportError::may_have_run(error)
    }
}

/// Returns whether the server states that it did not process a request (RFC 9113, section 8.7).
///
/// Its stream was refused, or is beyond the last one named by a GOAWAY. Streams that a GOAWAY still
/// covers continue, and end with another error if the connection does.
fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote()
        && (error.is_go_away() || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)))
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport").finish_non_exhaustive()
    }
}
