//! Batches, whose rows are stored before the first one is sent.

mod accepted;
mod judge;
mod progress;
mod results;
mod run;
mod send;
mod shared;
mod spill;
mod stop;
mod upkeep;
mod worker;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use fetch_hive_client::Client;
use fetch_hive_store::batches::{BatchRecord, BatchState, StoreBatches};
use fetch_hive_store::{Store, StoreRunLimiter};
use serde::{Deserialize, Serialize};

pub use self::progress::{Progress, Sample};
pub use self::results::{Resolution, RowReport};
pub use self::stop::Stop;
pub use self::worker::{End, Worker};
use crate::error::quoted;
use crate::{BoundMapping, Error, Fingerprint, Header, Mapping, Row, Rows, RunLabel};

/// The maximum number of rows that are stored in one transaction.
const CHUNK: usize = 256;

/// A batch in a [`Store`], with its rows, its mapping and the results so far.
///
/// Each row starts at most one run unless you allow another with [`resolve`](Self::resolve) or
/// [`retry`](Self::retry). Several processes can work on the same batch.
///
/// ```no_run
/// # use fetch_hive_batch::{Batch, Export, Mapping, Rows, Stop};
/// # use fetch_hive_client::Client;
/// # use fetch_hive_store::Store;
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder().build()?;
/// let store = Store::open("runs.db").await?;
/// let mapping = Mapping::workflow("summarize").input("review", "Review Text");
/// let batch = Batch::create(&store, "reviews", Rows::open("reviews.csv")?, &mapping).await?;
///
/// let limiter = store.run_limiter("plan", 3);
/// let end = batch.worker(&client, &limiter).run(&Stop::new()).await?;
/// println!("{end}");
/// println!("{:?}", batch.export(&Export::csv("summaries.csv")).await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Batch {
    store: Store,
    id: String,
    name: String,
    definition: Arc<Definition>,
}

/// The definition of a batch, which is stored as JSON.
#[derive(Serialize, Deserialize)]
struct Definition {
    header: Header,
    mapping: Mapping,
    fingerprint: Fingerprint,
    id_column: Option<String>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A builder for a [`Batch`].
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    name: String,
    id_column: Option<String>,
}

impl Batch {
    /// Creates a batch with a name, rows and a mapping. Short for [`BatchBuilder::create`].
    ///
    /// If a batch with the same name, rows and mapping exists, it is returned. Its next
    /// worker continues where the last one stopped.
    ///
    /// # Errors
    ///
    /// See [`BatchBuilder::create`].
    pub async fn create(store: &Store, name: &str, rows: Rows, mapping: &Mapping) -> Result<Self, Error> {
        Self::builder(name).create(store, rows, mapping).await
    }

    /// Returns a builder for setting options.
    pub fn builder(name: impl Into<String>) -> BatchBuilder {
        BatchBuilder { name: name.into(), id_column: None }
    }

    /// Opens an existing batch.
    ///
    /// # Errors
    ///
    /// Returns an error if the batch does not exist, or if the database fails.
    pub async fn open(store: &Store, name: &str) -> Result<Self, Error> {
        match Self::find(store, name).await? {
            Some(batch) => Ok(batch),
            None => Err(Error::NotFound { name: name.to_owned() }),
        }
    }

    async fn find(store: &Store, name: &str) -> Result<Option<Self>, Error> {
        let Some(record) = store.batches().get(name).await? else { return Ok(None) };
        let definition = serde_json::from_str(&record.definition)
            .map_err(|error| Error::Corrupt { name: name.to_owned(), reason: error.to_string() })?;
        let (store, id, name) = (store.clone(), record.id, record.name);
        Ok(Some(Self { store, id, name, definition: Arc::new(definition) }))
    }

    /// Returns the records of all batches, newest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn list(store: &Store) -> Result<Vec<BatchRecord>, Error> {
        Ok(store.batches().list().await?)
    }

    /// Returns the id of the batch, for [`StoreBatches`](fetch_hive_store::batches::StoreBatches).
    /// If a batch is deleted and created again, its id changes.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the name of the batch.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the header of the input, with its columns.
    pub fn header(&self) -> &Header {
        &self.definition.header
    }

    /// Returns the mapping of the batch.
    pub fn mapping(&self) -> &Mapping {
        &self.definition.mapping
    }

    /// Returns the fingerprint of the rows and the mapping.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.definition.fingerprint
    }

    /// Returns a worker that runs the rows with a client, using the slots of a limiter.
    ///
    /// The client's own run limiter and retry policy are not used.
    pub fn worker(&self, client: &Client, limiter: &StoreRunLimiter) -> Worker {
        Worker::new(self.clone(), client.clone(), limiter.for_batch(&self.id))
    }

    /// Pauses the batch. No more rows start, but running rows finish.
    ///
    /// If the batch is already paused, its first reason is kept.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn pause(&self, reason: &str) -> Result<(), Error> {
        Ok(self.batches().pause(&self.id, reason).await?)
    }

    /// Resumes a paused batch, and resets its failure count and any delay. Start a
    /// [`worker`](Self::worker) if none is running.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn resume(&self) -> Result<(), Error> {
        Ok(self.batches().resume(&self.id).await?)
    }

    /// Returns the reason why the batch is paused, or `None` if it is not paused.
    ///
    /// # Errors
    ///
    /// Returns an error if the batch was deleted, or if the database fails.
    pub async fn paused(&self) -> Result<Option<String>, Error> {
        match self.record().await?.state {
            BatchState::Paused { reason } => Ok(Some(reason)),
            _ => Ok(None),
        }
    }

    /// Deletes the batch together with its rows and results.
    ///
    /// # Errors
    ///
    /// Returns an error if a row is running, or if the database fails.
    pub async fn delete(self) -> Result<(), Error> {
        let progress = self.progress().await?;
        if progress.running() > 0 {
            let reason = format!(
                "cannot be deleted: {} rows are running; run a worker until they have ended",
                progress.running()
            );
            return Err(Error::NotAllowed { name: self.name, reason });
        }
        self.batches().delete(&self.id).await?;
        Ok(())
    }

    fn batches(&self) -> StoreBatches {
        self.store.batches()
    }

    async fn record(&self) -> Result<BatchRecord, Error> {
        let record = self.batches().get(&self.name).await?.filter(|record| record.id == self.id);
        record.ok_or_else(|| Error::NotFound { name: self.name.clone() })
    }

    fn not_allowed(&self, reason: &str) -> Error {
        Error::NotAllowed { name: self.name.clone(), reason: reason.to_owned() }
    }

    /// Deserializes a stored row.
    fn parse_row(&self, number: u64, content: &[u8]) -> Result<Row, Error> {
        serde_json::from_slice(content)
            .map_err(|error| Error::Corrupt { name: self.name.clone(), reason: format!("row {number}: {error}") })
    }
}

impl BatchBuilder {
    /// Sets the column that identifies the rows. Its values must be unique and not empty.
    pub fn id_column(mut self, column: impl Into<String>) -> Self {
        self.id_column = Some(column.into());
        self
    }

    /// Checks all rows, and stores them together with the mapping.
    ///
    /// # Errors
    ///
    /// Returns an error if the input or the mapping is invalid, if an id is empty or occurs twice,
    /// if another process creates a batch with this name at the same time, or if the database
    /// fails. Returns [`Error::Different`] if a batch with this name has different rows or a
    /// different mapping.
    pub async fn create(self, store: &Store, mut rows: Rows, mapping: &Mapping) -> Result<Batch, Error> {
        let Self { name, id_column } = self;
        let header = Header::clone(rows.header());
        let bound = mapping.bind(&header)?;
        let batches = store.batches();
        let id = self::worker::unique_key();
        let existing = Batch::find(store, &name).await?;
        if existing.is_none() && !batches.create(&name, &id).await? {
            return Err(Error::Corrupt {
                name,
                reason: "was created by another process meanwhile; run again to continue it".to_owned(),
            });
        }
        let mut check = RowCheck::new(&name, &header, &bound, id_column.as_deref())?;
        let mut fingerprint = Fingerprint::builder(&header, mapping)?;
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            // Blocking reads are acceptable here, because they are short compared with a
            // transaction.
            let row = rows.next().transpose()?;
            if existing.is_none() && (chunk.len() == CHUNK || (row.is_none() && !chunk.is_empty())) {
                batches.add_rows(&id, std::mem::take(&mut chunk)).await?;
            }
            let Some(row) = row else { break };
            check.row(&row)?;
            fingerprint.add(&row);
            if existing.is_none() {
                let content = serde_json::to_vec(&row)
                    .map_err(|error| Error::Corrupt { name: name.clone(), reason: error.to_string() })?;
                chunk.push((row.number(), content));
            }
        }
        let fingerprint = fingerprint.finish();
        if let Some(existing) = existing {
            return match existing.fingerprint().difference(&fingerprint) {
                Some(difference) => Err(Error::Different { name, difference }),
                None => Ok(existing),
            };
        }
        let definition = Definition { header, mapping: mapping.clone(), fingerprint, id_column };
        let text = serde_json::to_string(&definition)
            .map_err(|error| Error::Corrupt { name: name.clone(), reason: error.to_string() })?;
        batches.complete(&id, &text).await?;
        Ok(Batch { store: store.clone(), id, name, definition: Arc::new(definition) })
    }
}

/// Checks the rows before anything is sent.
struct RowCheck<'a> {
    name: &'a str,
    header: &'a Header,
    mapping: &'a BoundMapping,
    id: Option<(usize, HashSet<String>)>,
}

impl<'a> RowCheck<'a> {
    fn new(name: &'a str, header: &'a Header, mapping: &'a BoundMapping, id: Option<&str>) -> Result<Self, Error> {
        let Some(column) = id else { return Ok(Self { name, header, mapping, id: None }) };
        let Some(position) = header.position(column) else {
            let names = crate::error::list(header.names());
            let reason = format!("the id column {} does not exist; the columns are {names}", quoted(column));
            return Err(Error::input(header.file(), None, reason));
        };
        let id = Some((position, HashSet::new()));
        Ok(Self { name, header, mapping, id })
    }

    fn row(&mut self, row: &Row) -> Result<(), Error> {
        self.mapping.request(row, RunLabel::new(self.name, 1))?;
        let Some((column, ids)) = &mut self.id else { return Ok(()) };
        let id = row.original(*column).map(crate::cell_text).unwrap_or_default();
        let invalid = |reason: String| Err(Error::input(self.header.file(), row.line().or(Some(row.number())), reason));
        if id.trim().is_empty() {
            return invalid("the id is empty; fill the cell, or remove the row".to_owned());
        }
        if !ids.insert(id.into_owned()) {
            return invalid("the id occurs in an earlier row; each id must be unique".to_owned());
        }
        Ok(())
    }
}
