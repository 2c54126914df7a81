//! The file of the store: a thread of its own writes what has gathered, in one transaction at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableTable as _, TableDefinition};
use serde_json::Value;
use tokio::sync::watch;

use crate::store::{Change, State};

const RECORDS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("records");
const FILES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("files");

/// Changes that are written in one transaction at the most.
const BATCH: usize = 4096;

/// Why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the data file {file}: {source}")]
pub struct FileError {
    file: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// How many changes are safe, or why no more will be.
type Safe = Result<u64, String>;

#[derive(Debug)]
pub(crate) struct Journal {
    changes: Sender<Change>,
    written: AtomicU64,
    safe: watch::Receiver<Safe>,
}

impl Journal {
    pub(crate) async fn open(path: PathBuf) -> Result<(Self, State), FileError> {
        let file = path.clone();
        // The tasks of an emulator that is about to close the file go on meanwhile.
        let loaded = tokio::task::spawn_blocking(move || load(&path)).await;
        let failed = |source| FileError { file, source };
        let (database, state) = match loaded {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(error)) => return Err(failed(error)),
            Err(error) => return Err(failed(error.into())),
        };
        let (changes, received) = channel();
        let (tell, safe) = watch::channel(Ok(0));
        std::thread::Builder::new()
            .name("fetch-hive-emulator-data".to_owned())
            .spawn(move || write_all(&database, &received, &tell))
            .map_err(|error| failed(error.into()))?;
        Ok((Self { changes, written: 0.into(), safe }, state))
    }

    pub(crate) fn write(&self, change: Change) {
        // A thread that has ended has said why.
        let _ = self.changes.send(change);
        self.written.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) async fn settled(&self) -> Result<(), String> {
        let written = self.written.load(Ordering::SeqCst);
        let mut safe = self.safe.clone();
        let reached = safe.wait_for(|safe| safe.as_ref().map_or(true, |safe| *safe >= written)).await;
        match reached.as_deref() {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(reason)) => Err(reason.clone()),
            Err(_) => Err("the data file is closed".to_owned()),
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens the file, and waits a little for an emulator of the same process that is about to close it.
fn load(path: &Path) -> Result<(Database, State), Failure> {
    let mut tries = 0;
    let database = loop {
        match Database::create(path) {
            Err(DatabaseError::DatabaseAlreadyOpen) if tries < 20 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err("another program has it open".into()),
            opened => break opened?,
        }
    };
    let first = database.begin_write()?;
    let mut state = State::default();
    {
        for entry in first.open_table(RECORDS)?.iter()? {
            let (key, value) = entry?;
            let (kind, scope, id) = key.value();
            let value: Value = serde_json::from_slice(value.value())?;
            state.records.entry((kind.to_owned(), scope.to_owned())).or_default().insert(id.to_owned(), value);
        }
        for entry in first.open_table(FILES)?.iter()? {
            let (id, bytes) = entry?;
            state.files.insert(id.value().to_owned(), Bytes::copy_from_slice(bytes.value()));
        }
    }
    first.commit()?;
    Ok((database, state))
}

fn write_all(database: &Database, received: &Receiver<Change>, tell: &watch::Sender<Safe>) {
    let mut count = 0;
    while let Ok(first) = received.recv() {
        let batch: Vec<Change> = std::iter::once(first).chain(received.try_iter().take(BATCH - 1)).collect();
        if let Err(error) = write(database, &batch) {
            let _ = tell.send(Err(format!("the data file cannot be written: {error}")));
            return;
        }
        count += batch.len() as u64;
        let _ = tell.send(Ok(count));
    }
}

/// Writes changes, and returns when they are safe.
fn write(database: &Database, batch: &[Change]) -> Result<(), Failure> {
    let transaction = database.begin_write()?;
    {
        let mut records = transaction.open_table(RECORDS)?;
        let mut files = transaction.open_table(FILES)?;
        for change in batch {
            match change {
                Change::Record { kind, scope, id, value } => {
                    let key = (kind.as_str(), scope.as_str(), id.as_str());
                    match value {
                        Some(value) => drop(records.insert(key, value.as_slice())?),
                        None => drop(records.remove(key)?),
                    }
                }
                Change::File { id, bytes: Some(bytes) } => drop(files.insert(id.as_str(), bytes.as_ref())?),
                Change::File { id, bytes: None } => drop(files.remove(id.as_str())?),
            }
        }
    }
    transaction.commit()?;
    Ok(())
}
