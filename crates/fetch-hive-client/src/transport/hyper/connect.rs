use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};

use fetch_hive_core::InvalidInput;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::idle::IdleState;
use super::resolver::Resolver;
use super::tunnel::open_tunnel;
use crate::error::BoxError;
use crate::transport::proxy::{ProxyChoice, ProxyRules};

/// The idle time before the first TCP keep-alive probe, and the time between two probes.
const TCP_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The number of unanswered probes after which a connection has failed.
const TCP_KEEP_ALIVE_PROBES: u32 = 3;

const PROXY_SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

/// The proxies of a transport.
#[derive(Clone)]
pub(super) struct Proxies(ProxyRules<Arc<Matcher>>);

impl Proxies {
    pub(super) fn new(choice: &ProxyChoice) -> Result<Self, InvalidInput> {
        let matcher = |url: &str| {
            let matcher = Matcher::builder().all(url.to_owned()).build();
            let is_proxy = matcher.intercept(&Uri::from_static("https://host")).is_some();
            is_proxy.then(|| Arc::new(matcher)).ok_or_else(|| "is not the URL of a proxy".to_owned())
        };
        choice.rules(&PROXY_SCHEMES, matcher).map(Self)
    }

    fn intercept(&self, uri: &Uri) -> Option<Intercept> {
        self.0.proxy(uri)?.intercept(uri)
    }

    /// Returns the proxy credentials that a plain http request carries itself.
    ///
    /// Requests over https and SOCKS authenticate when their tunnel is opened.
    pub(super) fn authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        if uri.scheme_str() != Some("http") {
            return None;
        }
        self.intercept(uri)?.basic_auth().cloned()
    }
}

/// Opens TCP connections, directly or through a proxy. The caller adds TLS to the service.
#[derive(Clone)]
pub(super) struct Dialer {
    tcp: HttpConnector<Resolver>,
    proxy_tls: Arc<ClientConfig>,
    proxies: Proxies,
}

impl Dialer {
    pub(super) fn new(
        proxies: Proxies,
        proxy_tls: Arc<ClientConfig>,
        resolver: Resolver,
        tcp_user_timeout: Option<Duration>,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEP_ALIVE_INTERVAL));
        tcp.set_keepalive_interval(Some(TCP_KEEP_ALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(TCP_KEEP_ALIVE_PROBES));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        tcp.set_tcp_user_timeout(tcp_user_timeout);
        #[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
        let _ = tcp_user_timeout;
        Self { tcp, proxy_tls, proxies }
    }

    /// Divides a timeout among the addresses of a host, so that one that never answers does not use
    /// up all of it.
    pub(super) fn with_connect_timeout(&self, timeout: Option<Duration>) -> Self {
        let mut dialer = self.clone();
        // Slightly longer, so that with a single address the timeout of the call elapses first and
        // its error names the setting.
        dialer.tcp.set_connect_timeout(timeout.map(|timeout| timeout.saturating_add(timeout / 16)));
        dialer
    }

    fn to_proxy(&self) -> HttpsConnector<HttpConnector<Resolver>> {
        HttpsConnector::from((self.tcp.clone(), Arc::clone(&self.proxy_tls)))
    }
}

/// A byte stream that hyper can use.
pub(super) trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}

/// A connection to the service, or to a proxy in front of it.
pub(super) struct DialedStream {
    stream: Stream,
    /// Whether the peer is a proxy that expects the whole URL in the request line.
    pub(super) proxied: bool,
    pub(super) idle: IdleState,
    /// Whether the peer has closed its read side, as after an early error response. The rest of the
    /// request is then discarded, so that the response is still read.
    peer_stopped_reading: bool,
}

enum Stream {
    Tcp(TokioIo<TcpStream>),
    /// A connection to an https proxy, boxed because it is large and rare.
    Tls(Box<dyn Io>),
}

impl DialedStream {
    fn new(stream: MaybeHttpsStream<TokioIo<TcpStream>>, proxied: bool) -> Self {
        let stream = match stream {
            MaybeHttpsStream::Http(tcp) => Stream::Tcp(tcp),
            MaybeHttpsStream::Https(tls) => Stream::Tls(Box::new(tls)),
        };
        Self { stream, proxied, idle: IdleState::default(), peer_stopped_reading: false }
    }

    fn io(&mut self) -> Pin<&mut dyn Io> {
        match &mut self.stream {
            Stream::Tcp(tcp) => Pin::new(tcp),
            Stream::Tls(tls) => Pin::new(tls),
        }
    }

    /// Writes with a function, or discards `length` bytes if the peer no longer reads.
    fn write_or_discard(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
        write: impl FnOnce(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_before_write(cx))?;
        if self.peer_stopped_reading {
            return Poll::Ready(Ok(length));
        }
        match write(self.io(), cx) {
            Poll::Ready(Err(error)) if is_closed_by_peer(&error) => {
                self.peer_stopped_reading = true;
                Poll::Ready(Ok(length))
            }
            written => written,
        }
    }

    /// Fails the first write after an idle time if the peer closed the connection.
    ///
    /// The TLS stream to a proxy hides its socket, so such a connection is not checked.
    fn poll_before_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.stream {
            Stream::Tcp(tcp) => self.idle.poll_before_write(tcp.inner(), cx),
            Stream::Tls(_) => Poll::Ready(Ok(())),
        }
    }
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl Service<Uri> for Dialer {
    type Response = DialedStream;
    type Error = BoxError;
    type Future = Connecting<DialedStream>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Connecting<DialedStream> {
        let direct = |stream| DialedStream::new(stream, false);
        let Some(proxy) = self.proxies.intercept(&uri) else {
            let tcp = self.tcp.call(uri);
            return Box::pin(async move { Ok(direct(MaybeHttpsStream::Http(tcp.await?))) });
        };
        let proxy_uri = proxy.uri().clone();
        match proxy_uri.scheme_str() {
            Some(scheme @ ("socks5" | "socks5h")) => {
                let mut socks = SocksV5::new(proxy_uri.clone(), self.tcp.clone()).local_dns(scheme == "socks5");
                if let Some((user, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                // The SOCKS connector uses port 443 for a URL without a port, even for http.
                let tunnel = socks.call(with_port(&uri));
                Box::pin(async move { Ok(direct(MaybeHttpsStream::Http(tunnel.await?))) })
            }
            Some("http" | "https") if uri.scheme_str() == Some("https") => {
                let stream = self.to_proxy().call(proxy_uri);
                Box::pin(async move { Ok(direct(open_tunnel(stream.await?, &uri, proxy.basic_auth()).await?)) })
            }
            Some("http" | "https") => {
                let stream = self.to_proxy().call(proxy_uri);
                Box::pin(async move { Ok(DialedStream::new(stream.await?, true)) })
            }
            _ => Box::pin(async { Err("the scheme of the proxy URL is not supported".into()) }),
        }
    }
}

fn is_closed_by_peer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn with_port(uri: &Uri) -> Uri {
    if uri.port().is_some() {
        return uri.clone();
    }
    let port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let host = uri.host().unwrap_or_default();
    format!("{}://{host}:{port}/", uri.scheme_str().unwrap_or("https")).parse().unwrap_or_else(|_| uri.clone())
}

impl Connection for DialedStream {
    /// The pool reads the fields of the stream instead.
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for DialedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        self.io().poll_read(cx, buf)
    }
}

impl Write for DialedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write_or_discard(cx, buf.len(), |io, cx| io.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.peer_stopped_reading { Poll::Ready(Ok(())) } else { self.io().poll_flush(cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(tcp) => tcp.is_write_vectored(),
            Stream::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        self.write_or_discard(cx, length, |io, cx| io.poll_write_vectored(cx, bufs))
    }
}

impl fmt::Debug for DialedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialedStream").field("proxied", &self.proxied).finish_non_exhaustive()
    }
}
