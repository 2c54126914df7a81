use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use fetch_hive_client::Clock;

/// A clock that advances only when the client waits, so that waits take no real time.
///
/// Concurrent sleeps end in the order of their deadlines. The clock needs no async runtime. Use it
/// with transports that respond at once or never, such as those in this crate. With a real
/// connection, every timeout would expire before the response could arrive.
///
/// Clones share the same time.
#[derive(Clone)]
pub struct PausedClock {
    start: Instant,
    wall_start: SystemTime,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    elapsed: Duration,
    /// The deadline and the id of each pending sleep.
    pending: BTreeSet<(Duration, u64)>,
    last_id: u64,
    completed: Vec<Duration>,
}

impl PausedClock {
    /// Creates a clock that shows the current time.
    pub fn new() -> Self {
        Self::at(SystemTime::now())
    }

    /// Creates a clock that shows the given time of day.
    pub fn at(wall: SystemTime) -> Self {
        Self { start: Instant::now(), wall_start: wall, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the simulated time that has passed since the clock was created.
    pub fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    /// Returns the durations of the completed sleeps, in the order in which they ended.
    ///
    /// A timeout that did not expire is not a completed sleep.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.state().completed.clone()
    }

    /// Advances the clock by a duration, as if the client had waited.
    pub fn advance(&self, duration: Duration) {
        self.state().elapsed += duration;
    }
}

impl Default for PausedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Instant {
        self.start + self.elapsed()
    }

    fn wall(&self) -> SystemTime {
        self.wall_start + self.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let deadline = self.elapsed().saturating_add(duration);
        Box::pin(Sleep { clock: self.clone(), duration, deadline, id: None, yields_left: MAX_YIELDS })
    }
}

impl fmt::Debug for PausedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PausedClock").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

/// The number of polls that a sleep yields to earlier sleeps. It is bounded because an earlier
/// sleep may exist without being polled.
const MAX_YIELDS: u32 = 16;

struct Sleep {
    clock: PausedClock,
    duration: Duration,
    deadline: Duration,
    /// The id in `State::pending` after the first poll.
    id: Option<u64>,
    yields_left: u32,
}

impl Sleep {
    fn unregister(&mut self) {
        if let Some(id) = self.id.take() {
            self.clock.state().pending.remove(&(self.deadline, id));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.state();
        let is_first = self.id.is_some_and(|id| state.pending.first() == Some(&(self.deadline, id)));
        if state.elapsed < self.deadline && !is_first && self.yields_left > 0 {
            // Other sleeps get the chance to register, so that the earliest one ends first.
            self.yields_left -= 1;
            if self.id.is_none() {
                let id = state.last_id + 1;
                state.last_id = id;
                state.pending.insert((self.deadline, id));
                self.id = Some(id);
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.elapsed = state.elapsed.max(self.deadline);
        state.completed.push(self.duration);
        drop(state);
        self.unregister();
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.unregister();
    }
}
