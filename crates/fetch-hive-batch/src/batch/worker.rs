use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fetch_hive_client::Client;
use fetch_hive_client::callback::Receiver;
use fetch_hive_store::StoreRunLimiter;

use super::{Batch, Progress};

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
    pub(super) spill_folder: PathBuf,
    pub(super) on_progress: Option<Box<ProgressHook>>,
    pub(super) on_end: Option<Box<EndHook>>,
    pub(super) progress_interval: Duration,
}

/// The reason why [`Worker::run`] returned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Every row is settled or unknown.
    Finished,
    /// The batch is paused, and waits for a person to resume it.
    Paused {
        /// The reason for the pause.
        reason: String,
    },
    /// The worker was stopped, or has started the number of rows set with [`Worker::stop_after`].
    Stopped,
    /// The worker was stopped while the database was failing. Some results are in a file, which the
    /// next worker imports.
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

    /// Sets the receiver for callbacks from workflow runs. Create it with
    /// [`Store::receiver`](fetch_hive_store::Store::receiver) of the same store, and route callback
    /// requests to it in your server.
    ///
    /// Without a receiver, the outcome is in the response to each request, and a lost connection
    /// makes the row unknown. Prompts and agents do not support callbacks, so [`run`](Self::run)
    /// returns an error if a receiver is set for them.
    pub fn callbacks(mut self, receiver: Receiver) -> Self {
        self.receiver = Some(receiver);
        self
    }

    /// Sets the lease of a row that is being sent. Defaults to 60 s.
    ///
    /// The lease is renewed after at most a third of this time. If it expires, another worker marks
    /// the row as unknown.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how long a run may take before its row becomes unknown. Defaults to 600 s.
    pub fn max_run_time(mut self, time: Duration) -> Self {
        self.max_run_time = time;
        self
    }

    /// Limits the number of runs of the batch, including those of other workers.
    ///
    /// When the limit is reached, this worker pauses the batch. Raise the limit before you resume
    /// it.
    pub fn max_runs(mut self, runs: impl Into<Option<u64>>) -> Self {
        self.max_runs = runs.into();
        self
    }

    /// Limits the number of runs of the batch per day (UTC), including those of other workers.
    ///
    /// When the limit is reached, this worker starts no rows until the next day.
    pub fn max_runs_per_day(mut self, runs: impl Into<Option<u64>>) -> Self {
        self.max_runs_per_day = runs.into();
        self
    }

    /// Limits the number of tokens that the batch uses.
    ///
    /// When the limit is reached, this worker pauses the batch. Raise the limit before you resume
    /// it.
    pub fn max_tokens(mut self, tokens: impl Into<Option<u64>>) -> Self {
        self.max_tokens = tokens.into();
        self
    }

    /// Sets the maximum number of rows that this worker starts, for example for a sample.
    pub fn stop_after(mut self, rows: impl Into<Option<u64>>) -> Self {
        self.stop_after = rows.into();
        self
    }

    /// Sets the directory for results that cannot be stored because the database fails. Defaults to
    /// the current directory.
    ///
    /// Each worker imports the batch's files from this directory.
    pub fn spill_folder(mut self, folder: impl AsRef<Path>) -> Self {
        folder.as_ref().clone_into(&mut self.spill_folder);
        self
    }

    /// Sets a function that is called with the progress of the batch, at most once per interval,
    /// and when the worker ends.
    pub fn on_progress(mut self, interval: Duration, hook: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Box::new(hook));
        self.progress_interval = interval;
        self
    }

    /// Sets a function that is called with the reason before [`run`](Self::run) returns without an
    /// error, for example to notify someone.
    pub fn on_end(mut self, hook: impl Fn(&End) + Send + Sync + 'static) -> Self {
        self.on_end = Some(Box::new(hook));
        self
    }
}

/// Returns a key that is unique among all workers and processes. It starts with the process id.
pub(super) fn unique_key() -> String {
    let mut bytes = [0; 8];
    // If no random numbers are available, the process id and the time distinguish workers.
    let random = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let random = if random.is_ok() { u64::from_ne_bytes(bytes) } else { since.subsec_nanos().into() };
    format!("{}-{random:016x}", std::process::id())
}
