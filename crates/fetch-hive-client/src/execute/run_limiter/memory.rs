use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_core::types::RequestId;

use super::{RunEnd, RunLimiter, RunLimiterUsage, RunPermit, RunRequest};
use crate::BoxError;
use crate::clock::{Clock, Instant, Sleep, later};

/// A limiter for the concurrent runs of one process, with a fair queue.
///
/// [`ClientBuilder::max_concurrent_runs`](crate::ClientBuilder::max_concurrent_runs) creates one.
/// Create it yourself to share it between several clients or to read its usage.
pub struct MemoryRunLimiter {
    /// How long a run's slot stays occupied if it is unknown whether the run has ended.
    unresolved_run_hold: Duration,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    slots: usize,
    free_slots: usize,
    /// The times until which the slots of unresolved runs stay occupied, and their request ids.
    held: Vec<(Instant, Option<RequestId>)>,
    /// The waiters without a slot, by queue number.
    queue: BTreeMap<u64, Waker>,
    /// The queue numbers of the waiters for which a slot is reserved.
    reserved: HashSet<u64>,
    next_number: u64,
}

impl State {
    /// Frees slots whose hold has elapsed, and reserves free slots for the first waiters.
    fn update(&mut self, now: Instant) {
        let before = self.held.len();
        self.held.retain(|(until, _)| *until > now);
        self.free_slots += before - self.held.len();
        while self.free_slots > 0 {
            let Some((number, waker)) = self.queue.pop_first() else { return };
            self.free_slots -= 1;
            self.reserved.insert(number);
            waker.wake();
        }
    }

    /// Wakes the first waiter, because it must sleep until the next held slot is free. Called
    /// whenever another waiter may have become the first.
    fn wake_first(&self) {
        if let Some((_, waker)) = self.queue.first_key_value() {
            waker.wake_by_ref();
        }
    }
}

impl MemoryRunLimiter {
    /// Creates a limiter for at most `max_runs` concurrent runs.
    ///
    /// If a run may still be in progress although nothing waits for it, its slot stays occupied for
    /// `unresolved_run_hold`.
    pub fn new(max_runs: usize, unresolved_run_hold: Duration, clock: Arc<dyn Clock>) -> Arc<Self> {
        let state = State {
            slots: max_runs,
            free_slots: max_runs,
            held: Vec::new(),
            queue: BTreeMap::new(),
            reserved: HashSet::new(),
            next_number: 0,
        };
        Arc::new(Self { unresolved_run_hold, clock, state: Mutex::new(state) })
    }

    /// Returns how many slots are in use and how many runs are waiting.
    pub fn usage(&self) -> RunLimiterUsage {
        let mut state = self.lock();
        state.update(self.clock.now());
        let count = |number: usize| number as u64;
        let running = state.slots - state.free_slots - state.held.len();
        RunLimiterUsage::new(count(state.slots), count(running), count(state.held.len()), count(state.queue.len()))
    }

    fn wait_for_slot(self: Arc<Self>) -> Acquire {
        Acquire { limiter: self, number: None, sleep: None }
    }

    fn permit(self: &Arc<Self>) -> RunPermit {
        RunPermit::new(Arc::<Self>::clone(self), 0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RunLimiter for MemoryRunLimiter {
    async fn acquire(self: Arc<Self>, _: RunRequest<'_>) -> Result<RunPermit, BoxError> {
        Ok(self.wait_for_slot().await)
    }

    fn try_acquire(self: Arc<Self>, _: RunRequest<'_>) -> Option<RunPermit> {
        let mut state = self.lock();
        if state.free_slots == 0 {
            state.update(self.clock.now());
        }
        if state.free_slots == 0 {
            return None;
        }
        state.free_slots -= 1;
        drop(state);
        Some(self.permit())
    }

    fn release(&self, _: u64, end: RunEnd) {
        let now = self.clock.now();
        let mut state = self.lock();
        match end {
            RunEnd::Ended => state.free_slots += 1,
            RunEnd::MayBeRunning { request_id } => {
                state.held.push((later(now, self.unresolved_run_hold), request_id));
            }
        }
        state.update(now);
        state.wake_first();
    }

    fn run_ended(&self, request_id: &RequestId) {
        let now = self.clock.now();
        let mut state = self.lock();
        let Some(index) = state.held.iter().position(|(_, id)| id.as_ref() == Some(request_id)) else { return };
        state.held.swap_remove(index);
        state.free_slots += 1;
        state.update(now);
        state.wake_first();
    }
}

impl fmt::Debug for MemoryRunLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryRunLimiter")
            .field("free_slots", &state.free_slots)
            .field("held", &state.held.len())
            .field("queued", &state.queue.len())
            .finish_non_exhaustive()
    }
}

/// A future that waits for a slot.
struct Acquire {
    limiter: Arc<MemoryRunLimiter>,
    /// The queue number, while the future is waiting.
    number: Option<u64>,
    sleep: Option<(Instant, Sleep)>,
}

impl Future for Acquire {
    type Output = RunPermit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RunPermit> {
        let this = &mut *self;
        loop {
            let now = this.limiter.clock.now();
            let mut state = this.limiter.lock();
            state.update(now);
            let Some(number) = this.number else {
                if state.free_slots > 0 {
                    state.free_slots -= 1;
                    return Poll::Ready(this.limiter.permit());
                }
                let number = state.next_number;
                state.next_number += 1;
                state.queue.insert(number, cx.waker().clone());
                this.number = Some(number);
                continue;
            };
            let is_first = state.queue.first_key_value().is_some_and(|(first, _)| *first == number);
            let Some(waker) = state.queue.get_mut(&number) else {
                state.reserved.remove(&number);
                state.wake_first();
                this.number = None;
                return Poll::Ready(this.limiter.permit());
            };
            waker.clone_from(cx.waker());
            let until = state.held.iter().map(|(until, _)| *until).min().filter(|_| is_first);
            drop(state);
            let Some(until) = until else { return Poll::Pending };
            if this.sleep.as_ref().is_none_or(|(end, _)| *end != until) {
                this.sleep = Some((until, this.limiter.clock.sleep(until.saturating_duration_since(now))));
            }
            if let Some((_, sleep)) = &mut this.sleep {
                std::task::ready!(sleep.as_mut().poll(cx));
            }
            this.sleep = None;
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let now = self.limiter.clock.now();
        let mut state = self.limiter.lock();
        state.queue.remove(&number);
        if state.reserved.remove(&number) {
            state.free_slots += 1;
        }
        state.update(now);
        state.wake_first();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that a test advances. A sleep completes at the first poll after its end.
    struct ManualClock {
        start: Instant,
        millis: Arc<AtomicU64>,
    }

    impl Clock for ManualClock {
        fn now(&self) -> Instant {
            self.start + Duration::from_millis(self.millis.load(Ordering::SeqCst))
        }

        fn sleep(&self, duration: Duration) -> Sleep {
            let (millis, end) = (Arc::clone(&self.millis), self.now() + duration);
            let start = self.start;
            Box::pin(std::future::poll_fn(move |_| {
                let now = start + Duration::from_millis(millis.load(Ordering::SeqCst));
                if now >= end { Poll::Ready(()) } else { Poll::Pending }
            }))
        }
    }

    fn limiter(max_runs: usize) -> (Arc<MemoryRunLimiter>, Arc<AtomicU64>) {
        let millis = Arc::new(AtomicU64::new(0));
        let clock = ManualClock { start: Instant::now(), millis: Arc::clone(&millis) };
        (MemoryRunLimiter::new(max_runs, Duration::from_secs(10), Arc::new(clock)), millis)
    }

    fn poll(acquire: &mut Acquire) -> Option<RunPermit> {
        match Pin::new(acquire).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[test]
    fn queue_is_fair_and_leaving_it_loses_no_slot() {
        let (limiter, _) = limiter(1);
        let first = poll(&mut Arc::clone(&limiter).wait_for_slot()).unwrap();
        let mut queue: Vec<_> = (0..4).map(|_| Arc::clone(&limiter).wait_for_slot()).collect();
        assert!(queue.iter_mut().all(|acquire| poll(acquire).is_none()));
        drop(first);
        // The slot is reserved for the first waiter.
        assert!(poll(&mut Arc::clone(&limiter).wait_for_slot()).is_none());
        assert!(queue[1..].iter_mut().all(|acquire| poll(acquire).is_none()));
        // The waiter with the slot leaves, and one from the middle: the slot goes to the next one.
        drop(queue.remove(0));
        drop(queue.remove(1));
        assert!(poll(&mut queue[1]).is_none());
        let second = poll(&mut queue[0]).unwrap();
        drop(second);
        drop(poll(&mut queue[1]).unwrap());
        drop(queue);
        assert_eq!(limiter.lock().free_slots, 1);
        assert!(limiter.lock().queue.is_empty() && limiter.lock().reserved.is_empty());
    }

    #[test]
    fn slot_of_unresolved_run_is_held() {
        let (limiter, millis) = limiter(2);
        let mut lost = poll(&mut Arc::clone(&limiter).wait_for_slot()).unwrap();
        lost.set_end(RunEnd::MayBeRunning { request_id: Some("req_1".into()) });
        let mut ended = poll(&mut Arc::clone(&limiter).wait_for_slot()).unwrap();
        ended.set_end(RunEnd::MayBeRunning { request_id: None });
        ended.set_end(RunEnd::Ended);
        drop((lost, ended));
        let _one = poll(&mut Arc::clone(&limiter).wait_for_slot()).unwrap();
        let mut next = Arc::clone(&limiter).wait_for_slot();
        millis.store(9_999, Ordering::SeqCst);
        assert!(poll(&mut next).is_none());
        millis.store(10_000, Ordering::SeqCst);
        let permit = poll(&mut next);
        assert!(permit.is_some());
        // A look-up that reports the end of the run frees its slot at once.
        let mut lost = permit.unwrap();
        lost.set_end(RunEnd::MayBeRunning { request_id: Some("req_2".into()) });
        drop(lost);
        assert!(Arc::clone(&limiter).try_acquire(RunRequest::new("invokeWorkflow", None)).is_none());
        limiter.run_ended(&"req_1".into());
        assert!(Arc::clone(&limiter).try_acquire(RunRequest::new("invokeWorkflow", None)).is_none());
        limiter.run_ended(&"req_2".into());
        assert!(Arc::clone(&limiter).try_acquire(RunRequest::new("invokeWorkflow", None)).is_some());
    }
}
