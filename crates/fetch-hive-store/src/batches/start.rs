use std::fmt;
use std::time::{Duration, SystemTime};

use fetch_hive_client::RunPermit;

use super::records::system_time;
use super::{RowStatus, StoreBatches};
use crate::database::{Changes, Row, Statement, Tx, statements};
use crate::run_limiter::{Applicant, DAY, Decision, StoreRunLimiter, check_server, decide, lock};
use crate::{StoreError, millis};

/// The options for [`StoreBatches::start`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StartRequest {
    /// A unique key for the attempt. If the commit is not confirmed, [`StoreBatches::undo_start`]
    /// uses it to find the attempt.
    pub attempt_key: String,
    /// The number of the queue entry, if the previous call returned [`Start::Queued`].
    pub queued: Option<u64>,
    /// The lease of the row. A row whose lease has expired while it was being sent becomes unknown.
    pub lease: Duration,
    /// The number of runs after which the batch is paused.
    pub max_runs: Option<u64>,
    /// The number of runs per day (UTC) after which no row starts until the next day.
    pub max_runs_per_day: Option<u64>,
    /// The number of tokens after which the batch is paused.
    pub max_tokens: Option<u64>,
}

impl StartRequest {
    /// Creates a request without limits on runs or tokens.
    pub fn new(attempt_key: impl Into<String>, lease: Duration) -> Self {
        let attempt_key = attempt_key.into();
        Self { attempt_key, queued: None, lease, max_runs: None, max_runs_per_day: None, max_tokens: None }
    }
}

/// The result of [`StoreBatches::start`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Start {
    /// A row has a slot, and the intent to send it has been committed.
    Started(StartedRow),
    /// No slot is available. Call again after a change in the store, or after `wait`.
    Queued {
        /// The number of the queue entry, for the next call.
        number: u64,
        /// The maximum time to wait before the next call.
        wait: Duration,
        /// The time until which no batch row starts because of the daily cap, if it was reached.
        paused_until: Option<SystemTime>,
    },
    /// No row may start before `until`.
    Delayed {
        /// The end of the delay.
        until: SystemTime,
        /// The time to wait before the next call.
        wait: Duration,
        /// Whether the reason is the limit on runs per day.
        is_daily_limit: bool,
    },
    /// No row is ready, but some rows are in progress.
    InProgress,
    /// The batch is paused, and must be resumed.
    Paused {
        /// The reason for the pause.
        reason: String,
    },
    /// Every row is settled or unknown.
    Finished,
    /// The batch does not exist.
    NotFound,
}

/// A row whose intent has been committed, and which must now be sent.
pub struct StartedRow {
    /// The number of the row.
    pub number: u64,
    /// The number of the attempt, counted from 1.
    pub attempt: u64,
    /// The content of the row.
    pub content: Vec<u8>,
    /// The permit for the run.
    pub permit: RunPermit,
}

impl fmt::Debug for StartedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, attempt, content: _, permit: _ } = self;
        f.debug_struct("StartedRow").field("number", number).field("attempt", attempt).finish_non_exhaustive()
    }
}

/// The result of the transaction, before the content is decrypted.
enum Started {
    Row { number: i64, attempt: i64, content: Vec<u8>, slot: i64 },
    Other(Start),
}

impl StoreBatches {
    /// Takes the next row of a batch. It acquires a run slot and commits the intent to send the row
    /// in one transaction.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails, or if a standby was promoted
    /// ([`StoreError::ServerChanged`]). The intent may have been committed despite the error, so
    /// call [`undo_start`](Self::undo_start) before the next start.
    pub async fn start(&self, id: &str, limiter: &StoreRunLimiter, request: StartRequest) -> Result<Start, StoreError> {
        let (batch, limits, batches) = (id.to_owned(), limiter.limits().clone(), self.clone());
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let (name, now) = ([batch.as_str().into()], tx.now_statement());
                let first: [Statement<'_>; 3] = [(tx.server_statement(), &[]), (SELECT_BATCH, &name), (&now, &[])];
                let mut rows = tx.pipeline(&first).await?;
                let now = rows.pop().and_then(|mut rows| rows.pop()).map_or(0, |mut row| row.int());
                let found = rows.pop().and_then(|mut rows| rows.pop());
                check_server(tx, rows.pop().unwrap_or_default()).await?;
                let Some(found) = found else { return Ok(Started::Other(Start::NotFound)) };
                if let Some(other) = check(tx, &batch, found, &request, now).await? {
                    return Ok(Started::Other(other));
                }
                let queued = request.queued.map(crate::signed);
                let applicants = [Applicant { queued, batch: Some(batch.clone()) }];
                let locked = lock(tx, &limits, &applicants).await?;
                // The limiter's lock serializes the starts of all workers, so no other worker takes
                // this row.
                let Some(mut row) = tx.row(NEXT_ROW, &[batch.as_str().into()]).await? else {
                    return Ok(Started::Other(Start::InProgress));
                };
                let (number, attempt) = (row.int(), row.int() + 1);
                // The content is decrypted before the commit, so that an error rolls back the
                // transaction.
                let content = batches.unseal(&batch, crate::unsigned(number), &row.blob().unwrap_or_default())?;
                let now = locked.now();
                let (mut decisions, mut changes) = decide(tx, &limits, &applicants, locked).await?;
                let slot = match decisions.pop() {
                    None => return Ok(Started::Other(Start::InProgress)),
                    Some(Decision::Granted(slot)) => slot,
                    Some(Decision::Queued { number, remaining, paused_until }) => {
                        tx.commit_with(&statements(&changes)).await?;
                        let paused_until = paused_until.map(system_time);
                        let wait = Duration::from_millis(crate::unsigned(remaining));
                        let number = crate::unsigned(number);
                        return Ok(Started::Other(Start::Queued { number, wait, paused_until }));
                    }
                };
                changes.extend(intent(&batch, &request, [number, attempt, slot], now));
                tx.commit_with(&statements(&changes)).await?;
                Ok(Started::Row { number, attempt, content, slot })
            })
        }));
        match operation.await? {
            Started::Other(other) => Ok(other),
            Started::Row { number, attempt, content, slot } => {
                let (number, attempt) = (crate::unsigned(number), crate::unsigned(attempt));
                Ok(Start::Started(StartedRow { number, attempt, content, permit: limiter.permit(slot) }))
            }
        }
    }

    /// Undoes a [`start`](Self::start) whose commit was not confirmed. It makes the row ready and
    /// frees its slot.
    ///
    /// The row must not have been sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn undo_start(&self, id: &str, limiter: &StoreRunLimiter, attempt_key: &str) -> Result<(), StoreError> {
        let (batch, key, limit) = (id.to_owned(), attempt_key.to_owned(), limiter.limits().name.clone());
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                // Waits for a commit that is still in progress.
                let sql = "SELECT name FROM fetch_hive_limit WHERE name = $1 FOR UPDATE";
                tx.query(sql, &[limit.as_str().into()]).await?;
                let values = [batch.as_str().into(), key.as_str().into()];
                let sql = "UPDATE fetch_hive_batch_row SET state = 0, attempt_key = NULL \
                           WHERE batch = $1 AND attempt_key = $2 AND state IN (1, 6) RETURNING slot, number, attempt";
                if let Some(mut row) = tx.row(sql, &values).await? {
                    let sql = "DELETE FROM fetch_hive_slot WHERE name = $1 AND number = $2";
                    tx.execute(sql, &[limit.as_str().into(), row.int().into()]).await?;
                    let sql = "UPDATE fetch_hive_attempt SET verdict = 'not sent' \
                               WHERE batch = $1 AND number = $2 AND attempt = $3";
                    tx.execute(sql, &[batch.as_str().into(), row.int().into(), row.int().into()]).await?;
                    let sql = "UPDATE fetch_hive_batch SET runs = runs - 1, \
                               day_runs = CASE WHEN day_runs > 0 THEN day_runs - 1 ELSE 0 END WHERE id = $1";
                    tx.execute(sql, &[batch.as_str().into()]).await?;
                }
                Ok(())
            })
        }));
        operation.await
    }

    /// Removes a worker from the queue of the limiter.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn leave_queue(&self, limiter: &StoreRunLimiter, queued: u64) -> Result<(), StoreError> {
        let limit = limiter.limits().name.clone();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM fetch_hive_queue WHERE name = $1 AND number = $2";
                tx.execute(sql, &[limit.as_str().into(), crate::signed(queued).into()]).await
            })
        }));
        operation.await
    }
}

const SELECT_BATCH: &str = "SELECT state, reason, runs, day, day_runs, tokens, not_before FROM fetch_hive_batch \
                            WHERE id = $1 AND state > 0";

const NEXT_ROW: &str = "SELECT number, attempt, content FROM fetch_hive_batch_row \
                        WHERE batch = $1 AND state = 0 ORDER BY number LIMIT 1 FOR UPDATE";

/// Returns the result of a start if no row of the batch may start now.
async fn check(
    tx: &mut Tx,
    batch: &str,
    mut found: Row,
    request: &StartRequest,
    now: i64,
) -> Result<Option<Start>, StoreError> {
    let (state, reason) = (found.int(), found.text());
    let (runs, day, day_runs) = (crate::unsigned(found.int()), found.int(), crate::unsigned(found.int()));
    let (tokens, not_before) = (crate::unsigned(found.int()), found.int());
    let sql = "SELECT (SELECT number FROM fetch_hive_batch_row WHERE batch = $1 AND state = 0 LIMIT 1), \
               (SELECT number FROM fetch_hive_batch_row WHERE batch = $1 AND state IN (1, 2) LIMIT 1)";
    let row = tx.row(sql, &[batch.into()]).await?;
    let (ready, in_progress) = row.map_or((None, None), |mut row| (row.opt_int(), row.opt_int()));
    if ready.is_none() {
        return Ok(Some(if in_progress.is_some() { Start::InProgress } else { Start::Finished }));
    }
    if state == 2 {
        // A worker keeps running until the rows of other workers are settled or unknown.
        let paused = Start::Paused { reason: reason.unwrap_or_default() };
        return Ok(Some(if in_progress.is_some() { Start::InProgress } else { paused }));
    }
    let reached = |limit: Option<u64>, value: u64| limit.filter(|limit| value >= *limit);
    let pause = match (reached(request.max_runs, runs), reached(request.max_tokens, tokens)) {
        (Some(limit), _) => Some(format!("the limit of {limit} runs is reached (max_runs); raise it, then resume")),
        (_, Some(limit)) => Some(format!("the limit of {limit} tokens is reached (max_tokens); raise it, then resume")),
        _ => None,
    };
    if let Some(reason) = pause {
        super::update::pause(tx, batch, &reason).await?;
        return Ok(Some(Start::Paused { reason }));
    }
    let is_daily_limit = day == now / DAY && reached(request.max_runs_per_day, day_runs).is_some();
    let until = if is_daily_limit { (day + 1) * DAY } else { not_before };
    if until > now {
        let wait = Duration::from_millis(crate::unsigned(until - now));
        return Ok(Some(Start::Delayed { until: system_time(until), wait, is_daily_limit }));
    }
    Ok(None)
}

/// Returns the statements that store the intent to send a row.
fn intent(batch: &str, request: &StartRequest, [number, attempt, slot]: [i64; 3], now: i64) -> Changes {
    let key = request.attempt_key.as_str();
    let update_row = "UPDATE fetch_hive_batch_row SET state = $3, attempt = $4, attempt_key = $5, started = $6, \
                      lease_end = $7, slot = $8, token = NULL, request_id = NULL, result = NULL WHERE batch = $1 AND number = $2";
    let insert_attempt = "INSERT INTO fetch_hive_attempt (batch, number, attempt, started) VALUES ($1, $2, $3, $4)";
    let update_batch = "UPDATE fetch_hive_batch SET runs = runs + 1, \
                        day_runs = CASE WHEN day = $2 THEN day_runs + 1 ELSE 1 END, day = $2 WHERE id = $1";
    let lease_end = now + millis(request.lease);
    let starting = RowStatus::Starting.number();
    let row_values = vec![
        batch.into(),
        number.into(),
        starting.into(),
        attempt.into(),
        key.into(),
        now.into(),
        lease_end.into(),
        slot.into(),
    ];
    vec![
        (update_row, row_values),
        (insert_attempt, vec![batch.into(), number.into(), attempt.into(), now.into()]),
        (update_batch, vec![batch.into(), (now / DAY).into()]),
    ]
}
