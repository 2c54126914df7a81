use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_client::types::RequestId;
use fetch_hive_client::{ApiError, BoxError, RateLimit, RunEnd, RunLimiter, RunPermit, RunRequest};
use tokio::sync::oneshot;

use crate::database::Tx;
use crate::{Store, StoreError, millis};

/// How long a slot or a place in the queue survives its process.
const LEASE: Duration = Duration::from_secs(30);

/// How often a waiter looks for a free slot without a notification.
const POLL: i64 = 1_000;

/// A day in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// How long a refused run shrinks the limit.
const SHRINK: Duration = Duration::from_secs(30);

/// A limiter of the concurrent runs of all processes that share a [`Store`].
///
/// Runs start in order of arrival. The slot of a process that vanished stays occupied for 15
/// minutes, because its run may still be running.
pub struct StoreRunLimiter {
    store: Store,
    name: String,
    max_runs: i64,
    hold: Duration,
    /// The slots of this process.
    slots: Mutex<HashSet<i64>>,
}

impl fmt::Debug for StoreRunLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreRunLimiter").field("name", &self.name).finish_non_exhaustive()
    }
}

enum Step {
    Granted(i64),
    /// The number in the queue, and the time until a slot may be free.
    Queued(i64, i64),
}

impl StoreRunLimiter {
    pub(crate) fn new(store: Store, name: &str, max_runs: u32, hold: Duration) -> Arc<Self> {
        let max_runs = i64::from(max_runs.max(1));
        Arc::new(Self { store, name: name.to_owned(), max_runs, hold, slots: Mutex::default() })
    }

    fn slots(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn step(&self, queued: Option<i64>) -> Result<Step, StoreError> {
        let (name, max_runs, hold) = (self.name.clone(), self.max_runs, millis(self.hold));
        self.store
            .transaction(Box::new(move |tx| Box::pin(async move { step(tx, &name, max_runs, hold, queued).await })))
            .await
    }

    /// Waits for a slot until the receiver is dropped.
    async fn wait(self: Arc<Self>, mut granted: oneshot::Sender<Result<RunPermit, StoreError>>) {
        let mut queued = None;
        loop {
            let changes = self.store.subscribe();
            let remaining = match self.step(queued).await {
                Ok(Step::Granted(number)) => {
                    self.hold_slot(number);
                    // A permit that nobody receives is dropped and frees its slot.
                    drop(granted.send(Ok(RunPermit::new(Arc::<Self>::clone(&self), crate::unsigned(number)))));
                    return;
                }
                Ok(Step::Queued(number, remaining)) => {
                    queued = Some(number);
                    remaining
                }
                Err(error) => {
                    drop(granted.send(Err(error)));
                    return;
                }
            };
            let is_closed = {
                let mut wake_up = std::pin::pin!(changes.wait(remaining));
                let mut closed = std::pin::pin!(granted.closed());
                std::future::poll_fn(|cx| {
                    if closed.as_mut().poll(cx).is_ready() {
                        return std::task::Poll::Ready(true);
                    }
                    wake_up.as_mut().poll(cx).map(|()| false)
                })
                .await
            };
            if is_closed {
                let (name, number) = (self.name.clone(), queued);
                self.update(move |tx| {
                    Box::pin(async move {
                        let sql = "DELETE FROM fetch_hive_queue WHERE name = $1 AND number = $2";
                        tx.execute(sql, &[name.as_str().into(), number.unwrap_or_default().into()]).await
                    })
                });
                return;
            }
        }
    }

    /// Renews a slot in the background. One task per process renews all its slots.
    fn hold_slot(self: &Arc<Self>, number: i64) {
        let mut slots = self.slots();
        slots.insert(number);
        if slots.len() == 1 {
            tokio::spawn(renew(Arc::downgrade(self)));
        }
    }

    fn update(
        &self,
        operation: impl for<'t> FnOnce(&'t mut Tx) -> crate::database::BoxFuture<'t, Result<(), StoreError>>
        + Send
        + 'static,
    ) {
        let store = self.store.clone();
        let name = self.name.clone();
        self.store.detach(async move {
            store.transaction(Box::new(operation)).await?;
            store.notify(name.as_bytes()).await;
            Ok(())
        });
    }
}

async fn step(tx: &mut Tx, name: &str, max_runs: i64, hold: i64, queued: Option<i64>) -> Result<Step, StoreError> {
    let select = "SELECT size, last_number, shrunk_size, shrunk_until, paused_until FROM fetch_hive_limit \
                  WHERE name = $1 FOR UPDATE";
    let mut row = tx.row(select, &[name.into()]).await?;
    if row.is_none() {
        let sql = "INSERT INTO fetch_hive_limit (name, size, last_number, shrunk_size, shrunk_until, paused_until) \
                   VALUES ($1, $2, 0, 0, 0, 0) ON CONFLICT (name) DO NOTHING";
        tx.execute(sql, &[name.into(), max_runs.into()]).await?;
        row = tx.row(select, &[name.into()]).await?;
    }
    // Read after the lock was granted.
    let now = tx.now().await?;
    let mut row = row.into_iter().flatten();
    let mut next = || row.next().map_or(0, |value| value.int());
    let (stored, last, shrunk_size, shrunk_until, paused_until) = (next(), next(), next(), next(), next());
    if stored != max_runs && queued.is_none() {
        tracing::warn!(limit = name, stored, configured = max_runs, "the stored size of the run limit is used");
    }
    let size = if shrunk_until > now { shrunk_size.clamp(1, stored) } else { stored };
    // The holder vanished, but its run may still be running.
    let sql = "UPDATE fetch_hive_slot SET held = 1, lease_end = lease_end + hold \
               WHERE name = $1 AND held = 0 AND lease_end <= $2";
    tx.execute(sql, &[name.into(), now.into()]).await?;
    let sql = "DELETE FROM fetch_hive_slot WHERE name = $1 AND held = 1 AND lease_end <= $2";
    tx.execute(sql, &[name.into(), now.into()]).await?;
    let sql = "DELETE FROM fetch_hive_queue WHERE name = $1 AND lease_end <= $2";
    tx.execute(sql, &[name.into(), now.into()]).await?;
    let number = queued.unwrap_or(last + 1);
    let sql = "SELECT (SELECT COUNT(*) FROM fetch_hive_slot WHERE name = $1), \
               (SELECT COUNT(*) FROM fetch_hive_queue WHERE name = $1 AND number < $2), \
               (SELECT MIN(lease_end) FROM fetch_hive_slot WHERE name = $1 AND held = 1), \
               (SELECT lease_end FROM fetch_hive_queue WHERE name = $1 AND number = $2)";
    let mut row = tx.row(sql, &[name.into(), number.into()]).await?.into_iter().flatten();
    let mut next = || row.next().and_then(|value| value.opt_int());
    let (taken, ahead) = (next().unwrap_or(size), next().unwrap_or(0));
    let (free_at, queue_lease) = (next(), next());
    let set_last = "UPDATE fetch_hive_limit SET last_number = $2 WHERE name = $1";
    if paused_until <= now && taken + ahead < size {
        let slot = last.max(number) + 1;
        tx.execute(set_last, &[name.into(), slot.into()]).await?;
        let sql = "DELETE FROM fetch_hive_queue WHERE name = $1 AND number = $2";
        tx.execute(sql, &[name.into(), number.into()]).await?;
        let sql = "INSERT INTO fetch_hive_slot (name, number, held, lease_end, hold) VALUES ($1, $2, 0, $3, $4)";
        let lease_end = now + millis(LEASE);
        tx.execute(sql, &[name.into(), slot.into(), lease_end.into(), hold.into()]).await?;
        return Ok(Step::Granted(slot));
    }
    if queued.is_none() {
        tx.execute(set_last, &[name.into(), number.into()]).await?;
    }
    // Renewed rarely, because each change wakes the other processes.
    if queue_lease.is_none_or(|end| end - now < millis(LEASE) / 2) {
        let sql = "INSERT INTO fetch_hive_queue (name, number, lease_end) VALUES ($1, $2, $3) \
                   ON CONFLICT (name, number) DO UPDATE SET lease_end = excluded.lease_end";
        tx.execute(sql, &[name.into(), number.into(), (now + millis(LEASE)).into()]).await?;
    }
    Ok(Step::Queued(number, free_at.map_or(POLL, |end| (end - now).clamp(1, POLL))))
}

/// Renews the slots of a limiter until it holds none.
async fn renew(limiter: Weak<StoreRunLimiter>) {
    loop {
        tokio::time::sleep(LEASE / 3).await;
        let Some(limiter) = limiter.upgrade() else { return };
        let numbers: Vec<_> = {
            let slots = limiter.slots();
            if slots.is_empty() {
                return;
            }
            slots.iter().copied().collect()
        };
        for number in numbers {
            let name = limiter.name.clone();
            let renewed = limiter
                .store
                .transaction(Box::new(move |tx| Box::pin(async move { renew_slot(tx, &name, number).await })));
            match renewed.await {
                Ok(false) if limiter.slots().contains(&number) => {
                    tracing::warn!(limit = limiter.name, slot = number, "a run slot was lost");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a run slot could not be renewed"),
            }
        }
    }
}

async fn renew_slot(tx: &mut Tx, name: &str, number: i64) -> Result<bool, StoreError> {
    let lease_end = tx.now().await? + millis(LEASE);
    let sql = "UPDATE fetch_hive_slot SET lease_end = $3 WHERE name = $1 AND number = $2 AND held = 0 \
               RETURNING number";
    Ok(tx.row(sql, &[name.into(), number.into(), lease_end.into()]).await?.is_some())
}

#[async_trait]
impl RunLimiter for StoreRunLimiter {
    async fn acquire(self: Arc<Self>, _: RunRequest<'_>) -> Result<RunPermit, BoxError> {
        let (sender, receiver) = oneshot::channel();
        // A task of its own, so that dropping this future can leave the queue.
        tokio::spawn(self.wait(sender));
        receiver.await?.map_err(StoreError::boxed)
    }

    fn release(&self, slot: u64, end: RunEnd) {
        let number = crate::signed(slot);
        self.slots().remove(&number);
        let (name, hold) = (self.name.clone(), millis(self.hold));
        self.update(move |tx| {
            Box::pin(async move {
                let RunEnd::MayBeRunning { request_id } = end else {
                    let sql = "DELETE FROM fetch_hive_slot WHERE name = $1 AND number = $2";
                    return tx.execute(sql, &[name.as_str().into(), number.into()]).await;
                };
                let lease_end = tx.now().await?.saturating_add(hold);
                let request_id = request_id.map(|id| id.to_string());
                let sql = "UPDATE fetch_hive_slot SET held = 1, lease_end = $3, request_id = $4 \
                           WHERE name = $1 AND number = $2";
                tx.execute(sql, &[name.as_str().into(), number.into(), lease_end.into(), request_id.into()]).await
            })
        });
    }

    fn run_ended(&self, request_id: &RequestId) {
        let (name, request_id) = (self.name.clone(), request_id.to_string());
        self.update(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM fetch_hive_slot WHERE name = $1 AND held = 1 AND request_id = $2";
                tx.execute(sql, &[name.as_str().into(), request_id.as_str().into()]).await
            })
        });
    }

    fn refused(&self, error: &ApiError) {
        let is_daily_cap = match error.rate_limit() {
            Some(RateLimit::Concurrency) => false,
            Some(RateLimit::DailyCap { .. }) => true,
            _ => return,
        };
        let name = self.name.clone();
        self.update(move |tx| {
            Box::pin(async move {
                if is_daily_cap {
                    // The cap is reset at midnight UTC.
                    let until = (tx.now().await? / DAY + 1) * DAY;
                    let sql = "UPDATE fetch_hive_limit SET paused_until = $2 WHERE name = $1";
                    return tx.execute(sql, &[name.as_str().into(), until.into()]).await;
                }
                let until = tx.now().await? + millis(SHRINK);
                // The refused run holds one of the slots.
                let sql = "UPDATE fetch_hive_limit SET shrunk_until = $2, shrunk_size = \
                           (SELECT COUNT(*) - 1 FROM fetch_hive_slot WHERE name = $1) WHERE name = $1";
                tx.execute(sql, &[name.as_str().into(), until.into()]).await
            })
        });
    }
}
