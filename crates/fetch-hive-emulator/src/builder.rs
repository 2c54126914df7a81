use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};

use crate::callback;
use crate::catalog::Catalog;
use crate::config;
use crate::connections::accept;
use crate::delegations;
use crate::deployment::{Deployment, DeploymentKind};
use crate::emulator::Emulator;
use crate::fault::Fault;
use crate::faults::Faults;
use crate::plan::Plan;
use crate::record::Log;
use crate::run;
use crate::script::Script;
use crate::service::{Logger, Service};
use crate::start_error::StartError;
use crate::store::Store;
use crate::tls::Identity;

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
}

impl EmulatorBuilder {
    pub(crate) fn new() -> Self {
        Self {
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
        }
    }

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

    /// Lets a request ask for a fault of its own, in words, by the header `x-fetch-hive-fault`, or several by several. One of callbacks is for
    /// the run that the request starts. See [`Fault`].
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
        let identity = if self.tls { Some(Identity::new(address.ip())?) } else { None };
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
            counting: Mutex::default(),
            tasks: Mutex::default(),
        });
        service.declare(declared);
        delegations::recover(&service);
        run::recover(&service);
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
