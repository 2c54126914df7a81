use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use fetch_hive_core::InvalidInput;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioTimer;

use super::HyperTransport;
use super::connect::{Dialer, Proxies};
use super::open::{Opener, with_alpn};
use super::pool::Pool;
use super::resolver::Resolver;
use super::task::BoxingExecutor;
use crate::error::Error;
use crate::transport::proxy::ProxyChoice;
use crate::transport::tls::TlsSettings;

const MIN_HEADER_BYTES: u32 = 8 << 10;

/// hyper allocates a table of this many headers for each response.
const MAX_MAX_HEADERS: usize = 10_000;

/// A builder for a [`HyperTransport`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct HyperTransportBuilder {
    tls: TlsSettings,
    proxy: ProxyChoice,
    max_header_bytes: u32,
    max_headers: Option<usize>,
    pool_idle_timeout: Duration,
    http2_keep_alive_interval: Option<Duration>,
    http2_keep_alive_timeout: Duration,
    tcp_user_timeout: Option<Duration>,
    resolved: HashMap<String, Vec<SocketAddr>>,
}

impl Default for HyperTransportBuilder {
    fn default() -> Self {
        Self {
            tls: TlsSettings::default(),
            proxy: ProxyChoice::default(),
            max_header_bytes: 64 << 10,
            max_headers: None,
            pool_idle_timeout: Duration::from_secs(90),
            http2_keep_alive_interval: Some(Duration::from_secs(10)),
            http2_keep_alive_timeout: Duration::from_secs(5),
            tcp_user_timeout: Some(Duration::from_secs(30)),
            resolved: HashMap::new(),
        }
    }
}

impl HyperTransportBuilder {
    /// Trusts the root certificates of a PEM text, in addition to the default ones.
    pub fn add_root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.added_roots.push(pem.into());
        self
    }

    /// Trusts only the root certificates that are added, and none of the default ones.
    pub fn only_added_root_certificates(mut self) -> Self {
        self.tls.only_added_roots = true;
        self
    }

    /// Presents a client certificate to servers and https proxies that request one.
    ///
    /// The PEM text contains the certificate, its chain, and the private key.
    pub fn client_certificate_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.client_certificate = Some(pem.into());
        self
    }

    /// Uses a complete TLS configuration, of which only the ALPN protocols are replaced.
    ///
    /// It cannot be combined with root or client certificates set on this builder, and needs
    /// neither of the features `ring` and `aws-lc-rs`.
    #[cfg(feature = "rustls-0_23")]
    pub fn rustls_0_23_config(mut self, config: rustls::ClientConfig) -> Self {
        self.tls.rustls_config = Some(config);
        self
    }

    /// Sets the largest size of a response's headers, in bytes. The default is 64 KiB, and the
    /// minimum is 8 KiB.
    ///
    /// A call whose response has larger headers fails, although it may have run.
    pub fn max_header_bytes(mut self, bytes: u32) -> Self {
        self.max_header_bytes = bytes;
        self
    }

    /// Sets the maximum number of headers in an HTTP/1.1 response. The default is 100, and at most
    /// 10,000 are allowed.
    ///
    /// A call whose response has more headers fails, although it may have run. Any other number
    /// than the default makes each call slightly slower, because hyper then allocates the table of
    /// headers on the heap.
    pub fn max_headers(mut self, headers: usize) -> Self {
        self.max_headers = Some(headers);
        self
    }

    /// Sets how long an idle connection is kept. The default is 90 s.
    ///
    /// Choose a time below the idle timeout of every gateway in between. A gateway drops an idle
    /// connection silently, and an invoke that is written to such a connection fails although it
    /// may have run.
    pub fn pool_idle_timeout(mut self, timeout: Duration) -> Self {
        self.pool_idle_timeout = timeout;
        self
    }

    /// Sets the time between two keep-alive pings on an HTTP/2 connection. The default is 10 s, and
    /// `None` disables pings.
    ///
    /// A NAT or load balancer can drop a connection without closing it. The pings detect this: a
    /// call that starts more than the interval plus the timeout later uses another connection.
    pub fn http2_keep_alive_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.http2_keep_alive_interval = interval.into();
        self
    }

    /// Sets how long the client waits for the answer to a keep-alive ping. The default is 5 s.
    ///
    /// After that, the connection is closed, and its calls fail although they may have run.
    pub fn http2_keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.http2_keep_alive_timeout = timeout;
        self
    }

    /// Sets how long sent data may remain unacknowledged before a connection fails
    /// (`TCP_USER_TIMEOUT`). The default is 30 s, and `None` uses the default of the operating
    /// system.
    ///
    /// It applies to Linux, Android and Fuchsia. TCP keep-alive is always enabled, with probes
    /// every 15 s.
    pub fn tcp_user_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.tcp_user_timeout = timeout.into();
        self
    }

    /// Sets the addresses of a host, which is then not looked up.
    ///
    /// The addresses are tried in order, and the connect timeout is divided among them. A port of 0
    /// stands for the port of the URL, and a port in the URL takes precedence.
    pub fn resolve(mut self, host: impl Into<String>, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.resolved.insert(host.into().to_ascii_lowercase(), addresses.into_iter().collect());
        self
    }

    /// Sends all requests through a proxy, including those to loopback hosts.
    ///
    /// The URL starts with `http://`, `https://`, `socks5://` or `socks5h://`, and may contain a
    /// user name and a password.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// Disables proxies, including those that the environment names.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Disabled;
        self
    }

    /// Checks the configuration and builds the transport. It does not need a runtime.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an invalid certificate or key,
    /// a limit below its minimum, an invalid proxy URL, or if neither of the features `ring` and
    /// `aws-lc-rs` is enabled. The error names the environment variable if the invalid value comes
    /// from one: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` or
    /// `SSL_CERT_DIR`.
    pub fn build(self) -> Result<HyperTransport, Error> {
        if self.max_header_bytes < MIN_HEADER_BYTES {
            return Err(InvalidInput::new("max_header_bytes", "must be at least 8192").into());
        }
        if self.pool_idle_timeout.is_zero() {
            return Err(InvalidInput::new("pool_idle_timeout", "must not be zero").into());
        }
        if self.max_headers.is_some_and(|headers| !(1..=MAX_MAX_HEADERS).contains(&headers)) {
            return Err(InvalidInput::new("max_headers", format!("must be from 1 to {MAX_MAX_HEADERS}")).into());
        }
        let durations = [
            ("http2_keep_alive_interval", self.http2_keep_alive_interval),
            ("http2_keep_alive_timeout", Some(self.http2_keep_alive_timeout)),
            ("tcp_user_timeout", self.tcp_user_timeout),
        ];
        if let Some((setting, _)) = durations.iter().find(|(_, duration)| duration.is_some_and(|time| time.is_zero())) {
            return Err(InvalidInput::new(*setting, "must not be zero").into());
        }
        if let Some((host, _)) = self.resolved.iter().find(|(host, addresses)| host.is_empty() || addresses.is_empty())
        {
            return Err(InvalidInput::new("resolve", format!("needs a host and an address, got {host:?}")).into());
        }
        let tls = self.tls.build()?;
        let proxies = Proxies::new(&self.proxy)?;
        let resolver = Resolver::new(self.resolved);
        let dialer = Dialer::new(proxies.clone(), with_alpn(&tls, &[]), resolver, self.tcp_user_timeout);
        let mut http1 = http1::Builder::new();
        http1.max_buf_size(self.max_header_bytes as usize).allow_obsolete_multiline_headers_in_responses(true);
        if let Some(headers) = self.max_headers {
            http1.max_headers(headers);
        }
        let mut http2 = http2::Builder::new(BoxingExecutor);
        http2
            .max_header_list_size(self.max_header_bytes)
            // The window of the connection is never the bottleneck, so an unread stream blocks no
            // other stream.
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size((1 << 31) - 1)
            .keep_alive_interval(self.http2_keep_alive_interval)
            .keep_alive_timeout(self.http2_keep_alive_timeout)
            .keep_alive_while_idle(true)
            .timer(TokioTimer::new());
        let pool = Pool::new(Opener::new(dialer, &tls, http1, http2), self.pool_idle_timeout);
        Ok(HyperTransport { pool, proxies, max_header_bytes: self.max_header_bytes })
    }
}

impl fmt::Debug for HyperTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransportBuilder").finish_non_exhaustive()
    }
}
