//! The blocking transport that is included: ureq with rustls.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_core::{InvalidInput, Timeouts};
use http::{Request, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport as Connection,
};
use ureq::{Agent, Proxy, RequestExt};

use super::BlockingTransport;
use crate::{Error, Timeout, TransportError};

/// HTTP/1.1 by ureq, TLS by rustls with ring, with pooled connections.
///
/// - Certificates are checked against the bundled roots, unless others are given.
/// - The environment's proxies are honoured, but never for a loopback host; an explicit proxy always is.
/// - gzip is accepted and undone. No redirect is followed and nothing is repeated.
/// - `headers` is counted from when the request was sent, the other timeouts as everywhere. Looking a name up may take as long as `connect`, and
///   connecting as long again.
///
/// **At the level trace of the crate `log`, ureq writes what it sends and receives, the API key included.** Nothing here can keep it from that: let a
/// program that logs at trace leave out the target `ureq_proto`, or take it from debug on. At all other levels it writes no key, body or path.
pub struct UreqTransport {
    agent: Agent,
    /// Asked for loopback hosts, which the environment's proxies are not for.
    direct: Agent,
}

/// The configuration of a [`UreqTransport`].
#[derive(Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct UreqTransportBuilder {
    roots: Vec<Vec<u8>>,
    proxy: Choice,
}

#[derive(Default)]
enum Choice {
    #[default]
    Environment,
    None,
    Explicit(String),
}

impl UreqTransport {
    /// A transport with a configuration of its own.
    pub fn builder() -> UreqTransportBuilder {
        UreqTransportBuilder::default()
    }
}

impl UreqTransportBuilder {
    /// Trusts the root certificates of a PEM text, and no others but those given so.
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Sends everything through a proxy, loopback hosts too: `http://` or `https://`, with user name and password in the URL if it needs
    /// them.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Choice::Explicit(url.into());
        self
    }

    /// Uses no proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = Choice::None;
        self
    }

    /// Checks the configuration and makes the transport.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): a certificate that is none, or a proxy that is no URL of a known kind.
    pub fn build(self) -> Result<UreqTransport, Error> {
        let mut tls = TlsConfig::builder();
        if !self.roots.is_empty() {
            let items = self.roots.iter().flat_map(|pem| parse_pem(pem));
            let certificates = items
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
                    Ok(_) => None,
                    Err(error) => Some(Err(InvalidInput::new("root_certificates", error.to_string()))),
                })
                .collect::<Result<Vec<_>, _>>()?;
            if certificates.is_empty() {
                return Err(InvalidInput::new("root_certificates", "holds no certificate").into());
            }
            tls = tls.root_certs(RootCerts::from(certificates));
        }
        let tls = tls.build();
        let explicit = matches!(self.proxy, Choice::Explicit(_));
        let proxy = match self.proxy {
            Choice::Environment => Proxy::try_from_env(),
            Choice::None => None,
            Choice::Explicit(url) => {
                let invalid = |error: ureq::Error| InvalidInput::new("proxy", error.to_string());
                Some(Proxy::new(&url).map_err(invalid)?)
            }
        };
        let agent = |proxy: Option<Proxy>| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .tls_config(tls.clone())
                .proxy(proxy)
                .build();
            Agent::with_parts(config, Watched(DefaultConnector::new()), DefaultResolver::default())
        };
        let direct = agent(if explicit { proxy.clone() } else { None });
        Ok(UreqTransport { agent: agent(proxy), direct })
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
    fn send(&self, request: Request<Bytes>) -> Result<Response<Box<dyn Read + Send>>, TransportError> {
        let timeouts = request.extensions().get::<Timeouts>().copied().unwrap_or_default();
        let loopback = request.uri().host().is_some_and(|host| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        });
        let agent = if loopback { &self.direct } else { &self.agent };
        // A call's deadline shorter than the connect limit must still tell that nothing was sent, so it runs out here a little earlier.
        let deadline = timeouts.deadline.map(|deadline| deadline.saturating_sub(Duration::from_millis(20)));
        let connect = [timeouts.connect, deadline].into_iter().flatten().min();
        WROTE.set(false);
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, &*body)
            .with_agent(agent)
            .configure()
            .timeout_global(timeouts.deadline)
            .timeout_resolve(connect)
            .timeout_connect(connect)
            .timeout_recv_response(timeouts.headers)
            .timeout_per_read(timeouts.idle)
            .allow_non_standard_methods(true)
            .build();
        let response = request.run().map_err(|error| classify(error, WROTE.get()))?;
        Ok(response.map(|body| Box::new(Reading(body.into_reader())) as _))
    }
}

thread_local! {
    /// Whether the request that this thread sends was begun to be written.
    static WROTE: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread reads a body: until then nothing is idle, for a run sends nothing until it ends.
    static READS_BODY: Cell<bool> = const { Cell::new(false) };
}

/// What an error of ureq means for the run.
fn classify(error: ureq::Error, wrote: bool) -> TransportError {
    use ureq::Timeout as Ran;
    match error {
        ureq::Error::Timeout(Ran::Resolve | Ran::Connect) => TransportError::timeout(Timeout::Connect),
        ureq::Error::Timeout(Ran::Global | Ran::PerCall) => TransportError::timeout(Timeout::Deadline),
        ureq::Error::Timeout(Ran::PerRead | Ran::RecvBody) => TransportError::timeout(Timeout::Idle),
        ureq::Error::Timeout(_) => TransportError::timeout(Timeout::Headers),
        error if wrote => TransportError::may_have_run(error),
        error => TransportError::not_sent(error),
    }
}

/// A body whose reads are those of a body.
struct Reading(ureq::BodyReader<'static>);

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        READS_BODY.set(true);
        let read = self.0.read(into);
        READS_BODY.set(false);
        read.map_err(|error| io::Error::other(classify(error.into(), true)))
    }
}

/// The connections of ureq, watched for what its errors and timeouts do not tell.
#[derive(Debug)]
struct Watched(DefaultConnector);

impl Connector for Watched {
    type Out = WatchedConnection;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Self::Out>, ureq::Error> {
        // The TLS of a request is that of its agent: so it is made once, and its sessions are resumed.
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: false,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let connection = self.0.connect(&details, None);
        // What was written to a proxy is not the request.
        WROTE.set(false);
        Ok(connection?.map(WatchedConnection))
    }
}

#[derive(Debug)]
struct WatchedConnection(Box<dyn Connection>);

impl Connection for WatchedConnection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        WROTE.set(true);
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, ureq::Error> {
        timeout.per_read = timeout.per_read.filter(|_| READS_BODY.get());
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
