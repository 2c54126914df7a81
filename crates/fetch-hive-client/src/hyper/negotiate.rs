//! One connection finds out what a host speaks before the others are opened.
//!
//! A pool that learns the protocol from each new connection opens one per request in a cold burst, and throws all but one away when
//! HTTP/2 comes out. Here the first request to a host opens a connection and the others wait for what it negotiates; the pool of that
//! protocol then starts with this very connection.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection;
use rustls::ClientConfig;
use tokio::sync::watch;
use tower_service::Service;

use super::connect::{Route, Routes};
use crate::{BoxError, TransportError};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A first connection is given up after this, whatever the limit of the call that asked for it.
const LONGEST_PROBE: Duration = Duration::from_secs(60);

type Stream = MaybeHttpsStream<Route>;
type Connecting = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;
/// What a probe found; nothing while it is under way.
type Found = Option<Result<Protocol, Arc<BoxError>>>;

#[derive(Clone)]
enum Host {
    /// By a task that alone keeps the sender; it ends when there is an outcome, or when nobody waits any more, or with its runtime.
    Probing(Weak<watch::Sender<Found>>),
    Known(Protocol),
}

/// What is known of each host, and the connections that found it out, until a pool takes them.
#[derive(Default)]
struct Hosts {
    known: HashMap<Authority, Host>,
    parked: HashMap<Authority, (Protocol, Stream)>,
}

#[derive(Clone)]
pub(super) struct Negotiator {
    /// Behind a pointer, because a pool clones its connector with each request.
    connectors: Arc<Connectors>,
    hosts: Arc<Mutex<Hosts>>,
}

struct Connectors {
    both: HttpsConnector<Routes>,
    http1: HttpsConnector<Routes>,
}

impl Negotiator {
    pub(super) fn new(routes: Routes, both: Arc<ClientConfig>, http1: Arc<ClientConfig>) -> Self {
        let connectors = Connectors {
            both: HttpsConnector::from((routes.clone(), both)),
            http1: HttpsConnector::from((routes, http1)),
        };
        Self { connectors: Arc::new(connectors), hosts: Arc::default() }
    }

    /// The connector of the pool of one protocol.
    pub(super) fn connector(&self, protocol: Protocol) -> Pinned {
        Pinned { protocol, negotiator: self.clone() }
    }

    /// What the host of an https URL speaks, found out by a connection if it is not known yet.
    pub(super) async fn protocol(&self, uri: &Uri) -> Result<Protocol, TransportError> {
        let Some(authority) = uri.authority() else { return Ok(Protocol::Http1) };
        let mut found = {
            let mut hosts = lock(&self.hosts);
            let probing = match hosts.known.get(authority) {
                Some(Host::Known(protocol)) => return Ok(*protocol),
                Some(Host::Probing(tell)) => tell.upgrade(),
                None => None,
            };
            // Without a probe there is none yet, or one whose runtime ended under way.
            if let Some(tell) = probing {
                tell.subscribe()
            } else {
                let (tell, found) = watch::channel(None);
                let tell = Arc::new(tell);
                hosts.known.insert(authority.clone(), Host::Probing(Arc::downgrade(&tell)));
                self.probe(uri.clone(), authority.clone(), tell);
                found
            }
        };
        let result = match found.wait_for(Option::is_some).await {
            Ok(found) => found.clone(),
            Err(_) => None,
        };
        match result {
            Some(Ok(protocol)) => Ok(protocol),
            Some(Err(error)) => Err(TransportError::not_sent(Shared(error))),
            None => Err(TransportError::not_sent("the runtime that was making the connection has ended")),
        }
    }

    /// Opens a connection in a task of its own: the call that asked for it may be dropped while others wait for it.
    fn probe(&self, uri: Uri, authority: Authority, tell: Arc<watch::Sender<Found>>) {
        let (mut connector, hosts) = (self.connectors.both.clone(), Arc::clone(&self.hosts));
        tokio::spawn(async move {
            let mut connecting = pin!(tokio::time::timeout(LONGEST_PROBE, connect(&mut connector, uri)));
            let connected = loop {
                if let Some(connected) = unless(connecting.as_mut(), tell.closed()).await {
                    break connected.unwrap_or_else(|elapsed| Err(elapsed.into()));
                }
                let mut hosts = lock(&hosts);
                if tell.receiver_count() == 0 {
                    hosts.known.remove(&authority);
                    return;
                }
            };
            let mut hosts = lock(&hosts);
            let result = match connected {
                Ok(stream) => {
                    let protocol = protocol_of(&stream);
                    hosts.known.insert(authority.clone(), Host::Known(protocol));
                    // Nobody would take it, and so nobody would close it, if all calls that waited are gone.
                    if tell.receiver_count() > 0 {
                        hosts.parked.insert(authority, (protocol, stream));
                    }
                    Ok(protocol)
                }
                Err(error) => {
                    hosts.known.remove(&authority);
                    Err(Arc::new(error))
                }
            };
            drop(hosts);
            tell.send_replace(Some(result));
        });
    }

    /// Forgets what a host speaks; the next request finds it out anew.
    pub(super) fn forget(&self, authority: &Authority) {
        let mut hosts = lock(&self.hosts);
        if matches!(hosts.known.get(authority), Some(Host::Known(_))) {
            hosts.known.remove(authority);
            hosts.parked.remove(authority);
        }
    }
}

async fn connect(connector: &mut HttpsConnector<Routes>, uri: Uri) -> Result<Stream, BoxError> {
    poll_fn(|cx| connector.poll_ready(cx)).await?;
    connector.call(uri).await
}

/// Waits for a future, unless another ends first.
async fn unless<T>(mut future: Pin<&mut impl Future<Output = T>>, ends: impl Future<Output = ()>) -> Option<T> {
    let mut ends = pin!(ends);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => ends.as_mut().poll(cx).map(|()| None),
    })
    .await
}

fn protocol_of(stream: &Stream) -> Protocol {
    if stream.connected().is_negotiated_h2() { Protocol::Http2 } else { Protocol::Http1 }
}

fn lock(hosts: &Mutex<Hosts>) -> MutexGuard<'_, Hosts> {
    hosts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the connections of one pool, beginning with the one that found its protocol out.
#[derive(Clone)]
pub(super) struct Pinned {
    protocol: Protocol,
    negotiator: Negotiator,
}

impl Service<Uri> for Pinned {
    type Response = Stream;
    type Error = BoxError;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let want = self.protocol;
        if let Some(authority) = uri.authority() {
            let mut hosts = lock(&self.negotiator.hosts);
            if hosts.parked.get(authority).is_some_and(|(protocol, _)| *protocol == want) {
                if let Some((_, stream)) = hosts.parked.remove(authority) {
                    return Box::pin(async move { Ok(stream) });
                }
            }
        }
        let connectors = &self.negotiator.connectors;
        let mut connector = if want == Protocol::Http1 { &connectors.http1 } else { &connectors.both }.clone();
        Box::pin(async move {
            let stream = connect(&mut connector, uri).await?;
            if want == Protocol::Http2 && protocol_of(&stream) != want {
                return Err("the host no longer speaks HTTP/2".into());
            }
            Ok(stream)
        })
    }
}

/// One failed connection, for all that waited for it.
#[derive(Debug)]
struct Shared(Arc<BoxError>);

impl std::fmt::Display for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
