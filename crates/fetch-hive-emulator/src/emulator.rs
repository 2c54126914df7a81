use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::task::AbortHandle;

use crate::builder::EmulatorBuilder;
use crate::fault::Fault;
use crate::handler::Handler;
use crate::record::{Delivery, RecordedRequest, RecordedRun};
use crate::service::Service;
use crate::start_error::StartError;

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
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: Option<String>,
    pub(crate) service: Arc<Service>,
    pub(crate) accepting: AbortHandle,
}

impl Emulator {
    /// An emulator with a configuration of its own.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::new()
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
    pub fn max_concurrent_runs(&self) -> usize {
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

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.service.faults.clear();
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
