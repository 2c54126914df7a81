//! The state that all connections of an emulator share.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::json;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::callbacks::client::CallbackClient;
use crate::config::deployment::{Deployment, DeploymentKind};
use crate::config::script::Script;
use crate::config::settings::Settings;
use crate::faults::matching::FaultList;
use crate::state::catalog::Catalog;
use crate::state::log::Log;
use crate::state::recorded::{Delivery, RecordedRequest, RecordedRun};
use crate::state::store::Store;
#[cfg(feature = "page")]
use crate::state::traffic::TrafficEntry;

pub(crate) mod catalog;
pub(crate) mod clock;
pub(crate) mod contents;
pub(crate) mod ids;
#[cfg(feature = "store")]
pub(crate) mod journal;
pub(crate) mod log;
pub(crate) mod plan;
pub(crate) mod recorded;
pub(crate) mod store;
#[cfg(feature = "page")]
pub(crate) mod traffic;

/// The kind of the record that counts API calls. Its only id is `today`.
const CALLS: &str = "calls";

/// A function that receives log lines.
pub(crate) type Logger = Arc<dyn Fn(&str) + Send + Sync>;

/// The deployments by kind and name.
pub(crate) type Deployments = HashMap<(DeploymentKind, String), Deployment>;

pub(crate) struct State {
    pub(crate) settings: Settings,
    /// The address of the listener, for URLs in responses to requests without a `Host` header.
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
    pub(crate) logger: Option<Logger>,

    pub(crate) store: Store,
    pub(crate) catalog: Catalog,
    pub(crate) deployments: RwLock<Deployments>,
    /// The deployments of the builder, which stay when the configuration file changes.
    pub(crate) builder_deployments: Deployments,
    pub(crate) scripts: HashMap<String, Script>,

    pub(crate) faults: FaultList,
    /// The faults of the configuration file, in text form.
    pub(crate) file_faults: Mutex<Vec<String>>,

    pub(crate) callback_client: CallbackClient,
    /// Notified after each attempt to deliver a callback.
    pub(crate) delivery_attempted: Notify,
    /// The number of decisions about approvals. Waiting runs subscribe to it.
    pub(crate) decisions: watch::Sender<u64>,

    pub(crate) run_slots: Arc<Semaphore>,
    pub(crate) active_runs: AtomicUsize,
    pub(crate) max_concurrent_runs: AtomicUsize,
    /// Held while a call is counted against the daily cap.
    pub(crate) counting: Mutex<()>,

    pub(crate) accepted_connections: AtomicU64,
    pub(crate) open_connections: AtomicU64,
    pub(crate) open_streams: Arc<AtomicUsize>,

    pub(crate) requests: Log<RecordedRequest>,
    pub(crate) runs: Log<RecordedRun>,
    pub(crate) deliveries: Log<Delivery>,
    #[cfg(feature = "page")]
    pub(crate) traffic: Log<TrafficEntry>,

    /// The background work, which is aborted when the emulator is dropped.
    pub(crate) tasks: Mutex<JoinSet<()>>,
}

/// An error that occurs when the calls of a day reach the daily cap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DailyCapReached {
    pub(crate) limit: u64,
    pub(crate) current: u64,
}

impl State {
    /// Counts an API call against the daily cap.
    pub(crate) fn count_call(&self) -> Result<(), DailyCapReached> {
        let _counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.calls_today();
        if let Some(limit) = self.settings.daily_cap.filter(|limit| current >= *limit) {
            return Err(DailyCapReached { limit, current });
        }
        self.store.put(CALLS, "", "today", json!({"day": clock::today(), "calls": current + 1}));
        Ok(())
    }

    /// Returns the number of API calls of today that count against the daily cap.
    pub(crate) fn calls_today(&self) -> u64 {
        let record = self.store.get(CALLS, "", "today").filter(|record| record["day"] == clock::today());
        record.and_then(|record| record["calls"].as_u64()).unwrap_or(0)
    }

    /// Returns a deployment. If it is not declared, returns a default one of the same name.
    pub(crate) fn deployment(&self, kind: DeploymentKind, name: &str) -> Deployment {
        let deployments = self.deployments.read().unwrap_or_else(PoisonError::into_inner);
        deployments.get(&(kind, name.to_owned())).cloned().unwrap_or_else(|| Deployment::undeclared(kind, name))
    }

    pub(crate) fn log(&self, line: impl FnOnce() -> String) {
        if let Some(logger) = &self.logger {
            logger(&line());
        }
    }

    /// Returns the webhook secret of a deployment. A secret that is not declared is random and
    /// stored.
    pub(crate) fn webhook_secret(&self, deployment: &Deployment) -> String {
        match &deployment.webhook_secret {
            Some(secret) => secret.clone(),
            None => self.stored_secret(&format!("{:?}", deployment.kind), &deployment.name),
        }
    }

    /// Returns a stored secret, and creates it on first use.
    pub(crate) fn stored_secret(&self, scope: &str, name: &str) -> String {
        let secret = self.store.get_or_put("secret", scope, name, || format!("whsec_{}", ids::random_hex()).into());
        secret.as_str().unwrap_or_default().to_owned()
    }

    /// Returns the origin of the emulator's URLs, such as `http://127.0.0.1:8787`.
    pub(crate) fn origin(&self, host: Option<&str>) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let host = host.map_or_else(|| self.address.to_string(), str::to_owned);
        format!("{scheme}://{host}")
    }

    /// Counts a run as active until the returned guard is dropped.
    pub(crate) fn start_run(self: &Arc<Self>, slot: OwnedSemaphorePermit) -> ActiveRun {
        let active = self.active_runs.fetch_add(1, Ordering::SeqCst) + 1;
        self.max_concurrent_runs.fetch_max(active, Ordering::SeqCst);
        ActiveRun { state: Arc::clone(self), _slot: slot }
    }

    /// Sets the status of a recorded workflow run.
    pub(crate) fn set_run_status(&self, request_id: &str, status: &str) {
        self.runs.update_newest(|run| {
            let found = run.request_id == request_id;
            if found {
                status.clone_into(&mut run.run_status);
            }
            found
        });
    }

    /// Starts a task that is aborted when the emulator is dropped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

/// A run that occupies a slot until it is dropped.
pub(crate) struct ActiveRun {
    state: Arc<State>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        self.state.active_runs.fetch_sub(1, Ordering::SeqCst);
    }
}
