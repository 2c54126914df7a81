//! What the service remembers: records of JSON by kind, scope and id, and the bytes of files.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;

#[cfg(feature = "store")]
use crate::journal::Journal;

/// How many runs are remembered; the oldest are forgotten beyond it.
const MAX_RUNS: usize = 20_000;

/// The kind of the records of runs.
pub(crate) const RUN: &str = "run";

/// A change, as it is written to the file.
#[derive(Debug)]
#[cfg_attr(not(feature = "store"), allow(dead_code, reason = "it is only made for a file"))]
pub(crate) enum Change {
    Record { kind: String, scope: String, id: String, value: Option<Vec<u8>> },
    File { id: String, bytes: Option<Bytes> },
}

type Records = BTreeMap<(String, String), BTreeMap<String, Value>>;

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) records: Records,
    pub(crate) files: HashMap<String, Bytes>,
}

/// The records, and the file that keeps them, if there is one.
///
/// A record's scope is the path above it: its workspace, and the records that it belongs to. Records of a scope are in the order of their
/// ids, which is that of their making.
#[derive(Debug, Default)]
pub(crate) struct Store {
    state: Mutex<State>,
    #[cfg(feature = "store")]
    journal: Option<Journal>,
}

impl Store {
    #[cfg(feature = "store")]
    pub(crate) async fn in_file(path: std::path::PathBuf) -> Result<Self, crate::journal::FileError> {
        let (journal, state) = Journal::open(path).await?;
        Ok(Self { state: Mutex::new(state), journal: Some(journal) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, kind: &str, scope: &str, id: &str) -> Option<Value> {
        self.lock().records.get(&key(kind, scope))?.get(id).cloned()
    }

    pub(crate) fn list(&self, kind: &str, scope: &str) -> Vec<Value> {
        self.lock().records.get(&key(kind, scope)).map_or_else(Vec::new, |records| records.values().cloned().collect())
    }

    pub(crate) fn ids(&self, kind: &str, scope: &str) -> Vec<String> {
        self.lock().records.get(&key(kind, scope)).map_or_else(Vec::new, |records| records.keys().cloned().collect())
    }

    pub(crate) fn count(&self, kind: &str, scope: &str) -> usize {
        self.lock().records.get(&key(kind, scope)).map_or(0, BTreeMap::len)
    }

    /// The first record of a kind, in whatever scope, that is as asked for; with its scope.
    pub(crate) fn find(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Option<(String, Value)> {
        let state = self.lock();
        let scopes = state.records.iter().filter(|((of, _), _)| of == kind);
        scopes
            .flat_map(|((_, scope), records)| records.values().map(move |value| (scope, value)))
            .find_map(|(scope, value)| if fits(value) { Some((scope.clone(), value.clone())) } else { None })
    }

    pub(crate) fn put(&self, kind: &str, scope: &str, id: &str, value: Value) {
        let mut state = self.lock();
        self.write(kind, scope, id, Some(&value));
        let records = state.records.entry(key(kind, scope)).or_default();
        records.insert(id.to_owned(), value);
        if kind == RUN && records.len() > MAX_RUNS {
            if let Some((oldest, _)) = records.pop_first() {
                self.write(kind, scope, &oldest, None);
            }
        }
    }

    /// The record, which is made if there is none.
    pub(crate) fn get_or_put(&self, kind: &str, scope: &str, id: &str, make: impl FnOnce() -> Value) -> Value {
        let mut state = self.lock();
        let records = state.records.entry(key(kind, scope)).or_default();
        if let Some(record) = records.get(id) {
            return record.clone();
        }
        let record = make();
        self.write(kind, scope, id, Some(&record));
        records.insert(id.to_owned(), record.clone());
        record
    }

    /// Changes a record, and gives it as it is then.
    pub(crate) fn update(&self, kind: &str, scope: &str, id: &str, change: impl FnOnce(&mut Value)) -> Option<Value> {
        let mut state = self.lock();
        let record = state.records.get_mut(&key(kind, scope))?.get_mut(id)?;
        change(record);
        self.write(kind, scope, id, Some(record));
        Some(record.clone())
    }

    pub(crate) fn remove(&self, kind: &str, scope: &str, id: &str) -> Option<Value> {
        let mut state = self.lock();
        let removed = state.records.get_mut(&key(kind, scope))?.remove(id)?;
        self.write(kind, scope, id, None);
        Some(removed)
    }

    /// Removes the records of a kind that are in a scope or below it.
    pub(crate) fn remove_below(&self, kind: &str, scope: &str) {
        let mut state = self.lock();
        let below = |of: &str| of == scope || of.strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'));
        for ((_, of), records) in state.records.iter_mut().filter(|((kind_of, of), _)| kind_of == kind && below(of)) {
            for id in records.keys() {
                self.write(kind, of, id, None);
            }
            records.clear();
        }
    }

    pub(crate) fn file(&self, id: &str) -> Option<Bytes> {
        self.lock().files.get(id).cloned()
    }

    pub(crate) fn put_file(&self, id: &str, bytes: Bytes) {
        let mut state = self.lock();
        self.journal(|| Change::File { id: id.to_owned(), bytes: Some(bytes.clone()) });
        state.files.insert(id.to_owned(), bytes);
    }

    fn write(&self, kind: &str, scope: &str, id: &str, value: Option<&Value>) {
        self.journal(|| Change::Record {
            kind: kind.to_owned(),
            scope: scope.to_owned(),
            id: id.to_owned(),
            value: value.map(|value| value.to_string().into_bytes()),
        });
    }

    /// Passes a change on to the file. Callers hold the lock, so that the file sees changes in their order.
    #[cfg_attr(not(feature = "store"), allow(unused_variables, clippy::unused_self, reason = "there is no file"))]
    fn journal(&self, change: impl FnOnce() -> Change) {
        #[cfg(feature = "store")]
        if let Some(journal) = &self.journal {
            journal.write(change());
        }
    }

    /// Waits until what was written so far will outlive the process; at once where there is no file.
    #[allow(clippy::unused_async, reason = "it waits for a file, if the feature is on")]
    pub(crate) async fn settled(&self) -> Result<(), String> {
        #[cfg(feature = "store")]
        if let Some(journal) = &self.journal {
            return journal.settled().await;
        }
        Ok(())
    }
}

fn key(kind: &str, scope: &str) -> (String, String) {
    (kind.to_owned(), scope.to_owned())
}
