use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;

use super::dedup::ClaimLost;
use super::pending_runs::{AcceptedRun, Changed, DeliverResult, PendingRunState, PendingRuns, RawDelivery, TakeResult};
use super::run_token::RunToken;
use crate::BoxError;
use crate::clock::{Instant, later};

/// The maximum number of deliveries that are held for a run until its secret is known. It is
/// greater than one because forged deliveries may arrive before the genuine one.
const MAX_HELD_PER_RUN: usize = 8;

/// The maximum number of runs without a waiter that are remembered, and for how long.
const MAX_IDLE_RUNS: usize = 10_000;
const MAX_IDLE_TIME: Duration = Duration::from_secs(60 * 60);

/// The pending runs of one process. Cloning is cheap, and the clones share the runs.
///
/// The receiver responds with 200 only after a waiter has acknowledged the event. If nothing waits
/// for the run, the event is kept for an hour, and the receiver responds with 503, so that the
/// service redelivers the event in case this process ends.
#[derive(Clone, Default)]
pub struct MemoryPendingRuns(Arc<Mutex<Table>>);

struct Table {
    runs: HashMap<RunToken, Run>,
    /// The total size of all held deliveries and unacknowledged events.
    held_bytes: usize,
    max_held_bytes: usize,
    /// Runs without a waiter, oldest first, which may include runs that have been resumed since.
    idle: VecDeque<(Instant, RunToken)>,
    last_taken: u64,
}

#[derive(Default)]
struct Run {
    accepted: Option<AcceptedRun>,
    held: Vec<RawDelivery>,
    end: End,
    /// The number of changes to the run, which listeners compare with the number that they last
    /// saw.
    version: u64,
    listeners: HashMap<u64, Waker>,
    next_listener: u64,
    /// The number of waiters, and the number of those that are currently waiting.
    waiters: usize,
    waiting: usize,
    idle_since: Option<Instant>,
}

/// The event that ends a run.
#[derive(Default)]
enum End {
    #[default]
    Pending,
    Received {
        delivery: RawDelivery,
        /// The number and the end of the lease, if a waiter has taken the event.
        taken: Option<(u64, Instant)>,
    },
    Acknowledged,
}

impl Default for Table {
    fn default() -> Self {
        Self { runs: HashMap::new(), held_bytes: 0, max_held_bytes: 16 << 20, idle: VecDeque::new(), last_taken: 0 }
    }
}

impl MemoryPendingRuns {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_max_held_bytes(&self, bytes: usize) {
        self.table().max_held_bytes = bytes;
    }

    /// Returns a future that completes at the next change to a run.
    fn changed(&self, run: &mut Run, token: &RunToken, is_waiter: bool) -> Changed {
        if is_waiter {
            run.waiting += 1;
        }
        let id = run.next_listener;
        run.next_listener += 1;
        Box::pin(Listener { runs: self.clone(), token: token.clone(), id, version: run.version, is_waiter })
    }
}

#[async_trait]
impl PendingRuns for MemoryPendingRuns {
    async fn open(&self, token: &RunToken) -> Result<(), BoxError> {
        let mut table = self.table();
        table.forget_idle(Instant::now());
        let run = table.runs.entry(token.clone()).or_default();
        run.waiters += 1;
        run.idle_since = None;
        Ok(())
    }

    async fn started(&self, token: &RunToken, accepted: AcceptedRun) -> Result<Vec<RawDelivery>, BoxError> {
        let mut table = self.table();
        let Some(run) = table.runs.get_mut(token) else { return Ok(Vec::new()) };
        let known = run.accepted.get_or_insert_default();
        known.request_id = accepted.request_id.or_else(|| known.request_id.take());
        known.webhook_secret = accepted.webhook_secret.or_else(|| known.webhook_secret.take());
        let held = std::mem::take(&mut run.held);
        table.held_bytes -= held.iter().map(RawDelivery::size).sum::<usize>();
        Ok(held)
    }

    async fn cancel(&self, token: &RunToken) -> Result<(), BoxError> {
        self.table().remove(token);
        Ok(())
    }

    async fn find(&self, token: &RunToken) -> Result<Option<PendingRunState>, BoxError> {
        let table = self.table();
        Ok(table.runs.get(token).map(|run| match &run.accepted {
            None => PendingRunState::Opened,
            Some(accepted) => PendingRunState::Started(accepted.clone()),
        }))
    }

    async fn deliver(
        &self,
        token: &RunToken,
        delivery: RawDelivery,
        verified: bool,
    ) -> Result<DeliverResult, BoxError> {
        let mut table = self.table();
        let size = delivery.size();
        let fits = size <= table.max_held_bytes.saturating_sub(table.held_bytes);
        let Some(run) = table.runs.get_mut(token) else { return Ok(DeliverResult::UnknownRun) };
        if !verified {
            if run.accepted.is_some() {
                return Ok(DeliverResult::Started);
            }
            if !fits || run.held.len() == MAX_HELD_PER_RUN {
                return Ok(DeliverResult::BufferFull);
            }
            run.held.push(delivery);
            table.held_bytes += size;
            return Ok(DeliverResult::Held);
        }
        match run.end {
            End::Acknowledged => return Ok(DeliverResult::AlreadyStored),
            End::Pending if !fits && run.waiters == 0 => return Ok(DeliverResult::BufferFull),
            End::Pending => {
                run.end = End::Received { delivery, taken: None };
                table.held_bytes += size;
            }
            End::Received { .. } => {}
        }
        let Some(run) = table.runs.get_mut(token) else { return Ok(DeliverResult::UnknownRun) };
        let is_taken = matches!(&run.end, End::Received { taken: Some((_, end)), .. } if *end > Instant::now());
        if run.waiting == 0 && !is_taken {
            return Ok(DeliverResult::Held);
        }
        run.notify();
        Ok(DeliverResult::Unacknowledged(self.changed(run, token, false)))
    }

    async fn take(&self, token: &RunToken, lease: Duration) -> Result<TakeResult, BoxError> {
        let mut table = self.table();
        let now = Instant::now();
        let number = table.last_taken + 1;
        let Some(run) = table.runs.get_mut(token) else { return Ok(TakeResult::UnknownRun) };
        let result = match &mut run.end {
            End::Acknowledged => TakeResult::Acknowledged,
            End::Received { delivery, taken } if taken.is_none_or(|(_, end)| end <= now) => {
                *taken = Some((number, later(now, lease)));
                TakeResult::Event { delivery: delivery.clone(), taken: number }
            }
            End::Received { .. } | End::Pending => TakeResult::Pending(self.changed(run, token, true)),
        };
        table.last_taken = number;
        Ok(result)
    }

    async fn renew(&self, token: &RunToken, number: u64, lease: Duration) -> Result<(), BoxError> {
        match self.table().runs.get_mut(token).and_then(|run| run.taken(number)) {
            Some(end) => {
                *end = later(Instant::now(), lease);
                Ok(())
            }
            None => Err(ClaimLost.into()),
        }
    }

    async fn acknowledge(&self, token: &RunToken, number: u64) -> Result<(), BoxError> {
        let mut table = self.table();
        let Some(run) = table.runs.get_mut(token) else { return Err(ClaimLost.into()) };
        if run.taken(number).is_none() {
            return Err(ClaimLost.into());
        }
        let end = std::mem::replace(&mut run.end, End::Acknowledged);
        run.notify();
        if let End::Received { delivery, .. } = end {
            table.held_bytes -= delivery.size();
        }
        Ok(())
    }

    async fn give_back(&self, token: &RunToken, number: u64) -> Result<(), BoxError> {
        if let Some(run) = self.table().runs.get_mut(token) {
            run.give_back(number);
        }
        Ok(())
    }

    /// Keeps the run for a while, so that it can be resumed.
    fn close(&self, token: &RunToken, unfinished: Option<u64>) {
        let mut table = self.table();
        let now = Instant::now();
        let Some(run) = table.runs.get_mut(token) else { return };
        if let Some(number) = unfinished {
            run.give_back(number);
        }
        run.waiters = run.waiters.saturating_sub(1);
        if run.waiters > 0 {
            return;
        }
        run.notify();
        if run.accepted.is_none() {
            // The response was lost, so no one has the token for resuming the run.
            table.remove(token);
            return;
        }
        run.idle_since = Some(now);
        table.idle.push_back((now, token.clone()));
        table.forget_idle(now);
    }
}

impl Run {
    /// Returns the end of the lease with this number.
    fn taken(&mut self, number: u64) -> Option<&mut Instant> {
        match &mut self.end {
            End::Received { taken: Some((current, end)), .. } if *current == number => Some(end),
            _ => None,
        }
    }

    fn give_back(&mut self, number: u64) {
        match &mut self.end {
            End::Received { taken, .. } if taken.is_some_and(|(current, _)| current == number) => *taken = None,
            _ => return,
        }
        self.notify();
    }

    fn notify(&mut self) {
        self.version += 1;
        for (_, waker) in self.listeners.drain() {
            waker.wake();
        }
    }
}

impl Table {
    fn remove(&mut self, token: &RunToken) {
        let Some(mut run) = self.runs.remove(token) else { return };
        run.notify();
        self.held_bytes -= run.held.iter().map(RawDelivery::size).sum::<usize>();
        if let End::Received { delivery, .. } = run.end {
            self.held_bytes -= delivery.size();
        }
    }

    fn forget_idle(&mut self, now: Instant) {
        while let Some((since, token)) = self.idle.front() {
            if self.idle.len() <= MAX_IDLE_RUNS && now.saturating_duration_since(*since) < MAX_IDLE_TIME {
                return;
            }
            let was_resumed = self.runs.get(token).is_none_or(|run| run.idle_since != Some(*since));
            let Some((_, token)) = self.idle.pop_front() else { return };
            if !was_resumed {
                self.remove(&token);
            }
        }
    }
}

/// A future that completes at the next change to a run.
struct Listener {
    runs: MemoryPendingRuns,
    token: RunToken,
    id: u64,
    version: u64,
    is_waiter: bool,
}

impl Future for Listener {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut table = self.runs.table();
        match table.runs.get_mut(&self.token) {
            Some(run) if run.version == self.version => {
                run.listeners.insert(self.id, cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut table = self.runs.table();
        let Some(run) = table.runs.get_mut(&self.token) else { return };
        run.listeners.remove(&self.id);
        if self.is_waiter {
            run.waiting = run.waiting.saturating_sub(1);
            if run.waiting == 0 {
                // This ends the deliveries that are waiting for an acknowledgement.
                run.notify();
            }
        }
    }
}

impl fmt::Debug for MemoryPendingRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        f.debug_struct("MemoryPendingRuns")
            .field("runs", &table.runs.len())
            .field("held_bytes", &table.held_bytes)
            .finish_non_exhaustive()
    }
}
