use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The maximum total size of the bodies that a log stores. The oldest entries are dropped first.
const MAX_BYTES: usize = 256 << 20;

/// An entry of a [`Log`].
pub(crate) trait LogEntry {
    /// Returns the size of the entry's body in bytes.
    fn body_size(&self) -> usize;
}

/// A list of the newest entries, numbered from 1.
#[derive(Debug)]
pub(crate) struct Log<T> {
    inner: Mutex<Entries<T>>,
    max_entries: usize,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Entries<T> {
    items: VecDeque<T>,
    /// The number of entries that were dropped.
    dropped: u64,
    bytes: usize,
}

impl<T> Log<T> {
    pub(crate) fn new(max_entries: usize) -> Self {
        let inner = Entries { items: VecDeque::new(), dropped: 0, bytes: 0 };
        Self { inner: Mutex::new(inner), max_entries, changes: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn any(&self, matches: impl FnMut(&T) -> bool) -> bool {
        self.lock().items.iter().any(matches)
    }

    /// Calls a function for each entry, newest first, until it returns `true`.
    pub(crate) fn update_newest(&self, update: impl FnMut(&mut T) -> bool) {
        let _ = self.lock().items.iter_mut().rev().any(update);
    }
}

impl<T: Clone + LogEntry> Log<T> {
    /// Adds an entry and returns its number.
    pub(crate) fn push(&self, entry: T) -> u64 {
        let mut inner = self.lock();
        inner.bytes += entry.body_size();
        inner.items.push_back(entry);
        while inner.items.len() > self.max_entries || (inner.bytes > MAX_BYTES && inner.items.len() > 1) {
            if let Some(oldest) = inner.items.pop_front() {
                inner.bytes -= oldest.body_size();
                inner.dropped += 1;
            }
        }
        let number = inner.dropped + inner.items.len() as u64;
        drop(inner);
        self.changes.send_modify(|count| *count += 1);
        number
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.lock().items.iter().cloned().collect()
    }
}

#[cfg(feature = "page")]
impl<T: Clone> Log<T> {
    /// Converts the newest entries with their numbers, oldest first.
    pub(crate) fn newest<R>(&self, count: usize, convert: impl Fn(u64, &T) -> R) -> Vec<R> {
        let inner = self.lock();
        let skipped = inner.items.len().saturating_sub(count);
        let first = inner.dropped + skipped as u64 + 1;
        inner.items.iter().skip(skipped).zip(first..).map(|(entry, number)| convert(number, entry)).collect()
    }

    pub(crate) fn get(&self, number: u64) -> Option<T> {
        let inner = self.lock();
        let at = number.checked_sub(inner.dropped + 1)?;
        inner.items.get(usize::try_from(at).ok()?).cloned()
    }

    pub(crate) fn update(&self, number: u64, update: impl FnOnce(&mut T)) {
        let mut inner = self.lock();
        let Some(at) = number.checked_sub(inner.dropped + 1).and_then(|at| usize::try_from(at).ok()) else { return };
        if let Some(entry) = inner.items.get_mut(at) {
            update(entry);
        }
        drop(inner);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Returns a receiver that is notified of every change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
