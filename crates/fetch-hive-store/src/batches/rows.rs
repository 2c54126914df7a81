use std::fmt;
use std::time::{Duration, SystemTime};

use fetch_hive_client::callback::RawDelivery;

use super::records::system_time;
use super::{RowStatus, StoreBatches};
use crate::pending_runs::decode;
use crate::{StoreError, millis};

/// A row with its status and result.
#[non_exhaustive]
pub struct StoredRow {
    /// The number of the row.
    pub number: u64,
    /// The content of the row.
    pub content: Vec<u8>,
    /// The status of the row.
    pub status: RowStatus,
    /// The number of attempts, including those that started no run.
    pub attempts: u64,
    /// The time at which the last attempt started.
    pub started: Option<SystemTime>,
    /// The request id of the run.
    pub request_id: Option<String>,
    /// The key of the last attempt, which identifies its worker.
    pub attempt_key: Option<String>,
    /// The result that was stored last.
    pub result: Option<Vec<u8>>,
}

impl fmt::Debug for StoredRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredRow")
            .field("number", &self.number)
            .field("status", &self.status)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// An unsettled row for which the event that ends its run has arrived.
#[derive(Debug)]
#[non_exhaustive]
pub struct RowEvent {
    /// The number of the row.
    pub number: u64,
    /// The number of the attempt.
    pub attempt: u64,
    /// The start of the attempt.
    pub started: SystemTime,
    /// The verified delivery that contains the event.
    pub delivery: RawDelivery,
}

/// An accepted row whose run should be looked up.
#[derive(Debug)]
#[non_exhaustive]
pub struct DueRow {
    /// The number of the row.
    pub number: u64,
    /// The number of the attempt.
    pub attempt: u64,
    /// The start of the attempt.
    pub started: SystemTime,
    /// The time since the start of the attempt, by the database's clock.
    pub age: Duration,
    /// The request id of the run, if it is known.
    pub request_id: Option<String>,
}

/// An attempt to run a row, which sends at most one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The number of the row.
    pub number: u64,
    /// The number of the attempt, counted from 1.
    pub attempt: u64,
    /// The time at which the intent to send the row was committed.
    pub started: SystemTime,
    /// The time of the last change to the attempt.
    pub ended: Option<SystemTime>,
    /// A description of the outcome.
    pub verdict: Option<String>,
    /// The request id of the run.
    pub request_id: Option<String>,
    /// The decision that a person has made about the attempt.
    pub resolution: Option<String>,
}

impl StoreBatches {
    /// Returns the number of rows in each status, in the order of [`RowStatus::ALL`].
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn counts(&self, id: &str) -> Result<[u64; 7], StoreError> {
        let batch = id.to_owned();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "SELECT state, COUNT(*) FROM fetch_hive_batch_row WHERE batch = $1 GROUP BY state";
                tx.query(sql, &[batch.as_str().into()]).await
            })
        }));
        let mut counts = [0; 7];
        for mut row in operation.await? {
            let state = RowStatus::from_number(row.int());
            counts[state as usize] += crate::unsigned(row.int());
        }
        Ok(counts)
    }

    /// Returns at most `limit` rows whose numbers are greater than `after`, in order of their
    /// numbers. If `state` is set, only rows with this status are returned.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails, or if a row cannot be decrypted.
    pub async fn rows(
        &self,
        id: &str,
        state: Option<RowStatus>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let batch = id.to_owned();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let condition = if state.is_some() { "state = $4" } else { "state >= $4" };
                let sql = format!(
                    "SELECT number, content, state, attempt, started, request_id, attempt_key, result FROM fetch_hive_batch_row \
                     WHERE batch = $1 AND number > $2 AND {condition} ORDER BY number LIMIT $3"
                );
                let state = state.map_or(0, RowStatus::number);
                let values =
                    [batch.as_str().into(), crate::signed(after).into(), i64::from(limit).into(), state.into()];
                tx.query(&sql, &values).await
            })
        }));
        let mut rows = Vec::new();
        for mut row in operation.await? {
            let number = crate::unsigned(row.int());
            let content = self.unseal(id, number, &row.blob().unwrap_or_default())?;
            let (status, attempts) = (RowStatus::from_number(row.int()), crate::unsigned(row.int()));
            let started = row.opt_int().map(system_time);
            let (request_id, attempt_key) = (row.text(), row.text());
            let result = row.blob().map(|sealed| self.unseal(id, number, &sealed)).transpose()?;
            rows.push(StoredRow { number, content, status, attempts, started, request_id, attempt_key, result });
        }
        Ok(rows)
    }

    /// Returns at most `limit` unsettled rows for which the event that ends the run has arrived.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails. An event that cannot be decrypted is skipped.
    pub async fn events(&self, id: &str, limit: u32) -> Result<Vec<RowEvent>, StoreError> {
        let batch = id.to_owned();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "SELECT r.number, r.attempt, r.started, e.token, e.delivery FROM fetch_hive_batch_row r \
                           JOIN fetch_hive_run e ON e.token = r.token \
                           WHERE r.batch = $1 AND r.state IN (1, 2, 6) AND e.state = 1 ORDER BY r.number LIMIT $2";
                tx.query(sql, &[batch.as_str().into(), i64::from(limit).into()]).await
            })
        }));
        let mut events = Vec::new();
        for mut row in operation.await? {
            let (number, attempt) = (crate::unsigned(row.int()), crate::unsigned(row.int()));
            let started = system_time(row.int());
            let (token, sealed) = (row.blob().unwrap_or_default(), row.blob().unwrap_or_default());
            let delivery = self.0.sealer().open(&token, &sealed).and_then(|bytes| decode(&bytes));
            let Ok(delivery) = delivery.inspect_err(|error| {
                tracing::warn!(batch = id, row = number, %error, "an event cannot be read; its run is looked up instead");
            }) else {
                continue;
            };
            events.push(RowEvent { number, attempt, started, delivery });
        }
        Ok(events)
    }

    /// Returns the statuses of rows with the given numbers and attempts, in the given order. The
    /// status is `None` if this attempt is not the row's current one.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn states(&self, id: &str, rows: &[(u64, u64)]) -> Result<Vec<Option<RowStatus>>, StoreError> {
        let (batch, rows) = (id.to_owned(), rows.to_vec());
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "SELECT state FROM fetch_hive_batch_row WHERE batch = $1 AND number = $2 AND attempt = $3";
                let mut states = Vec::with_capacity(rows.len());
                for (number, attempt) in rows {
                    let values = [batch.as_str().into(), crate::signed(number).into(), crate::signed(attempt).into()];
                    states.push(tx.row(sql, &values).await?.map(|mut row| RowStatus::from_number(row.int())));
                }
                Ok(states)
            })
        }));
        operation.await
    }

    /// Returns at most `limit` accepted rows whose look-up is due, and schedules the next look-up
    /// of each row after `next`.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn take_due(&self, id: &str, next: Duration, limit: u32) -> Result<Vec<DueRow>, StoreError> {
        let batch = id.to_owned();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let now = tx.now().await?;
                let sql = "SELECT number, attempt, started, request_id FROM fetch_hive_batch_row \
                           WHERE batch = $1 AND state = 2 AND due <= $2 ORDER BY due, number LIMIT $3 FOR UPDATE";
                let rows = tx.query(sql, &[batch.as_str().into(), now.into(), i64::from(limit).into()]).await?;
                let mut due = Vec::new();
                for mut row in rows {
                    let (number, attempt, started) = (row.int(), row.int(), row.int());
                    let sql = "UPDATE fetch_hive_batch_row SET due = $3 WHERE batch = $1 AND number = $2";
                    tx.execute(sql, &[batch.as_str().into(), number.into(), (now + millis(next)).into()]).await?;
                    due.push(DueRow {
                        number: crate::unsigned(number),
                        attempt: crate::unsigned(attempt),
                        started: system_time(started),
                        age: Duration::from_millis(u64::try_from(now - started).unwrap_or_default()),
                        request_id: row.text(),
                    });
                }
                Ok(due)
            })
        }));
        operation.await
    }

    /// Returns the attempts of a row, or of all rows if `number` is `None`, in order.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn attempts(&self, id: &str, number: Option<u64>) -> Result<Vec<Attempt>, StoreError> {
        let batch = id.to_owned();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "SELECT number, attempt, started, ended, verdict, request_id, resolution \
                           FROM fetch_hive_attempt WHERE batch = $1 AND number = COALESCE($2, number) \
                           ORDER BY number, attempt";
                tx.query(sql, &[batch.as_str().into(), number.map(crate::signed).into()]).await
            })
        }));
        let attempts = operation.await?.into_iter().map(|mut row| Attempt {
            number: crate::unsigned(row.int()),
            attempt: crate::unsigned(row.int()),
            started: system_time(row.int()),
            ended: row.opt_int().map(system_time),
            verdict: row.text(),
            request_id: row.text(),
            resolution: row.text(),
        });
        Ok(attempts.collect())
    }

    /// Records a person's decision about the last attempt of a row.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn record_resolution(&self, id: &str, number: u64, resolution: &str) -> Result<(), StoreError> {
        let (batch, resolution) = (id.to_owned(), resolution.to_owned());
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE fetch_hive_attempt SET resolution = $3 WHERE batch = $1 AND number = $2 AND attempt = \
                           (SELECT attempt FROM fetch_hive_batch_row WHERE batch = $1 AND number = $2)";
                let number = crate::signed(number);
                tx.execute(sql, &[batch.as_str().into(), number.into(), resolution.as_str().into()]).await
            })
        }));
        operation.await
    }
}
