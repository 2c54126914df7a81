//! A limit on runs at a time, kept by the client itself: a fair line, without a runtime.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::Clock;

/// The places for runs at a time, and the line before them: who came first goes first.
pub(crate) struct MemoryRunLimiter {
    grace: Duration,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// Until when places are held whose run nobody knows to have ended.
    held: Vec<Instant>,
    line: VecDeque<Ticket>,
    next: u64,
}

struct Ticket {
    number: u64,
    /// Whether a place is set aside for it. Those that were called are at the front.
    called: bool,
    waker: Waker,
}

impl State {
    /// Frees what was held long enough, and calls the next ones in line.
    fn settle(&mut self, now: Instant) {
        let before = self.held.len();
        self.held.retain(|until| *until > now);
        self.free += before - self.held.len();
        for ticket in self.line.iter_mut().filter(|ticket| !ticket.called).take(self.free) {
            ticket.called = true;
            self.free -= 1;
            ticket.waker.wake_by_ref();
        }
    }

    /// The first in line watches the time of the held places, so it is woken whenever it may have become the first.
    fn wake_first(&self) {
        if let Some(first) = self.line.iter().find(|ticket| !ticket.called) {
            first.waker.wake_by_ref();
        }
    }

    fn remove(&mut self, number: u64) -> Option<Ticket> {
        let at = self.line.iter().position(|ticket| ticket.number == number)?;
        self.line.remove(at)
    }
}

impl MemoryRunLimiter {
    pub(crate) fn new(places: usize, grace: Duration, clock: Arc<dyn Clock>) -> Arc<Self> {
        let state = State { free: places, held: Vec::new(), line: VecDeque::new(), next: 0 };
        Arc::new(Self { grace, clock, state: Mutex::new(state) })
    }

    /// Waits for a place. Dropping the future leaves the line.
    pub(crate) fn enter(self: &Arc<Self>) -> Acquire {
        Acquire { places: Arc::clone(self), number: None, sleep: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, hold: bool) {
        let now = self.clock.now();
        let mut state = self.lock();
        match now.checked_add(self.grace).filter(|_| hold) {
            Some(until) => state.held.push(until),
            None => state.free += 1,
        }
        state.settle(now);
        state.wake_first();
    }
}

impl fmt::Debug for MemoryRunLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryRunLimiter")
            .field("free", &state.free)
            .field("held", &state.held.len())
            .field("in_line", &state.line.len())
            .finish_non_exhaustive()
    }
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits in line.
pub(crate) struct Acquire {
    places: Arc<MemoryRunLimiter>,
    /// The ticket, once there is one, and until the place is had.
    number: Option<u64>,
    sleep: Option<(Instant, Sleep)>,
}

impl Future for Acquire {
    type Output = RunPermit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RunPermit> {
        let this = &mut *self;
        loop {
            let now = this.places.clock.now();
            let mut state = this.places.lock();
            state.settle(now);
            let Some(number) = this.number else {
                if state.free > 0 {
                    state.free -= 1;
                    return Poll::Ready(RunPermit::new(&this.places));
                }
                let number = state.next;
                state.next += 1;
                state.line.push_back(Ticket { number, called: false, waker: cx.waker().clone() });
                this.number = Some(number);
                continue;
            };
            let first = state.line.iter().find(|ticket| !ticket.called).map(|ticket| ticket.number);
            match state.line.iter_mut().find(|ticket| ticket.number == number) {
                Some(ticket) if !ticket.called => ticket.waker.clone_from(cx.waker()),
                _ => {
                    state.remove(number);
                    state.wake_first();
                    this.number = None;
                    return Poll::Ready(RunPermit::new(&this.places));
                }
            }
            let until = state.held.iter().min().copied().filter(|_| first == Some(number));
            drop(state);
            let Some(until) = until else { return Poll::Pending };
            if this.sleep.as_ref().is_none_or(|(end, _)| *end != until) {
                this.sleep = Some((until, this.places.clock.sleep(until.saturating_duration_since(now))));
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
        let now = self.places.clock.now();
        let mut state = self.places.lock();
        if state.remove(number).is_some_and(|ticket| ticket.called) {
            state.free += 1;
        }
        state.settle(now);
        state.wake_first();
    }
}

/// A place for one run. It is free again when it is dropped; but if the run may still be under way by then, after the grace.
pub(crate) struct RunPermit {
    places: Arc<MemoryRunLimiter>,
    running: bool,
}

impl RunPermit {
    fn new(places: &Arc<MemoryRunLimiter>) -> Self {
        Self { places: Arc::clone(places), running: false }
    }

    /// Whether, as far as is known, the run is under way.
    pub(crate) fn set_running(&mut self, running: bool) {
        self.running = running;
    }
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        self.places.give_back(self.running);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that a test moves; a sleep is over at the first look after its end.
    struct Manual {
        start: Instant,
        millis: Arc<AtomicU64>,
    }

    impl Clock for Manual {
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

    fn places(places: usize) -> (Arc<MemoryRunLimiter>, Arc<AtomicU64>) {
        let millis = Arc::new(AtomicU64::new(0));
        let clock = Manual { start: Instant::now(), millis: Arc::clone(&millis) };
        (MemoryRunLimiter::new(places, Duration::from_secs(10), Arc::new(clock)), millis)
    }

    fn poll(entering: &mut Acquire) -> Option<RunPermit> {
        match Pin::new(entering).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_came_first_goes_first_and_who_leaves_loses_nothing_for_others() {
        let (places, _) = places(1);
        let first = poll(&mut places.enter()).unwrap();
        let mut line: Vec<_> = (0..4).map(|_| places.enter()).collect();
        assert!(line.iter_mut().all(|entering| poll(entering).is_none()));
        drop(first);
        // The place is set aside for the first in line, whoever asks.
        assert!(poll(&mut places.enter()).is_none());
        assert!(line[1..].iter_mut().all(|entering| poll(entering).is_none()));
        // The one that was called leaves, and one from the middle: the place goes to the next.
        drop(line.remove(0));
        drop(line.remove(1));
        assert!(poll(&mut line[1]).is_none());
        let second = poll(&mut line[0]).unwrap();
        drop(second);
        drop(poll(&mut line[1]).unwrap());
        drop(line);
        assert_eq!(places.lock().free, 1);
        assert!(places.lock().line.is_empty());
    }

    #[test]
    fn the_place_of_a_run_that_may_be_under_way_is_held_for_the_grace() {
        let (places, millis) = places(2);
        let mut lost = poll(&mut places.enter()).unwrap();
        lost.set_running(true);
        let mut ended = poll(&mut places.enter()).unwrap();
        ended.set_running(true);
        ended.set_running(false);
        drop((lost, ended));
        let _one = poll(&mut places.enter()).unwrap();
        let mut next = places.enter();
        millis.store(9_999, Ordering::SeqCst);
        assert!(poll(&mut next).is_none());
        millis.store(10_000, Ordering::SeqCst);
        assert!(poll(&mut next).is_some());
    }
}
