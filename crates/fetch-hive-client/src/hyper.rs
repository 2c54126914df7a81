//! The transport that is included: hyper with rustls.

mod connect;
mod gzip;
mod idle;
mod negotiate;
mod tls;

use std::error::Error as _;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_core::{InvalidInput, Limits};
use http::HeaderValue;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::{Authority, Scheme};
use http_body_util::Full;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error as HyperError};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::connect::{Proxies, Routes};
pub(crate) use self::idle::Tracked;
use self::idle::is_stale;
use self::negotiate::{Negotiator, Pinned, Protocol};
use crate::{Error, ResponseBody, Timeout, Transport, TransportError};

/// How many headers the head of an HTTP/1.1 reply may have.
const MAX_HEADERS: usize = 256;

type Pool = Client<Pinned, Full<Bytes>>;

/// HTTP/1.1 and HTTP/2 by hyper, TLS by rustls, with pooled connections.
///
/// - Certificates are checked against the platform's roots; where it has none, against the bundled ones.
/// - `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are honoured, but never for a loopback host; an explicit proxy always is.
/// - The head of a reply has at most 64 KiB, unless another limit is set, and over HTTP/1.1 at most 256 headers.
/// - gzip is accepted and undone. No redirect is followed and nothing is repeated.
/// - It needs a tokio runtime when it sends, and none when it is made.
pub struct HyperTransport {
    http1: Pool,
    http2: Pool,
    negotiator: Negotiator,
    proxies: Proxies,
    max_header_bytes: u32,
    /// The header for the host that was asked first, which is mostly the only one.
    host: OnceLock<(Scheme, Authority, HeaderValue)>,
}

impl HyperTransport {
    /// A transport with a configuration of its own.
    pub fn builder() -> HyperTransportBuilder {
        HyperTransportBuilder::default()
    }

    /// The pool for a request: https by what the host was found to speak, plain http over HTTP/1.1.
    async fn pool(&self, uri: &http::Uri) -> Result<(&Pool, Option<Protocol>), TransportError> {
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok((&self.http1, None));
        }
        let protocol = self.negotiator.protocol(uri).await?;
        let pool = if protocol == Protocol::Http1 { &self.http1 } else { &self.http2 };
        Ok((pool, Some(protocol)))
    }

    /// What `host` says over HTTP/1.1.
    fn host(&self, uri: &http::Uri) -> Option<HeaderValue> {
        let (scheme, authority) = (uri.scheme()?, uri.authority()?);
        if let Some((_, _, value)) = self.host.get().filter(|first| (&first.0, &first.1) == (scheme, authority)) {
            return Some(value.clone());
        }
        let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
        let value = match authority.port_u16() {
            Some(port) if port != usual => format!("{}:{port}", authority.host()),
            _ => authority.host().to_owned(),
        };
        let value = HeaderValue::try_from(value).ok()?;
        // Whichever host was first stays.
        let _ = self.host.set((scheme.clone(), authority.clone(), value.clone()));
        Some(value)
    }

    async fn exchange(
        &self,
        mut request: http::Request<Full<Bytes>>,
        connect: Option<Duration>,
    ) -> Result<http::Response<hyper::body::Incoming>, TransportError> {
        let captured = capture_connection(&mut request);
        // A connection of the pool is mostly at hand at once, and then no time is to be measured.
        let (mut connect, mut timer) = (connect, None);
        let mut sending = pin!(async {
            let (pool, negotiated) = self.pool(request.uri()).await?;
            let authority = negotiated.and_then(|_| request.uri().authority().cloned());
            if negotiated == Some(Protocol::Http2) {
                // The runtime may not have run for a while, and a connection may have ended meanwhile. HTTP/2 leaves no way to ask the
                // socket, so the tasks of the connections get a turn before one of them is taken.
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
            } else if let Some(host) = self.host(request.uri()) {
                request.headers_mut().entry(HOST).or_insert(host);
            }
            pool.request(request).await.map_err(|error| {
                let error = classify(error);
                if let Some(authority) = authority.filter(|_| error.is_not_sent()) {
                    // The host may speak another protocol by now.
                    self.negotiator.forget(&authority);
                }
                error
            })
        });
        poll_fn(|cx| {
            if let Poll::Ready(result) = sending.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            let Some(limit) = connect else { return Poll::Pending };
            if captured.connection_metadata().is_some() {
                (connect, timer) = (None, None);
                return Poll::Pending;
            }
            let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            timer.as_mut().poll(cx).map(|()| Err(TransportError::timeout(Timeout::Connect)))
        })
        .await
    }
}

#[async_trait]
impl Transport for HyperTransport {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<ResponseBody>, TransportError> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(TransportError::not_sent("the hyper transport needs a tokio runtime; call it from one"));
        }
        let limits = request.extensions().get::<Limits>().copied().unwrap_or_default();
        let mut request = request.map(Full::new);
        gzip::accept(request.headers_mut());
        if let Some(authorization) = self.proxies.authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        // A call's deadline shorter than the connect limit must still tell that nothing was sent, so it runs out here a little earlier.
        let deadline = limits.deadline.map(|deadline| deadline.saturating_sub(Duration::from_millis(20)));
        let connect = [limits.connect, deadline].into_iter().flatten().min();
        let response = self.exchange(request, connect).await?;
        // hyper stops reading somewhat later: its limit is that of a buffer.
        if head_bytes(response.headers()) > self.max_header_bytes as usize {
            return Err(TransportError::may_have_run("the head of the reply is larger than the limit"));
        }
        Ok(gzip::undo(Tracked::new(response)))
    }
}

/// As many as the end of a connection takes from the socket to the pool.
const TURNS: usize = 4;

fn head_bytes(headers: &http::HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// What an error of hyper means for the run: not sent where no connection was made, or where the connection was over before it took the
/// request, or where the server says that it did not process it.
fn classify(error: HyperError) -> TransportError {
    let unstarted = || {
        let mut source = error.source();
        while let Some(cause) = source {
            if is_stale(cause)
                || cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
                || cause.downcast_ref::<h2::Error>().is_some_and(is_unprocessed)
            {
                return true;
            }
            source = cause.source();
        }
        false
    };
    if error.is_connect() || unstarted() {
        TransportError::not_sent(error)
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
}

impl Default for HyperTransportBuilder {
    fn default() -> Self {
        Self { tls: tls::Choice::default(), proxy: connect::ProxyChoice::default(), max_header_bytes: 64 << 10 }
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
        let tls = tls::Configs::new(self.tls)?;
        let proxies = Proxies::new(self.proxy)?;
        let routes = Routes::new(proxies.clone(), tls.proxy);
        let negotiator = Negotiator::new(routes, tls.both, tls.http1);
        let pool = |protocol| {
            let mut builder = Client::builder(TokioExecutor::new());
            builder
                .retry_canceled_requests(false)
                .http1_max_buf_size(self.max_header_bytes as usize)
                .http1_max_headers(MAX_HEADERS)
                .http2_max_header_list_size(self.max_header_bytes)
                .http2_only(protocol == Protocol::Http2)
                // The window of the connection is never the limit, so that unread streams hold back nobody but themselves.
                .http2_initial_stream_window_size(1 << 20)
                .http2_initial_connection_window_size((1 << 31) - 1)
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new());
            builder.build(negotiator.connector(protocol))
        };
        Ok(HyperTransport {
            http1: pool(Protocol::Http1),
            http2: pool(Protocol::Http2),
            negotiator,
            proxies,
            max_header_bytes: self.max_header_bytes,
            host: OnceLock::new(),
        })
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
