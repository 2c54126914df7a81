//! Runs a future on the calling thread.

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

/// More operations than any tokio task may perform before it yields, which is 128 today.
#[cfg(feature = "hyper")]
const MAX_BUDGET: usize = 256;

thread_local! {
    /// Whether this thread runs a future.
    static IN_BLOCK_ON: Cell<bool> = const { Cell::new(false) };
    /// The time at which the first sleep of the future on this thread ends.
    static WAKE_AT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs a future to completion on this thread.
///
/// # Errors
///
/// Returns an error for `client` if this thread runs a future already, or an async task of tokio.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, InvalidInput> {
    if is_in_task() {
        let reason = "is blocking and was called within an async task: use `fetch_hive_client::Client` or `spawn_blocking` there";
        return Err(InvalidInput::new("client", reason));
    }
    let _guard = BlockOnGuard::enter()?;
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

struct BlockOnGuard;

impl BlockOnGuard {
    fn enter() -> Result<Self, InvalidInput> {
        if IN_BLOCK_ON.replace(true) {
            let reason = "is blocking and was called from within a call, by a hook or a credential provider: return from it first";
            return Err(InvalidInput::new("client", reason));
        }
        Ok(Self)
    }
}

impl Drop for BlockOnGuard {
    fn drop(&mut self) {
        IN_BLOCK_ON.set(false);
    }
}

/// Returns whether this thread runs an async task of tokio.
///
/// tokio offers no direct check: `Handle::try_current` also succeeds in `spawn_blocking`, where a
/// call may block. Only a task has a budget of operations, so a task is detected by using it up.
/// Each unit is returned when it is dropped, in reverse order. Outside of a runtime the check takes
/// no time, and in `spawn_blocking` about 3 µs (measured).
#[cfg(feature = "hyper")]
fn is_in_task() -> bool {
    use tokio::task::coop::poll_proceed;
    if tokio::runtime::Handle::try_current().is_err() {
        return false;
    }
    let mut context = Context::from_waker(Waker::noop());
    let mut units = Vec::with_capacity(MAX_BUDGET);
    let mut is_in_task = false;
    while !is_in_task && units.len() < MAX_BUDGET {
        match poll_proceed(&mut context) {
            Poll::Ready(unit) => units.push(unit),
            Poll::Pending => is_in_task = true,
        }
    }
    while units.pop().is_some() {}
    is_in_task
}

#[cfg(not(feature = "hyper"))]
fn is_in_task() -> bool {
    false
}

/// A clock for futures that run in [`block_on`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ThreadClock;

impl Clock for ThreadClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Sleep(Instant::now().checked_add(duration)))
    }
}

/// Completes at an instant, or never if the instant is not representable.
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
    fn sleeps_end_and_other_threads_can_wake() {
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
    fn nested_call_fails_and_later_call_succeeds() {
        let within = block_on(async { block_on(async {}) }).unwrap();
        assert!(within.unwrap_err().to_string().contains("from within a call"));
        assert!(block_on(async { 1 }).is_ok());
    }

    #[cfg(feature = "hyper")]
    #[test]
    fn tokio_task_is_detected_and_blocking_thread_is_not() {
        let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert!(one.block_on(async { block_on(async {}) }).unwrap_err().to_string().contains("async task"));
        let spawned = one.block_on(async { tokio::spawn(async { block_on(async {}) }).await.unwrap() });
        assert!(spawned.is_err());
        let may_block = one.block_on(async { tokio::task::spawn_blocking(|| block_on(async { 7 })).await.unwrap() });
        assert_eq!(may_block.unwrap(), 7);
        assert!(block_on(async {}).is_ok(), "a thread outside of the runtime");
        let _entered = one.enter();
        assert!(block_on(async {}).is_ok(), "a thread that has entered the runtime without a task");
    }
}
