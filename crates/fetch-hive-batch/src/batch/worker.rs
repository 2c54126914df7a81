use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fetch_hive_client::Client;
use fetch_hive_client::callback::{PendingRun, Receiver};
use fetch_hive_client::types::WebhookSecret;
use fetch_hive_store::batches::{RowState, RowUpdate, Start, StartRequest, StartedRow};
use fetch_hive_store::{StoreError, StoreRunLimiter};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::accepted::{after_event, look_up, look_up_interval};
use super::judge::AttemptId;
use super::progress::float;
use super::send::{Began, Sender, Sent};
use super::spill::Spill;
use super::stop::{Level, Stop};
use super::{Batch, Progress};
use crate::{BoundMapping, Error, RunLabel, Target};

/// How long results are retried after a stop, while the database fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause after the database failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The settled rows that a worker remembers, in case that a promoted standby has lost them.
const MAX_REMEMBERED: usize = 1_000;
const MAX_REMEMBERED_BYTES: usize = 16 << 20;

/// The number of events that are read at a time.
const EVENTS: u32 = 100;

type ProgressHook = dyn Fn(&Progress) + Send + Sync;

/// A worker that runs the rows of a batch.
#[must_use = "a worker does nothing until it runs"]
pub struct Worker {
    batch: Batch,
    client: Client,
    limiter: Arc<StoreRunLimiter>,
    receiver: Option<Receiver>,
    lease: Duration,
    max_run_time: Duration,
    max_runs: Option<u64>,
    max_runs_per_day: Option<u64>,
    max_tokens: Option<u64>,
    stop_after: Option<u64>,
    spill_folder: PathBuf,
    on_progress: Option<Box<ProgressHook>>,
    progress_interval: Duration,
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
            progress_interval: Duration::from_secs(1),
        }
    }

    /// Sets the receiver of the callbacks of workflows, created by
    /// [`Store::receiver`](fetch_hive_store::Store::receiver) of the same store. Route requests to
    /// it in your server.
    ///
    /// Without a receiver, the response to each request contains the outcome. A lost connection then
    /// makes the row unknown. Prompts and agents never use callbacks.
    pub fn callbacks(mut self, receiver: Receiver) -> Self {
        self.receiver = Some(receiver);
        self
    }

    /// Sets how long a row outlives its worker before it becomes unknown. Defaults to 60 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how long a run may take before its row becomes unknown. Defaults to 600 s.
    pub fn max_run_time(mut self, time: Duration) -> Self {
        self.max_run_time = time;
        self
    }

    /// Sets the number of runs after which the batch is paused. Runs of other workers count.
    pub fn max_runs(mut self, runs: impl Into<Option<u64>>) -> Self {
        self.max_runs = runs.into();
        self
    }

    /// Sets the number of runs per day (UTC) after which the batch continues on the next day.
    pub fn max_runs_per_day(mut self, runs: impl Into<Option<u64>>) -> Self {
        self.max_runs_per_day = runs.into();
        self
    }

    /// Sets the number of tokens after which the batch is paused.
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

    /// Runs rows until all are settled or unknown, until the batch is paused, or until a stop is
    /// requested.
    ///
    /// While the database or the service cannot be reached, it retries.
    ///
    /// # Errors
    ///
    /// Returns an error if the batch was deleted, if a stored row cannot be read, or if the target
    /// does not support callbacks.
    pub async fn run(self, stop: &Stop) -> Result<End, Error> {
        let mapping = self.batch.mapping().bind(self.batch.header())?;
        if self.receiver.is_some() && !matches!(self.batch.mapping().target(), Target::Workflow(_)) {
            return Err(self.batch.invalid("prompts and agents have no callbacks; remove the receiver"));
        }
        if self.receiver.is_some() && self.batch.mapping().has_callback_url() {
            return Err(self.batch.invalid("the mapping sets a callback URL; remove it or the receiver"));
        }
        let worker_key = worker_key();
        let spill = Spill::new(&self.spill_folder, &self.batch.name, &worker_key);
        let sender = Sender {
            client: self.client.clone(),
            limiter: Arc::clone(&self.limiter),
            batches: self.batch.batches(),
            store: self.batch.store.clone(),
            batch: self.batch.name.clone(),
            receiver: self.receiver.clone(),
            max_run_time: self.max_run_time,
        };
        let state = State {
            sender,
            spill,
            stop: stop.clone(),
            last_failure: Mutex::new(Instant::now()),
            in_flight: Mutex::default(),
            accepted: Mutex::default(),
            remembered: Mutex::default(),
            known_secret: Mutex::default(),
            settled: Mutex::default(),
            unsaved: AtomicU64::new(0),
        };
        let mut run = Run {
            state: Arc::new(state),
            mapping,
            worker_key,
            starts: 0,
            queued: None,
            undo: None,
            tasks: JoinSet::new(),
            paused_until: None,
            next_upkeep: Instant::now(),
            next_progress: Instant::now(),
            worker: self,
        };
        let end = run.run().await;
        run.report_progress(true).await;
        end
    }
}

/// A key that no other worker has.
fn worker_key() -> String {
    let mut bytes = [0; 8];
    // Without random numbers, the process id and the time tell workers apart.
    let random = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let random = if random.is_ok() { u64::from_ne_bytes(bytes) } else { since.subsec_nanos().into() };
    format!("{}-{random:016x}", std::process::id())
}

/// The state that the tasks of a worker share.
struct State {
    sender: Sender,
    spill: Spill,
    stop: Stop,
    /// The last time at which the database failed, or the start of the worker.
    last_failure: Mutex<Instant>,
    /// The rows that are being sent, whose leases are renewed.
    in_flight: Mutex<HashMap<u64, AttemptId>>,
    /// The accepted rows of this worker, which keep their slots.
    accepted: Mutex<HashMap<u64, (u64, PendingRun)>>,
    remembered: Mutex<Remembered>,
    known_secret: Mutex<Option<WebhookSecret>>,
    /// The times at which this worker settled its last rows.
    settled: Mutex<VecDeque<Instant>>,
    unsaved: AtomicU64,
}

#[derive(Default)]
struct Remembered {
    updates: VecDeque<RowUpdate>,
    bytes: usize,
}

impl Remembered {
    fn push(&mut self, update: RowUpdate) {
        self.bytes += size(&update);
        self.updates.push_back(update);
        while self.updates.len() > MAX_REMEMBERED || self.bytes > MAX_REMEMBERED_BYTES {
            let Some(oldest) = self.updates.pop_front() else { return };
            self.bytes -= size(&oldest);
        }
    }
}

fn size(update: &RowUpdate) -> usize {
    update.result.as_ref().map_or(0, Vec::len)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn store_failed(&self, error: &StoreError) {
        tracing::warn!(batch = self.sender.batch, %error, "the store of the batch failed");
        *lock(&self.last_failure) = Instant::now();
    }

    /// Sends a row and stores its outcome.
    async fn send(self: Arc<Self>, row: StartedRow, request: crate::RunRequest, began: Began, id: AttemptId) {
        let Sent { update, pending, secret } = self.sender.send(row, request, began).await;
        if let Some(secret) = secret {
            self.learn_secret(secret).await;
        }
        let is_accepted = update.state == RowState::Accepted;
        if let Some(pending) = pending.filter(|_| is_accepted) {
            lock(&self.accepted).insert(id.number, (id.attempt, pending));
        }
        let has_changed = self.store(update).await;
        if is_accepted && !has_changed {
            // The event has arrived before the response.
            self.run_ended(id.number);
        }
        lock(&self.in_flight).remove(&id.number);
    }

    /// Frees the slot of a row that is settled.
    fn run_ended(&self, number: u64) {
        if let Some((_, mut pending)) = lock(&self.accepted).remove(&number) {
            pending.run_ended();
        }
    }

    /// Stores the secret of the deployment, so that the events of runs whose response was lost can
    /// be verified.
    async fn learn_secret(&self, secret: WebhookSecret) {
        if lock(&self.known_secret).as_ref() == Some(&secret) {
            return;
        }
        let deployment = format!("batch {}", self.sender.batch);
        match self.sender.store.put_secret(&deployment, &secret).await {
            Ok(()) => *lock(&self.known_secret) = Some(secret),
            Err(error) => self.store_failed(&error),
        }
    }

    /// Stores a change, and retries while the database fails. After the first failure, the change
    /// is also in a file. Returns whether the change had an effect.
    async fn store(&self, update: RowUpdate) -> bool {
        let mut is_spilled = false;
        let mut failing_since = None;
        let has_changed = loop {
            match self.sender.batches.update(&self.sender.batch, &update).await {
                Ok(has_changed) => break has_changed,
                Err(error) => self.store_failed(&error),
            }
            if !is_spilled {
                self.unsaved.fetch_add(1, Ordering::Relaxed);
                is_spilled = true;
                if let Err(error) = self.spill.append(&update) {
                    tracing::error!(path = %self.spill.path().display(), %error, "a result cannot be written to a file");
                }
            }
            let since = *failing_since.get_or_insert_with(Instant::now);
            let gives_up =
                self.stop.level() == Level::Abandon || (self.stop.is_requested() && since.elapsed() > PATIENCE);
            if gives_up {
                return true;
            }
            tokio::time::sleep(STORE_PAUSE).await;
        };
        if is_spilled {
            self.unsaved.fetch_sub(1, Ordering::Relaxed);
        }
        if !matches!(update.state, RowState::Ready | RowState::Accepted) {
            let mut settled = lock(&self.settled);
            settled.push_back(Instant::now());
            if settled.len() > 100 {
                settled.pop_front();
            }
        }
        lock(&self.remembered).push(update);
        has_changed
    }

    /// Stores the last changes again, because a promoted standby may have lost them.
    async fn store_again(&self) {
        let updates: Vec<_> = lock(&self.remembered).updates.iter().cloned().collect();
        for update in updates {
            if let Err(error) = self.sender.batches.update(&self.sender.batch, &update).await {
                return self.store_failed(&error);
            }
        }
    }
}

/// A running worker.
struct Run {
    worker: Worker,
    state: Arc<State>,
    mapping: BoundMapping,
    worker_key: String,
    starts: u64,
    queued: Option<u64>,
    /// The key of an attempt whose commit was not confirmed.
    undo: Option<String>,
    tasks: JoinSet<()>,
    paused_until: Option<SystemTime>,
    next_upkeep: Instant,
    next_progress: Instant,
}

/// The result of one step of the loop.
enum Step {
    Again,
    Wait(Duration),
    End(End),
}

impl Run {
    async fn run(&mut self) -> Result<End, Error> {
        let mut stop = self.state.stop.subscribe();
        loop {
            self.upkeep().await;
            self.report_progress(false).await;
            let is_stopping = self.state.stop.is_requested()
                || self.worker.stop_after.is_some_and(|rows| self.starts >= rows && self.undo.is_none());
            if self.state.stop.level() == Level::Abandon {
                self.abandon().await;
                return Ok(self.stopped());
            }
            let step = if is_stopping {
                self.leave_queue().await;
                if self.is_idle() { Step::End(self.stopped()) } else { Step::Wait(self.interval()) }
            } else {
                self.start_next().await?
            };
            match step {
                Step::Again => {}
                Step::End(end) => return Ok(end),
                Step::Wait(wait) => self.wait(wait, &mut stop).await,
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.tasks.is_empty() && lock(&self.state.accepted).is_empty()
    }

    fn stopped(&self) -> End {
        match self.state.unsaved.load(Ordering::Relaxed) {
            0 => End::Stopped,
            results => End::Spilled { path: self.state.spill.path().to_owned(), results },
        }
    }

    /// Returns the time between two renewals of the leases.
    fn interval(&self) -> Duration {
        (self.worker.lease / 3).min(Duration::from_secs(10)).max(Duration::from_millis(50))
    }

    async fn wait(&mut self, longest: Duration, stop: &mut watch::Receiver<Level>) {
        let until = self.next_upkeep.min(self.next_progress);
        let longest = longest.min(until.saturating_duration_since(Instant::now())).max(Duration::from_millis(1));
        let batches = self.worker.batch.batches();
        let has_tasks = !self.tasks.is_empty();
        tokio::select! {
            _ = self.tasks.join_next(), if has_tasks => {}
            () = batches.changed(longest) => {}
            _ = stop.changed() => {}
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Starts the next row, if there is one and it may start.
    async fn start_next(&mut self) -> Result<Step, Error> {
        let batches = self.worker.batch.batches();
        let (name, limiter) = (self.worker.batch.name.clone(), Arc::clone(&self.worker.limiter));
        let (name, limiter) = (name.as_str(), &*limiter);
        if let Some(key) = self.undo.clone() {
            if let Err(error) = batches.undo_start(name, limiter, &key).await {
                self.state.store_failed(&error);
                return Ok(Step::Wait(STORE_PAUSE));
            }
            self.undo = None;
        }
        self.starts += 1;
        let key = format!("{}-{}", self.worker_key, self.starts);
        let mut request = StartRequest::new(key.as_str(), self.worker.lease);
        request.queued = self.queued;
        (request.max_runs, request.max_tokens) = (self.worker.max_runs, self.worker.max_tokens);
        request.max_runs_per_day = self.worker.max_runs_per_day;
        let began = Began::now(self.worker.lease);
        let started = batches.start(name, limiter, request).await;
        if !matches!(started, Ok(Start::Started(_))) {
            self.starts -= 1;
        }
        self.paused_until = None;
        let interval = self.interval();
        match started {
            Ok(Start::Started(_)) => self.queued = None,
            // The place in the queue is kept, so that it can be deleted.
            Ok(Start::Queued { .. }) | Err(_) => {}
            // Another batch may use the slot meanwhile.
            Ok(_) => self.leave_queue().await,
        }
        match started {
            Ok(Start::Started(row)) => {
                self.spawn(row, began)?;
                Ok(Step::Again)
            }
            Ok(Start::Queued { number, wait, paused_until }) => {
                self.queued = Some(number);
                self.paused_until = paused_until;
                Ok(Step::Wait(wait))
            }
            Ok(Start::Delayed { until, wait, .. }) => {
                self.paused_until = Some(until);
                Ok(Step::Wait(wait))
            }
            Ok(Start::Paused { reason }) if self.is_idle() => Ok(Step::End(End::Paused { reason })),
            Ok(Start::Finished) if self.is_idle() => Ok(Step::End(End::Finished)),
            Ok(Start::NotFound) => Err(Error::NotFound { name: name.to_owned() }),
            Ok(_) => Ok(Step::Wait(interval)),
            Err(error @ StoreError::ServerChanged { .. }) => {
                self.state.store_again().await;
                let reason = error.to_string();
                if let Err(error) = batches.pause(name, &reason).await {
                    self.state.store_failed(&error);
                }
                Ok(if self.is_idle() { Step::End(End::Paused { reason }) } else { Step::Wait(interval) })
            }
            Err(error @ (StoreError::NewerSchema { .. } | StoreError::Sealed)) => Err(error.into()),
            Err(error) => {
                self.state.store_failed(&error);
                self.undo = Some(key);
                Ok(Step::Wait(STORE_PAUSE))
            }
        }
    }

    fn spawn(&mut self, row: StartedRow, began: Began) -> Result<(), Error> {
        let id = AttemptId { number: row.number, attempt: row.attempt, started: SystemTime::now() };
        let parsed = self.worker.batch.parse_row(row.number, &row.content)?;
        let attempt = u32::try_from(row.attempt).unwrap_or(u32::MAX);
        let request = self.mapping.request(&parsed, RunLabel::new(&self.worker.batch.name, attempt))?;
        lock(&self.state.in_flight).insert(row.number, id);
        self.tasks.spawn(Arc::clone(&self.state).send(row, request, began, id));
        Ok(())
    }

    async fn leave_queue(&mut self) {
        if let Some(number) = self.queued {
            let left = self.worker.batch.batches().leave_queue(&self.worker.limiter, number).await;
            match left {
                Ok(()) => self.queued = None,
                Err(error) => self.state.store_failed(&error),
            }
        }
    }

    /// Renews leases, and settles the rows of workers that disappeared and of runs that have ended.
    async fn upkeep(&mut self) {
        let is_due = Instant::now() >= self.next_upkeep;
        let result = if is_due {
            self.next_upkeep = Instant::now() + self.interval();
            self.upkeep_all().await
        } else if self.worker.receiver.is_some() {
            self.settle_events().await
        } else {
            Ok(())
        };
        if let Err(error) = result {
            self.state.store_failed(&error);
        }
    }

    async fn upkeep_all(&mut self) -> Result<(), StoreError> {
        let (batches, name) = (self.worker.batch.batches(), self.worker.batch.name.clone());
        let in_flight: Vec<_> = lock(&self.state.in_flight).values().map(|id| (id.number, id.attempt)).collect();
        if !in_flight.is_empty() {
            batches.renew(&name, &in_flight, self.worker.lease).await?;
        }
        self.settle_events().await?;
        self.release_settled().await?;
        // After an outage, the leases of other workers had no chance to be renewed.
        if lock(&self.state.last_failure).elapsed() > self.worker.lease {
            batches.sweep(&name).await?;
        }
        let max_run_time = self.worker.max_run_time;
        for row in batches.take_due(&name, look_up_interval(max_run_time), 10).await? {
            if let Some(update) = look_up(&self.worker.client, &row, max_run_time).await {
                batches.update(&name, &update).await?;
            }
        }
        match self.state.spill.import(&batches, &name).await {
            Ok(0) => {}
            Ok(imported) => tracing::info!(batch = name, imported, "results were imported from files"),
            Err(Error::Store(error)) => return Err(error),
            Err(error) => tracing::warn!(batch = name, %error, "results could not be imported from files"),
        }
        Ok(())
    }

    async fn settle_events(&mut self) -> Result<(), StoreError> {
        let (batches, name) = (self.worker.batch.batches(), &self.worker.batch.name);
        for event in batches.events(name, EVENTS).await? {
            batches.update(name, &after_event(&event)).await?;
            self.state.run_ended(event.number);
        }
        Ok(())
    }

    /// Releases the slots of accepted rows that another worker has settled.
    async fn release_settled(&mut self) -> Result<(), StoreError> {
        if lock(&self.state.accepted).is_empty() {
            return Ok(());
        }
        let accepted = self.worker.batch.batches().accepted(&self.worker.batch.name).await?;
        let ended: Vec<_> = lock(&self.state.accepted)
            .iter()
            .filter_map(|(number, (attempt, _))| (!accepted.contains(&(*number, *attempt))).then_some(*number))
            .collect();
        ended.into_iter().for_each(|number| self.state.run_ended(number));
        Ok(())
    }

    /// Marks the running rows as unknown.
    async fn abandon(&mut self) {
        self.leave_queue().await;
        let in_flight: Vec<_> = lock(&self.state.in_flight).values().copied().collect();
        self.tasks.abort_all();
        let batches = self.worker.batch.batches();
        for id in in_flight {
            let update = id.unknown("the worker was stopped before the response arrived; the run may be charged", None);
            if let Err(error) = batches.update(&self.worker.batch.name, &update).await {
                self.state.store_failed(&error);
            }
        }
    }

    async fn report_progress(&mut self, is_last: bool) {
        let Some(hook) = &self.worker.on_progress else {
            self.next_progress = Instant::now() + Duration::from_secs(3_600);
            return;
        };
        if !is_last && Instant::now() < self.next_progress {
            return;
        }
        self.next_progress = Instant::now() + self.worker.progress_interval;
        match self.worker.batch.progress().await {
            Ok(mut progress) => {
                progress.paused_until = self.paused_until.or(progress.paused_until);
                progress.unsaved = self.state.unsaved.load(Ordering::Relaxed);
                self.estimate(&mut progress);
                hook(&progress);
            }
            Err(Error::Store(error)) => self.state.store_failed(&error),
            Err(_) => {}
        }
    }

    /// Adds the rate of this worker and the time left.
    fn estimate(&self, progress: &mut Progress) {
        let settled = lock(&self.state.settled);
        let (Some(first), true) = (settled.front(), settled.len() > 1) else { return };
        let seconds = first.elapsed().as_secs_f64().max(1e-3);
        let per_second = float(settled.len() as u64) / seconds;
        progress.rows_per_minute = Some(per_second * 60.0);
        let left = progress.rows() - progress.done();
        let mut time = float(left) / per_second;
        if let Some(per_day) = self.worker.max_runs_per_day {
            // Whole days during which the limit is the bottleneck.
            let days = left / per_day.max(1);
            time = time.max(float(days) * 86_400.0);
        }
        if let Some(until) = progress.paused_until {
            time += until.duration_since(SystemTime::now()).unwrap_or_default().as_secs_f64();
        }
        progress.time_left = Duration::try_from_secs_f64(time).ok();
    }
}
