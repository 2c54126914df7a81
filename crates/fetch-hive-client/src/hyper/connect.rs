use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, io};

use fetch_hive_core::is_loopback;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::idle::Idle;
use super::invalid;
use crate::{BoxError, Error};

/// Which proxies to use.
#[derive(Default)]
pub(super) enum ProxyChoice {
    #[default]
    Environment,
    None,
    Explicit(String),
}

/// Which proxy a request goes through.
#[derive(Clone)]
pub(super) struct Proxies {
    matcher: Option<Arc<Matcher>>,
    loopback: bool,
}

impl Proxies {
    pub(super) fn new(choice: ProxyChoice) -> Result<Self, Error> {
        Ok(match choice {
            ProxyChoice::None => Self { matcher: None, loopback: false },
            ProxyChoice::Environment if !named() || none_for_all() => Self { matcher: None, loopback: false },
            ProxyChoice::Environment => Self { matcher: Some(Arc::new(Matcher::from_env())), loopback: false },
            ProxyChoice::Explicit(url) => {
                let known = ["http://", "https://", "socks5://", "socks5h://"].iter().any(|s| url.starts_with(s));
                let matcher = Matcher::builder().all(url).build();
                if !known || matcher.intercept(&Uri::from_static("https://host")).is_none() {
                    return Err(invalid("proxy", "must be an http, https, socks5 or socks5h URL"));
                }
                Self { matcher: Some(Arc::new(matcher)), loopback: true }
            }
        })
    }

    fn intercept(&self, uri: &Uri) -> Option<Intercept> {
        // A proxy of the environment is on another machine, where loopback is another host.
        let matcher = self.matcher.as_ref()?;
        if !self.loopback && uri.host().is_some_and(is_loopback) {
            return None;
        }
        matcher.intercept(uri)
    }

    /// What a plain http request carries for its proxy; https and SOCKS authenticate when the tunnel is made.
    pub(super) fn authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        if uri.scheme_str() != Some("http") {
            return None;
        }
        self.intercept(uri)?.basic_auth().cloned()
    }
}

/// Whether the environment names a proxy at all. Mostly it does not, and no request has to be matched.
fn named() -> bool {
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Whether `NO_PROXY` is `*`, which the matcher takes for names alone, and not for addresses.
fn none_for_all() -> bool {
    let listed = ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok());
    listed.is_some_and(|listed| listed.split(',').any(|host| host.trim() == "*"))
}

/// Opens TCP connections, straight or through a proxy; TLS to the service is above it.
#[derive(Clone)]
pub(super) struct Routes {
    tcp: HttpConnector,
    to_proxy: HttpsConnector<HttpConnector>,
    proxies: Proxies,
}

impl Routes {
    pub(super) fn new(proxies: Proxies, proxy_tls: Arc<ClientConfig>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let to_proxy = HttpsConnector::from((tcp.clone(), proxy_tls));
        Self { tcp, to_proxy, proxies }
    }
}

/// What bytes are read from and written to.
pub(super) trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}

/// A connection to the service or to a proxy before it.
pub(super) struct Route {
    wire: Wire,
    /// Whether its other end is a proxy that is told the whole URL.
    pub(super) proxied: bool,
    pub(super) idle: Idle,
}

enum Wire {
    Tcp(TokioIo<TcpStream>),
    /// To an https proxy; behind a pointer, for it is large and rare.
    Tls(Box<dyn Io>),
}

impl Route {
    fn new(stream: MaybeHttpsStream<TokioIo<TcpStream>>, proxied: bool) -> Self {
        let wire = match stream {
            MaybeHttpsStream::Http(tcp) => Wire::Tcp(tcp),
            MaybeHttpsStream::Https(tls) => Wire::Tls(Box::new(tls)),
        };
        Self { wire, proxied, idle: Idle::default() }
    }

    fn io(&mut self) -> Pin<&mut dyn Io> {
        match &mut self.wire {
            Wire::Tcp(tcp) => Pin::new(tcp),
            Wire::Tls(tls) => Pin::new(tls),
        }
    }

    /// Refuses the first write after a rest if the connection is over. The TLS of a proxy hides the socket, and is taken as it is.
    fn look(&self) -> io::Result<()> {
        match &self.wire {
            Wire::Tcp(tcp) => self.idle.end(tcp.inner()),
            Wire::Tls(_) => Ok(()),
        }
    }
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl Service<Uri> for Routes {
    type Response = Route;
    type Error = BoxError;
    type Future = Connecting<Route>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Connecting<Route> {
        let direct = |stream| Route::new(stream, false);
        let Some(proxy) = self.proxies.intercept(&uri) else {
            let tcp = self.tcp.call(uri);
            return Box::pin(async move { Ok(direct(MaybeHttpsStream::Http(tcp.await?))) });
        };
        let through = proxy.uri().clone();
        match through.scheme_str() {
            Some(scheme @ ("socks5" | "socks5h")) => {
                let mut socks = SocksV5::new(through.clone(), self.tcp.clone()).local_dns(scheme == "socks5");
                if let Some((user, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                // Without a port the SOCKS connector takes 443, whatever the scheme.
                let tunnel = socks.call(with_port(&uri));
                Box::pin(async move { Ok(direct(MaybeHttpsStream::Http(tunnel.await?))) })
            }
            Some("http" | "https") if uri.scheme_str() == Some("https") => {
                let mut tunnel = Tunnel::new(through, self.to_proxy.clone());
                if let Some(authorization) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(authorization.clone());
                }
                let tunnel = tunnel.call(uri);
                Box::pin(async move { Ok(direct(tunnel.await?)) })
            }
            Some("http" | "https") => {
                let stream = self.to_proxy.call(through);
                Box::pin(async move { Ok(Route::new(stream.await?, true)) })
            }
            _ => Box::pin(async { Err("the proxy is of a kind that is not supported".into()) }),
        }
    }
}

fn with_port(uri: &Uri) -> Uri {
    if uri.port().is_some() {
        return uri.clone();
    }
    let port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let host = uri.host().unwrap_or_default();
    format!("{}://{host}:{port}/", uri.scheme_str().unwrap_or("https")).parse().unwrap_or_else(|_| uri.clone())
}

impl Connection for Route {
    /// What is to be known of it is read from itself.
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Route {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        self.io().poll_read(cx, buf)
    }
}

impl Write for Route {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.look()?;
        self.io().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Tcp(tcp) => tcp.is_write_vectored(),
            Wire::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.look()?;
        self.io().poll_write_vectored(cx, bufs)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("proxied", &self.proxied).finish_non_exhaustive()
    }
}
