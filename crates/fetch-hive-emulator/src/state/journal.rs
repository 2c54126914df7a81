//! The data file of the store. One thread writes all changes, in batches of one transaction each.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableTable as _, TableDefinition};
use serde_json::Value;
use tokio::sync::watch;

use crate::state::contents::{Change, Contents};

const RECORDS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("records");
const FILES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("files");

/// The largest number of changes in one transaction.
const BATCH: usize = 4096;

/// An error that occurs when the emulator cannot open or read its data file.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the data file {file}: {source}")]
pub struct DataFileError {
    file: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// The number of durable changes, or the reason why writing stopped.
type Durable = Result<u64, String>;

#[derive(Debug)]
pub(crate) struct Journal {
    changes: Sender<Change>,
    appended: AtomicU64,
    durable: watch::Receiver<Durable>,
}

impl Journal {
    pub(crate) async fn open(path: PathBuf) -> Result<(Self, Contents), DataFileError> {
        let file = path.clone();
        // Opening blocks. A stopping emulator of this process may need the runtime to close the
        // file.
        let loaded = tokio::task::spawn_blocking(move || load(&path)).await;
        let failed = |source| DataFileError { file, source };
        let (database, contents) = match loaded {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(error)) => return Err(failed(error)),
            Err(error) => return Err(failed(error.into())),
        };
        let (changes, received) = channel();
        let (progress, durable) = watch::channel(Ok(0));
        std::thread::Builder::new()
            .name("fetch-hive-emulator-data".to_owned())
            .spawn(move || write_all(&database, &received, &progress))
            .map_err(|error| failed(error.into()))?;
        Ok((Self { changes, appended: 0.into(), durable }, contents))
    }

    pub(crate) fn append(&self, change: Change) {
        // If the thread has stopped, `flush` returns the reason.
        let _ = self.changes.send(change);
        self.appended.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) async fn flush(&self) -> Result<(), String> {
        let appended = self.appended.load(Ordering::SeqCst);
        let mut durable = self.durable.clone();
        let reached = durable.wait_for(|durable| durable.as_ref().map_or(true, |count| *count >= appended)).await;
        match reached.as_deref() {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(reason)) => Err(reason.clone()),
            Err(_) => Err("the data file is closed; restart the emulator".to_owned()),
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens the data file. Waits up to 2 s for another emulator in this process to close it.
fn load(path: &Path) -> Result<(Database, Contents), Failure> {
    let mut attempts = 0;
    let database = loop {
        match Database::create(path) {
            Err(DatabaseError::DatabaseAlreadyOpen) if attempts < 20 => {
                attempts += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err("another program has it open; stop that program, or use another file".into());
            }
            opened => break opened?,
        }
    };
    let first = database.begin_write()?;
    let mut contents = Contents::default();
    {
        for entry in first.open_table(RECORDS)?.iter()? {
            let (key, value) = entry?;
            let (kind, scope, id) = key.value();
            let value: Value = serde_json::from_slice(value.value())?;
            contents.records.entry((kind.to_owned(), scope.to_owned())).or_default().insert(id.to_owned(), value);
        }
        for entry in first.open_table(FILES)?.iter()? {
            let (id, bytes) = entry?;
            contents.files.insert(id.value().to_owned(), Bytes::copy_from_slice(bytes.value()));
        }
    }
    first.commit()?;
    Ok((database, contents))
}

fn write_all(database: &Database, received: &Receiver<Change>, progress: &watch::Sender<Durable>) {
    let mut count = 0;
    while let Ok(first) = received.recv() {
        let batch: Vec<Change> = std::iter::once(first).chain(received.try_iter().take(BATCH - 1)).collect();
        if let Err(error) = commit(database, &batch) {
            let _ = progress.send(Err(format!("cannot write the data file: {error}; restart the emulator")));
            return;
        }
        count += batch.len() as u64;
        let _ = progress.send(Ok(count));
    }
}

/// Writes changes in one transaction. They are durable when this returns.
fn commit(database: &Database, batch: &[Change]) -> Result<(), Failure> {
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
