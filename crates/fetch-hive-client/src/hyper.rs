//! The transport that is included: hyper with rustls.

mod connect;
mod gzip;
mod idle;
mod open;
mod pool;
mod tls;

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_core::{InvalidInput, Timeouts};
use http::Uri;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::Parts;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::{self, Handle};

use self::connect::{Proxies, Routes};
pub(crate) use self::idle::Tracked;
use self::idle::is_stale;
use self::open::Opener;
use self::pool::{Connection, Pool};
use crate::{Error, ResponseBody, Timeout, Transport, TransportError};

/// HTTP/1.1 and HTTP/2 by hyper, TLS by rustls, with pooled connections.
///
/// - Certificates are checked against the platform's roots; where it has none, against the bundled ones.
/// - `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are honoured, but never for a loopback host; an explicit proxy always is.
/// - The head of a reply has at most 64 KiB, unless another limit is set, and over HTTP/1.1 at most 100 headers.
/// - A connection that nobody uses is kept for 90 seconds at the most, unless another limit is set.
/// - gzip is accepted and undone. No redirect is followed and nothing is repeated.
/// - It needs a tokio runtime with I/O and time when it sends, and none when it is made. Each runtime has connections of its own.
pub struct HyperTransport {
    pool: Pool,
    proxies: Proxies,
    max_header_bytes: u32,
}

impl HyperTransport {
    /// A transport with a configuration of its own.
    pub fn builder() -> HyperTransportBuilder {
        HyperTransportBuilder::default()
    }

    async fn exchange(
        &self,
        mut request: http::Request<Full<Bytes>>,
        connect: Option<Duration>,
        runtime: runtime::Id,
    ) -> Result<http::Response<Tracked>, TransportError> {
        let host = self.pool.host(request.uri(), runtime)?;
        let mut connection = host.ready();
        if let Some(Connection::Http2(found)) = &connection {
            // The runtime may not have run for a while, and a connection may have ended meanwhile. HTTP/2 leaves no way to ask the
            // socket, so the tasks of the connections get a turn before one of them is taken.
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            if found.sender.is_closed() {
                connection = host.ready();
            }
        }
        let connection = match connection {
            Some(connection) => connection,
            None => opened(connect, Box::pin(host.wait(request.uri()))).await?,
        };
        let (error, failed) = match connection {
            Connection::Http1(mut connection) => {
                request.headers_mut().entry(HOST).or_insert_with(|| host.name.clone());
                if !connection.proxied {
                    strip(request.uri_mut());
                }
                match connection.sender.send_request(request).await {
                    Ok(response) => return Ok(response.map(|body| Tracked::new(body, Connection::Http1(connection)))),
                    Err(error) => (error, None),
                }
            }
            Connection::Http2(mut connection) => match connection.sender.send_request(request).await {
                Ok(response) => return Ok(response.map(|body| Tracked::new(body, Connection::Http2(connection)))),
                Err(error) => (error, Some(connection)),
            },
        };
        let error = classify(error);
        if error.is_not_sent() {
            host.forget(failed.as_ref());
        }
        Err(error)
    }
}

/// Waits for a connection, no longer than the limit for connecting.
async fn opened<C>(
    limit: Option<Duration>,
    opening: impl Future<Output = Result<C, TransportError>>,
) -> Result<C, TransportError> {
    let Some(limit) = limit else { return opening.await };
    let timeout = |_| Err(TransportError::timeout(Timeout::Connect));
    tokio::time::timeout(limit, opening).await.unwrap_or_else(timeout)
}

/// Leaves of a URL what HTTP/1.1 sends to a server: path and query.
fn strip(uri: &mut Uri) {
    let mut parts = Parts::default();
    parts.path_and_query = uri.path_and_query().cloned();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

#[async_trait]
impl Transport for HyperTransport {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<ResponseBody>, TransportError> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(TransportError::not_sent("the hyper transport needs a tokio runtime; call it from one"));
        };
        let timeouts = request.extensions().get::<Timeouts>().copied().unwrap_or_default();
        let mut request = request.map(Full::new);
        gzip::accept(request.headers_mut());
        if let Some(authorization) = self.proxies.authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        // A call's deadline shorter than the connect limit must still tell that nothing was sent, so it runs out here a little earlier.
        let deadline = timeouts.deadline.map(|deadline| deadline.saturating_sub(Duration::from_millis(20)));
        let connect = [timeouts.connect, deadline].into_iter().flatten().min();
        let response = self.exchange(request, connect, runtime.id()).await?;
        // hyper stops reading somewhat later: its limit is that of a buffer.
        if head_bytes(response.headers()) > self.max_header_bytes as usize {
            return Err(TransportError::may_have_run("the head of the reply is larger than the limit"));
        }
        Ok(gzip::undo(response))
    }
}

/// As many as the end of a connection takes from the socket to the pool.
const TURNS: usize = 4;

fn head_bytes(headers: &http::HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// What an error of hyper means for the run: not sent where the connection was over before it took the request, or where the server says
/// that it did not process it.
fn classify(error: hyper::Error) -> TransportError {
    let unstarted = || {
        let mut cause = error.source();
        while let Some(error) = cause {
            if is_stale(error) || error.downcast_ref::<h2::Error>().is_some_and(is_unprocessed) {
                return true;
            }
            cause = error.source();
        }
        error.is_canceled()
    };
    if unstarted() {
        TransportError::not_sent(error)
    } else if error.is_parse() && error.to_string().contains("head is too large") {
        TransportError::may_have_run("the head of the reply is beyond `max_headers` or `max_header_bytes`")
    } else {
        TransportError::may_have_run(error)
    }
}

/// Whether the server says that it did not process a request (RFC 9113, section 8.7): its stream was refused, or is beyond the last one of a
/// GOAWAY. The streams that a GOAWAY does not name go on, and end with another error if the connection does.
fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote()
        && (error.is_go_away() || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)))
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport").finish_non_exhaustive()
    }
}

/// The configuration of a [`HyperTransport`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct HyperTransportBuilder {
    tls: tls::Choice,
    proxy: connect::ProxyChoice,
    max_header_bytes: u32,
    max_headers: Option<usize>,
    kept: Duration,
}

impl Default for HyperTransportBuilder {
    fn default() -> Self {
        Self {
            tls: tls::Choice::default(),
            proxy: connect::ProxyChoice::default(),
            max_header_bytes: 64 << 10,
            max_headers: None,
            kept: Duration::from_secs(90),
        }
    }
}

impl HyperTransportBuilder {
    /// Trusts the root certificates of a PEM text too, beside the platform's.
    pub fn add_root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.extra.push(pem.into());
        self
    }

    /// Trusts nothing but the certificates that are added.
    pub fn only_added_root_certificates(mut self) -> Self {
        self.tls.only_extra = true;
        self
    }

    /// Shows a certificate to the service and to an https proxy that asks for one: a PEM text with the certificate, what leads to its root,
    /// and the private key.
    pub fn client_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.identity = Some(pem.into());
        self
    }

    /// Takes a TLS configuration of yours as it is, except for ALPN. It stands alone: no root and no client certificate can be set beside
    /// it, and neither `ring` nor `aws-lc-rs` is needed.
    #[cfg(feature = "rustls-0_23")]
    pub fn rustls_0_23_config(mut self, config: rustls::ClientConfig) -> Self {
        self.tls.own = Some(config);
        self
    }

    /// The largest head of a reply that is taken, in bytes: 64 KiB by default, and 8 KiB at the least. A larger one fails the call.
    pub fn max_header_bytes(mut self, bytes: u32) -> Self {
        self.max_header_bytes = bytes;
        self
    }

    /// How many headers the head of an HTTP/1.1 reply may have: 100 by default. A reply with more of them fails the call, which may have
    /// run. Another number than the default makes each call a little slower, as the table for them is no longer on the stack.
    pub fn max_headers(mut self, headers: usize) -> Self {
        self.max_headers = Some(headers);
        self
    }

    /// How long a connection is kept that nobody uses: 90 s at the most by default. What lies between here and the service forgets a connection
    /// that is still, and an invoke that is written to such a one may have run for all that its caller learns; so this should be less than the
    /// shortest time after which a gateway does.
    pub fn pool_idle_timeout(mut self, longest: Duration) -> Self {
        self.kept = longest;
        self
    }

    /// Sends everything through a proxy, loopback hosts too: `http://`, `https://`, `socks5://` or `socks5h://`, with user name and
    /// password in the URL if it needs them.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = connect::ProxyChoice::Explicit(url.into());
        self
    }

    /// Uses no proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = connect::ProxyChoice::None;
        self
    }

    /// Checks the configuration and makes the transport. Needs no runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): a certificate or a key that is none, a limit below its least, a proxy that is no URL of a known kind, or no cryptography
    /// because neither the feature `ring` nor `aws-lc-rs` is on.
    pub fn build(self) -> Result<HyperTransport, Error> {
        if self.max_header_bytes < 8 << 10 {
            return Err(invalid("max_header_bytes", "must be at least 8192"));
        }
        if self.kept.is_zero() {
            return Err(invalid("pool_idle_timeout", "must not be zero"));
        }
        if self.max_headers == Some(0) {
            return Err(invalid("max_headers", "must be at least 1"));
        }
        let tls = tls::Configs::new(self.tls)?;
        let proxies = Proxies::new(self.proxy)?;
        let routes = Routes::new(proxies.clone(), tls.proxy);
        let mut http1 = http1::Builder::new();
        http1.max_buf_size(self.max_header_bytes as usize);
        if let Some(headers) = self.max_headers {
            http1.max_headers(headers);
        }
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .max_header_list_size(self.max_header_bytes)
            // The window of the connection is never the limit, so that unread streams hold back nobody but themselves.
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size((1 << 31) - 1)
            .timer(TokioTimer::new());
        let pool = Pool::new(Opener::new(routes, tls.both, tls.http1, http1, http2), self.kept);
        Ok(HyperTransport { pool, proxies, max_header_bytes: self.max_header_bytes })
    }
}

impl fmt::Debug for HyperTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransportBuilder").finish_non_exhaustive()
    }
}

fn invalid(field: &'static str, reason: impl fmt::Display) -> Error {
    InvalidInput::new(field, reason.to_string()).into()
}
