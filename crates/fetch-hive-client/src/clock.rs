use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

/// Time, as the client needs it: for its timeouts, and for the waits between attempts.
pub trait Clock: Send + Sync + 'static {
    /// Now, by a clock that never goes back.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// The time of day, for a `Retry-After` date.
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Waits. Dropping the future ends the wait.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The clock of the tokio runtime; it needs a runtime whose time driver is on, which `#[tokio::main]` has.
#[cfg(feature = "hyper")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock;

#[cfg(feature = "hyper")]
impl Clock for TokioClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        if tokio::runtime::Handle::try_current().is_err() {
            // A timer would panic; the limit runs out at once, and the hyper transport says why it cannot send.
            return Box::pin(std::future::ready(()));
        }
        Box::pin(tokio::time::sleep(duration))
    }
}
