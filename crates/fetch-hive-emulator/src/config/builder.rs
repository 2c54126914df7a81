use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::config::deployment::Deployment;
use crate::config::script::Script;
use crate::config::settings::Settings;
use crate::faults::fault::Fault;
use crate::faults::matching::FaultList;
use crate::state::plan::Plan;
use crate::state::{Deployments, Logger};

/// A builder for an [`Emulator`](crate::Emulator).
#[must_use = "a builder does nothing until `start` is called"]
pub struct EmulatorBuilder {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: bool,
    pub(crate) concurrency: usize,
    pub(crate) deployments: Deployments,
    pub(crate) config: Option<PathBuf>,
    #[cfg(feature = "store")]
    pub(crate) data: Option<PathBuf>,
    pub(crate) logger: Option<Logger>,
    pub(crate) record_limit: usize,
    pub(crate) scripts: HashMap<String, Script>,
    pub(crate) faults: FaultList,
    pub(crate) settings: Settings,
}

impl EmulatorBuilder {
    pub(crate) fn new() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: false,
            concurrency: Semaphore::MAX_PERMITS,
            deployments: HashMap::new(),
            config: None,
            #[cfg(feature = "store")]
            data: None,
            logger: None,
            record_limit: 100_000,
            scripts: HashMap::new(),
            faults: FaultList::default(),
            settings: Settings::default(),
        }
    }

    /// Sets the address to listen on. The default is a free port on 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Enables HTTPS with a generated certificate for loopback addresses.
    ///
    /// Clients must trust the authority from [`Emulator::ca_pem`](crate::Emulator::ca_pem). The
    /// default is `false`.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the only API key that is accepted.
    ///
    /// By default, every key is accepted except `fhk_invalid` and `fhk_revoked`.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.settings.api_key = Some(key.into());
        self
    }

    /// Sets the maximum number of concurrent workflow runs. There is no limit by default.
    ///
    /// Above the limit, direct runs are rejected with 429, and runs with callback delivery are
    /// queued.
    pub fn concurrency(mut self, runs: usize) -> Self {
        self.concurrency = runs;
        self
    }

    /// Sets the maximum number of invocations per day (UTC). There is no limit by default.
    ///
    /// Above the limit, invocations are rejected with 429.
    pub fn daily_cap(mut self, calls: u64) -> Self {
        self.settings.daily_cap = Some(calls);
        self
    }

    /// Declares a deployment or an agent.
    ///
    /// Without a declaration, the response is a text with the name and the inputs.
    pub fn deployment(mut self, deployment: Deployment) -> Self {
        self.deployments.insert((deployment.kind, deployment.name.clone()), deployment);
        self
    }

    /// Declares several deployments or agents.
    pub fn deployments(self, deployments: impl IntoIterator<Item = Deployment>) -> Self {
        deployments.into_iter().fold(self, Self::deployment)
    }

    /// Sets the configuration file, which is read again when it changes.
    ///
    /// See [`read_deployments`](crate::read_deployments) for the format. The file takes precedence
    /// over the deployments of the builder. If a changed file is invalid, the error is logged and
    /// the previous configuration stays active.
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.config = Some(file.into());
        self
    }

    /// Sets a function that receives log lines.
    ///
    /// There is one line for each request, for each attempt to deliver a callback, and for each
    /// change of the configuration file. The lines contain no keys, secrets or bodies.
    pub fn logger(mut self, logger: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.logger = Some(Arc::new(logger));
        self
    }

    /// Enables the page at `/_emulator/`, which shows requests, responses and callbacks live.
    ///
    /// Keys and secrets are masked. The default is `false`.
    #[cfg(feature = "page")]
    pub fn page(mut self, page: bool) -> Self {
        self.settings.page = page;
        self
    }

    /// Sets the number of requests, runs and deliveries that are recorded. The default is 100,000.
    ///
    /// The newest entries are recorded, with at most 256 MiB of bodies for each of the three lists.
    pub fn record_limit(mut self, entries: usize) -> Self {
        self.record_limit = entries;
        self
    }

    /// Sets the limits of a plan: the number of concurrent runs and the daily cap.
    pub fn plan(self, plan: Plan) -> Self {
        let (concurrency, daily_cap) = plan.limits();
        self.concurrency(concurrency).daily_cap(daily_cap)
    }

    /// Adds a workspace. Requests for any workspace that was not added are rejected with 404.
    ///
    /// By default, every workspace exists.
    pub fn workspace(mut self, id: impl Into<String>) -> Self {
        self.settings.workspaces.push(id.into());
        self
    }

    /// Sets the time for which a new knowledge base item is pending. The default is zero.
    pub fn indexing(mut self, time: Duration) -> Self {
        self.settings.indexing = time;
        self
    }

    /// Sets the lifetime of download links for assets. The default is one hour.
    pub fn asset_link_lifetime(mut self, time: Duration) -> Self {
        self.settings.asset_link_lifetime = time;
        self
    }

    /// Sets the file that stores the records. It is created if it does not exist.
    ///
    /// A change is written to the file before the request that made it is acknowledged. By default,
    /// the records are only in memory.
    #[cfg(feature = "store")]
    pub fn data(mut self, file: impl Into<PathBuf>) -> Self {
        self.data = Some(file.into());
        self
    }

    /// Sets the stream of a prompt deployment or an agent.
    ///
    /// Without a script, the response is streamed word by word.
    pub fn stream(mut self, name: impl Into<String>, script: Script) -> Self {
        self.scripts.insert(name.into(), script);
        self
    }

    /// Adds a fault. A fault that can never apply makes the start fail.
    pub fn fault(self, fault: Fault) -> Self {
        self.faults.add(fault);
        self
    }

    /// Allows requests to inject faults with the header `x-fetch-hive-fault`.
    ///
    /// The value is a [`Fault`] as text. The header can occur several times. A callback fault
    /// applies to the run that the request starts.
    pub fn fault_header(mut self) -> Self {
        self.settings.fault_header = true;
        self
    }

    /// Sets how callbacks are delivered. The default is 5 attempts and a backoff of 200 ms.
    ///
    /// The delay after the nth failed attempt is n times the backoff.
    pub fn delivery(mut self, attempts: u32, backoff: Duration) -> Self {
        self.settings.delivery_attempts = attempts;
        self.settings.delivery_backoff = backoff;
        self
    }

    /// Allows callbacks to private addresses. By default, only loopback and public addresses are
    /// allowed.
    pub fn allow_private_callbacks(mut self) -> Self {
        self.settings.private_callbacks = true;
        self
    }

    /// Limits callbacks to loopback addresses, and makes no DNS query for other names.
    pub fn loopback_callbacks_only(mut self) -> Self {
        self.settings.loopback_callbacks_only = true;
        self
    }
}

impl std::fmt::Debug for EmulatorBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmulatorBuilder").field("listen", &self.listen).field("tls", &self.tls).finish_non_exhaustive()
    }
}
