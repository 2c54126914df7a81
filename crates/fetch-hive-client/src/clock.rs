use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(crate) use std::time::Instant;
// The clock of the standard library panics on this target.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub(crate) use web_time::Instant;

/// A future that completes after a time.
pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The source of time for a client's timeouts and for the waits between attempts.
///
/// On `wasm32-unknown-unknown`, an instant is a `web_time::Instant`, and the default methods read
/// the clocks of the JavaScript host.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time of a monotonic clock.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Returns the current wall-clock time, which is used to evaluate dates in `Retry-After`.
    fn wall(&self) -> SystemTime {
        wall_clock()
    }

    /// Returns a future that completes after a duration. Dropping the future cancels it.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub(crate) fn wall_clock() -> SystemTime {
    web_time::web::SystemTimeExt::to_std(web_time::SystemTime::now())
}

/// Returns the instant after a duration, or a very late one if it is not representable.
pub(crate) fn later(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration).unwrap_or_else(|| now + VERY_LONG)
}

/// About 136 years, which every platform can add to an instant.
pub(crate) const VERY_LONG: Duration = Duration::from_secs(u32::MAX as u64);

/// A measurement of elapsed time on a clock.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start(clock: &dyn Clock) -> Self {
        Self(clock.now())
    }

    pub(crate) fn elapsed(self, clock: &dyn Clock) -> Duration {
        clock.now().saturating_duration_since(self.0)
    }

    /// Returns the rest of a timeout that began with the measurement; zero if it has elapsed.
    pub(crate) fn remaining(self, clock: &dyn Clock, timeout: Duration) -> Duration {
        timeout.saturating_sub(self.elapsed(clock))
    }
}

/// Waits for a future, for the time of the limit at most. Returns whether the future completed.
pub(crate) async fn completes_within(
    future: &mut (impl Future<Output = ()> + Unpin),
    limit: Option<(&dyn Clock, Duration)>,
) -> bool {
    let mut sleep = None;
    poll_fn(|cx| {
        if Pin::new(&mut *future).poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        let Some((clock, limit)) = limit else { return Poll::Pending };
        sleep.get_or_insert_with(|| clock.sleep(limit)).as_mut().poll(cx).map(|()| false)
    })
    .await
}

/// A timeout for each wait for the next chunk of a body.
///
/// The timer is kept between two waits, because setting it again would allocate. If it elapses
/// early for the current wait, it is set for the rest.
pub(crate) struct IdleTimer {
    timeout: Option<Duration>,
    timer: Option<Box<Timer>>,
}

struct Timer {
    sleep: Sleep,
    /// The begin of the current wait.
    idle_since: Option<Stopwatch>,
}

impl IdleTimer {
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, timer: None }
    }

    /// Ends the current wait.
    pub(crate) fn reset(&mut self) {
        if let Some(timer) = &mut self.timer {
            timer.idle_since = None;
        }
    }

    /// Begins or continues a wait, and completes when it has lasted for the timeout.
    pub(crate) fn poll(&mut self, clock: &dyn Clock, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timeout) = self.timeout else { return Poll::Pending };
        let new = || Box::new(Timer { sleep: clock.sleep(timeout), idle_since: None });
        let Timer { sleep, idle_since } = &mut **self.timer.get_or_insert_with(new);
        let idle_since = *idle_since.get_or_insert_with(|| Stopwatch::start(clock));
        loop {
            ready!(sleep.as_mut().poll(cx));
            let remaining = idle_since.remaining(clock, timeout);
            if remaining.is_zero() {
                return Poll::Ready(());
            }
            *sleep = clock.sleep(remaining);
        }
    }
}

/// The clock of the tokio runtime.
///
/// It needs a runtime with time enabled, which `#[tokio::main]` provides.
#[cfg(feature = "hyper")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock;

#[cfg(feature = "hyper")]
impl Clock for TokioClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        if tokio::runtime::Handle::try_current().is_err() {
            // A tokio timer would panic. The hyper transport reports the missing runtime as an
            // error.
            return Box::pin(std::future::ready(()));
        }
        Box::pin(tokio::time::sleep(duration))
    }
}
