use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use crate::Clock;

/// A clock whose time passes only by waiting: a wait takes no real time, and moves the clock to its end.
///
/// Waits that are under way together end in the order of their ends. It is meant for transports that answer at once or never, such as
/// those of this module: with a real connection every limit would run out before the reply could come. It needs no runtime.
#[derive(Clone)]
pub struct PausedClock {
    began: Instant,
    wall: SystemTime,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    passed: Duration,
    /// The ends of the waits under way, each with a number of its own.
    waiting: BTreeSet<(Duration, u64)>,
    last: u64,
    slept: Vec<Duration>,
}

impl PausedClock {
    /// A clock that stands at the present time.
    pub fn new() -> Self {
        Self::at(SystemTime::now())
    }

    /// A clock that stands at this time of day.
    pub fn at(wall: SystemTime) -> Self {
        Self { began: Instant::now(), wall, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much time has passed on it.
    pub fn elapsed(&self) -> Duration {
        self.state().passed
    }

    /// The waits that came to their end, in order. A limit that did not run out is none of them.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.state().slept.clone()
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        self.state().passed += duration;
    }
}

impl Default for PausedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Instant {
        self.began + self.elapsed()
    }

    fn wall(&self) -> SystemTime {
        self.wall + self.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let end = self.elapsed().saturating_add(duration);
        Box::pin(Sleep { clock: self.clone(), duration, end, number: None, patience: 16 })
    }
}

impl fmt::Debug for PausedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PausedClock").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

struct Sleep {
    clock: PausedClock,
    duration: Duration,
    end: Duration,
    /// Set while it is among those that wait.
    number: Option<u64>,
    /// How often it lets others go first; one that ends earlier may be kept and not polled.
    patience: u32,
}

impl Sleep {
    fn leave(&mut self) {
        if let Some(number) = self.number.take() {
            self.clock.state().waiting.remove(&(self.end, number));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.state();
        let is_next = self.number.is_some_and(|number| state.waiting.first() == Some(&(self.end, number)));
        if state.passed < self.end && !is_next && self.patience > 0 {
            // Others get to say when they end, so that the first of all is the first to end.
            self.patience -= 1;
            if self.number.is_none() {
                let number = state.last + 1;
                state.last = number;
                state.waiting.insert((self.end, number));
                self.number = Some(number);
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.passed = state.passed.max(self.end);
        state.slept.push(self.duration);
        drop(state);
        self.leave();
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.leave();
    }
}
