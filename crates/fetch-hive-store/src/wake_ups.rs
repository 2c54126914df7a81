//! Wakes the waiters in this process.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

/// The maximum time that a waiter sleeps before it polls the database, in milliseconds.
const MAX_WAIT: i64 = 10_000;

/// The number of groups into which keys are divided by their digests. A change wakes only the
/// waiters in its group, because each woken waiter runs a transaction.
const GROUPS: usize = 64;

/// A channel per group of keys. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct WakeUps(Arc<[watch::Sender<u64>]>);

impl WakeUps {
    /// Creates the channels. Dropping the returned receiver closes them.
    pub(crate) fn new() -> (Self, watch::Receiver<u64>) {
        let groups: Arc<[_]> = (0..GROUPS).map(|_| watch::Sender::new(0)).collect();
        let receiver = groups[0].subscribe();
        (Self(groups), receiver)
    }

    /// Wakes the waiters for a key.
    pub(crate) fn wake(&self, key: &[u8]) {
        self.wake_group(group(key));
    }

    /// Wakes the waiters for keys whose digests are in the group of this first byte.
    pub(crate) fn wake_group(&self, first_byte: u8) {
        self.0[usize::from(first_byte) % GROUPS].send_modify(|count| *count += 1);
    }

    /// Wakes all waiters.
    pub(crate) fn wake_all(&self) {
        for sender in self.0.iter() {
            sender.send_modify(|count| *count += 1);
        }
    }

    /// Subscribes to changes of a key from now on.
    pub(crate) fn subscribe(&self, key: &[u8]) -> WakeUp {
        WakeUp(self.0[usize::from(group(key)) % GROUPS].subscribe())
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn is_closed(&self) -> bool {
        self.0[0].is_closed()
    }

    #[cfg(feature = "postgres")]
    pub(crate) async fn closed(&self) {
        self.0[0].closed().await;
    }
}

/// Returns the first byte of a key's digest. PostgreSQL notifications contain the same digest.
fn group(key: &[u8]) -> u8 {
    ring::digest::digest(&ring::digest::SHA256, key).as_ref().first().copied().unwrap_or_default()
}

/// A subscription to changes of a key.
pub(crate) struct WakeUp(watch::Receiver<u64>);

impl WakeUp {
    /// Waits for a change, for at most `remaining` milliseconds.
    pub(crate) async fn wait(mut self, remaining: i64) {
        drop(tokio::time::timeout(limited(remaining), self.0.changed()).await);
    }

    /// Waits for a change of either of two keys, for at most `remaining` milliseconds.
    pub(crate) async fn wait_for_either(mut self, mut other: Self, remaining: i64) {
        let (mut one, mut other) = (pin!(self.0.changed()), pin!(other.0.changed()));
        let either = poll_fn(|cx| {
            let is_ready = one.as_mut().poll(cx).is_ready() || other.as_mut().poll(cx).is_ready();
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        });
        drop(tokio::time::timeout(limited(remaining), either).await);
    }
}

fn limited(remaining: i64) -> Duration {
    let remaining = if remaining > 0 { remaining.min(MAX_WAIT) } else { MAX_WAIT };
    Duration::from_millis(crate::unsigned(remaining))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiters_for_the_key_wake_up() {
        let (wake_ups, _receiver) = WakeUps::new();
        let woken = |wake: &dyn Fn()| {
            let subscriptions = ["plan", "other"].map(|key| wake_ups.subscribe(key.as_bytes()));
            wake();
            subscriptions.map(|WakeUp(receiver)| receiver.has_changed().unwrap())
        };
        assert_eq!(woken(&|| wake_ups.wake(b"plan")), [true, false]);
        assert_eq!(woken(&|| wake_ups.wake_all()), [true, true]);
        // The digest of `plan` begins with this byte.
        assert_eq!(woken(&|| wake_ups.wake_group(group(b"plan"))), [true, false]);
    }
}
