//! The processes of a workspace, each with its own store and limiter.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fetch_hive_client::{RunEnd, RunLimiter as _, RunPermit, RunRequest};
use fetch_hive_store::simulation::SimulatedDatabase;
use fetch_hive_store::{Store, StoreRunLimiter};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::scenario::{BATCH_RUN, CALL_TIMEOUT, INTERACTIVE_RUN, LOST_RESPONSE, RESTART, RETRY, Random, THINK};
use crate::workspace::{Class, Workspace};

const RUN: RunRequest<'static> = RunRequest::new("invokeWorkflow", None);

/// The time of an answer of the service, in addition to the run.
const ANSWER: Duration = Duration::from_millis(100);

/// How often a process without rows looks for new ones.
const NO_ROWS: Duration = Duration::from_secs(30);

/// The simulated time of day.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) began: Instant,
    pub(crate) start: i64,
}

impl Clock {
    pub(crate) fn now(self) -> i64 {
        self.start + i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX / 2)
    }

    pub(crate) async fn sleep_until(self, time: i64) {
        sleep(Duration::from_millis(u64::try_from(time - self.now()).unwrap_or_default())).await;
    }
}

/// One process, which is started again after it was killed.
pub(crate) struct Worker {
    pub(crate) database: SimulatedDatabase,
    pub(crate) clock: Clock,
    pub(crate) workspace: Arc<Mutex<Workspace>>,
    pub(crate) class: Class,
    pub(crate) random: Random,
    pub(crate) kill: Arc<Notify>,
}

impl Worker {
    pub(crate) async fn run(mut self) {
        let kill = Arc::clone(&self.kill);
        loop {
            let (store, is_killed) = self.database.connect();
            let limiter = self.limiter(&store);
            tokio::select! {
                biased;
                () = kill.notified() => is_killed.store(true, Ordering::Relaxed),
                () = self.work(&limiter) => {}
            }
            lock(&self.workspace).lose_slot(self.clock.now());
            sleep(RESTART).await;
        }
    }

    fn limiter(&self, store: &Store) -> Arc<StoreRunLimiter> {
        let workspace = lock(&self.workspace);
        let mut builder = store.run_limiter_builder(&workspace.name, workspace.size);
        if let Some(reserve) = workspace.reserve {
            builder = builder.daily_cap(u32::try_from(workspace.cap).unwrap_or(u32::MAX), reserve);
        }
        match self.class {
            Class::Interactive => builder.build(),
            Class::Batch(batch) => builder.build().for_batch(&format!("batch-{batch}")),
        }
    }

    /// Never returns.
    async fn work(&mut self, limiter: &Arc<StoreRunLimiter>) {
        loop {
            match self.class {
                Class::Interactive => {
                    let size = f64::from(lock(&self.workspace).size);
                    sleep(self.random.time(THINK.0 / size, THINK.1)).await;
                    while !self.call(limiter).await {
                        sleep(RETRY).await;
                    }
                }
                Class::Batch(batch) => {
                    if !lock(&self.workspace).take_row(batch) {
                        sleep(NO_ROWS).await;
                    } else if !self.call(limiter).await {
                        lock(&self.workspace).return_row(batch);
                        sleep(RETRY).await;
                    }
                }
            }
        }
    }

    /// Waits for a slot and starts a run. Returns false if it should be tried again.
    async fn call(&mut self, limiter: &Arc<StoreRunLimiter>) -> bool {
        let mut arrival = Arrival::new(self);
        let acquired = match self.class {
            Class::Interactive => timeout(CALL_TIMEOUT, Arc::clone(limiter).acquire(RUN)).await,
            Class::Batch(_) => Ok(Arc::clone(limiter).acquire(RUN).await),
        };
        let permit = match acquired {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => {
                lock(&self.workspace).store_errors += 1;
                return false;
            }
            Err(_) => {
                let is_disturbed = arrival.end();
                lock(&self.workspace).gave_up[usize::from(is_disturbed)] += 1;
                return true;
            }
        };
        let called = lock(&self.workspace).call(arrival.number, self.clock.now());
        match called {
            Ok(()) => {
                self.wait_for_run(permit).await;
                true
            }
            Err(error) => {
                sleep(ANSWER).await;
                limiter.refused(&error);
                // An interactive user sees the error. The row of a batch is tried again.
                self.class == Class::Interactive
            }
        }
    }

    async fn wait_for_run(&mut self, mut permit: RunPermit) {
        let (mean, max) = if self.class == Class::Interactive { INTERACTIVE_RUN } else { BATCH_RUN };
        let time = self.random.time(mean, max);
        let (workspace, clock) = (Arc::clone(&self.workspace), self.clock);
        // The run ends, also if this process is killed.
        tokio::spawn(async move {
            sleep(time).await;
            lock(&workspace).end_run(clock.now());
        });
        if self.random.below(LOST_RESPONSE) == 0 {
            permit.set_end(RunEnd::MayBeRunning { request_id: None });
            lock(&self.workspace).lose_slot(self.clock.now());
        }
        sleep(time + ANSWER).await;
    }
}

/// A wait that also ends if the process is killed.
struct Arrival {
    workspace: Arc<Mutex<Workspace>>,
    clock: Clock,
    number: u64,
}

impl Arrival {
    fn new(worker: &Worker) -> Self {
        let number = lock(&worker.workspace).arrive(worker.class, worker.clock.now());
        Self { workspace: Arc::clone(&worker.workspace), clock: worker.clock, number }
    }

    /// Returns whether the wait was disturbed.
    fn end(&mut self) -> bool {
        lock(&self.workspace).leave(self.number, self.clock.now())
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.end();
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
