use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use fetch_hive_client::Client;
use fetch_hive_client::callback::Receiver;
use fetch_hive_store::StoreRunLimiter;

use super::run::Run;
use super::send::Sender;
use super::shared::Shared;
use super::spill::Spill;
use super::stop::Stop;
use super::{Batch, Progress};
use crate::{Error, Target};

/// How long the worker waits for changes in the background before it returns.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

type ProgressHook = dyn Fn(&Progress) + Send + Sync;

type EndHook = dyn Fn(&End) + Send + Sync;

/// A worker that runs the rows of a batch.
#[must_use = "a worker does nothing until it runs"]
pub struct Worker {
    pub(super) batch: Batch,
    pub(super) client: Client,
    pub(super) limiter: Arc<StoreRunLimiter>,
    pub(super) receiver: Option<Receiver>,
    pub(super) lease: Duration,
    pub(super) max_run_time: Duration,
    pub(super) max_runs: Option<u64>,
    pub(super) max_runs_per_day: Option<u64>,
    pub(super) max_tokens: Option<u64>,
    pub(super) stop_after: Option<u64>,
    spill_folder: PathBuf,
    pub(super) on_progress: Option<Box<ProgressHook>>,
    on_end: Option<Box<EndHook>>,
    pub(super) progress_interval: Duration,
}

/// The reason why [`Worker::run`] returned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Every row is settled or unknown.
    Finished,
    /// The batch waits for a person.
    Paused {
        /// The reason for the pause.
        reason: String,
    },
    /// The worker was stopped, or has started as many rows as it should.
    Stopped,
    /// The worker was stopped while the database failed. The results are in a file, which the next
    /// worker imports.
    Spilled {
        /// The path of the file.
        path: PathBuf,
        /// The number of results in the file.
        results: u64,
    },
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Paused { reason } => write!(f, "paused: {reason}"),
            Self::Stopped => f.write_str("stopped"),
            Self::Spilled { path, results } => write!(
                f,
                "stopped; {results} results are in {}, because the database failed; run the batch again to import them",
                path.display()
            ),
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("batch", &self.batch.name).finish_non_exhaustive()
    }
}

impl Worker {
    pub(super) fn new(batch: Batch, client: Client, limiter: Arc<StoreRunLimiter>) -> Self {
        Self {
            batch,
            client,
            limiter,
            receiver: None,
            lease: Duration::from_secs(60),
            max_run_time: Duration::from_secs(600),
            max_runs: None,
            max_runs_per_day: None,
            max_tokens: None,
            stop_after: None,
            spill_folder: PathBuf::from("."),
            on_progress: None,
            on_end: None,
            progress_interval: Duration::from_secs(1),
        }
    }

    /// Sets the receiver of the callbacks of workflows, created by
    /// [`Store::receiver`](fetch_hive_store::Store::receiver) of the same store. Route requests to
    /// it in your server.
    ///
    /// Without a receiver, the response to each request contains the outcome. A lost connection then
    /// makes the row unknown. Prompts and agents have no callbacks, so [`run`](Self::run) returns an
    /// error for them.
    pub fn callbacks(mut self, receiver: Receiver) -> Self {
        self.receiver = Some(receiver);
        self
    }

    /// Sets the lease of a row that is being sent. Defaults to 60 s. It is renewed after a third of
    /// this time. When it has expired, a worker marks the row as unknown.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how long a run may take before its row becomes unknown. Defaults to 600 s.
    pub fn max_run_time(mut self, time: Duration) -> Self {
        self.max_run_time = time;
        self
    }

    /// Limits the runs of the batch, counted over all workers. When the limit is reached, this worker
    /// pauses the batch. Raise the limit before you resume.
    pub fn max_runs(mut self, runs: impl Into<Option<u64>>) -> Self {
        self.max_runs = runs.into();
        self
    }

    /// Limits the runs of the batch per day (UTC). When the limit is reached, this worker starts no
    /// row until the next day.
    pub fn max_runs_per_day(mut self, runs: impl Into<Option<u64>>) -> Self {
        self.max_runs_per_day = runs.into();
        self
    }

    /// Limits the tokens of the batch. When the limit is reached, this worker pauses the batch. Raise
    /// the limit before you resume.
    pub fn max_tokens(mut self, tokens: impl Into<Option<u64>>) -> Self {
        self.max_tokens = tokens.into();
        self
    }

    /// Sets the number of rows that this worker starts, for example for a sample.
    pub fn stop_after(mut self, rows: impl Into<Option<u64>>) -> Self {
        self.stop_after = rows.into();
        self
    }

    /// Sets the folder for results that cannot be stored because the database fails. Defaults to
    /// the current folder. Each worker imports the files that it finds there.
    pub fn spill_folder(mut self, folder: impl AsRef<Path>) -> Self {
        folder.as_ref().clone_into(&mut self.spill_folder);
        self
    }

    /// Calls a function with the progress of the batch, at most once per interval, and when the
    /// worker ends.
    pub fn on_progress(mut self, interval: Duration, hook: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Box::new(hook));
        self.progress_interval = interval;
        self
    }

    /// Calls a function with the reason before `run` returns without an error, for example to notify
    /// a person.
    pub fn on_end(mut self, hook: impl Fn(&End) + Send + Sync + 'static) -> Self {
        self.on_end = Some(Box::new(hook));
        self
    }

    /// Runs rows until all are settled or unknown, until the batch is paused, or until a stop is
    /// requested.
    ///
    /// While the database or the service cannot be reached, the worker retries.
    ///
    /// # Errors
    ///
    /// Returns an error if the batch was deleted, if a stored row cannot be read or decrypted, if a
    /// newer version changed the tables, if the target has no callbacks but a receiver is set, or if
    /// both the mapping and the worker set a callback URL.
    pub async fn run(self, stop: &Stop) -> Result<End, Error> {
        let mapping = self.batch.mapping().bind(self.batch.header())?;
        if self.receiver.is_some() && !matches!(self.batch.mapping().target(), Target::Workflow(_)) {
            return Err(self.batch.invalid("prompts and agents have no callbacks; remove the receiver"));
        }
        if self.receiver.is_some() && self.batch.mapping().has_callback_url() {
            return Err(self.batch.invalid("the mapping sets a callback URL; remove it or the receiver"));
        }
        let worker_key = unique_key();
        let spill = Spill::new(&self.spill_folder, &self.batch.name, &self.batch.id, &worker_key);
        let sender = Sender {
            client: self.client.clone(),
            limiter: Arc::clone(&self.limiter),
            batches: self.batch.batches(),
            store: self.batch.store.clone(),
            batch: self.batch.id.clone(),
            receiver: self.receiver.clone(),
            max_run_time: self.max_run_time,
        };
        let shared = Shared {
            sender,
            spill,
            stop: stop.clone(),
            last_failure: Mutex::new(Instant::now()),
            in_flight: Mutex::default(),
            accepted: Mutex::default(),
            remembered: Mutex::default(),
            unstored: Mutex::default(),
            known_secret: Mutex::default(),
            settled: Mutex::default(),
            unsaved: AtomicU64::new(0),
        };
        let mut run = Run::new(self, shared, mapping, worker_key);
        let end = run.run().await;
        // Freed slots would otherwise stay occupied until their leases expire.
        drop(tokio::time::timeout(FLUSH_TIMEOUT, run.worker.batch.store.flush()).await);
        run.report_progress(true).await;
        if let (Some(hook), Ok(end)) = (&run.worker.on_end, &end) {
            hook(end);
        }
        end
    }
}

/// Returns a key that no other process or worker has. It starts with the id of the process.
pub(super) fn unique_key() -> String {
    let mut bytes = [0; 8];
    // Without random numbers, the process id and the time tell workers apart.
    let random = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let random = if random.is_ok() { u64::from_ne_bytes(bytes) } else { since.subsec_nanos().into() };
    format!("{}-{random:016x}", std::process::id())
}
