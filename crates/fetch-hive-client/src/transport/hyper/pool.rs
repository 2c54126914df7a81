//! A pool of connections.
//!
//! A run costs money and cannot be deduplicated, so a request must not be lost on a connection that
//! ended unnoticed. What a pool for this service must do:
//!
//! | requirement | where |
//! |---|---|
//! | report when a connection is established: the connect timeout ends there | `Host::connect` |
//! | detect the protocol once for a burst of calls | `Host::run_probe` |
//! | use a connection that becomes idle while another one is opened | `Host::open` |
//! | check an idle connection before a request is written to it | `idle` |
//! | not reuse a connection after the idle timeout, by wall clock | `Host::is_fresh` |
//! | open another connection when the server allows no more streams | `Host::ready` |
//! | give up pooled connections after five stale ones in a row | `Host::found_stale` |
//! | keep connections of different runtimes apart | `Pool::host` |
//!
//! The legacy client of hyper-util does not meet the first, fourth and sixth requirement. The parts
//! in `hyper_util::client::pool` were considered and not used, because most of the table would
//! remain our code:
//!
//! - `negotiate` would replace `Host::run_probe`. It does not reset the protocol after a proxy or a
//!   server changed.
//! - `cache` would replace the list of idle HTTP/1.1 connections. It does not check a connection
//!   before a request is written, expire it by wall clock, or count stale connections.
//! - `singleton` would replace the shared HTTP/2 connection. It opens no second one at the stream
//!   limit, and a failed attempt reaches its waiters without the response of a proxy.
//! - `map` would replace the table of hosts. Runtimes need a key that is not part of a URL.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use hyper::client::conn::{http1, http2};
use tokio::runtime::{self, Handle};
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use super::idle::IdleState;
use super::open::{Alpn, Opened, Opener};
use super::send_body::SendBody;
use super::stream_limit::StreamLimit;
use super::task::spawn;
use crate::error::{BoxError, MAX_STALE_CONNECTIONS, TransportError};

/// The timeout of a connection that is opened in the background, independent of the calls that wait
/// for it.
const BACKGROUND_CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// The number of times that a call detects the protocol of a host whose HTTP/2 connections close at
/// once.
const MAX_PROBES: usize = 3;

/// The connections of a transport, per host.
pub(super) struct Pool {
    opener: Arc<Opener>,
    idle_timeout: Duration,
    /// Most programs use one host, for which a list is as fast as a map.
    hosts: Mutex<Vec<Arc<Host>>>,
}

impl Pool {
    pub(super) fn new(opener: Opener, idle_timeout: Duration) -> Self {
        Self { opener: Arc::new(opener), idle_timeout, hosts: Mutex::default() }
    }

    /// Returns the connections to the host of a URL that belong to a runtime.
    pub(super) fn host(&self, uri: &Uri, runtime: runtime::Id) -> Result<Arc<Host>, TransportError> {
        let invalid = || TransportError::not_sent("the URL of the request has no host");
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(invalid()) };
        let secure = *scheme == Scheme::HTTPS;
        let mut hosts = lock(&self.hosts);
        let known =
            |host: &&Arc<Host>| host.runtime == runtime && host.secure == secure && host.authority == *authority;
        if let Some(host) = hosts.iter().find(known) {
            return Ok(Arc::clone(host));
        }
        let default_port = if secure { 443 } else { 80 };
        let header_value = match authority.port_u16() {
            Some(port) if port != default_port => HeaderValue::try_from(format!("{}:{port}", authority.host())),
            _ => HeaderValue::from_str(authority.host()),
        };
        let host = Arc::new(Host {
            runtime,
            secure,
            authority: authority.clone(),
            header_value: header_value.map_err(|_| invalid())?,
            opener: Arc::clone(&self.opener),
            idle_timeout: self.idle_timeout,
            connections: Mutex::default(),
        });
        // Connections of a runtime that has ended are dropped.
        hosts.retain(|host| Arc::strong_count(host) > 1 || lock(&host.connections).has_reaper());
        hosts.push(Arc::clone(&host));
        Ok(host)
    }
}

/// A host and its connections on one runtime.
///
/// A connection is driven by the runtime on which it was opened, and ends with it.
pub(super) struct Host {
    runtime: runtime::Id,
    secure: bool,
    authority: Authority,
    /// The value of the `host` header over HTTP/1.1.
    pub(super) header_value: HeaderValue,
    opener: Arc<Opener>,
    idle_timeout: Duration,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    /// Whether the host chose HTTP/1.1 when its protocol was last negotiated.
    http1_only: bool,
    /// A task opens a connection over https and owns the sender. It ends with an outcome, when no
    /// call waits for it any more, or with its runtime.
    probing: Weak<watch::Sender<ProbeOutcome>>,
    /// The first one that allows another stream is used, so that surplus ones become idle.
    http2: Vec<Http2Connection>,
    /// The number of connections in a row that were found closed before a request was written.
    stale: usize,
    /// The most recently used connection is last, and is used first.
    idle: Vec<IdleConnection>,
    /// The calls that wait for a connection, either a new one or one that becomes idle.
    waiting: VecDeque<oneshot::Sender<Http1Connection>>,
    /// The task that closes idle connections.
    reaper: Option<AbortHandle>,
}

/// The outcome of a probe; absent while it is running.
type ProbeOutcome = Option<Result<(), Arc<BoxError>>>;

/// A connection that carries one request at a time.
pub(super) struct Http1Connection {
    pub(super) sender: http1::SendRequest<SendBody>,
    /// Whether the peer is a proxy that expects the whole URL in the request line.
    pub(super) proxied: bool,
    idle: IdleState,
    host: Weak<Host>,
}

/// An HTTP/1.1 connection without a request.
struct IdleConnection {
    connection: Http1Connection,
    /// The wall clock, because it also counts the time while the machine is suspended.
    since: SystemTime,
    /// Whether the connection was used since the reaper last ran.
    used: bool,
}

/// A connection that carries many requests at a time.
#[derive(Clone)]
pub(super) struct Http2Connection {
    pub(super) sender: http2::SendRequest<SendBody>,
    /// Cloned for each request, so that its reference count is one more than the number of
    /// requests.
    streams: Arc<Streams>,
    last_used: SystemTime,
    /// Whether the connection was used since the reaper last ran.
    used: bool,
}

struct Streams {
    idle: IdleState,
    limit: Arc<StreamLimit>,
}

impl Http2Connection {
    fn open_streams(&self) -> usize {
        Arc::strong_count(&self.streams) - 1
    }
}

/// The connection of a request.
pub(super) enum Connection {
    Http1(Http1Connection),
    Http2(Http2Connection),
}

impl Host {
    /// Returns an open connection, if there is one that can be used.
    pub(super) fn ready(&self) -> Option<Connection> {
        let mut connections = lock(&self.connections);
        connections.http2.retain(|connection| {
            !connection.sender.is_closed() && (connection.open_streams() > 0 || self.is_fresh(connection.last_used))
        });
        for connection in &mut connections.http2 {
            let streams = connection.open_streams();
            if streams < connection.streams.limit.get() {
                if streams == 0 {
                    connection.streams.idle.set_idle_http2();
                }
                (connection.used, connection.last_used) = (true, SystemTime::now());
                return Some(Connection::Http2(connection.clone()));
            }
        }
        loop {
            let IdleConnection { connection, since, .. } = connections.idle.pop()?;
            if connection.sender.is_ready() && self.is_fresh(since) {
                return Some(Connection::Http1(connection));
            }
        }
    }

    /// Returns whether a connection that was last used at this time may be used again.
    ///
    /// A gateway in between may have dropped an older one silently, and a request written to it
    /// would be lost although it might have run. The reaper alone is not enough, because the
    /// runtime may not have run.
    fn is_fresh(&self, last_used: SystemTime) -> bool {
        last_used.elapsed().is_ok_and(|idle| idle < self.idle_timeout)
    }

    /// Opens a connection, or takes one that is returned earlier.
    ///
    /// Over https, the first connection detects the protocol of the host before others are opened.
    /// Otherwise a burst of requests would open one connection each, and discard all but one if the
    /// host chooses HTTP/2.
    ///
    /// A host whose HTTP/2 connections have no stream left gets another one.
    pub(super) async fn connect(
        self: &Arc<Self>,
        uri: &Uri,
        timeout: Option<Duration>,
    ) -> Result<Connection, TransportError> {
        let mut unusable = 0;
        while unusable < MAX_PROBES {
            let Some(mut probe) = self.probe(uri, timeout) else {
                return self.open(uri, timeout).await.map(Connection::Http1).map_err(|error| {
                    self.reset_protocol(None);
                    TransportError::not_sent(error)
                });
            };
            let outcome = probe.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
            match outcome {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(TransportError::not_sent(SharedError(error))),
                None => return Err(TransportError::not_sent("the runtime that was opening the connection has ended")),
            }
            if let Some(connection) = self.ready() {
                return Ok(connection);
            }
            // Other calls may have taken all streams of the new connection.
            if !lock(&self.connections).http2.iter().any(|connection| connection.open_streams() > 0) {
                unusable += 1;
            }
        }
        Err(TransportError::not_sent("the host closed each connection as soon as it was open"))
    }

    /// Returns a receiver for the protocol that the host negotiates, or `None` if the host is known
    /// to use HTTP/1.1.
    fn probe(self: &Arc<Self>, uri: &Uri, timeout: Option<Duration>) -> Option<watch::Receiver<ProbeOutcome>> {
        let mut connections = lock(&self.connections);
        if !self.secure || connections.http1_only {
            return None;
        }
        if let Some(sender) = connections.probing.upgrade() {
            return Some(sender.subscribe());
        }
        let (sender, receiver) = watch::channel(None);
        let sender = Arc::new(sender);
        connections.probing = Arc::downgrade(&sender);
        // A separate task, because the call that started the probe may be dropped while others wait
        // for it.
        spawn(Box::pin(Arc::clone(self).run_probe(uri.clone(), timeout, sender)));
        Some(receiver)
    }

    async fn run_probe(
        self: Arc<Self>,
        uri: Uri,
        timeout: Option<Duration>,
        waiters: Arc<watch::Sender<ProbeOutcome>>,
    ) {
        let opening = self.opener.open(uri, Alpn::Http2OrHttp1, timeout);
        let mut opening = pin!(tokio::time::timeout(BACKGROUND_CONNECT_TIMEOUT, opening));
        let opened = loop {
            if let Either::Left((opened, _)) = select(opening.as_mut(), pin!(waiters.closed())).await {
                break opened.unwrap_or_else(|elapsed| Err(elapsed.into()));
            }
            let mut connections = lock(&self.connections);
            if waiters.receiver_count() == 0 {
                connections.probing = Weak::new();
                return;
            }
        };
        let outcome = match opened {
            Ok(Opened::Http2 { sender, idle, limit }) => {
                let streams = Arc::new(Streams { idle, limit });
                let connection = Http2Connection { sender, streams, last_used: SystemTime::now(), used: true };
                lock(&self.connections).http2.push(connection);
                Ok(())
            }
            Ok(Opened::Http1 { sender, idle, proxied }) => {
                if waiters.receiver_count() == 0 {
                    idle.set_idle_http1();
                }
                self.put(self.http1(sender, idle, proxied));
                let mut connections = lock(&self.connections);
                connections.http1_only = connections.http2.is_empty();
                Ok(())
            }
            Err(error) => Err(Arc::new(error)),
        };
        let mut connections = lock(&self.connections);
        connections.probing = Weak::new();
        self.ensure_reaper(&mut connections);
        drop(connections);
        waiters.send_replace(Some(outcome));
    }

    /// Opens an HTTP/1.1 connection, unless another one is returned earlier.
    async fn open(self: &Arc<Self>, uri: &Uri, timeout: Option<Duration>) -> Result<Http1Connection, BoxError> {
        let (sender, mut receiver) = oneshot::channel();
        {
            let waiting = &mut lock(&self.connections).waiting;
            waiting.retain(|waiting| !waiting.is_closed());
            waiting.push_back(sender);
        }
        let (host, uri) = (Arc::clone(self), uri.clone());
        let opening = Box::pin(async move {
            match host.opener.open(uri, Alpn::Http1Only, timeout).await? {
                Opened::Http1 { sender, idle, proxied } => Ok(host.http1(sender, idle, proxied)),
                Opened::Http2 { .. } => Err("the host chose HTTP/2, which was not offered".into()),
            }
        });
        // A connection whose response has just ended is returned by its task, which may only need
        // to be polled.
        tokio::task::yield_now().await;
        if let Ok(returned) = receiver.try_recv() {
            return if returned.sender.is_ready() { Ok(returned) } else { opening.await };
        }
        match select(receiver, opening).await {
            Either::Left((Ok(returned), opening)) if returned.sender.is_ready() => {
                // The surplus connection serves a later request.
                spawn(Box::pin(async move {
                    if let Ok(Ok(connection)) = tokio::time::timeout(BACKGROUND_CONNECT_TIMEOUT, opening).await {
                        connection.idle.set_idle_http1();
                        connection.put_back();
                    }
                }));
                Ok(returned)
            }
            // The returned connection has ended in the meantime.
            Either::Left((_, opening)) => opening.await,
            Either::Right((opened, mut receiver)) => {
                receiver.close();
                if let Ok(returned) = receiver.try_recv() {
                    returned.put_back();
                }
                opened
            }
        }
    }

    fn http1(
        self: &Arc<Self>,
        sender: http1::SendRequest<SendBody>,
        idle: IdleState,
        proxied: bool,
    ) -> Http1Connection {
        Http1Connection { sender, proxied, idle, host: Arc::downgrade(self) }
    }

    /// Hands a connection over to a waiting call, or keeps it as idle.
    fn put(self: &Arc<Self>, mut connection: Http1Connection) {
        let mut connections = lock(&self.connections);
        connections.stale = 0;
        while let Some(waiting) = connections.waiting.pop_front() {
            match waiting.send(connection) {
                Ok(()) => return,
                Err(rejected) => connection = rejected,
            }
        }
        connections.idle.push(IdleConnection { connection, since: SystemTime::now(), used: true });
        self.ensure_reaper(&mut connections);
    }

    /// Resets the protocol after a request could not be sent, so that the next request detects it
    /// again.
    pub(super) fn reset_protocol(&self, failed: Option<&Http2Connection>) {
        let mut connections = lock(&self.connections);
        match failed {
            None => connections.http1_only = false,
            Some(failed) => connections.http2.retain(|known| !Arc::ptr_eq(&known.streams, &failed.streams)),
        }
    }

    /// Records that a pooled connection was closed before a request was written to it. After
    /// several in a row, the next call opens a connection.
    pub(super) fn found_stale(&self) {
        let mut connections = lock(&self.connections);
        connections.stale += 1;
        if connections.stale >= MAX_STALE_CONNECTIONS {
            connections.idle.clear();
            connections.http2.clear();
        }
    }

    /// Starts the task that closes idle connections, unless it is running.
    fn ensure_reaper(self: &Arc<Self>, connections: &mut Connections) {
        if !connections.has_reaper() {
            let host = Arc::downgrade(self);
            // A connection that was not used between two runs is closed.
            let interval = (self.idle_timeout / 2).max(Duration::from_millis(50));
            let reaper = async move {
                loop {
                    tokio::time::sleep(interval).await;
                    let Some(host) = host.upgrade() else { return };
                    lock(&host.connections).close_unused();
                }
            };
            connections.reaper = Handle::try_current().ok().map(|_| spawn(Box::pin(reaper)).abort_handle());
        }
    }
}

impl Connections {
    fn has_reaper(&self) -> bool {
        self.reaper.as_ref().is_some_and(|reaper| !reaper.is_finished())
    }

    fn close_unused(&mut self) {
        self.idle.retain_mut(|idle| std::mem::take(&mut idle.used) && !idle.connection.sender.is_closed());
        self.http2.retain_mut(|connection| {
            let used = std::mem::take(&mut connection.used) || connection.open_streams() > 0;
            used && !connection.sender.is_closed()
        });
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        if let Some(reaper) = &self.reaper {
            reaper.abort();
        }
    }
}

impl Connection {
    /// Returns whether the connection was found closed before anything was written to it.
    pub(super) fn is_stale(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.idle.is_stale(),
            Self::Http2(connection) => connection.streams.idle.is_stale(),
        }
    }
}

impl Http1Connection {
    /// Puts the connection back into the pool when its response has ended or is no longer read.
    ///
    /// An unread connection is kept if hyper can soon read the rest of the response. Otherwise
    /// hyper closes it.
    pub(super) fn return_to_pool(mut self) {
        self.idle.set_idle_http1();
        if self.sender.is_ready() {
            return self.put_back();
        }
        if let (false, Ok(runtime)) = (self.sender.is_closed(), Handle::try_current()) {
            runtime.spawn(async move {
                if self.sender.ready().await.is_ok() {
                    self.put_back();
                }
            });
        }
    }

    fn put_back(self) {
        if let Some(host) = self.host.upgrade() {
            host.put(self);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error of one failed connection, shared by all calls that waited for it.
#[derive(Debug)]
struct SharedError(Arc<BoxError>);

impl std::fmt::Display for SharedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
