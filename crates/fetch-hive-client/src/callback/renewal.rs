use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::BoxError;
use crate::clock::Clock;

/// Runs a future, and renews its lease each time a third of the lease has passed.
///
/// A failed renewal is not reported, because the subsequent commit or acknowledgement reports a
/// lost lease.
pub(super) async fn with_renewal<F, R, N>(
    clock: &dyn Clock,
    lease: Duration,
    mut future: Pin<&mut F>,
    mut renew: N,
) -> F::Output
where
    F: Future,
    N: FnMut() -> R,
    R: Future<Output = Result<(), BoxError>> + Unpin,
{
    let interval = lease / 3;
    let mut sleep = None;
    let mut renewal: Option<R> = None;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            if let Some(renewing) = &mut renewal {
                if Pin::new(renewing).poll(cx).is_pending() {
                    return Poll::Pending;
                }
                renewal = None;
            }
            if sleep.get_or_insert_with(|| clock.sleep(interval)).as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            sleep = None;
            renewal = Some(renew());
        }
    })
    .await
}
