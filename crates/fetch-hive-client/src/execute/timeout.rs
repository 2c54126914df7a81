use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Timeout, TransportError};

/// Awaits a future with a timeout.
///
/// The clock is used only if the future is not ready at once. The future is borrowed, because
/// moving it here would store it twice in the future of the call.
pub(super) fn with_timeout<'a, F: Future + ?Sized>(
    clock: &'a dyn Clock,
    duration: Option<Duration>,
    timeout: Timeout,
    mut future: Pin<&'a mut F>,
) -> impl Future<Output = Result<F::Output, TransportError>> + 'a {
    let mut sleep = None;
    poll_fn(move |cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let Some(duration) = duration else { return Poll::Pending };
        sleep
            .get_or_insert_with(|| clock.sleep(duration))
            .as_mut()
            .poll(cx)
            .map(|()| Err(TransportError::timeout(timeout)))
    })
}
