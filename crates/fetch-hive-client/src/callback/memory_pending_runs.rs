use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fetch_hive_core::callback::{Delivery, Verifier};
use fetch_hive_core::types::RequestId;
use http::HeaderMap;

use super::outcome::Outcome;
use super::run_token::RunToken;

/// The maximum number of deliveries that are held per run before its secret is known. It is more
/// than one because forged deliveries may arrive before the genuine one.
const MAX_HELD_PER_RUN: usize = 8;

/// The number of runs without a waiter that are remembered, and for how long.
const MAX_IDLE_RUNS: usize = 10_000;
const MAX_IDLE_TIME: Duration = Duration::from_secs(60 * 60);

/// The runs of this process that end by callback, by the token in their callback URLs.
#[derive(Default)]
pub(super) struct MemoryPendingRuns(Mutex<Table>);

struct Table {
    runs: HashMap<RunToken, Run>,
    /// The size of all held deliveries, including events that nothing has taken yet.
    held_bytes: usize,
    max_held_bytes: usize,
    /// Runs without a waiter, oldest first. It may contain runs that were resumed since.
    idle: VecDeque<(Instant, RunToken)>,
}

#[derive(Default)]
struct Run {
    /// Verifies the callbacks of the run. It is `None` until the secret is known.
    verifier: Option<Verifier>,
    request_id: Option<RequestId>,
    held: Vec<(HeaderMap, Bytes)>,
    end: End,
    wakers: Vec<Waker>,
    waiters: usize,
    idle_since: Option<Instant>,
}

/// The event that ends a run.
#[derive(Default)]
enum End {
    #[default]
    Pending,
    Received(Box<Delivery>),
    Taken,
}

impl Default for Table {
    fn default() -> Self {
        Self { runs: HashMap::new(), held_bytes: 0, max_held_bytes: 16 << 20, idle: VecDeque::new() }
    }
}

impl MemoryPendingRuns {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_max_held_bytes(&self, bytes: usize) {
        self.table().max_held_bytes = bytes;
    }

    /// Registers a waiter for a run, before the run is started or when it is resumed.
    pub(super) fn open(&self, token: &RunToken) {
        let mut table = self.table();
        table.forget_idle(Instant::now());
        let run = table.runs.entry(token.clone()).or_default();
        run.waiters += 1;
        run.idle_since = None;
    }

    /// Unregisters a waiter. The run is remembered for a while, so that it can be resumed.
    pub(super) fn close(&self, token: &RunToken) {
        let mut table = self.table();
        let now = Instant::now();
        let Some(run) = table.runs.get_mut(token) else { return };
        run.waiters = run.waiters.saturating_sub(1);
        if run.waiters > 0 {
            return;
        }
        run.wakers.clear();
        if run.verifier.is_none() {
            // The invocation failed, so the run cannot be resumed.
            table.remove(token);
            return;
        }
        run.idle_since = Some(now);
        table.idle.push_back((now, token.clone()));
        table.forget_idle(now);
    }

    /// Records how to verify the callbacks of a run, and processes the deliveries held until now.
    pub(super) fn started(&self, token: &RunToken, verifier: &Verifier, request_id: Option<&RequestId>) {
        let held = {
            let mut table = self.table();
            let Some(run) = table.runs.get_mut(token) else { return };
            run.verifier = Some(verifier.clone());
            run.request_id = request_id.cloned();
            let held = std::mem::take(&mut run.held);
            table.held_bytes -= held.iter().map(held_size).sum::<usize>();
            held
        };
        for (headers, body) in held {
            // Held deliveries were answered with 503, so the service redelivers the ones ignored
            // here.
            if let Ok(delivery) = verifier.verify(&headers, body) {
                let _ = self.accept(token, delivery);
            }
        }
    }

    /// Processes a delivery for a run. `receiver_verifier` is used until the run's own secret is
    /// known.
    ///
    /// Returns the delivery if it belongs to the handler, or the outcome if there is nothing to
    /// handle.
    pub(super) fn deliver(
        &self,
        token: &RunToken,
        headers: &HeaderMap,
        body: Bytes,
        receiver_verifier: &Verifier,
    ) -> Result<Delivery, Outcome> {
        let run_verifier = match self.table().runs.get(token) {
            None => return Err(Outcome::UnknownRun),
            Some(run) => run.verifier.clone(),
        };
        let secret_is_known = run_verifier.is_some();
        match run_verifier.as_ref().unwrap_or(receiver_verifier).verify(headers, body.clone()) {
            Ok(delivery) => self.accept(token, delivery),
            Err(error) if secret_is_known => Err(Outcome::Rejected(error)),
            Err(_) => self.hold(token, headers, body, receiver_verifier),
        }
    }

    /// Holds a delivery that cannot be verified yet.
    fn hold(
        &self,
        token: &RunToken,
        headers: &HeaderMap,
        body: Bytes,
        receiver_verifier: &Verifier,
    ) -> Result<Delivery, Outcome> {
        let mut table = self.table();
        let held = (headers.clone(), body);
        let size = held_size(&held);
        let fits = size <= table.max_held_bytes.saturating_sub(table.held_bytes);
        let Some(run) = table.runs.get_mut(token) else { return Err(Outcome::UnknownRun) };
        if run.verifier.is_some() {
            // The secret became known while this delivery was being verified without it.
            drop(table);
            return self.deliver(token, headers, held.1, receiver_verifier);
        }
        if !fits || run.held.len() == MAX_HELD_PER_RUN {
            return Err(Outcome::BufferFull);
        }
        run.held.push(held);
        table.held_bytes += size;
        Err(Outcome::Held)
    }

    /// Processes a verified delivery: stores the event that ends the run, and returns any other
    /// event.
    fn accept(&self, token: &RunToken, delivery: Delivery) -> Result<Delivery, Outcome> {
        let mut table = self.table();
        let size = delivery.raw.len();
        let fits = size <= table.max_held_bytes.saturating_sub(table.held_bytes);
        let Some(run) = table.runs.get_mut(token) else { return Err(Outcome::UnknownRun) };
        let names_other_run =
            run.request_id.as_ref().zip(delivery.event.request_id.as_ref()).is_some_and(|(run, event)| run != event);
        if !delivery.event.ends_run() || names_other_run {
            return Ok(delivery);
        }
        let key = delivery.key();
        match run.end {
            End::Received(_) if run.waiters == 0 => return Err(Outcome::Held),
            End::Received(_) | End::Taken => return Err(Outcome::AlreadyHandled(key)),
            End::Pending if run.waiters == 0 && !fits => return Err(Outcome::BufferFull),
            End::Pending => {}
        }
        // Without a waiter, ask for a redelivery: this process may end before the run is resumed.
        let outcome = if run.waiters == 0 { Outcome::Held } else { Outcome::RunEnded(key) };
        let wakers = std::mem::take(&mut run.wakers);
        run.end = End::Received(Box::new(delivery));
        table.held_bytes += size;
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
        Err(outcome)
    }

    /// Takes the event that ends a run. Returns `None` if it was already taken.
    pub(super) fn poll_take(&self, token: &RunToken, waker: &Waker) -> Poll<Option<Delivery>> {
        let mut table = self.table();
        let Some(run) = table.runs.get_mut(token) else { return Poll::Ready(None) };
        match std::mem::replace(&mut run.end, End::Taken) {
            End::Taken => Poll::Ready(None),
            End::Received(delivery) => {
                table.held_bytes -= delivery.raw.len();
                Poll::Ready(Some(*delivery))
            }
            End::Pending => {
                run.end = End::Pending;
                if !run.wakers.iter().any(|known| known.will_wake(waker)) {
                    run.wakers.push(waker.clone());
                }
                Poll::Pending
            }
        }
    }
}

impl Table {
    fn remove(&mut self, token: &RunToken) {
        let Some(run) = self.runs.remove(token) else { return };
        self.held_bytes -= run.held.iter().map(held_size).sum::<usize>();
        if let End::Received(delivery) = run.end {
            self.held_bytes -= delivery.raw.len();
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

fn held_size((headers, body): &(HeaderMap, Bytes)) -> usize {
    body.len() + headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}
