//! Waiting without a runtime: a transport may need any, or none.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends after a time. A thread of its own counts it.
pub(super) struct Pause {
    duration: Duration,
    state: Option<Arc<(Mutex<Ring>, Condvar)>>,
}

#[derive(Default)]
struct Ring {
    over: bool,
    waker: Option<Waker>,
}

pub(super) fn pause(duration: Duration) -> Pause {
    Pause { duration, state: None }
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let duration = self.duration;
        let state = self.state.get_or_insert_with(|| {
            let state = Arc::new((Mutex::new(Ring::default()), Condvar::new()));
            let shared = Arc::clone(&state);
            std::thread::spawn(move || {
                let (ring, dropped) = &*shared;
                let waited = dropped.wait_timeout_while(lock(ring), duration, |ring| !ring.over);
                let mut ring = waited.unwrap_or_else(PoisonError::into_inner).0;
                ring.over = true;
                if let Some(waker) = ring.waker.take() {
                    waker.wake();
                }
            });
            state
        });
        let mut ring = lock(&state.0);
        if ring.over {
            return Poll::Ready(());
        }
        ring.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            let mut ring = lock(&state.0);
            (ring.over, ring.waker) = (true, None);
            state.1.notify_all();
        }
    }
}

/// What comes of a future, if it comes in time.
pub(super) async fn within<T>(bound: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut over) = (pin!(future), pin!(pause(bound)));
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        over.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Whether something becomes true in time.
pub(super) async fn until(bound: Duration, condition: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while !condition() {
        if began.elapsed() > bound {
            return false;
        }
        pause(Duration::from_millis(2)).await;
    }
    true
}

/// Polls futures side by side to their ends.
pub(super) async fn all<T>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
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

/// A gate between a check and its server.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(super) fn open(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    pub(super) fn is_open(&self) -> bool {
        *lock(&self.0.0)
    }

    /// Waits until it is open, on a server's thread; whether it was opened in time.
    pub(super) fn pass(&self, bound: Duration) -> bool {
        let waited = self.0.1.wait_timeout_while(lock(&self.0.0), bound, |open| !*open);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
