use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;

use crate::callbacks::client::callback_client;
use crate::config::builder::EmulatorBuilder;
use crate::config::{file, reload};
use crate::error::StartError;
use crate::faults::error::FaultError;
use crate::faults::fault::Fault;
use crate::http::connections::accept;
use crate::http::handler::Handler;
use crate::http::tls::Identity;
use crate::operations::{delegations, runs};
use crate::state::State;
use crate::state::catalog::Catalog;
use crate::state::log::Log;
use crate::state::recorded::{Delivery, RecordedRequest, RecordedRun};
use crate::state::store::Store;

/// The numbers of connections to an emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// The number of connections accepted since the start.
    pub accepted: u64,
    /// The number of open connections.
    pub open: u64,
}

/// A running emulator of the Fetch Hive service.
///
/// It stops when it is dropped.
///
/// ```
/// # use fetch_hive_emulator::Emulator;
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let emulator = Emulator::start().await?;
/// assert!(emulator.base_url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), fetch_hive_emulator::StartError>(())
/// # }).unwrap();
/// ```
pub struct Emulator {
    address: SocketAddr,
    ca_pem: Option<String>,
    state: Arc<State>,
    accept_loop: AbortHandle,
}

impl Emulator {
    /// Creates a builder with the default settings.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::new()
    }

    /// Starts an emulator with the default settings on a free loopback port.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is free.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Returns a handler for clients that do not use a socket.
    pub fn handler(&self) -> Handler {
        Handler(Arc::clone(&self.state))
    }

    /// Returns the base URL for a client, such as `http://127.0.0.1:8787/v1`.
    pub fn base_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/v1", self.address)
    }

    /// Returns the address that the emulator listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the PEM certificate of the authority that signed the server's certificate.
    ///
    /// Returns `None` unless [TLS](EmulatorBuilder::tls) is enabled.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Returns the numbers of accepted and open connections.
    pub fn connections(&self) -> Connections {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Connections { accepted: read(&self.state.accepted_connections), open: read(&self.state.open_connections) }
    }

    /// Returns the recorded requests, oldest first.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.requests.all()
    }

    /// Returns the recorded workflow runs, oldest first.
    pub fn runs(&self) -> Vec<RecordedRun> {
        self.state.runs.all()
    }

    /// Returns the recorded attempts to deliver callbacks, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.deliveries.all()
    }

    /// Returns the number of workflow runs that are executing.
    pub fn active_runs(&self) -> usize {
        self.state.active_runs.load(Ordering::SeqCst)
    }

    /// Returns the largest number of workflow runs that executed at the same time.
    pub fn max_concurrent_runs(&self) -> usize {
        self.state.max_concurrent_runs.load(Ordering::SeqCst)
    }

    /// Returns the number of streams that are being sent.
    pub fn open_streams(&self) -> usize {
        self.state.open_streams.load(Ordering::SeqCst)
    }

    /// Adds a fault.
    ///
    /// # Errors
    ///
    /// Returns an error if the fault can never apply, for example because its operation does not
    /// exist.
    pub fn add_fault(&self, fault: Fault) -> Result<(), FaultError> {
        fault.validate_for_emulator(self.state.tls)?;
        self.state.faults.add(fault);
        Ok(())
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }
}

impl EmulatorBuilder {
    /// Starts an emulator with these settings.
    ///
    /// # Errors
    ///
    /// Returns an error if the address cannot be listened on, if TLS cannot be set up, if a fault
    /// can never apply, or if the configuration file or the data file cannot be used.
    pub async fn start(self) -> Result<Emulator, StartError> {
        self.faults.validate(self.tls)?;
        let cannot_listen = |source| StartError::Listen { address: self.listen, source };
        let listener = TcpListener::bind(self.listen).await.map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let declared = self.config.as_deref().map(|path| file::read(path, self.tls)).transpose()?.unwrap_or_default();
        let identity = if self.tls { Some(Identity::new(address.ip())?) } else { None };
        #[cfg(feature = "store")]
        let store = match self.data {
            Some(file) => Store::open(file).await?,
            None => Store::default(),
        };
        #[cfg(not(feature = "store"))]
        let store = Store::default();
        let state = Arc::new(State {
            settings: self.settings,
            address,
            tls: self.tls,
            logger: self.logger,
            store,
            catalog: Catalog::default(),
            deployments: RwLock::default(),
            builder_deployments: self.deployments,
            scripts: self.scripts,
            faults: self.faults,
            file_faults: Mutex::default(),
            callback_client: callback_client()?,
            delivery_attempted: Notify::new(),
            decisions: watch::Sender::new(0),
            run_slots: Arc::new(Semaphore::new(self.concurrency)),
            active_runs: 0.into(),
            max_concurrent_runs: 0.into(),
            counting: Mutex::default(),
            accepted_connections: 0.into(),
            open_connections: 0.into(),
            open_streams: Arc::default(),
            requests: Log::new(self.record_limit),
            runs: Log::new(self.record_limit),
            deliveries: Log::new(self.record_limit),
            #[cfg(feature = "page")]
            traffic: Log::new(500),
            tasks: Mutex::default(),
        });
        reload::apply(&state, declared);
        delegations::recover(&state);
        runs::recover(&state);
        if let Some(file) = self.config {
            state.spawn(reload::watch(Arc::downgrade(&state), file));
        }
        let ca_pem = identity.as_ref().map(Identity::ca_pem);
        let accept_loop = tokio::spawn(accept(listener, identity.map(Arc::new), Arc::clone(&state))).abort_handle();
        Ok(Emulator { address, ca_pem, state, accept_loop })
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.accept_loop.abort();
        self.state.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}
