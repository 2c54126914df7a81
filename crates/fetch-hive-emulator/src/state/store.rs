//! The records of the emulator, in memory and optionally in a file.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;

use crate::state::contents::{Change, Contents};
#[cfg(feature = "store")]
use crate::state::journal::{DataFileError, Journal};

/// The largest number of runs that are stored. A new run replaces the oldest one.
const MAX_RUNS: usize = 20_000;

/// The kind of a run's record.
pub(crate) const RUN: &str = "run";

/// A store of JSON records and uploaded files.
///
/// The scope of a record names its parents: the workspace, and then the records that contain it.
/// The records of a scope are ordered by id, which is the order of their creation.
#[derive(Debug, Default)]
pub(crate) struct Store {
    contents: Mutex<Contents>,
    #[cfg(feature = "store")]
    journal: Option<Journal>,
}

impl Store {
    #[cfg(feature = "store")]
    pub(crate) async fn open(path: std::path::PathBuf) -> Result<Self, DataFileError> {
        let (journal, contents) = Journal::open(path).await?;
        Ok(Self { contents: Mutex::new(contents), journal: Some(journal) })
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Returns the first record of a kind that matches, from any scope, and its scope.
    pub(crate) fn find(&self, kind: &str, matches: impl Fn(&Value) -> bool) -> Option<(String, Value)> {
        let contents = self.lock();
        let scopes = contents.records.iter().filter(|((of, _), _)| of == kind);
        scopes
            .flat_map(|((_, scope), records)| records.values().map(move |value| (scope, value)))
            .find_map(|(scope, value)| if matches(value) { Some((scope.clone(), value.clone())) } else { None })
    }

    pub(crate) fn put(&self, kind: &str, scope: &str, id: &str, value: Value) {
        let mut contents = self.lock();
        self.write(kind, scope, id, Some(&value));
        let records = contents.records.entry(key(kind, scope)).or_default();
        records.insert(id.to_owned(), value);
        if kind == RUN && records.len() > MAX_RUNS {
            if let Some((oldest, _)) = records.pop_first() {
                self.write(kind, scope, &oldest, None);
            }
        }
    }

    /// Returns a record, and creates it first if it does not exist.
    pub(crate) fn get_or_put(&self, kind: &str, scope: &str, id: &str, create: impl FnOnce() -> Value) -> Value {
        let mut contents = self.lock();
        let records = contents.records.entry(key(kind, scope)).or_default();
        if let Some(record) = records.get(id) {
            return record.clone();
        }
        let record = create();
        self.write(kind, scope, id, Some(&record));
        records.insert(id.to_owned(), record.clone());
        record
    }

    /// Changes a record, and returns the changed record. Returns `None` if there is no such record.
    pub(crate) fn update(&self, kind: &str, scope: &str, id: &str, change: impl FnOnce(&mut Value)) -> Option<Value> {
        let mut contents = self.lock();
        let record = contents.records.get_mut(&key(kind, scope))?.get_mut(id)?;
        change(record);
        self.write(kind, scope, id, Some(record));
        Some(record.clone())
    }

    pub(crate) fn remove(&self, kind: &str, scope: &str, id: &str) -> Option<Value> {
        let mut contents = self.lock();
        let removed = contents.records.get_mut(&key(kind, scope))?.remove(id)?;
        self.write(kind, scope, id, None);
        Some(removed)
    }

    /// Removes all records of a kind from a scope and from the scopes below it.
    pub(crate) fn remove_below(&self, kind: &str, scope: &str) {
        let mut contents = self.lock();
        let below = |of: &str| of == scope || of.strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'));
        for ((_, of), records) in contents.records.iter_mut().filter(|((kind_of, of), _)| kind_of == kind && below(of))
        {
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
        let mut contents = self.lock();
        self.append(|| Change::File { id: id.to_owned(), bytes: Some(bytes.clone()) });
        contents.files.insert(id.to_owned(), bytes);
    }

    fn write(&self, kind: &str, scope: &str, id: &str, value: Option<&Value>) {
        self.append(|| Change::Record {
            kind: kind.to_owned(),
            scope: scope.to_owned(),
            id: id.to_owned(),
            value: value.map(|value| value.to_string().into_bytes()),
        });
    }

    /// Appends a change to the journal, if there is one.
    ///
    /// Callers hold the lock, so the file receives the changes in order.
    #[cfg_attr(not(feature = "store"), allow(unused_variables, clippy::unused_self, reason = "there is no journal"))]
    fn append(&self, change: impl FnOnce() -> Change) {
        #[cfg(feature = "store")]
        if let Some(journal) = &self.journal {
            journal.append(change());
        }
    }

    /// Waits until all changes so far are durable. Returns at once if there is no data file.
    #[allow(clippy::unused_async, reason = "it waits only with the feature `store`")]
    pub(crate) async fn flush(&self) -> Result<(), String> {
        #[cfg(feature = "store")]
        if let Some(journal) = &self.journal {
            return journal.flush().await;
        }
        Ok(())
    }
}

fn key(kind: &str, scope: &str) -> (String, String) {
    (kind.to_owned(), scope.to_owned())
}
