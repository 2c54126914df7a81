//! The storage of batches, for `fetch-hive-batch`.

mod records;
mod rows;
mod start;
mod update;

use std::fmt;

use self::records::batch_record;
pub use self::records::{BatchRecord, BatchState, RowStatus};
pub use self::rows::{Attempt, DueRow, RowEvent, StoredRow};
pub use self::start::{Start, StartRequest, StartedRow};
pub use self::update::RowUpdate;
use crate::database::Tx;
use crate::run_limiter::StoreRunLimiter;
use crate::{Store, StoreError};

/// The batches of a [`Store`], for `fetch-hive-batch`.
///
/// A batch is a list of rows, each of which starts at most one run unless another is explicitly
/// allowed. Each method runs one transaction. The contents of rows and results are opaque to the
/// store, and are encrypted if the store has a key.
#[derive(Clone)]
pub struct StoreBatches(pub(crate) Store);

impl fmt::Debug for StoreBatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreBatches").finish_non_exhaustive()
    }
}

impl Store {
    /// Returns the batches of the store.
    pub fn batches(&self) -> StoreBatches {
        StoreBatches(self.clone())
    }
}

const COLUMNS: &str = "SELECT id, name, definition, state, reason, rows, runs, tokens, created, not_before, day, day_runs \
     FROM fetch_hive_batch";

impl StoreBatches {
    /// Creates a batch without rows, which cannot run until it is [completed](Self::complete).
    ///
    /// `id` must be unique. If there is an incomplete batch with this name, it is replaced, and the
    /// next call by its creator fails. Returns `false` if there is a complete batch with this name.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn create(&self, name: &str, id: &str) -> Result<bool, StoreError> {
        let (name, id) = (name.to_owned(), id.to_owned());
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM fetch_hive_batch WHERE name = $1 AND state = 0 RETURNING id";
                if let Some(replaced) = tx.row(sql, &[name.as_str().into()]).await?.and_then(|mut row| row.text()) {
                    delete_rows(tx, &replaced).await?;
                }
                let now = tx.now().await?;
                let sql = "INSERT INTO fetch_hive_batch (id, name, definition, state, rows, runs, day, day_runs, tokens, \
                           recent, recent_count, not_before, backoffs, created) \
                           VALUES ($1, $2, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, $3) \
                           ON CONFLICT (name) DO NOTHING RETURNING id";
                Ok(tx.row(sql, &[id.as_str().into(), name.as_str().into(), now.into()]).await?.is_some())
            })
        }));
        operation.await
    }

    /// Adds rows to an incomplete batch, each with its number and its content.
    ///
    /// # Errors
    ///
    /// Returns an error if another process has replaced or completed the batch, if a number occurs
    /// twice, or if the database fails.
    pub async fn add_rows(&self, id: &str, rows: Vec<(u64, Vec<u8>)>) -> Result<(), StoreError> {
        let batch = id.to_owned();
        let mut sealed = Vec::with_capacity(rows.len());
        for (number, content) in rows {
            sealed.push((crate::signed(number), self.seal(id, number, &content)?));
        }
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                lock_incomplete(tx, &batch).await?;
                let sql = "INSERT INTO fetch_hive_batch_row (batch, number, content, state, attempt, due, lease_end) \
                           VALUES ($1, $2, $3, 0, 0, 0, 0)";
                let values: Vec<_> = sealed
                    .into_iter()
                    .map(|(number, content)| [batch.as_str().into(), number.into(), content.into()])
                    .collect();
                let statements: Vec<_> = values.iter().map(|values| (sql, values.as_slice())).collect();
                tx.pipeline(&statements).await.map(drop)
            })
        }));
        operation.await
    }

    /// Completes a batch, so that its rows can be started. [`get`](Self::get) returns its
    /// definition.
    ///
    /// # Errors
    ///
    /// Returns an error if another process has replaced or completed the batch, or if the database
    /// fails.
    pub async fn complete(&self, id: &str, definition: &str) -> Result<(), StoreError> {
        let (batch, definition) = (id.to_owned(), definition.to_owned());
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                lock_incomplete(tx, &batch).await?;
                let sql = "UPDATE fetch_hive_batch SET state = 1, definition = $2, \
                           rows = (SELECT COUNT(*) FROM fetch_hive_batch_row WHERE batch = $1) \
                           WHERE id = $1 AND state = 0";
                tx.execute(sql, &[batch.as_str().into(), definition.as_str().into()]).await
            })
        }));
        operation.await
    }

    /// Returns the complete batch with a name, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn get(&self, name: &str) -> Result<Option<BatchRecord>, StoreError> {
        let batch = name.to_owned();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = format!("{COLUMNS} WHERE name = $1 AND state > 0");
                tx.row(&sql, &[batch.as_str().into()]).await
            })
        }));
        Ok(operation.await?.map(batch_record))
    }

    /// Returns all complete batches, newest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn list(&self) -> Result<Vec<BatchRecord>, StoreError> {
        let operation = self.0.transaction(Box::new(|tx| {
            Box::pin(async move {
                let sql = format!("{COLUMNS} WHERE state > 0 ORDER BY created DESC, name");
                tx.query(&sql, &[]).await
            })
        }));
        Ok(operation.await?.into_iter().map(batch_record).collect())
    }

    /// Pauses a batch. No row starts until it is [resumed](Self::resume), but runs in progress
    /// continue.
    ///
    /// If the batch is already paused, its first reason is kept.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn pause(&self, id: &str, reason: &str) -> Result<(), StoreError> {
        let (batch, reason) = (id.to_owned(), reason.to_owned());
        let operation =
            self.0.transaction(Box::new(move |tx| Box::pin(async move { update::pause(tx, &batch, &reason).await })));
        operation.await?;
        self.0.notify(id.as_bytes()).await;
        Ok(())
    }

    /// Resumes a paused batch, and resets its circuit breaker and any delay.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn resume(&self, id: &str) -> Result<(), StoreError> {
        let batch = id.to_owned();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE fetch_hive_batch SET state = 1, reason = NULL, recent = 0, recent_count = 0, \
                           not_before = 0, backoffs = 0 WHERE id = $1 AND state > 0";
                tx.execute(sql, &[batch.as_str().into()]).await
            })
        }));
        operation.await?;
        self.0.notify(id.as_bytes()).await;
        Ok(())
    }

    /// Deletes a batch with its rows and results. Returns whether it existed.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn delete(&self, id: &str) -> Result<bool, StoreError> {
        let batch = id.to_owned();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                delete_rows(tx, &batch).await?;
                let sql = "DELETE FROM fetch_hive_batch WHERE id = $1 RETURNING id";
                Ok(tx.row(sql, &[batch.as_str().into()]).await?.is_some())
            })
        }));
        operation.await
    }

    /// Returns an identifier of the PostgreSQL server, which changes when a standby is promoted, or
    /// `None` for SQLite.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn server(&self) -> Result<Option<String>, StoreError> {
        let operation =
            self.0.transaction(Box::new(|tx| Box::pin(async move { tx.row(tx.server_statement(), &[]).await })));
        Ok(operation.await?.and_then(|mut row| row.text()))
    }

    /// Waits for a change to a batch or to a limiter's slots, for at most `longest`. It may return
    /// early.
    pub async fn changed(&self, id: &str, limiter: &StoreRunLimiter, longest: std::time::Duration) {
        let slots = self.0.subscribe(limiter.limits().name.as_bytes());
        self.0.subscribe(id.as_bytes()).wait_for_either(slots, crate::millis(longest).max(1)).await;
    }

    fn seal(&self, batch: &str, number: u64, content: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.0.sealer().seal(format!("{batch}/{number}").as_bytes(), content)
    }

    fn unseal(&self, batch: &str, number: u64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.0.sealer().open(format!("{batch}/{number}").as_bytes(), sealed)
    }
}

/// Locks an incomplete batch. Returns an error if another process has replaced or completed it.
async fn lock_incomplete(tx: &mut Tx, batch: &str) -> Result<(), StoreError> {
    let sql = "SELECT id FROM fetch_hive_batch WHERE id = $1 AND state = 0 FOR UPDATE";
    tx.row(sql, &[batch.into()]).await?.map(drop).ok_or(StoreError::BatchReplaced)
}

async fn delete_rows(tx: &mut Tx, batch: &str) -> Result<(), StoreError> {
    for sql in DELETE_ROWS {
        tx.execute(sql, &[batch.into()]).await?;
    }
    Ok(())
}

/// Statements that delete everything that belongs to a batch, except its own row.
const DELETE_ROWS: [&str; 4] = [
    "DELETE FROM fetch_hive_run WHERE token IN \
     (SELECT token FROM fetch_hive_batch_row WHERE batch = $1 AND token IS NOT NULL)",
    "DELETE FROM fetch_hive_batch_row WHERE batch = $1",
    "DELETE FROM fetch_hive_attempt WHERE batch = $1",
    "DELETE FROM fetch_hive_batch_start WHERE batch = $1",
];
