//! The loop of a worker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use fetch_hive_store::StoreError;
use fetch_hive_store::batches::{Start, StartRequest, StartedRow};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::accepted::{after_event, look_up, look_up_interval};
use super::judge::AttemptId;
use super::progress::{Progress, float};
use super::send::Began;
use super::shared::{STORE_PAUSE, Shared, lock};
use super::stop::Level;
use super::worker::{End, Worker};
use crate::{BoundMapping, Error, RunLabel};

/// The number of events that are read at a time.
const EVENTS: u32 = 100;

/// A running worker.
pub(super) struct Run {
    pub(super) worker: Worker,
    shared: Arc<Shared>,
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
            next_upkeep: Instant::now(),
            next_progress: Instant::now(),
        }
    }

    pub(super) async fn run(&mut self) -> Result<End, Error> {
        let mut stop_requests = self.shared.stop.subscribe();
        loop {
            self.upkeep().await;
            self.report_progress(false).await;
            let is_stopping = self.shared.stop.is_requested()
                || self.worker.stop_after.is_some_and(|rows| self.starts >= rows && self.undo.is_none());
            if self.shared.stop.level() == Level::Abandon {
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
                Step::Wait(wait) => self.wait(wait, &mut stop_requests).await,
            }
        }
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
                self.shared.store_failed(&error);
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
                self.shared.store_again().await;
                let reason = error.to_string();
                if let Err(error) = batches.pause(name, &reason).await {
                    self.shared.store_failed(&error);
                }
                Ok(if self.is_idle() { Step::End(End::Paused { reason }) } else { Step::Wait(interval) })
            }
            Err(error @ (StoreError::NewerSchema { .. } | StoreError::Sealed)) => Err(error.into()),
            Err(error) => {
                self.shared.store_failed(&error);
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
        lock(&self.shared.in_flight).insert(row.number, id);
        self.tasks.spawn(Arc::clone(&self.shared).send(row, request, began, id));
        Ok(())
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
            self.shared.store_failed(&error);
        }
    }

    async fn upkeep_all(&mut self) -> Result<(), StoreError> {
        let (batches, name) = (self.worker.batch.batches(), self.worker.batch.name.clone());
        let in_flight: Vec<_> = lock(&self.shared.in_flight).values().map(|id| (id.number, id.attempt)).collect();
        if !in_flight.is_empty() {
            batches.renew(&name, &in_flight, self.worker.lease).await?;
        }
        self.settle_events().await?;
        self.release_settled().await?;
        // After an outage, the leases of other workers had no chance to be renewed.
        if lock(&self.shared.last_failure).elapsed() > self.worker.lease {
            batches.sweep(&name).await?;
        }
        let max_run_time = self.worker.max_run_time;
        for row in batches.take_due(&name, look_up_interval(max_run_time), 10).await? {
            if let Some(update) = look_up(&self.worker.client, &row, max_run_time).await {
                batches.update(&name, &update).await?;
            }
        }
        match self.shared.spill.import(&batches, &name).await {
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
            self.shared.run_ended(event.number);
        }
        Ok(())
    }

    /// Releases the slots of accepted rows that another worker has settled.
    async fn release_settled(&mut self) -> Result<(), StoreError> {
        if lock(&self.shared.accepted).is_empty() {
            return Ok(());
        }
        let accepted = self.worker.batch.batches().accepted(&self.worker.batch.name).await?;
        // A row in flight is accepted here before its change is stored.
        let in_flight: Vec<_> = lock(&self.shared.in_flight).keys().copied().collect();
        let ended: Vec<_> = lock(&self.shared.accepted)
            .iter()
            .filter(|(number, (attempt, _))| !in_flight.contains(number) && !accepted.contains(&(**number, *attempt)))
            .map(|(number, _)| *number)
            .collect();
        for number in ended {
            self.shared.run_ended(number);
        }
        Ok(())
    }

    /// Marks the running rows as unknown.
    async fn abandon(&mut self) {
        self.leave_queue().await;
        let in_flight: Vec<_> = lock(&self.shared.in_flight).values().copied().collect();
        self.tasks.abort_all();
        let batches = self.worker.batch.batches();
        for id in in_flight {
            let update = id.unknown("the worker was stopped before the response arrived; the run may be charged", None);
            if let Err(error) = batches.update(&self.worker.batch.name, &update).await {
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
                self.estimate(&mut progress);
                hook(&progress);
            }
            Err(Error::Store(error)) => self.shared.store_failed(&error),
            Err(_) => {}
        }
    }

    /// Adds the rate of this worker and the time left.
    fn estimate(&self, progress: &mut Progress) {
        let settled = lock(&self.shared.settled);
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
