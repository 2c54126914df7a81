//! Awaiting on the thread that calls.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use fetch_hive_core::InvalidInput;

use crate::Clock;

thread_local! {
    /// Whether this thread awaits something.
    static AWAITS: Cell<bool> = const { Cell::new(false) };
    /// When the first of the waits under way on this thread ends.
    static WAKE_AT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Awaits a future on this thread.
///
/// # Errors
///
/// `client` when this thread must not block: it awaits something already, or is in a task of tokio.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, InvalidInput> {
    if is_in_task() {
        let reason = "is a blocking one, and an async task must not block: use `fetch_hive_client::Client` there, or `spawn_blocking`";
        return Err(InvalidInput::new("client", reason));
    }
    let _awaits = Awaits::begin()?;
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        WAKE_AT.set(None);
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Ok(value);
        }
        let wake_at = WAKE_AT.get();
        while !unpark.woken.swap(false, Ordering::AcqRel) {
            match wake_at.map(|at| at.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(Duration::ZERO) => break,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

struct Awaits;

impl Awaits {
    fn begin() -> Result<Self, InvalidInput> {
        if AWAITS.replace(true) {
            let reason =
                "is a blocking one, and was called from within a call of its kind, by a hook or a credential provider";
            return Err(InvalidInput::new("client", reason));
        }
        Ok(Self)
    }
}

impl Drop for Awaits {
    fn drop(&mut self) {
        AWAITS.set(false);
    }
}

/// Whether this is a task of tokio: unlike a thread that may block, it has a budget of steps, which ends.
#[cfg(feature = "hyper")]
fn is_in_task() -> bool {
    use tokio::task::coop::poll_proceed;
    let mut context = Context::from_waker(Waker::noop());
    let mut steps = Vec::new();
    // No budget has so many steps.
    let is_in_task = (0..1024).any(|_| match poll_proceed(&mut context) {
        Poll::Ready(step) => {
            steps.push(step);
            false
        }
        Poll::Pending => true,
    });
    // Each gives back what it took; the first one last, so that all is as it was.
    while steps.pop().is_some() {}
    is_in_task
}

#[cfg(not(feature = "hyper"))]
fn is_in_task() -> bool {
    false
}

/// The clock of a thread that awaits with [`block_on`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ThreadClock;

impl Clock for ThreadClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Sleep(Instant::now().checked_add(duration)))
    }
}

/// Ends at an instant; never, where it is too far away to be one.
struct Sleep(Option<Instant>);

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let Some(end) = self.0 else { return Poll::Pending };
        if end <= Instant::now() {
            return Poll::Ready(());
        }
        WAKE_AT.set(Some(WAKE_AT.get().map_or(end, |first| first.min(end))));
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_end_in_time_and_wakes_of_other_threads_arrive() {
        let began = Instant::now();
        block_on(ThreadClock.sleep(Duration::from_millis(30))).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(30));

        let woken = Arc::new(AtomicBool::new(false));
        let mut started = false;
        block_on(std::future::poll_fn(|cx| {
            if woken.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut started, true) {
                let (waker, woken) = (cx.waker().clone(), Arc::clone(&woken));
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(20));
                    woken.store(true, Ordering::SeqCst);
                    waker.wake();
                });
            }
            Poll::Pending
        }))
        .unwrap();
    }

    #[test]
    fn a_call_within_a_call_is_an_error_and_the_thread_is_free_after_it() {
        let within = block_on(async { block_on(async {}) }).unwrap();
        assert!(within.unwrap_err().to_string().contains("from within a call"));
        assert!(block_on(async { 1 }).is_ok());
    }

    #[cfg(feature = "hyper")]
    #[test]
    fn a_task_of_tokio_is_told_from_a_thread_that_may_block() {
        let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert!(one.block_on(async { block_on(async {}) }).unwrap_err().to_string().contains("async task"));
        let spawned = one.block_on(async { tokio::spawn(async { block_on(async {}) }).await.unwrap() });
        assert!(spawned.is_err());
        let may_block = one.block_on(async { tokio::task::spawn_blocking(|| block_on(async { 7 })).await.unwrap() });
        assert_eq!(may_block.unwrap(), 7);
        assert!(block_on(async {}).is_ok(), "a thread beside the runtime");
        let _entered = one.enter();
        assert!(block_on(async {}).is_ok(), "a thread that knows the runtime and is no task");
    }
}
