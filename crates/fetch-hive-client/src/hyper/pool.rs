//! Connections that are kept for further requests.
//!
//! Two things must be known of a connection here that the pools of libraries tell late or at a price for each request: whether there is one
//! yet, where the limit for connecting ends, and whether it has rested, so that it is looked at before it is written to.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use tokio::runtime::{self, Handle};
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use super::idle::Idle;
use super::open::{Offer, Opened, Opener};
use crate::{BoxError, TransportError};

/// A first connection is given up after this, whatever the limit of the call that asked for it.
const LONGEST_PROBE: Duration = Duration::from_secs(60);

/// How often a call finds out what a host speaks, if each connection over HTTP/2 is over at once.
const PROBES: usize = 3;

/// The hosts that were asked. Mostly there is one, so that no table is faster than a list.
pub(super) struct Pool {
    opener: Arc<Opener>,
    /// The longest that a connection may rest.
    kept: Duration,
    hosts: Mutex<Vec<Arc<Host>>>,
}

impl Pool {
    pub(super) fn new(opener: Opener, kept: Duration) -> Self {
        Self { opener: Arc::new(opener), kept, hosts: Mutex::default() }
    }

    /// The host of a URL, asked from a runtime.
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
        let usual = if secure { 443 } else { 80 };
        let name = match authority.port_u16() {
            Some(port) if port != usual => HeaderValue::try_from(format!("{}:{port}", authority.host())),
            _ => HeaderValue::from_str(authority.host()),
        };
        let host = Arc::new(Host {
            runtime,
            secure,
            authority: authority.clone(),
            name: name.map_err(|_| invalid())?,
            opener: Arc::clone(&self.opener),
            kept: self.kept,
            connections: Mutex::default(),
        });
        // What belongs to a runtime that has ended goes.
        hosts.retain(|host| Arc::strong_count(host) > 1 || lock(&host.connections).is_swept());
        hosts.push(Arc::clone(&host));
        Ok(host)
    }
}

/// A host and its connections, for one runtime: it alone drives the connections that were made on it, and ends them when it ends.
pub(super) struct Host {
    runtime: runtime::Id,
    secure: bool,
    authority: Authority,
    /// What `host` says over HTTP/1.1.
    pub(super) name: HeaderValue,
    opener: Arc<Opener>,
    kept: Duration,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    speaks: Speaks,
    /// The one used last comes last, and is used first.
    resting: Vec<Resting>,
    /// Calls that open a connection, and take one that becomes free before theirs is there.
    waiting: VecDeque<oneshot::Sender<Http1>>,
    /// The task that closes what nobody uses.
    sweeper: Option<AbortHandle>,
}

#[derive(Default)]
enum Speaks {
    #[default]
    Unknown,
    /// A first connection is opened by a task that alone keeps the sender; it ends when there is an outcome, or when nobody waits any more,
    /// or with its runtime.
    Probing(Weak<watch::Sender<Found>>),
    Http1,
    Http2(Http2),
}

/// What a probe found; nothing while it is under way.
type Found = Option<Result<(), Arc<BoxError>>>;

/// A connection that carries one request at a time.
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<Full<Bytes>>,
    pub(super) proxied: bool,
    idle: Idle,
    host: Weak<Host>,
}

/// A connection that nobody uses.
struct Resting {
    connection: Http1,
    /// Unlike other clocks this one goes on while the machine sleeps.
    since: SystemTime,
    /// Whether it was used since the last sweep.
    used: bool,
}

/// A connection that carries many requests at a time.
#[derive(Clone)]
pub(super) struct Http2 {
    pub(super) sender: http2::SendRequest<Full<Bytes>>,
    /// Cloned with it: how many requests there are.
    requests: Arc<()>,
    /// When it was taken the last time.
    taken: SystemTime,
    /// Since the last sweep.
    used: bool,
}

/// A connection that a request has.
pub(super) enum Connection {
    Http1(Http1),
    Http2(Http2),
}

impl Host {
    /// A connection that is there already.
    pub(super) fn ready(&self) -> Option<Connection> {
        let mut connections = lock(&self.connections);
        if let Speaks::Http2(connection) = &mut connections.speaks {
            let in_use = Arc::strong_count(&connection.requests) > 1;
            if !connection.sender.is_closed() && (in_use || self.may_rest_since(connection.taken)) {
                (connection.used, connection.taken) = (true, SystemTime::now());
                return Some(Connection::Http2(connection.clone()));
            }
            connections.speaks = Speaks::Unknown;
        }
        loop {
            let Resting { connection, since, .. } = connections.resting.pop()?;
            if connection.sender.is_ready() && self.may_rest_since(since) {
                return Some(Connection::Http1(connection));
            }
        }
    }

    /// Whether a connection is still to be used. What lies between may have forgotten it by then without a word, and a request that is
    /// written to it would be lost, and might have run. The sweeper cannot be relied on: the runtime may not have run.
    fn may_rest_since(&self, time: SystemTime) -> bool {
        time.elapsed().is_ok_and(|rest| rest < self.kept)
    }

    /// A connection that is opened, or becomes free before.
    ///
    /// By https, the first connection finds out what a host speaks before others are opened: a cold burst of requests would open one for
    /// each of them, and throw all but one away when HTTP/2 comes out.
    pub(super) async fn wait(self: &Arc<Self>, uri: &Uri) -> Result<Connection, TransportError> {
        for _ in 0..PROBES {
            let Some(mut found) = self.probe(uri) else {
                return self.open(uri).await.map(Connection::Http1).map_err(|error| {
                    self.forget(None);
                    TransportError::not_sent(error)
                });
            };
            let found = found.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
            match found {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(TransportError::not_sent(Shared(error))),
                None => return Err(TransportError::not_sent("the runtime that was making the connection has ended")),
            }
            if let Some(connection) = self.ready() {
                return Ok(connection);
            }
        }
        Err(TransportError::not_sent("the host closed each connection as soon as it was made"))
    }

    /// The probe that finds out what the host speaks; nothing if that is HTTP/1.1.
    fn probe(self: &Arc<Self>, uri: &Uri) -> Option<watch::Receiver<Found>> {
        if !self.secure {
            return None;
        }
        let mut connections = lock(&self.connections);
        let probing = match &connections.speaks {
            Speaks::Http1 => return None,
            Speaks::Probing(tell) => tell.upgrade(),
            Speaks::Unknown | Speaks::Http2(_) => None,
        };
        // Without a probe there is none yet, or one whose runtime ended under way.
        if let Some(tell) = probing {
            return Some(tell.subscribe());
        }
        let (tell, found) = watch::channel(None);
        let tell = Arc::new(tell);
        connections.speaks = Speaks::Probing(Arc::downgrade(&tell));
        // In a task of its own: the call that asked for it may be dropped while others wait for it.
        tokio::spawn(Arc::clone(self).find_out(uri.clone(), tell));
        Some(found)
    }

    async fn find_out(self: Arc<Self>, uri: Uri, tell: Arc<watch::Sender<Found>>) {
        let mut opening = pin!(tokio::time::timeout(LONGEST_PROBE, self.opener.open(uri, Offer::Both)));
        let opened = loop {
            if let Either::Left((opened, _)) = select(opening.as_mut(), pin!(tell.closed())).await {
                break opened.unwrap_or_else(|elapsed| Err(elapsed.into()));
            }
            let mut connections = lock(&self.connections);
            if tell.receiver_count() == 0 {
                connections.speaks = Speaks::Unknown;
                return;
            }
        };
        let (speaks, found) = match opened {
            Ok(Opened::Http2(sender)) => (
                Speaks::Http2(Http2 { sender, requests: Arc::default(), taken: SystemTime::now(), used: true }),
                Ok(()),
            ),
            Ok(Opened::Http1 { sender, idle, proxied }) => {
                if tell.receiver_count() == 0 {
                    idle.begin();
                }
                self.keep(self.http1(sender, idle, proxied));
                (Speaks::Http1, Ok(()))
            }
            Err(error) => (Speaks::Unknown, Err(Arc::new(error))),
        };
        let mut connections = lock(&self.connections);
        connections.speaks = speaks;
        self.see_to_sweeping(&mut connections);
        drop(connections);
        tell.send_replace(Some(found));
    }

    /// Opens a connection that speaks HTTP/1.1, unless another becomes free before it is there.
    async fn open(self: &Arc<Self>, uri: &Uri) -> Result<Http1, BoxError> {
        let (tell, mut told) = oneshot::channel();
        {
            let waiting = &mut lock(&self.connections).waiting;
            waiting.retain(|waiting| !waiting.is_closed());
            waiting.push_back(tell);
        }
        let (host, uri) = (Arc::clone(self), uri.clone());
        let opening = Box::pin(async move {
            match host.opener.open(uri, Offer::Http1).await? {
                Opened::Http1 { sender, idle, proxied } => Ok(host.http1(sender, idle, proxied)),
                Opened::Http2(_) => Err("the host chose HTTP/2, which it was not offered".into()),
            }
        });
        // One whose reply has just ended is given back by its task, which may only need a turn.
        tokio::task::yield_now().await;
        if let Ok(freed) = told.try_recv() {
            return if freed.sender.is_ready() { Ok(freed) } else { opening.await };
        }
        match select(told, opening).await {
            Either::Left((Ok(freed), opening)) if freed.sender.is_ready() => {
                // The other one serves a later request.
                tokio::spawn(async move {
                    if let Ok(Ok(connection)) = tokio::time::timeout(LONGEST_PROBE, opening).await {
                        connection.idle.begin();
                        connection.keep();
                    }
                });
                Ok(freed)
            }
            // It has ended since it was given.
            Either::Left((_, opening)) => opening.await,
            Either::Right((opened, mut told)) => {
                told.close();
                if let Ok(freed) = told.try_recv() {
                    freed.keep();
                }
                opened
            }
        }
    }

    fn http1(self: &Arc<Self>, sender: http1::SendRequest<Full<Bytes>>, idle: Idle, proxied: bool) -> Http1 {
        Http1 { sender, proxied, idle, host: Arc::downgrade(self) }
    }

    fn keep(self: &Arc<Self>, mut connection: Http1) {
        let mut connections = lock(&self.connections);
        while let Some(waiting) = connections.waiting.pop_front() {
            match waiting.send(connection) {
                Ok(()) => return,
                Err(back) => connection = back,
            }
        }
        connections.resting.push(Resting { connection, since: SystemTime::now(), used: true });
        self.see_to_sweeping(&mut connections);
    }

    /// Forgets what the host speaks, after a request could not be sent: it may be another protocol by now. The next request finds it out.
    pub(super) fn forget(&self, failed: Option<&Http2>) {
        let speaks = &mut lock(&self.connections).speaks;
        let stale = match (&*speaks, failed) {
            (Speaks::Http1, None) => true,
            (Speaks::Http2(known), Some(failed)) => Arc::ptr_eq(&known.requests, &failed.requests),
            _ => false,
        };
        if stale {
            *speaks = Speaks::Unknown;
        }
    }

    /// Starts the task that closes what nobody uses, unless it runs.
    fn see_to_sweeping(self: &Arc<Self>, connections: &mut Connections) {
        if !connections.is_swept() {
            let host = Arc::downgrade(self);
            // What was not used between two sweeps is closed.
            let between = (self.kept / 2).max(Duration::from_millis(50));
            connections.sweeper = Handle::try_current().ok().map(|runtime| {
                let sweeping = runtime.spawn(async move {
                    loop {
                        tokio::time::sleep(between).await;
                        let Some(host) = host.upgrade() else { return };
                        lock(&host.connections).sweep();
                    }
                });
                sweeping.abort_handle()
            });
        }
    }
}

impl Connections {
    fn is_swept(&self) -> bool {
        self.sweeper.as_ref().is_some_and(|sweeper| !sweeper.is_finished())
    }

    fn sweep(&mut self) {
        self.resting.retain_mut(|resting| std::mem::take(&mut resting.used) && !resting.connection.sender.is_closed());
        if let Speaks::Http2(connection) = &mut self.speaks {
            let used = std::mem::take(&mut connection.used) || Arc::strong_count(&connection.requests) > 1;
            if !used || connection.sender.is_closed() {
                self.speaks = Speaks::Unknown;
            }
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        if let Some(sweeper) = &self.sweeper {
            sweeper.abort();
        }
    }
}

impl Http1 {
    /// Gives the connection back when its response has ended, or nobody reads it any more. Then it is kept if hyper can read that end soon;
    /// else hyper closes it.
    pub(super) fn rest(mut self) {
        self.idle.begin();
        if self.sender.is_ready() {
            return self.keep();
        }
        if let (false, Ok(runtime)) = (self.sender.is_closed(), Handle::try_current()) {
            runtime.spawn(async move {
                if self.sender.ready().await.is_ok() {
                    self.keep();
                }
            });
        }
    }

    fn keep(self) {
        if let Some(host) = self.host.upgrade() {
            host.keep(self);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
