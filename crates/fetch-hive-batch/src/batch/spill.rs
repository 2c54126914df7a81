//! Results that could not be stored, in a file that survives the process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use fetch_hive_store::batches::{RowState, RowUpdate, StoreBatches};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Error;

/// A folder with the spill files of a batch. Each worker appends to its own file.
#[derive(Clone, Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    prefix: String,
    file: PathBuf,
}

/// A line of a spill file.
#[derive(Serialize, Deserialize)]
struct Record {
    number: u64,
    attempt: u64,
    state: usize,
    verdict: String,
    request_id: Option<String>,
    tokens: u64,
    result: Option<Box<RawValue>>,
}

impl Spill {
    pub(super) fn new(folder: &Path, batch: &str, worker: &str) -> Self {
        let safe: String = batch.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
        // The digest keeps two batches apart whose names differ only in other characters.
        let digest = ring::digest::digest(&ring::digest::SHA256, batch.as_bytes());
        let digits = crate::fingerprint::hex(&digest);
        let digits = &digits[..8];
        let prefix = format!("fetch-hive-spill-{safe}-{digits}-");
        Self { folder: folder.to_owned(), file: folder.join(format!("{prefix}{worker}.jsonl")), prefix }
    }

    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// Appends a change, and returns when the disk has stored it.
    pub(super) fn append(&self, update: &RowUpdate) -> io::Result<()> {
        let result = update.result.as_deref().map(serde_json::from_slice::<Box<RawValue>>).transpose()?;
        let record = Record {
            number: update.number,
            attempt: update.attempt,
            state: RowState::ALL.iter().position(|state| *state == update.state).unwrap_or_default(),
            verdict: update.verdict.clone(),
            request_id: update.request_id.clone(),
            tokens: update.tokens,
            result,
        };
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&self.file)?;
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_all()?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).or(Ok(()))
    }

    /// Stores the changes of all files, and deletes the files. A last line that was cut by a crash
    /// is skipped. Returns the number of changes that had an effect.
    pub(super) async fn import(&self, batches: &StoreBatches, batch: &str) -> Result<u64, Error> {
        let mut imported = 0;
        let Ok(entries) = fs::read_dir(&self.folder) else { return Ok(0) };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !name.starts_with(&self.prefix) {
                continue;
            }
            // Renamed first, so that a running worker starts a new file.
            let taken = path.with_extension("importing");
            if fs::rename(&path, &taken).is_err() {
                // Another worker imports it.
                continue;
            }
            for update in read(&taken)? {
                imported += u64::from(batches.update(batch, &update).await?);
            }
            fs::remove_file(&taken).map_err(Error::io("delete", &taken))?;
        }
        Ok(imported)
    }
}

fn read(path: &Path) -> Result<Vec<RowUpdate>, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut updates = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(Error::io("read", path))?;
        let Ok(record) = serde_json::from_slice::<Record>(&line) else { continue };
        let Some(state) = RowState::ALL.get(record.state) else { continue };
        let mut update = RowUpdate::new(record.number, record.attempt, *state, record.verdict);
        update.request_id = record.request_id;
        update.tokens = record.tokens;
        update.result = record.result.map(|result| result.get().as_bytes().to_vec());
        updates.push(update);
    }
    Ok(updates)
}
