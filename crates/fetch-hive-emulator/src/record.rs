use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use tokio::sync::watch;

/// A request as it came in. `Debug` shows neither its key nor its body.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// Path and query, byte for byte as they were sent.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The version of HTTP.
    pub version: Version,
    /// Which connection it came over, counted from 1.
    pub connection: u64,
    /// The operation's name in the contract, if the path is one of its.
    pub operation: Option<String>,
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("version", &self.version)
            .field("connection", &self.connection)
            .field("operation", &self.operation)
            .field("headers", &self.headers.len())
            .field("body_length", &self.body.len())
            .finish()
    }
}

/// A workflow run that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRun {
    /// The public id of the run.
    pub request_id: String,
    /// The deployment.
    pub deployment: String,
    /// Where it stands.
    pub run_status: String,
}

/// One try to deliver a callback. `Debug` does not show the body.
#[derive(Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// The run.
    pub request_id: String,
    /// Where to.
    pub url: String,
    /// Which try, counted from 1.
    pub attempt: u32,
    /// The receiver's status, or why there is none.
    pub outcome: Result<u16, String>,
    /// What was sent.
    pub body: Bytes,
    /// How it was signed; empty where it was not.
    pub signature: String,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("request_id", &self.request_id)
            .field("url", &self.url)
            .field("attempt", &self.attempt)
            .field("outcome", &self.outcome)
            .field("body_length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// How many bytes are kept of the bodies of each kind; the oldest entries go beyond it.
const MAX_BYTES: usize = 256 << 20;

/// What an entry weighs.
pub(crate) trait Weigh {
    /// The bytes of its body.
    fn bytes(&self) -> usize;
}

impl Weigh for RecordedRequest {
    fn bytes(&self) -> usize {
        self.body.len()
    }
}

impl Weigh for RecordedRun {
    fn bytes(&self) -> usize {
        0
    }
}

impl Weigh for Delivery {
    fn bytes(&self) -> usize {
        self.body.len()
    }
}

/// A list that grows while it is read, up to a size. Its entries are numbered from 1.
#[derive(Debug)]
pub(crate) struct Log<T> {
    kept: Mutex<Kept<T>>,
    max_entries: usize,
    /// Counts what has changed.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Kept<T> {
    entries: VecDeque<T>,
    /// How many have gone.
    gone: u64,
    bytes: usize,
}

impl<T> Log<T> {
    /// A list of so many entries at the most.
    pub(crate) fn of(max_entries: usize) -> Self {
        let kept = Kept { entries: VecDeque::new(), gone: 0, bytes: 0 };
        Self { kept: Mutex::new(kept), max_entries, changes: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn any(&self, is: impl FnMut(&T) -> bool) -> bool {
        self.lock().entries.iter().any(is)
    }

    /// Changes the newest entry that `change` says it has found.
    pub(crate) fn update_newest(&self, change: impl FnMut(&mut T) -> bool) {
        let _ = self.lock().entries.iter_mut().rev().any(change);
    }
}

impl<T: Clone + Weigh> Log<T> {
    /// Adds an entry, and gives its number.
    pub(crate) fn push(&self, entry: T) -> u64 {
        let mut kept = self.lock();
        kept.bytes += entry.bytes();
        kept.entries.push_back(entry);
        while kept.entries.len() > self.max_entries || (kept.bytes > MAX_BYTES && kept.entries.len() > 1) {
            if let Some(oldest) = kept.entries.pop_front() {
                kept.bytes -= oldest.bytes();
                kept.gone += 1;
            }
        }
        let number = kept.gone + kept.entries.len() as u64;
        drop(kept);
        self.changes.send_modify(|count| *count += 1);
        number
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.lock().entries.iter().cloned().collect()
    }
}

#[cfg(feature = "page")]
impl<T: Clone> Log<T> {
    /// The newest entries, with their numbers.
    pub(crate) fn newest<R>(&self, count: usize, show: impl Fn(u64, &T) -> R) -> Vec<R> {
        let kept = self.lock();
        let skipped = kept.entries.len().saturating_sub(count);
        let first = kept.gone + skipped as u64 + 1;
        kept.entries.iter().skip(skipped).zip(first..).map(|(entry, number)| show(number, entry)).collect()
    }

    pub(crate) fn get(&self, number: u64) -> Option<T> {
        let kept = self.lock();
        let at = number.checked_sub(kept.gone + 1)?;
        kept.entries.get(usize::try_from(at).ok()?).cloned()
    }

    pub(crate) fn change(&self, number: u64, change: impl FnOnce(&mut T)) {
        let mut kept = self.lock();
        let Some(at) = number.checked_sub(kept.gone + 1).and_then(|at| usize::try_from(at).ok()) else { return };
        if let Some(entry) = kept.entries.get_mut(at) {
            change(entry);
        }
        drop(kept);
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
