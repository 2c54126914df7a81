//! Connections of ureq: TLS with the shared settings, and facts that the errors of ureq do not
//! report.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, LazyBuffers, NextTimeout, TcpConnector, Transport,
    TransportAdapter,
};

thread_local! {
    /// Whether the request that this thread sends was written at least in part.
    pub(super) static WROTE: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread reads a body. The idle timeout does not apply earlier: a run sends
    /// nothing until it ends.
    pub(super) static READING_BODY: Cell<bool> = const { Cell::new(false) };
}

fn is_closed_by_peer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Opens connections that record whether a request was written.
#[derive(Debug)]
pub(super) struct MonitoredConnector(Box<dyn Connector<(), Out = Box<dyn Transport>>>);

impl MonitoredConnector {
    pub(super) fn new(tls: &Arc<ClientConfig>) -> Self {
        let tls = TlsConnector(Arc::clone(tls));
        Self(Box::new(().chain(ConnectProxyConnector::default()).chain(TcpConnector::default()).chain(tls)))
    }
}

impl Connector for MonitoredConnector {
    type Out = MonitoredConnection;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Self::Out>, Error> {
        let connection = self.0.connect(details, None);
        // The bytes of a CONNECT request to a proxy are not those of the request.
        WROTE.set(false);
        Ok(connection?.map(MonitoredConnection))
    }
}

#[derive(Debug)]
pub(super) struct MonitoredConnection(Box<dyn Transport>);

impl Transport for MonitoredConnection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let wrote_before = WROTE.replace(true);
        match self.0.transmit_output(amount, timeout) {
            // The server may have sent an error response early and closed its read side. The rest
            // of the request is discarded, so that the response is still read.
            Err(Error::Io(error)) if wrote_before && is_closed_by_peer(&error) => Ok(()),
            result => result,
        }
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, Error> {
        timeout.per_read = timeout.per_read.filter(|_| READING_BODY.get());
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// Adds TLS to an https connection.
///
/// The connector of ureq cannot trust further certificates in addition to its default ones.
struct TlsConnector(Arc<ClientConfig>);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails<'_>, tcp: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(tcp) = tcp else { return Ok(None) };
        if !details.needs_tls() || tcp.is_tls() {
            return Ok(Some(tcp.boxed()));
        }
        let host = details.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host).map_err(|_| Error::Tls("the host is not a valid server name"))?;
        let mut session = ClientConnection::new(Arc::clone(&self.0), name.to_owned())?;
        let mut adapter = TransportAdapter::new(tcp.boxed(), Arc::clone(&details.current_time));
        adapter.set_timeout(remaining(details));
        session.complete_io(&mut adapter)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Box::new(TlsConnection { buffers, stream: StreamOwned::new(session, adapter) })))
    }
}

/// Returns the rest of the timeout for connecting, which started before TCP was connected.
fn remaining(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Duration::Exact(after), Instant::Exact(start)) = (timeout.after, details.now) {
        timeout.after = after.saturating_sub(start.elapsed()).into();
    }
    timeout
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

struct TlsConnection {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsConnection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnection").finish_non_exhaustive()
    }
}
