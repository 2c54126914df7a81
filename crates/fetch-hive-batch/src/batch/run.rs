//! The main loop of a worker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use fetch_hive_store::StoreError;
use fetch_hive_store::batches::{Start, StartRequest, StartedRow};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::judge::AttemptId;
use super::progress::{Progress, float};
use super::send::{Began, Sender};
use super::shared::{PATIENCE, STORE_PAUSE, Shared, lock};
use super::spill::Spill;
use super::stop::{Level, Stop};
use super::worker::{End, Worker, unique_key};
use crate::{BoundMapping, Error, RunLabel, Target};

/// How long the worker waits for background changes to be stored before it returns.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

impl Worker {
    /// Runs rows until each row is settled or unknown, the batch is paused, or a stop is requested.
    ///
    /// If the database or the service cannot be reached, the worker retries.
    ///
    /// # Errors
    ///
    /// Returns an error if the batch was deleted, if a stored row cannot be read or decrypted, if a
    /// newer version of the store has changed the tables, if a receiver is set but the target does
    /// not support callbacks, or if both the mapping and the worker set a callback URL.
    pub async fn run(self, stop: &Stop) -> Result<End, Error> {
        let mapping = self.batch.mapping().bind(self.batch.header())?;
        let deployment = match self.batch.mapping().target() {
            Target::Workflow(deployment) => deployment.clone(),
            _ if self.receiver.is_some() => {
                return Err(self.batch.not_allowed("prompts and agents have no callbacks; remove the receiver"));
            }
            _ => String::new(),
        };
        if self.receiver.is_some() && self.batch.mapping().has_callback_url() {
            return Err(self.batch.not_allowed("the mapping sets a callback URL; remove it or the receiver"));
        }
        let worker_key = unique_key();
        let spill = Spill::new(&self.spill_folder, &self.batch.name, &self.batch.id, &worker_key);
        let sender = Sender {
            client: self.client.clone(),
            limiter: Arc::clone(&self.limiter),
            batches: self.batch.batches(),
            store: self.batch.store.clone(),
            batch: self.batch.id.clone(),
            deployment,
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
        // Otherwise, freed slots would stay occupied until their leases expire.
        drop(tokio::time::timeout(FLUSH_TIMEOUT, run.worker.batch.store.flush()).await);
        run.report_progress(true).await;
        if let (Some(hook), Ok(end)) = (&run.worker.on_end, &end) {
            hook(end);
        }
        end
    }
}

/// A running worker.
pub(super) struct Run {
    pub(super) worker: Worker,
    pub(super) shared: Arc<Shared>,
    mapping: BoundMapping,
    worker_key: String,
    starts: u64,
    queued: Option<u64>,
    /// The key of an attempt whose commit was not confirmed, and which must be undone.
    undo: Option<String>,
    pub(super) tasks: JoinSet<()>,
    paused_until: Option<SystemTime>,
    /// The id of the database server, which changes when a standby is promoted.
    pub(super) server: Option<String>,
    stopping_since: Option<Instant>,
    pub(super) next_upkeep: Instant,
    next_progress: Instant,
}

/// The result of one step of the loop.
enum Step {
    Again,
    Wait(Duration),
    End(End),
}

impl Run {
    pub(super) fn new(worker: Worker, shared: Shared, mapping: BoundMapping, worker_key: String) -> Self {
        Self {
            worker,
            shared: Arc::new(shared),
            mapping,
            worker_key,
            starts: 0,
            queued: None,
            undo: None,
            tasks: JoinSet::new(),
            paused_until: None,
            server: None,
            stopping_since: None,
            next_upkeep: Instant::now(),
            next_progress: Instant::now(),
        }
    }

    pub(super) async fn run(&mut self) -> Result<End, Error> {
        let mut stop_requests = self.shared.stop.subscribe();
        // The first error is returned after the running rows have finished.
        let mut failed = None;
        loop {
            self.upkeep().await;
            self.report_progress(false).await;
            if self.shared.stop.level() == Level::Abandon {
                self.abandon().await;
                return failed.map_or(Ok(self.stopped()), Err);
            }
            let has_started_enough = self.worker.stop_after.is_some_and(|rows| self.starts >= rows);
            let next = if failed.is_some() || has_started_enough || self.shared.stop.is_requested() {
                self.finish_running().await
            } else {
                match self.start_next().await {
                    Ok(step) => step,
                    Err(error) => {
                        failed.get_or_insert(error);
                        Step::Again
                    }
                }
            };
            match next {
                Step::Again => {}
                Step::End(end) => match self.restore_after_promotion().await {
                    Ok(()) => return failed.map_or(Ok(end), Err),
                    Err(error) => {
                        self.shared.store_failed(&error);
                        if self.patience_is_over() {
                            return failed.map_or(Ok(end), Err);
                        }
                        self.wait(STORE_PAUSE, &mut stop_requests).await;
                    }
                },
                Step::Wait(wait) => self.wait(wait, &mut stop_requests).await,
            }
        }
    }

    /// Ends the worker when the running rows have finished.
    async fn finish_running(&mut self) -> Step {
        self.leave_queue().await;
        if self.undo.is_some() && self.undo_start().await.is_err() && !self.patience_is_over() {
            return Step::Wait(STORE_PAUSE);
        }
        if self.is_idle() { Step::End(self.stopped()) } else { Step::Wait(self.interval()) }
    }

    /// Returns whether the worker has waited long enough for the database since a stop was
    /// requested.
    fn patience_is_over(&mut self) -> bool {
        let is_stopping = self.shared.stop.is_requested();
        is_stopping && self.stopping_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE
    }

    /// Undoes the start of a row whose commit was not confirmed.
    async fn undo_start(&mut self) -> Result<(), StoreError> {
        let Some(key) = &self.undo else { return Ok(()) };
        let batches = self.worker.batch.batches();
        let undone = batches.undo_start(&self.worker.batch.id, &self.worker.limiter, key).await;
        match &undone {
            Ok(()) => self.undo = None,
            Err(error) => self.shared.store_failed(error),
        }
        undone
    }

    fn is_idle(&self) -> bool {
        self.tasks.is_empty() && lock(&self.shared.accepted).is_empty()
    }

    fn stopped(&self) -> End {
        match self.shared.unsaved.load(Ordering::Relaxed) {
            0 => End::Stopped,
            results => End::Spilled { path: self.shared.spill.path().to_owned(), results },
        }
    }

    /// Returns the interval at which leases are renewed.
    pub(super) fn interval(&self) -> Duration {
        (self.worker.lease / 3).min(Duration::from_secs(10)).max(Duration::from_millis(50))
    }

    async fn wait(&mut self, longest: Duration, stop: &mut watch::Receiver<Level>) {
        let until = self.next_upkeep.min(self.next_progress);
        let longest = longest.min(until.saturating_duration_since(Instant::now())).max(Duration::from_millis(1));
        let batches = self.worker.batch.batches();
        let has_tasks = !self.tasks.is_empty();
        tokio::select! {
            _ = self.tasks.join_next(), if has_tasks => {}
            () = batches.changed(&self.worker.batch.id, &self.worker.limiter, longest) => {}
            _ = stop.changed() => {}
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Starts the next row, if one is ready and may start.
    async fn start_next(&mut self) -> Result<Step, Error> {
        let batches = self.worker.batch.batches();
        let (batch, limiter) = (self.worker.batch.id.clone(), Arc::clone(&self.worker.limiter));
        if self.undo.is_some() && self.undo_start().await.is_err() {
            return Ok(Step::Wait(STORE_PAUSE));
        }
        self.starts += 1;
        let key = format!("{}-{}", self.worker_key, self.starts);
        let mut request = StartRequest::new(key.as_str(), self.worker.lease);
        request.queued = self.queued;
        (request.max_runs, request.max_tokens) = (self.worker.max_runs, self.worker.max_tokens);
        request.max_runs_per_day = self.worker.max_runs_per_day;
        let began = Began::now(self.worker.lease);
        let started = batches.start(&batch, &limiter, request).await;
        if !matches!(started, Ok(Start::Started(_))) {
            self.starts -= 1;
        }
        self.paused_until = None;
        let interval = self.interval();
        match started {
            Ok(Start::Started(_)) => self.queued = None,
            // The number of the queue entry is kept so that the entry can be deleted.
            Ok(Start::Queued { .. }) | Err(_) => {}
            // Leaving the queue lets other batches use the slot in the meantime.
            Ok(_) => self.leave_queue().await,
        }
        match started {
            Ok(Start::Started(row)) => {
                self.spawn(row, began);
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
            Ok(Start::NotFound) => Err(Error::NotFound { name: self.worker.batch.name.clone() }),
            Ok(_) => Ok(Step::Wait(interval)),
            Err(error @ StoreError::ServerChanged { .. }) => {
                let reason = error.to_string();
                // The batch is paused only after the results have been stored again.
                let restored = self.restore_after_promotion().await;
                let paused = match restored {
                    Ok(()) => batches.pause(&batch, &reason).await,
                    Err(error) => Err(error),
                };
                match paused {
                    Err(error) => {
                        self.shared.store_failed(&error);
                        Ok(Step::Wait(STORE_PAUSE))
                    }
                    Ok(()) if self.is_idle() => Ok(Step::End(End::Paused { reason })),
                    Ok(()) => Ok(Step::Wait(interval)),
                }
            }
            Err(error @ (StoreError::NewerSchema { .. } | StoreError::Sealed)) => Err(error.into()),
            Err(error) => {
                self.shared.store_failed(&error);
                self.undo = Some(key);
                Ok(Step::Wait(STORE_PAUSE))
            }
        }
    }

    fn spawn(&mut self, row: StartedRow, began: Began) {
        let id = AttemptId { number: row.number, attempt: row.attempt, started: SystemTime::now() };
        lock(&self.shared.in_flight).insert(row.number, id);
        let attempt = u32::try_from(row.attempt).unwrap_or(u32::MAX);
        let label = RunLabel::new(&self.worker.batch.name, attempt);
        let request = self.worker.batch.parse_row(row.number, &row.content);
        match request.and_then(|parsed| self.mapping.request(&parsed, label)) {
            Ok(request) => drop(self.tasks.spawn(Arc::clone(&self.shared).send(row, request, began, id))),
            Err(error) => drop(self.tasks.spawn(Arc::clone(&self.shared).return_unsent(row, id, error.to_string()))),
        }
    }

    async fn leave_queue(&mut self) {
        if let Some(number) = self.queued {
            let left = self.worker.batch.batches().leave_queue(&self.worker.limiter, number).await;
            match left {
                Ok(()) => self.queued = None,
                Err(error) => self.shared.store_failed(&error),
            }
        }
    }

    /// Aborts the requests in flight, and marks their rows as unknown.
    async fn abandon(&mut self) {
        self.leave_queue().await;
        drop(self.undo_start().await);
        self.tasks.abort_all();
        self.shared.spill_unstored();
        let in_flight: Vec<_> = lock(&self.shared.in_flight).values().copied().collect();
        let batches = self.worker.batch.batches();
        for id in in_flight {
            let update = id.unknown("the worker was stopped before the response arrived; the run may be charged", None);
            if let Err(error) = batches.update(&self.worker.batch.id, &update).await {
                self.shared.store_failed(&error);
            }
        }
    }

    pub(super) async fn report_progress(&mut self, is_last: bool) {
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
                progress.unsaved = self.shared.unsaved.load(Ordering::Relaxed);
                if self.queued.is_some() && progress.paused_until.is_none() && progress.running() == 0 {
                    progress.slots_held_until = self.worker.limiter.held_until().await.unwrap_or_default();
                }
                self.estimate(&mut progress);
                hook(&progress);
            }
            Err(Error::Store(error)) => self.shared.store_failed(&error),
            Err(_) => {}
        }
    }

    /// Adds this worker's rate and the time left to the progress.
    fn estimate(&self, progress: &mut Progress) {
        let settled = lock(&self.shared.settled);
        let (Some(first), true) = (settled.front(), settled.len() > 1) else { return };
        let seconds = first.elapsed().as_secs_f64().max(1e-3);
        let per_second = float(settled.len() as u64) / seconds;
        progress.rows_per_minute = Some(per_second * 60.0);
        let left = progress.rows() - progress.done();
        let mut time = float(left) / per_second;
        if let Some(per_day) = self.worker.max_runs_per_day {
            // The number of whole days that the daily limit requires.
            let days = left / per_day.max(1);
            time = time.max(float(days) * 86_400.0);
        }
        if let Some(until) = progress.paused_until {
            time += until.duration_since(SystemTime::now()).unwrap_or_default().as_secs_f64();
        }
        progress.time_left = Duration::try_from_secs_f64(time).ok();
    }
}
