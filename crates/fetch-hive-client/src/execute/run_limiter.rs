//! The client's own limit of concurrent runs: a fair queue that needs no runtime.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Sleep, later};

/// Limits the concurrent runs of one client, first come, first served.
pub(crate) struct MemoryRunLimiter {
    /// How long the slot of a run stays occupied if nobody knows whether the run has ended.
    unresolved_run_hold: Duration,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    free_slots: usize,
    /// The times until which the slots of unresolved runs stay occupied.
    held_until: Vec<Instant>,
    /// The waiters without a slot, by their number in the queue.
    queue: BTreeMap<u64, Waker>,
    /// The numbers of the waiters for which a slot is reserved.
    reserved: HashSet<u64>,
    next_number: u64,
}

impl State {
    /// Frees slots whose hold has elapsed, and reserves free slots for the first waiters.
    fn update(&mut self, now: Instant) {
        let before = self.held_until.len();
        self.held_until.retain(|until| *until > now);
        self.free_slots += before - self.held_until.len();
        while self.free_slots > 0 {
            let Some((number, waker)) = self.queue.pop_first() else { return };
            self.free_slots -= 1;
            self.reserved.insert(number);
            waker.wake();
        }
    }

    /// Wakes the first waiter, which sleeps until a held slot is free, whenever another one may
    /// have become the first.
    fn wake_first(&self) {
        if let Some((_, waker)) = self.queue.first_key_value() {
            waker.wake_by_ref();
        }
    }
}

impl MemoryRunLimiter {
    pub(crate) fn new(max_runs: usize, unresolved_run_hold: Duration, clock: Arc<dyn Clock>) -> Arc<Self> {
        let state = State {
            free_slots: max_runs,
            held_until: Vec::new(),
            queue: BTreeMap::new(),
            reserved: HashSet::new(),
            next_number: 0,
        };
        Arc::new(Self { unresolved_run_hold, clock, state: Mutex::new(state) })
    }

    /// Waits for a slot. Dropping the future leaves the queue.
    pub(crate) fn acquire(self: &Arc<Self>) -> Acquire {
        Acquire { limiter: Arc::clone(self), number: None, sleep: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, hold: bool) {
        let now = self.clock.now();
        let mut state = self.lock();
        if hold {
            state.held_until.push(later(now, self.unresolved_run_hold));
        } else {
            state.free_slots += 1;
        }
        state.update(now);
        state.wake_first();
    }
}

impl fmt::Debug for MemoryRunLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryRunLimiter")
            .field("free_slots", &state.free_slots)
            .field("held", &state.held_until.len())
            .field("queued", &state.queue.len())
            .finish_non_exhaustive()
    }
}

/// A future that waits for a slot.
pub(crate) struct Acquire {
    limiter: Arc<MemoryRunLimiter>,
    /// The number in the queue, while the future waits there.
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
                    return Poll::Ready(RunPermit::new(&this.limiter));
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
                return Poll::Ready(RunPermit::new(&this.limiter));
            };
            waker.clone_from(cx.waker());
            let until = state.held_until.iter().min().copied().filter(|_| is_first);
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

/// A slot for one run.
///
/// Dropping it frees the slot at once if the run has ended, and otherwise after
/// `unresolved_run_hold`.
pub(crate) struct RunPermit {
    limiter: Arc<MemoryRunLimiter>,
    active: bool,
}

impl RunPermit {
    fn new(limiter: &Arc<MemoryRunLimiter>) -> Self {
        Self { limiter: Arc::clone(limiter), active: false }
    }

    /// Sets whether the run may still be active.
    pub(crate) fn set_active(&mut self, active: bool) {
        self.active = active;
    }
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        self.limiter.release(self.active);
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
        let first = poll(&mut limiter.acquire()).unwrap();
        let mut queue: Vec<_> = (0..4).map(|_| limiter.acquire()).collect();
        assert!(queue.iter_mut().all(|acquire| poll(acquire).is_none()));
        drop(first);
        // The slot is reserved for the first waiter.
        assert!(poll(&mut limiter.acquire()).is_none());
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
        let mut lost = poll(&mut limiter.acquire()).unwrap();
        lost.set_active(true);
        let mut ended = poll(&mut limiter.acquire()).unwrap();
        ended.set_active(true);
        ended.set_active(false);
        drop((lost, ended));
        let _one = poll(&mut limiter.acquire()).unwrap();
        let mut next = limiter.acquire();
        millis.store(9_999, Ordering::SeqCst);
        assert!(poll(&mut next).is_none());
        millis.store(10_000, Ordering::SeqCst);
        assert!(poll(&mut next).is_some());
    }
}
