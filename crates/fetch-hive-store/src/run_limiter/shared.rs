//! The slots that one process holds, and its requests for slots.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::grant::{self, Applicant, Decision, decide, lock};
use super::limits::Limits;
use crate::database::{BoxFuture, Tx, statements};
use crate::{Store, StoreError};

/// The maximum number of applicants that one transaction decides about.
const MAX_GROUP: usize = 64;

/// The state that a limiter shares with its batch limiters.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) limits: Limits,
    slots: Mutex<Slots>,
    /// The end of the pause because of the daily cap, in milliseconds since 1970, or 0 if there is
    /// none.
    pub(super) paused_until: AtomicI64,
    pub(super) lost_permits: AtomicU64,
    /// The runs that have requested a slot and about which no transaction has decided yet.
    applicants: Mutex<Vec<Waiting>>,
    /// Held while a transaction decides about applicants.
    turn: tokio::sync::Mutex<()>,
}

type Waiting = (Applicant, oneshot::Sender<Result<Decision, StoreError>>);

/// The slots of this process.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) numbers: HashSet<i64>,
    /// Whether a task is renewing them.
    is_renewing: bool,
}

impl Shared {
    pub(super) fn new(store: Store, limits: Limits) -> Self {
        Self {
            store,
            limits,
            slots: Mutex::default(),
            paused_until: AtomicI64::new(0),
            lost_permits: AtomicU64::new(0),
            applicants: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests a slot. One transaction decides about all requests that this process has made since
    /// the previous transaction began.
    pub(super) async fn step(&self, applicant: Applicant) -> Result<Decision, StoreError> {
        let (sender, mut receiver) = oneshot::channel();
        self.applicants().push((applicant, sender));
        let mut next_turn = pin!(self.turn.lock());
        let turn = poll_fn(|cx| match Pin::new(&mut receiver).poll(cx) {
            Poll::Ready(decision) => Poll::Ready(Err(decision)),
            Poll::Pending => next_turn.as_mut().poll(cx).map(Ok),
        });
        let ended = |_| StoreError::Database("the task that asked for the slot of this run ended".into());
        let _turn = match turn.await {
            Ok(turn) => turn,
            Err(decision) => return decision.map_err(ended)?,
        };
        loop {
            let (applicants, senders): (Vec<_>, Vec<_>) = {
                let mut waiting = self.applicants();
                let count = waiting.len().min(MAX_GROUP);
                waiting.drain(..count).unzip()
            };
            match self.decide(applicants).await {
                Ok(decisions) => {
                    for (sender, decision) in senders.into_iter().zip(decisions) {
                        drop(sender.send(Ok(decision)));
                    }
                }
                Err(error) => {
                    for sender in senders {
                        drop(sender.send(Err(error.clone())));
                    }
                }
            }
            if let Ok(decision) = receiver.try_recv() {
                return decision;
            }
        }
    }

    async fn decide(&self, applicants: Vec<Applicant>) -> Result<Vec<Decision>, StoreError> {
        let limits = self.limits.clone();
        let operation = self.store.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let locked = lock(tx, &limits, &applicants).await?;
                let (decisions, changes) = decide(tx, &limits, &applicants, locked).await?;
                tx.commit_with(&statements(&changes)).await?;
                Ok(decisions)
            })
        }));
        operation.await
    }

    fn applicants(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.applicants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes a queue entry, and retries while the database fails. Otherwise, the runs behind the
    /// entry would wait until its lease expires.
    pub(super) async fn leave_queue(&self, number: i64) {
        let began = Instant::now();
        while began.elapsed() < self.limits.lease {
            let deleted = self.transaction(move |tx, name| {
                Box::pin(async move {
                    let sql = "DELETE FROM fetch_hive_queue WHERE name = $1 AND number = $2";
                    tx.commit_row(sql, &[name.into(), number.into()]).await.map(drop)
                })
            });
            if deleted.await.is_ok() {
                return self.store.notify(self.limits.name.as_bytes()).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Renews a slot in the background until it is released. One task renews all slots of the
    /// limiter.
    pub(super) fn hold(self: &Arc<Self>, slot: i64) {
        let mut slots = self.slots();
        slots.numbers.insert(slot);
        if !std::mem::replace(&mut slots.is_renewing, true) {
            tokio::spawn(renew(Arc::downgrade(self), self.limits.lease));
        }
    }

    /// Updates rows of this limiter in the background, and then wakes the waiters. If the database
    /// fails, it retries for as long as the rows would keep a slot occupied.
    pub(super) fn update<F>(&self, operation: F)
    where
        F: for<'t> Fn(&'t mut Tx, &'t str) -> BoxFuture<'t, Result<(), StoreError>> + Clone + Send + 'static,
    {
        let (store, limits) = (self.store.clone(), self.limits.clone());
        self.store.detach(async move {
            let began = Instant::now();
            loop {
                let (name, operation) = (limits.name.clone(), operation.clone());
                let updated =
                    store.transaction(Box::new(move |tx| Box::pin(async move { operation(tx, &name).await })));
                match updated.await {
                    Ok(()) => break,
                    Err(error) if began.elapsed() > limits.lease + limits.hold => return Err(error),
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            }
            store.notify(limits.name.as_bytes()).await;
            Ok(())
        });
    }

    /// Updates rows of this limiter.
    pub(super) fn transaction<F>(&self, operation: F) -> impl Future<Output = Result<(), StoreError>> + Send + use<F>
    where
        F: for<'t> FnOnce(&'t mut Tx, &'t str) -> BoxFuture<'t, Result<(), StoreError>> + Send + 'static,
    {
        let (store, name) = (self.store.clone(), self.limits.name.clone());
        async move { store.transaction(Box::new(move |tx| Box::pin(async move { operation(tx, &name).await }))).await }
    }
}

/// Renews the slots of a limiter in this process until none are left.
async fn renew(limiter: Weak<Shared>, lease: Duration) {
    loop {
        tokio::time::sleep(lease / 3).await;
        let Some(limiter) = limiter.upgrade() else { return };
        let slots: Vec<_> = {
            let mut slots = limiter.slots();
            if slots.numbers.is_empty() {
                slots.is_renewing = false;
                return;
            }
            slots.numbers.iter().copied().collect()
        };
        for slot in slots {
            let limits = limiter.limits.clone();
            let renewed = limiter
                .store
                .transaction(Box::new(move |tx| Box::pin(async move { grant::renew(tx, &limits, slot).await })));
            match renewed.await {
                Ok(false) if limiter.slots().numbers.remove(&slot) => {
                    limiter.lost_permits.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(limit = limiter.limits.name, slot, "a run slot was lost");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a run slot could not be renewed"),
            }
        }
    }
}
