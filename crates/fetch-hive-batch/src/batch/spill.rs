//! Files for results that could not be stored in the database.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use fetch_hive_store::batches::{RowStatus, RowUpdate, StoreBatches};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Error;

/// The extension of a file that is kept because one of its lines cannot be parsed.
const UNREADABLE: &str = ".unreadable";

/// The spill files of a batch in a directory. Each worker appends to its own file.
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
    pub(super) fn new(folder: &Path, name: &str, id: &str, worker: &str) -> Self {
        let safe: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
        // The digest distinguishes the batch from deleted ones and from those in other stores that
        // have the same name.
        let digest = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
        let digits = crate::fingerprint::hex(&digest);
        let digits = &digits[..8];
        let prefix = format!("fetch-hive-spill-{safe}-{digits}-");
        Self { folder: folder.to_owned(), file: folder.join(format!("{prefix}{worker}.jsonl")), prefix }
    }

    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// Appends a change and flushes it to disk.
    pub(super) fn append(&self, update: &RowUpdate) -> io::Result<()> {
        let result = update.result.as_deref().map(serde_json::from_slice::<Box<RawValue>>).transpose()?;
        let record = Record {
            number: update.number,
            attempt: update.attempt,
            state: RowStatus::ALL.iter().position(|state| *state == update.status).unwrap_or_default(),
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
        // The first byte ends any line that an earlier write left incomplete.
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, &record)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_all()?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).or(Ok(()))
    }

    /// Stores the changes from all files of the batch, and deletes the files. Returns the number of
    /// changes that had an effect.
    ///
    /// A file that contains an invalid line is renamed and not deleted.
    pub(super) async fn import(&self, batches: &StoreBatches, batch: &str) -> Result<u64, Error> {
        let mut imported = 0;
        let Ok(entries) = fs::read_dir(&self.folder) else { return Ok(0) };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !name.starts_with(&self.prefix) || name.ends_with(UNREADABLE) {
                continue;
            }
            // The file is renamed first, so that a running worker starts a new one.
            let taken = self.folder.join(format!("{}{}.importing", self.prefix, super::worker::unique_key()));
            if fs::rename(&path, &taken).is_err() {
                // Another worker is importing the file.
                continue;
            }
            let (updates, is_complete) = read(&taken)?;
            for update in updates {
                imported += u64::from(batches.update(batch, &update).await?);
            }
            if is_complete {
                fs::remove_file(&taken).map_err(Error::io("delete", &taken))?;
            } else {
                let kept = taken.with_extension(UNREADABLE.trim_start_matches('.'));
                tracing::error!(path = %kept.display(), "a file of results has a line that cannot be read");
                fs::rename(&taken, &kept).map_err(Error::io("rename", &taken))?;
            }
        }
        Ok(imported)
    }
}

/// Reads the changes from a file, and also returns whether every line could be parsed.
fn read(path: &Path) -> Result<(Vec<RowUpdate>, bool), Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let (mut updates, mut is_complete) = (Vec::new(), true);
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(Error::io("read", path))?;
        if line.is_empty() {
            continue;
        }
        let record = serde_json::from_slice::<Record>(&line).ok();
        let record = record.and_then(|record| Some((*RowStatus::ALL.get(record.state)?, record)));
        let Some((state, record)) = record else {
            is_complete = false;
            continue;
        };
        let mut update = RowUpdate::new(record.number, record.attempt, state, record.verdict);
        update.request_id = record.request_id;
        update.tokens = record.tokens;
        update.result = record.result.map(|result| result.get().as_bytes().to_vec());
        updates.push(update);
    }
    Ok((updates, is_complete))
}
