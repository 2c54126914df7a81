mod daily_cap;
mod grant;
mod limits;
mod shared;

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use fetch_hive_client::types::RequestId;
use fetch_hive_client::{ApiError, BoxError, RateLimit, RunEnd, RunLimiter, RunLimiterUsage, RunPermit, RunRequest};
use tokio::sync::oneshot;

pub(crate) use self::daily_cap::DAY;
pub(crate) use self::grant::{Applicant, Decision, check_server, confirm_server, decide, lock};
use self::limits::DailyCap;
pub(crate) use self::limits::Limits;
pub use self::limits::OnStoreFailure;
use self::shared::Shared;
use crate::{Store, StoreError, millis};

/// How long the limit stays reduced after the service refused a run.
const SHRINK: Duration = Duration::from_secs(30);

/// The number of the permit of a run that started without a slot.
const NO_SLOT: u64 = 0;

/// A limiter for the concurrent runs of all processes that share a [`Store`].
///
/// - Runs start in the order in which they were requested. Runs of a [batch](Self::for_batch) yield
///   to interactive runs for up to 60 s.
/// - If the service refuses a run because too many are running, the limit is reduced for 30 s to
///   one less than the number of occupied slots, but not below 1.
/// - If the service refuses a run because of the daily cap, no process starts a run until the cap
///   is reset at midnight UTC. Then one run starts as a probe, and the others follow if it is
///   accepted.
/// - If a process disappears, its slots stay occupied for 15 minutes, because its runs may still be
///   in progress. [`StoreRunLimiterBuilder::unresolved_run_hold`] changes this time.
pub struct StoreRunLimiter {
    shared: Arc<Shared>,
    /// The batch whose runs this limiter starts, or `None` for interactive runs.
    batch: Option<String>,
}

impl fmt::Debug for StoreRunLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.shared.limits.name;
        f.debug_struct("StoreRunLimiter").field("name", name).field("batch", &self.batch).finish_non_exhaustive()
    }
}

/// A builder for a [`StoreRunLimiter`].
pub struct StoreRunLimiterBuilder {
    store: Store,
    limits: Limits,
}

impl fmt::Debug for StoreRunLimiterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreRunLimiterBuilder").field("name", &self.limits.name).finish_non_exhaustive()
    }
}

impl StoreRunLimiterBuilder {
    pub(crate) fn new(store: Store, name: &str, max_runs: u32) -> Self {
        Self { store, limits: Limits::new(name, max_runs) }
    }

    /// Sets how long a run's slot stays occupied if its process disappears or its callback does not
    /// arrive. Defaults to 15 minutes.
    ///
    /// The slot is freed earlier if an event or a look-up shows that the run has ended.
    #[must_use]
    pub fn unresolved_run_hold(mut self, hold: Duration) -> Self {
        self.limits.hold = hold;
        self
    }

    /// Sets the lease of slots and queue entries, which is how long they outlive their process.
    /// Defaults to 30 s.
    ///
    /// Slots are renewed after a third of this time, and queue entries after half of it.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.limits.lease = lease;
        self
    }

    /// Sets what happens to an interactive run without a callback if the database fails. Defaults
    /// to [`OnStoreFailure::Fail`].
    #[must_use]
    pub fn on_store_failure(mut self, action: OnStoreFailure) -> Self {
        self.limits.on_store_failure = action;
        self
    }

    /// Sets the plan's daily cap, and how many of these runs are reserved for interactive use.
    ///
    /// Batches wait until the next midnight UTC once limiters with this name have started `runs`
    /// minus `reserved_for_interactive` runs since midnight UTC, including interactive runs.
    ///
    /// This setting never delays interactive runs. They wait only if the service refuses a run
    /// because of the cap, because only the service knows how many runs other programs have
    /// started.
    #[must_use]
    pub fn daily_cap(mut self, runs: u32, reserved_for_interactive: u32) -> Self {
        self.limits.daily_cap = Some(DailyCap { runs: runs.into(), reserved: reserved_for_interactive.into() });
        self
    }

    /// Creates the limiter.
    pub fn build(self) -> Arc<StoreRunLimiter> {
        let shared = Arc::new(Shared::new(self.store, self.limits));
        Arc::new(StoreRunLimiter { shared, batch: None })
    }
}

impl StoreRunLimiter {
    /// Returns a limiter for batch runs that shares the slots of this limiter.
    ///
    /// A batch run yields to interactive runs for up to 60 s. Until then, batches take turns: the
    /// next slot goes to the batch that has not started a run for the longest time.
    pub fn for_batch(&self, batch: &str) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(&self.shared), batch: Some(batch.to_owned()) })
    }

    /// Returns how many permits this process has lost since the limiter was created, because they
    /// could not be renewed in time.
    ///
    /// Until the run of a lost permit ends, more runs than allowed may be in progress.
    pub fn lost_permits(&self) -> u64 {
        self.shared.lost_permits.load(Ordering::Relaxed)
    }

    /// Returns how many slots are in use and how many runs are waiting, across all processes.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn usage(&self) -> Result<RunLimiterUsage, StoreError> {
        let limits = self.shared.limits.clone();
        let operation =
            self.shared.store.transaction(Box::new(move |tx| Box::pin(async move { grant::usage(tx, &limits).await })));
        operation.await
    }

    /// Returns the time at which the next held slot becomes free, by the database's clock. Returns
    /// `None` if no slot is held for a run that may still be in progress.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn held_until(&self) -> Result<Option<SystemTime>, StoreError> {
        let name = self.shared.limits.name.clone();
        let operation = self.shared.store.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "SELECT MIN(lease_end) FROM fetch_hive_slot WHERE name = $1 AND held = 1";
                tx.row(sql, &[name.as_str().into()]).await
            })
        }));
        let end = operation.await?.and_then(|mut row| row.opt_int());
        Ok(end.map(|end| SystemTime::UNIX_EPOCH + Duration::from_millis(crate::unsigned(end))))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Returns the permit for a granted slot, and starts renewing the slot.
    pub(crate) fn permit(&self, slot: i64) -> RunPermit {
        self.shared.hold(slot);
        let limiter = Self { shared: Arc::clone(&self.shared), batch: self.batch.clone() };
        RunPermit::new(Arc::new(limiter), crate::unsigned(slot))
    }

    fn starts_anyway(&self) -> bool {
        self.batch.is_none() && self.shared.limits.on_store_failure == OnStoreFailure::StartAnyway
    }

    /// Waits for a slot, and leaves the queue if the receiver is dropped.
    async fn wait(self: Arc<Self>, mut granted: oneshot::Sender<Result<RunPermit, StoreError>>) {
        let mut queued = None;
        loop {
            let wake_up = self.shared.store.subscribe(self.shared.limits.name.as_bytes());
            let applicant = Applicant { queued, batch: self.batch.clone() };
            let remaining = match self.shared.step(applicant).await {
                Ok(Decision::Granted(slot)) => {
                    // If the receiver is gone, the permit is dropped, which frees its slot.
                    drop(granted.send(Ok(self.permit(slot))));
                    return;
                }
                Ok(Decision::Queued { number, remaining, paused_until }) => {
                    self.shared.paused_until.store(paused_until.unwrap_or_default(), Ordering::Relaxed);
                    queued = Some(number);
                    remaining
                }
                Err(error) => {
                    drop(granted.send(Err(error)));
                    if let Some(number) = queued {
                        self.shared.leave_queue(number).await;
                    }
                    return;
                }
            };
            let is_abandoned = {
                let mut wake_up = pin!(wake_up.wait(remaining));
                let mut abandoned = pin!(granted.closed());
                poll_fn(|cx| {
                    if abandoned.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(true);
                    }
                    wake_up.as_mut().poll(cx).map(|()| false)
                })
                .await
            };
            if let (true, Some(number)) = (is_abandoned, queued) {
                return self.shared.leave_queue(number).await;
            }
        }
    }
}

#[async_trait]
impl RunLimiter for StoreRunLimiter {
    async fn acquire(self: Arc<Self>, _: RunRequest<'_>) -> Result<RunPermit, BoxError> {
        let (sender, receiver) = oneshot::channel();
        // The separate task leaves the queue if this future is dropped.
        tokio::spawn(Arc::clone(&self).wait(sender));
        match receiver.await? {
            Err(StoreError::Database(reason)) if self.starts_anyway() => {
                tracing::warn!(limit = self.shared.limits.name, reason, "a run starts without a slot");
                Ok(RunPermit::new(self, NO_SLOT))
            }
            permit => permit.map_err(StoreError::boxed),
        }
    }

    fn paused_until(&self) -> Option<SystemTime> {
        let until = u64::try_from(self.shared.paused_until.load(Ordering::Relaxed)).unwrap_or_default();
        let until = SystemTime::UNIX_EPOCH + Duration::from_millis(until);
        (until > SystemTime::now()).then_some(until)
    }

    fn release(&self, slot: u64, end: RunEnd) {
        if slot == NO_SLOT {
            return;
        }
        let slot = crate::signed(slot);
        self.shared.slots().numbers.remove(&slot);
        let hold = millis(self.shared.limits.hold);
        self.shared.update(move |tx, name| {
            let end = end.clone();
            Box::pin(async move {
                let update_probe = "UPDATE fetch_hive_limit SET probe = $3 WHERE name = $1 AND probe = $2";
                if let RunEnd::MayBeRunning { request_id } = end {
                    let hold_slot = format!(
                        "UPDATE fetch_hive_slot SET held = 1, lease_end = {} + $3, \
                         request_id = COALESCE($4, request_id) WHERE name = $1 AND number = $2 AND held <> 2",
                        tx.now_expression()
                    );
                    let request_id = request_id.map(|id| id.to_string());
                    let values = [name.into(), slot.into(), hold.into(), request_id.into()];
                    // A probe whose outcome is unknown decides nothing, so the next run becomes the
                    // probe.
                    let probe = [name.into(), slot.into(), 0.into()];
                    tx.commit_with(&[(&hold_slot, &values), (update_probe, &probe)]).await.map(drop)
                } else {
                    let free_slot = "DELETE FROM fetch_hive_slot WHERE name = $1 AND number = $2";
                    let values = [name.into(), slot.into()];
                    let probe = [name.into(), slot.into(), None::<i64>.into()];
                    tx.commit_with(&[(free_slot, &values), (update_probe, &probe)]).await.map(drop)
                }
            })
        });
    }

    fn run_started(&self, slot: u64, request_id: &RequestId) {
        let (slot, request_id) = (crate::signed(slot), request_id.to_string());
        // This frees no slot unless the event has already arrived, so it wakes no waiters.
        self.shared.store.detach(self.shared.transaction(move |tx, name| {
            Box::pin(async move {
                let sql = "UPDATE fetch_hive_slot SET request_id = $3, held = CASE WHEN EXISTS \
                           (SELECT 1 FROM fetch_hive_run WHERE request_id = $3 AND state > 0) THEN 2 ELSE held END \
                           WHERE name = $1 AND number = $2";
                tx.commit_row(sql, &[name.into(), slot.into(), request_id.as_str().into()]).await.map(drop)
            })
        }));
    }

    fn run_ended(&self, request_id: &RequestId) {
        let request_id = request_id.to_string();
        self.shared.update(move |tx, _| {
            let request_id = request_id.clone();
            Box::pin(async move {
                // The row stays until its holder releases the permit.
                let sql = "UPDATE fetch_hive_slot SET held = 2 WHERE request_id = $1";
                tx.commit_row(sql, &[request_id.as_str().into()]).await.map(drop)
            })
        });
    }

    fn refused(&self, error: &ApiError) {
        match error.rate_limit() {
            Some(RateLimit::Concurrency) => self.shared.update(|tx, name| {
                Box::pin(async move {
                    let until = tx.now().await? + millis(SHRINK);
                    // The refused run still holds one of the slots.
                    let sql = "UPDATE fetch_hive_limit SET shrunk_until = $2, shrunk_size = \
                               (SELECT COUNT(*) - 1 FROM fetch_hive_slot WHERE name = $1 AND held < 2) WHERE name = $1";
                    tx.execute(sql, &[name.into(), until.into()]).await
                })
            }),
            Some(RateLimit::DailyCap { .. }) => {
                let date = daily_cap::date(&error.headers);
                self.shared.update(move |tx, name| Box::pin(async move { daily_cap::pause(tx, name, date).await }));
            }
            _ => {}
        }
    }
}
