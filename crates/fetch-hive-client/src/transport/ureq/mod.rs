//! The included transport of the blocking client: ureq with rustls.

mod connect;

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::{RequestBody, Timeouts};
use flate2::bufread::MultiGzDecoder;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, AsSendBody, Proxy, RequestExt, SendBody};

use self::connect::{MonitoredConnector, READING_BODY, WROTE};
use super::blocking::BlockingTransport;
use super::encoding::{GZIP_MAGIC, accept_gzip, take_gzip};
use super::proxy::{ProxyChoice, ProxyRules};
use super::request_body::RequestBodyReader;
use super::tls::{TlsSettings, is_rejected_certificate};
use crate::clock::VERY_LONG;
use crate::error::{Error, Timeout, TransportError};

/// A [`BlockingTransport`] that uses ureq for HTTP/1.1, rustls for TLS, and a connection pool.
///
/// - Server certificates are verified against the platform's roots, or against the bundled ones if
///   the platform has none.
/// - The proxies named by the environment are used, except for loopback hosts. An explicit proxy is
///   used for all hosts.
/// - gzip responses are requested and decoded. Redirects are not followed, and nothing is retried.
/// - The `headers` timeout starts when the request has been sent. Name lookup may take as long as
///   `connect`, and connecting as long again.
///
/// **At the level trace of the crate `log`, ureq logs the bytes that it sends and receives,
/// including the API key.** This cannot be disabled here. If your program logs at trace level,
/// exclude the target `ureq_proto`, or limit it to debug. At all other levels ureq logs no key,
/// body or path.
pub struct UreqTransport {
    /// The agent for hosts that are reached without a proxy.
    direct: Agent,
    /// The agents for each proxy.
    proxies: ProxyRules<Agent>,
}

/// A builder for a [`UreqTransport`].
#[derive(Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct UreqTransportBuilder {
    tls: TlsSettings,
    proxy: ProxyChoice,
}

impl UreqTransport {
    /// Returns a builder for a transport.
    pub fn builder() -> UreqTransportBuilder {
        UreqTransportBuilder::default()
    }
}

impl UreqTransportBuilder {
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

    /// Sends all requests through a proxy, including those to loopback hosts.
    ///
    /// The URL starts with `http://` or `https://`, and may contain a user name and a password.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// Disables proxies, including those that the environment names.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Disabled;
        self
    }

    /// Checks the configuration and builds the transport.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an invalid certificate or key,
    /// or an invalid proxy URL. The error names the environment variable if the invalid value comes
    /// from one: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` or
    /// `SSL_CERT_DIR`.
    pub fn build(self) -> Result<UreqTransport, Error> {
        let tls = Arc::new(self.tls.build()?);
        let agent = |proxy: Option<Proxy>| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .proxy(proxy)
                .build();
            Agent::with_parts(config, MonitoredConnector::new(&tls), DefaultResolver::default())
        };
        let with_proxy = |url: &str| match Proxy::new(url) {
            Ok(proxy) => Ok(agent(Some(proxy))),
            Err(error) => Err(error.to_string()),
        };
        let proxies = self.proxy.rules(&["http", "https"], with_proxy)?;
        Ok(UreqTransport { direct: agent(None), proxies })
    }
}

impl fmt::Debug for UreqTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UreqTransport").finish_non_exhaustive()
    }
}

impl fmt::Debug for UreqTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UreqTransportBuilder").finish_non_exhaustive()
    }
}

impl BlockingTransport for UreqTransport {
    fn send(&self, request: Request<RequestBody>) -> Result<Response<Box<dyn Read + Send>>, TransportError> {
        let timeouts = request.extensions().get::<Timeouts>().copied().unwrap_or_default();
        let agent = self.proxies.proxy(request.uri()).unwrap_or(&self.direct);
        WROTE.set(false);
        let (mut parts, body) = request.into_parts();
        accept_gzip(&mut parts.headers);
        let response = if let Some(bytes) = body.as_bytes() {
            run(agent, timeouts, Request::from_parts(parts, &**bytes))
        } else {
            parts.headers.insert(CONTENT_LENGTH, body.len().into());
            let mut reader = RequestBodyReader::open(body).map_err(TransportError::not_sent)?;
            let sent = run(agent, timeouts, Request::from_parts(parts, SendBody::from_reader(&mut reader)));
            if let Some(error) = reader.failure().get() {
                // Without the rest of a file, the server cannot process the request.
                return Err(TransportError::not_sent(error.clone()));
            }
            sent
        };
        let response = response.map_err(|error| classify(error, WROTE.get()))?;
        let (mut parts, body) = response.into_parts();
        let is_gzip = take_gzip(&mut parts.headers);
        Ok(Response::from_parts(parts, Box::new(BodyReader::new(body.into_reader(), is_gzip))))
    }
}

fn run(
    agent: &Agent,
    timeouts: Timeouts,
    request: Request<impl AsSendBody>,
) -> Result<Response<ureq::Body>, ureq::Error> {
    // ureq panics on times that an instant cannot represent.
    let limit = |timeout: Option<Duration>| timeout.map(|timeout| timeout.min(VERY_LONG));
    request
        .with_agent(agent)
        .configure()
        .timeout_global(limit(timeouts.deadline))
        .timeout_resolve(limit(timeouts.connect))
        .timeout_connect(limit(timeouts.connect))
        .timeout_recv_response(limit(timeouts.headers))
        .timeout_per_read(limit(timeouts.idle))
        .allow_non_standard_methods(true)
        .run()
}

/// Converts an error of ureq. The request was not sent if none of it was written.
fn classify(error: ureq::Error, wrote: bool) -> TransportError {
    use ureq::Timeout as Elapsed;
    match error {
        // If the whole call ends while connecting, the error still states that nothing was sent.
        ureq::Error::Timeout(_) if !wrote => TransportError::timeout(Timeout::Connect),
        ureq::Error::Timeout(Elapsed::Resolve | Elapsed::Connect) => TransportError::timeout(Timeout::Connect),
        ureq::Error::Timeout(Elapsed::Global | Elapsed::PerCall) => TransportError::timeout(Timeout::Deadline),
        ureq::Error::Timeout(Elapsed::PerRead | Elapsed::RecvBody) => TransportError::timeout(Timeout::Idle),
        ureq::Error::Timeout(_) => TransportError::timeout(Timeout::Headers),
        error if wrote && !is_rejected_certificate(&error) => TransportError::may_have_run(error),
        error => TransportError::not_sent(error),
    }
}

/// The body of a response, whose reads are marked as such for the connection.
struct MarkedReader(ureq::BodyReader<'static>);

impl Read for MarkedReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        READING_BODY.set(true);
        let read = self.0.read(into);
        READING_BODY.set(false);
        read.map_err(|error| io::Error::other(classify(error.into(), true)))
    }
}

/// A body that may be compressed with gzip.
///
/// ureq's own decoder fails on an empty body.
enum BodyReader {
    Plain(MarkedReader),
    Unread(BufReader<MarkedReader>),
    Gzip(Box<MultiGzDecoder<BufReader<MarkedReader>>>),
    /// The body is not compressed, although its header says so.
    Mislabelled(BufReader<MarkedReader>),
    Empty,
}

impl BodyReader {
    fn new(body: ureq::BodyReader<'static>, is_gzip: bool) -> Self {
        let body = MarkedReader(body);
        if is_gzip { Self::Unread(BufReader::new(body)) } else { Self::Plain(body) }
    }
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                Self::Plain(body) => return body.read(into),
                Self::Gzip(body) => return body.read(into),
                Self::Mislabelled(body) => return body.read(into),
                Self::Empty => return Ok(0),
                Self::Unread(body) => {
                    let first = body.fill_buf()?.first().copied();
                    *self = match (std::mem::replace(self, Self::Empty), first) {
                        (Self::Unread(body), Some(GZIP_MAGIC)) => Self::Gzip(Box::new(MultiGzDecoder::new(body))),
                        (Self::Unread(body), Some(_)) => Self::Mislabelled(body),
                        _ => Self::Empty,
                    };
                }
            }
        }
    }
}
