use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

/// A future that completes after a time.
pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The source of time for a client's timeouts and for the waits between attempts.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time of a monotonic clock.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Returns the current wall-clock time, which is used to evaluate dates in `Retry-After`.
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Returns a future that completes after a duration. Dropping the future cancels it.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
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
