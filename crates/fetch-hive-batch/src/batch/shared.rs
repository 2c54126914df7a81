//! The state that a worker's tasks share, and the storage of row outcomes.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fetch_hive_client::callback::PendingRun;
use fetch_hive_client::types::WebhookSecret;
use fetch_hive_store::StoreError;
use fetch_hive_store::batches::{DueRow, RowStatus, RowUpdate, StartedRow};

use super::accepted::look_up;
use super::judge::AttemptId;
use super::send::{Began, Sender, Sent};
use super::spill::Spill;
use super::stop::{Level, Stop};

/// How long the worker retries storing results after a stop was requested.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The delay before an operation is retried after the database failed.
pub(super) const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The number of recent changes that a worker remembers, because a promoted standby may be missing
/// them.
const MAX_REMEMBERED: usize = 1_000;
const MAX_REMEMBERED_BYTES: usize = 16 << 20;

/// The state that a worker's tasks share.
pub(super) struct Shared {
    pub(super) sender: Sender,
    pub(super) spill: Spill,
    pub(super) stop: Stop,
    /// The time of the last database failure, or of the start of the worker.
    pub(super) last_failure: Mutex<Instant>,
    /// The rows that are being sent and whose leases are renewed.
    pub(super) in_flight: Mutex<HashMap<u64, AttemptId>>,
    /// The accepted rows of this worker, whose slots stay occupied.
    pub(super) accepted: Mutex<HashMap<u64, (u64, PendingRun)>>,
    pub(super) remembered: Mutex<Remembered>,
    /// The changes that are being stored, by row number.
    pub(super) unstored: Mutex<HashMap<u64, RowUpdate>>,
    pub(super) known_secret: Mutex<Option<WebhookSecret>>,
    /// The times at which this worker settled its most recent rows.
    pub(super) settled: Mutex<VecDeque<Instant>>,
    pub(super) unsaved: AtomicU64,
}

#[derive(Default)]
pub(super) struct Remembered {
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn store_failed(&self, error: &StoreError) {
        tracing::warn!(batch = self.sender.batch, %error, "the store of the batch failed");
        *lock(&self.last_failure) = Instant::now();
    }

    /// Sends a row and stores its outcome.
    pub(super) async fn send(
        self: Arc<Self>,
        row: StartedRow,
        request: crate::RunRequest,
        began: Began,
        id: AttemptId,
    ) {
        let Sent { update, pending, secret } = self.sender.send(row, request, began).await;
        let is_accepted = update.status == RowStatus::Accepted;
        if let Some(pending) = pending.filter(|_| is_accepted) {
            lock(&self.accepted).insert(id.number, (id.attempt, pending));
        }
        let has_changed = self.store(update).await;
        if is_accepted && !has_changed {
            // The event arrived before the response, and has already settled the row.
            self.run_ended(id.number);
        }
        lock(&self.in_flight).remove(&id.number);
        if let Some(secret) = secret {
            self.learn_secret(secret).await;
        }
    }

    /// Makes a row that cannot be sent ready again, and pauses the batch.
    pub(super) async fn return_unsent(self: Arc<Self>, row: StartedRow, id: AttemptId, reason: String) {
        drop(row.permit);
        let mut update = RowUpdate::new(id.number, id.attempt, RowStatus::Ready, reason.as_str());
        update.pause = Some(reason);
        self.store(update).await;
        lock(&self.in_flight).remove(&id.number);
    }

    /// Looks up an accepted run, and stores its outcome.
    pub(super) async fn look_up(self: Arc<Self>, row: DueRow, max_run_time: Duration) {
        if let Some(update) = look_up(&self.sender.client, &row, max_run_time).await {
            self.store(update).await;
        }
    }

    /// Frees the slot of a row that has been settled.
    pub(super) fn run_ended(&self, number: u64) {
        if let Some((_, mut pending)) = lock(&self.accepted).remove(&number) {
            pending.run_ended();
        }
    }

    /// Stores the deployment's secret, so that events can be verified even if the response to their
    /// run was lost.
    async fn learn_secret(&self, secret: WebhookSecret) {
        if lock(&self.known_secret).as_ref() == Some(&secret) {
            return;
        }
        match self.sender.store.put_secret(&self.sender.deployment, &secret).await {
            Ok(()) => *lock(&self.known_secret) = Some(secret),
            Err(error) => self.store_failed(&error),
        }
    }

    /// Stores a change, and retries while the database fails. After the first failure, the change
    /// is also written to a file. Returns whether the change had an effect.
    async fn store(&self, update: RowUpdate) -> bool {
        lock(&self.unstored).insert(update.number, update.clone());
        let (mut is_unsaved, mut is_spilled) = (false, false);
        let mut failing_since = None;
        let has_changed = loop {
            match self.sender.batches.update(&self.sender.batch, &update).await {
                Ok(has_changed) => break has_changed,
                Err(error) => self.store_failed(&error),
            }
            if !is_unsaved {
                self.unsaved.fetch_add(1, Ordering::Relaxed);
                is_unsaved = true;
            }
            is_spilled = is_spilled || self.append_to_spill(&update);
            let since = *failing_since.get_or_insert_with(Instant::now);
            let gives_up =
                self.stop.level() == Level::Abandon || (self.stop.is_requested() && since.elapsed() > PATIENCE);
            if gives_up && is_spilled {
                lock(&self.unstored).remove(&update.number);
                return true;
            }
            tokio::time::sleep(STORE_PAUSE).await;
        };
        lock(&self.unstored).remove(&update.number);
        if is_unsaved {
            self.unsaved.fetch_sub(1, Ordering::Relaxed);
        }
        if !matches!(update.status, RowStatus::Ready | RowStatus::Accepted) {
            let mut settled = lock(&self.settled);
            settled.push_back(Instant::now());
            if settled.len() > 100 {
                settled.pop_front();
            }
        }
        lock(&self.remembered).push(update);
        has_changed
    }

    /// Writes a change to the spill file. Returns whether this succeeded.
    fn append_to_spill(&self, update: &RowUpdate) -> bool {
        let appended = self.spill.append(update);
        if let Err(error) = &appended {
            tracing::error!(path = %self.spill.path().display(), %error, "a result cannot be written to a file");
        }
        appended.is_ok()
    }

    /// Writes the changes that have not been stored to the spill file, because their tasks are
    /// aborted.
    pub(super) fn spill_unstored(&self) {
        let unstored: Vec<_> = lock(&self.unstored).drain().map(|(_, update)| update).collect();
        self.unsaved.fetch_max(unstored.len() as u64, Ordering::Relaxed);
        for update in unstored {
            lock(&self.in_flight).remove(&update.number);
            self.append_to_spill(&update);
        }
    }

    /// Stores the recent changes again, because a promoted standby may be missing them.
    pub(super) async fn store_again(&self) -> Result<(), StoreError> {
        let updates: Vec<_> = lock(&self.remembered).updates.iter().cloned().collect();
        for update in updates {
            self.sender.batches.update(&self.sender.batch, &update).await?;
        }
        Ok(())
    }
}
