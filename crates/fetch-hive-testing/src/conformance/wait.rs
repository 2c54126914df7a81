//! Timeouts and signals that work on any async runtime, or on none.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A future that is ready after a duration. A thread measures the time.
pub(crate) struct Sleep {
    duration: Duration,
    state: Option<Arc<(Mutex<SleepState>, Condvar)>>,
}

#[derive(Default)]
struct SleepState {
    is_over: bool,
    waker: Option<Waker>,
}

pub(crate) fn sleep(duration: Duration) -> Sleep {
    Sleep { duration, state: None }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let duration = self.duration;
        let shared = self.state.get_or_insert_with(|| {
            let shared = Arc::new((Mutex::new(SleepState::default()), Condvar::new()));
            let timer = Arc::clone(&shared);
            std::thread::spawn(move || {
                let (state, dropped) = &*timer;
                let waited = dropped.wait_timeout_while(lock(state), duration, |state| !state.is_over);
                let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
                state.is_over = true;
                if let Some(waker) = state.waker.take() {
                    waker.wake();
                }
            });
            shared
        });
        let mut state = lock(&shared.0);
        if state.is_over {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(shared) = &self.state {
            let mut state = lock(&shared.0);
            (state.is_over, state.waker) = (true, None);
            shared.1.notify_all();
        }
    }
}

/// Returns the output of a future, or `None` if the future does not complete in time.
pub(crate) async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut sleep) = (pin!(future), pin!(sleep(duration)));
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        sleep.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Waits until a condition is true. Returns `false` if the timeout expires first.
pub(crate) async fn wait_until(duration: Duration, condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > duration {
            return false;
        }
        sleep(Duration::from_millis(2)).await;
    }
    true
}

/// Polls futures concurrently and returns their outputs in order.
pub(crate) async fn join_all<T>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Some(future), None)).collect();
    poll_fn(|cx| {
        for (future, value) in &mut running {
            if let Some(Poll::Ready(ready)) = future.as_mut().map(|future| future.as_mut().poll(cx)) {
                (*future, *value) = (None, Some(ready));
            }
        }
        if running.iter().all(|(future, _)| future.is_none()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, value)| value).collect()
}

/// A flag that a check and its server share. It can be set once.
#[derive(Clone, Default)]
pub(crate) struct Signal(Arc<(Mutex<bool>, Condvar)>);

impl Signal {
    pub(crate) fn set(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    pub(crate) fn is_set(&self) -> bool {
        *lock(&self.0.0)
    }

    /// Blocks the thread until the signal is set. Returns `false` if the timeout expires first.
    pub(crate) fn wait(&self, duration: Duration) -> bool {
        let waited = self.0.1.wait_timeout_while(lock(&self.0.0), duration, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
