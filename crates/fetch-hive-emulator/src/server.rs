use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::callback;
use crate::catalog::Catalog;
use crate::config::{self, ConfigError};
use crate::delivery_fault::{DeliveryFault, DeliveryFaults};
use crate::deployment::{Deployment, DeploymentKind};
use crate::fault::{Connecting, Fault, Faults};
use crate::handler::Handler;
use crate::plan::Plan;
use crate::record::{Delivery, Log, RecordedRequest, RecordedRun};
use crate::script::Script;
use crate::service::{Logger, Service};
use crate::store::Store;
use crate::tls::{Identity, TlsError};
use crate::wire::{self, OverTcp, Takeover, Wire};

/// Why an emulator could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on; another program may have it.
    #[error("cannot listen on {address}: {source}{}", taken(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate could not be made.
    #[error("cannot set TLS up: {0}")]
    Tls(#[from] TlsError),
    /// The file of deployments cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of records cannot be used.
    #[cfg(feature = "store")]
    #[error(transparent)]
    Data(#[from] crate::journal::FileError),
    /// The client for callbacks could not be made.
    #[error("cannot set the delivery of callbacks up: {0}")]
    Delivery(#[from] rustls::Error),
}

/// What to do where another program has the address.
fn taken(error: &std::io::Error) -> &'static str {
    if error.kind() == std::io::ErrorKind::AddrInUse {
        "; another program listens there: stop it, or listen on another port (0 takes a free one)"
    } else {
        ""
    }
}

/// The configuration of an [`Emulator`].
#[must_use = "a builder does nothing until `start` is called"]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch by itself")]
pub struct EmulatorBuilder {
    listen: SocketAddr,
    tls: bool,
    api_key: Option<String>,
    concurrency: usize,
    daily_cap: Option<u64>,
    deployments: HashMap<(DeploymentKind, String), Deployment>,
    config: Option<PathBuf>,
    logger: Option<Logger>,
    recorded: usize,
    #[cfg(feature = "page")]
    page: bool,
    workspaces: Vec<String>,
    indexing: Duration,
    asset_link_lifetime: Duration,
    #[cfg(feature = "store")]
    data: Option<PathBuf>,
    scripts: HashMap<String, Script>,
    faults: Faults,
    fault_header: bool,
    delivery_attempts: u32,
    delivery_backoff: Duration,
    private_callbacks: bool,
    loopback_callbacks: bool,
    delivery_faults: DeliveryFaults,
}

impl EmulatorBuilder {
    /// Where to listen; a free port of 127.0.0.1 by default.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Serves https with a certificate of its own making, whose authority is [`Emulator::ca_pem`].
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// The one API key that is accepted. By default every key is, but `fhk_invalid` and `fhk_revoked`.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// How many runs may be under way at once; any number by default. Beyond it direct runs are refused and callback runs queue.
    pub fn concurrency(mut self, runs: usize) -> Self {
        self.concurrency = runs;
        self
    }

    /// How many calls are taken a day (UTC); any number by default.
    pub fn daily_cap(mut self, calls: u64) -> Self {
        self.daily_cap = Some(calls);
        self
    }

    /// Declares a deployment; the others answer with a readable text made from their inputs.
    pub fn deployment(mut self, deployment: Deployment) -> Self {
        self.deployments.insert((deployment.kind, deployment.name.clone()), deployment);
        self
    }

    /// Declares deployments.
    pub fn deployments(self, deployments: impl IntoIterator<Item = Deployment>) -> Self {
        deployments.into_iter().fold(self, Self::deployment)
    }

    /// Reads deployments from a file (see [`read_deployments`](crate::read_deployments)), again when it changes. They stand before the ones
    /// that the builder declares. A change that does not fit is told to the logger, and what was declared before stays.
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.config = Some(file.into());
        self
    }

    /// Is told of each request, each try to deliver a callback, and each change of the file of deployments, in a line of text without keys,
    /// secrets or bodies.
    pub fn logger(mut self, logger: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.logger = Some(Arc::new(logger));
        self
    }

    /// Serves a page at `/_emulator/` that shows requests, replies, streams and callbacks, live, without keys and secrets.
    #[cfg(feature = "page")]
    pub fn page(mut self, page: bool) -> Self {
        self.page = page;
        self
    }

    /// How many requests, runs and deliveries are kept to be asked for; the newest 100,000 of each by default, and of their bodies 256 MiB.
    pub fn recorded(mut self, entries: usize) -> Self {
        self.recorded = entries;
        self
    }

    /// The limits of a plan: how many runs at a time, and how many calls a day.
    pub fn plan(self, plan: Plan) -> Self {
        let (concurrency, daily_cap) = plan.limits();
        self.concurrency(concurrency).daily_cap(daily_cap)
    }

    /// A workspace that there is; every other is refused with a 404 then. Any is taken by default.
    pub fn workspace(mut self, id: impl Into<String>) -> Self {
        self.workspaces.push(id.into());
        self
    }

    /// How long the indexing of a knowledge base's item takes; no time by default.
    pub fn indexing(mut self, time: Duration) -> Self {
        self.indexing = time;
        self
    }

    /// How long the link to an asset is good; an hour by default.
    pub fn asset_link_lifetime(mut self, time: Duration) -> Self {
        self.asset_link_lifetime = time;
        self
    }

    /// Keeps records in a file, which is made if it is not there. A change is safe in it before it is acknowledged.
    #[cfg(feature = "store")]
    pub fn data(mut self, file: impl Into<PathBuf>) -> Self {
        self.data = Some(file.into());
        self
    }

    /// Scripts what a prompt deployment or an agent streams; the others stream their answer word by word.
    pub fn stream(mut self, name: impl Into<String>, script: Script) -> Self {
        self.scripts.insert(name.into(), script);
        self
    }

    /// Makes something go wrong.
    pub fn fault(self, fault: Fault) -> Self {
        self.faults.add(fault);
        self
    }

    /// Lets a request ask for a fault of its own, in words, by the header `x-fetch-hive-fault`. See [`Fault`].
    pub fn fault_header(mut self) -> Self {
        self.fault_header = true;
        self
    }

    /// How often a callback is tried, and the wait after the first try, which grows with each: 5 and 200 ms by default.
    pub fn delivery(mut self, attempts: u32, backoff: Duration) -> Self {
        self.delivery_attempts = attempts;
        self.delivery_backoff = backoff;
        self
    }

    /// Makes something go wrong with the delivery of callbacks.
    pub fn delivery_fault(self, fault: DeliveryFault) -> Self {
        self.delivery_faults.add(fault);
        self
    }

    /// Delivers callbacks to private addresses beyond loopback too.
    pub fn allow_private_callbacks(mut self) -> Self {
        self.private_callbacks = true;
        self
    }

    /// Delivers callbacks to loopback alone, and looks no other name up: nothing leaves this machine.
    pub fn loopback_callbacks_only(mut self) -> Self {
        self.loopback_callbacks = true;
        self
    }

    /// Starts to serve.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the address is taken, or TLS cannot be set up.
    pub async fn start(self) -> Result<Emulator, StartError> {
        let cannot_listen = |source| StartError::Listen { address: self.listen, source };
        let listener = TcpListener::bind(self.listen).await.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let declared = self.config.as_deref().map(config::read).transpose()?.unwrap_or_default();
        let identity = if self.tls { Some(Identity::new()?) } else { None };
        #[cfg(feature = "store")]
        let store = match self.data {
            Some(file) => Store::in_file(file).await?,
            None => Store::default(),
        };
        #[cfg(not(feature = "store"))]
        let store = Store::default();
        let service = Arc::new(Service {
            api_key: self.api_key,
            address,
            tls: self.tls,
            store,
            catalog: Catalog::default(),
            decisions: watch::Sender::new(0),
            workspaces: self.workspaces,
            indexing: self.indexing,
            asset_link_lifetime: self.asset_link_lifetime,
            deployments: RwLock::default(),
            built_in: self.deployments,
            logger: self.logger,
            scripts: self.scripts,
            open_streams: 0.into(),
            daily_cap: self.daily_cap,
            delivery_attempts: self.delivery_attempts,
            delivery_backoff: self.delivery_backoff,
            private_callbacks: self.private_callbacks,
            loopback_callbacks: self.loopback_callbacks,
            delivery_faults: self.delivery_faults,
            tried: Notify::new(),
            sender: callback::sender()?,
            places: Arc::new(Semaphore::new(self.concurrency)),
            faults: self.faults,
            fault_header: self.fault_header,
            declared_faults: Mutex::default(),
            #[cfg(feature = "page")]
            page: self.page,
            #[cfg(feature = "page")]
            exchanges: Log::of(500),
            requests: Log::of(self.recorded),
            runs: Log::of(self.recorded),
            deliveries: Log::of(self.recorded),
            in_flight: 0.into(),
            max_in_flight: 0.into(),
            accepted: 0.into(),
            open: 0.into(),
            today: Mutex::default(),
            tasks: Mutex::default(),
        });
        service.declare(declared);
        if let Some(file) = self.config {
            service.spawn(config::follow(Arc::downgrade(&service), file));
        }
        let ca_pem = identity.as_ref().map(Identity::ca_pem);
        let accepting = tokio::spawn(accept(listener, identity.map(Arc::new), Arc::clone(&service))).abort_handle();
        Ok(Emulator { address, ca_pem, service, accepting })
    }
}

impl std::fmt::Debug for EmulatorBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmulatorBuilder").field("listen", &self.listen).field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// How many connections there were, and are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// Accepted since the start.
    pub accepted: u64,
    /// Open now.
    pub open: u64,
}

/// The service on one machine. It stops when it is dropped.
pub struct Emulator {
    address: SocketAddr,
    ca_pem: Option<String>,
    service: Arc<Service>,
    accepting: AbortHandle,
}

impl Emulator {
    /// An emulator with a configuration of its own.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: false,
            api_key: None,
            concurrency: Semaphore::MAX_PERMITS,
            daily_cap: None,
            deployments: HashMap::new(),
            config: None,
            logger: None,
            recorded: 100_000,
            #[cfg(feature = "page")]
            page: false,
            workspaces: Vec::new(),
            indexing: Duration::ZERO,
            asset_link_lifetime: Duration::from_secs(60 * 60),
            #[cfg(feature = "store")]
            data: None,
            scripts: HashMap::new(),
            faults: Faults::default(),
            fault_header: false,
            delivery_attempts: 5,
            delivery_backoff: Duration::from_millis(200),
            private_callbacks: false,
            loopback_callbacks: false,
            delivery_faults: DeliveryFaults::default(),
        }
    }

    /// An emulator on a free port of loopback that answers everything.
    ///
    /// # Errors
    ///
    /// [`StartError`] when there is no free port.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// What answers requests, for a client without a socket.
    pub fn handler(&self) -> Handler {
        Handler(Arc::clone(&self.service))
    }

    /// The base URL for a client.
    pub fn base_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/v1", self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority that signed the certificate, as PEM, when it serves https.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Counts of connections.
    pub fn connections(&self) -> Connections {
        let read = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::SeqCst);
        Connections { accepted: read(&self.service.accepted), open: read(&self.service.open) }
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.service.requests.all()
    }

    /// Every run so far.
    pub fn runs(&self) -> Vec<RecordedRun> {
        self.service.runs.all()
    }

    /// Every try to deliver a callback so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.service.deliveries.all()
    }

    /// How many runs are under way.
    pub fn runs_in_flight(&self) -> usize {
        self.service.in_flight.load(Ordering::SeqCst)
    }

    /// How many runs were under way at once at the most.
    pub fn max_runs_in_flight(&self) -> usize {
        self.service.max_in_flight.load(Ordering::SeqCst)
    }

    /// How many streams are being sent.
    pub fn open_streams(&self) -> usize {
        self.service.open_streams.load(Ordering::SeqCst)
    }

    /// Makes something go wrong from now on.
    pub fn add_fault(&self, fault: Fault) {
        self.service.faults.add(fault);
    }

    /// Makes something go wrong with the delivery of callbacks from now on.
    pub fn add_delivery_fault(&self, fault: DeliveryFault) {
        self.service.delivery_faults.add(fault);
    }

    /// Ends all faults, of deliveries too.
    pub fn clear_faults(&self) {
        self.service.faults.clear();
        self.service.delivery_faults.clear();
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.accepting.abort();
        self.service.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

/// Accepts connections; they end with this task.
async fn accept(listener: TcpListener, tls: Option<Arc<Identity>>, service: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, most likely: others may be closed by then.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let number = service.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        connections.spawn(serve(stream, tls.clone(), Open::new(&service), number));
    }
}

async fn serve(mut stream: TcpStream, tls: Option<Arc<Identity>>, open: Open, number: u64) {
    let _ = stream.set_nodelay(true);
    let connecting = open.0.faults.connection();
    match connecting {
        Some(Connecting::Reset) => {
            // What has come and was not read makes the reset certain.
            let _ = stream.peek(&mut [0]).await;
            return wire::reset(&stream);
        }
        Some(Connecting::Silent) => {
            let mut rest = [0; 1024];
            while matches!(stream.read(&mut rest).await, Ok(1..)) {}
            return;
        }
        _ => {}
    }
    let Some(identity) = tls else { return converse(stream, &open, number).await };
    let config = match connecting {
        None => Ok(identity.config()),
        Some(wrong) => identity.wrong(wrong),
    };
    if let Ok(config) = config {
        if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
            converse(stream, &open, number).await;
        }
    }
}

async fn converse(stream: impl OverTcp + Send + 'static, open: &Open, number: u64) {
    let service = Arc::clone(&open.0);
    let takeover = Takeover::default();
    let stream = Wire::new(stream, takeover.clone());
    let handler = service_fn(move |request| Arc::clone(&service).handle(number, takeover.clone(), request));
    // What a peer does to its connection is no failure of ours.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), handler).await;
}

/// Counts a connection as open until it is dropped.
struct Open(Arc<Service>);

impl Open {
    fn new(service: &Arc<Service>) -> Self {
        service.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(service))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
