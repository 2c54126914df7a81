use std::fmt;
use std::time::Duration;

use super::{RowStatus, StoreBatches};
use crate::database::Tx;
use crate::{StoreError, millis};

/// The circuit breaker pauses a batch if this many first rows are all failed or unknown.
const FIRST_ROWS: i64 = 3;

/// The number of recent rows that the circuit breaker considers, and how many of them may be failed
/// or unknown.
const LAST_ROWS: u32 = 50;
const MAX_FAILURES: u32 = 10;

/// The maximum delay after the service could not be reached or refused a run, in milliseconds.
const MAX_BACKOFF: i64 = 60_000;

/// A change to the status of a row.
#[derive(Clone)]
#[non_exhaustive]
pub struct RowUpdate {
    /// The number of the row.
    pub number: u64,
    /// The attempt that the change belongs to. The change has no effect if a later attempt has
    /// started.
    pub attempt: u64,
    /// The new status.
    pub status: RowStatus,
    /// The result of the row, if it has one.
    pub result: Option<Vec<u8>>,
    /// The reason for the status, which is recorded with the attempt.
    pub verdict: String,
    /// The request id of the run.
    pub request_id: Option<String>,
    /// The number of tokens that the run used.
    pub tokens: u64,
    /// The delay before an accepted run is looked up.
    pub look_up_in: Option<Duration>,
    /// The wait that the service requested, for a row that becomes ready again. The whole batch
    /// waits for at least a second, and longer after each further refusal.
    pub retry_after: Option<Duration>,
    /// The reason for pausing the batch, if it should be paused.
    pub pause: Option<String>,
    /// Whether to acknowledge the run's event in the same transaction.
    pub acknowledges_event: bool,
}

impl RowUpdate {
    /// Creates a change to the given status.
    pub fn new(number: u64, attempt: u64, status: RowStatus, verdict: impl Into<String>) -> Self {
        Self {
            number,
            attempt,
            status,
            result: None,
            verdict: verdict.into(),
            request_id: None,
            tokens: 0,
            look_up_in: None,
            retry_after: None,
            pause: None,
            acknowledges_event: false,
        }
    }
}

impl fmt::Debug for RowUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowUpdate")
            .field("number", &self.number)
            .field("attempt", &self.attempt)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl StoreBatches {
    /// Changes the status of a row. Returns whether the change had an effect.
    ///
    /// It has no effect on a settled row, or if a later attempt has started.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails. The call can then be retried.
    pub async fn update(&self, id: &str, update: &RowUpdate) -> Result<bool, StoreError> {
        let (batch, update) = (id.to_owned(), update.clone());
        let result = update.result.as_ref().map(|result| self.seal(id, update.number, result)).transpose()?;
        let operation =
            self.0.transaction(Box::new(move |tx| Box::pin(async move { apply(tx, &batch, &update, result).await })));
        let applied = operation.await?;
        if applied {
            self.0.notify(id.as_bytes()).await;
        }
        Ok(applied)
    }

    /// Extends the leases of rows whose requests are being sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn renew(&self, id: &str, rows: &[(u64, u64)], lease: Duration) -> Result<(), StoreError> {
        let (batch, rows) = (id.to_owned(), rows.to_vec());
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let lease_end = tx.now().await? + millis(lease);
                let sql = "UPDATE fetch_hive_batch_row SET lease_end = $4 \
                           WHERE batch = $1 AND number = $2 AND attempt = $3 AND state = 1";
                for (number, attempt) in rows {
                    let (number, attempt) = (crate::signed(number), crate::signed(attempt));
                    tx.execute(sql, &[batch.as_str().into(), number.into(), attempt.into(), lease_end.into()]).await?;
                }
                Ok(())
            })
        }));
        operation.await
    }

    /// Marks rows as unknown if their workers disappeared while sending the request. Returns the
    /// numbers of these rows.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn sweep(&self, id: &str) -> Result<Vec<u64>, StoreError> {
        let batch = id.to_owned();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let now = tx.now().await?;
                let sql = "SELECT number, attempt FROM fetch_hive_batch_row \
                           WHERE batch = $1 AND state = 1 AND lease_end <= $2 ORDER BY number";
                let mut swept = Vec::new();
                for mut row in tx.query(sql, &[batch.as_str().into(), now.into()]).await? {
                    let (number, attempt) = (crate::unsigned(row.int()), crate::unsigned(row.int()));
                    let update = RowUpdate::new(number, attempt, RowStatus::Unknown, "its worker disappeared");
                    if apply(tx, &batch, &update, None).await? {
                        swept.push(number);
                    }
                }
                Ok(swept)
            })
        }));
        operation.await
    }

    /// Rejects a ready row, so that the batch continues without running it. Returns whether the row
    /// was ready.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn reject(&self, id: &str, number: u64, result: &[u8]) -> Result<bool, StoreError> {
        let (batch, result) = (id.to_owned(), self.seal(id, number, result)?);
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE fetch_hive_batch_row SET state = 5, result = $3 \
                           WHERE batch = $1 AND number = $2 AND state = 0 RETURNING number";
                let values = [batch.as_str().into(), crate::signed(number).into(), result.into()];
                Ok(tx.row(sql, &values).await?.is_some())
            })
        }));
        operation.await
    }

    /// Makes rows with the status `state` ready for another attempt, and returns their number. Call
    /// it only if a person allows another run.
    ///
    /// If `number` is set, only that row is changed.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn run_again(&self, id: &str, state: RowStatus, number: Option<u64>) -> Result<u64, StoreError> {
        let batch = id.to_owned();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let select = "SELECT number, attempt FROM fetch_hive_batch_row WHERE batch = $1 AND state = $2 \
                              AND number = COALESCE($3, number) FOR UPDATE";
                let number = number.map(crate::signed);
                let rows = tx.query(select, &[batch.as_str().into(), state.number().into(), number.into()]).await?;
                let count = rows.len() as u64;
                for mut row in rows {
                    let values = [batch.as_str().into(), row.int().into(), row.int().into()];
                    let sql = "UPDATE fetch_hive_batch_row SET state = 0, attempt_key = NULL \
                               WHERE batch = $1 AND number = $2 AND attempt = $3";
                    let ledger = "UPDATE fetch_hive_attempt SET resolution = 'run again' \
                                  WHERE batch = $1 AND number = $2 AND attempt = $3";
                    tx.pipeline(&[(sql, &values), (ledger, &values)]).await?;
                }
                Ok(count)
            })
        }));
        let count = operation.await?;
        self.0.notify(id.as_bytes()).await;
        Ok(count)
    }
}

/// Pauses a running batch.
pub(super) async fn pause(tx: &mut Tx, batch: &str, reason: &str) -> Result<(), StoreError> {
    let sql = "UPDATE fetch_hive_batch SET state = 2, reason = $2 WHERE id = $1 AND state = 1";
    tx.execute(sql, &[batch.into(), reason.replace('\0', "").as_str().into()]).await
}

/// Returns the condition under which a row can change to a status. A ready row with an earlier
/// attempt means that a promoted standby is missing the intent.
fn condition(state: RowStatus) -> &'static str {
    match state {
        // An attempt that was certainly not sent may already have been marked as unknown.
        RowStatus::Ready => "attempt = $3 AND state IN (1, 6)",
        RowStatus::Accepted => "attempt = $3 AND state IN (1, 6) OR attempt < $3 AND state = 0",
        RowStatus::Unknown => "attempt = $3 AND state IN (1, 2) OR attempt < $3 AND state = 0",
        _ => "attempt = $3 AND state IN (1, 2, 6) OR attempt < $3 AND state = 0",
    }
}

async fn apply(tx: &mut Tx, batch: &str, update: &RowUpdate, result: Option<Vec<u8>>) -> Result<bool, StoreError> {
    let RowUpdate { status: state, verdict, request_id, tokens, look_up_in, .. } = update;
    let (number, attempt) = (crate::signed(update.number), crate::signed(update.attempt));
    // PostgreSQL cannot store NUL characters in text columns.
    let (verdict, request_id) = (verdict.replace('\0', ""), request_id.as_ref().map(|id| id.replace('\0', "")));
    let lock = "SELECT recent, recent_count, not_before, backoffs FROM fetch_hive_batch WHERE id = $1 FOR UPDATE";
    let old_state = "SELECT state FROM fetch_hive_batch_row WHERE batch = $1 AND number = $2";
    let (id, row) = ([batch.into()], [batch.into(), number.into()]);
    let now = tx.now_statement();
    let mut found = tx.pipeline(&[(lock, &id), (&now, &[]), (old_state, &row)]).await?.into_iter();
    let mut first = || found.next().and_then(|rows| rows.into_iter().next());
    let (Some(mut counters), Some(mut now), Some(mut old)) = (first(), first(), first()) else { return Ok(false) };
    let (recent, recent_count, not_before) = (counters.int(), counters.int(), counters.int());
    let (backoffs, now, was_unknown) =
        (counters.int(), now.int(), RowStatus::from_number(old.int()) == RowStatus::Unknown);

    let due = look_up_in.map_or(0, |wait| now + millis(wait));
    let sql = format!(
        "UPDATE fetch_hive_batch_row SET state = $4, result = COALESCE($5, result), \
         request_id = COALESCE($6, request_id), due = $7, attempt = $3 \
         WHERE batch = $1 AND number = $2 AND ({}) RETURNING token",
        condition(*state)
    );
    let row_values = [
        batch.into(),
        number.into(),
        attempt.into(),
        state.number().into(),
        result.into(),
        request_id.clone().into(),
        due.into(),
    ];
    let Some(mut row) = tx.row(&sql, &row_values).await? else { return Ok(false) };
    if let Some(token) = row.blob().filter(|_| update.acknowledges_event) {
        let sql = "UPDATE fetch_hive_run SET state = 2, delivery = NULL, changed = $2 WHERE token = $1";
        tx.execute(sql, &[token.into(), now.into()]).await?;
    }
    let ledger = "INSERT INTO fetch_hive_attempt (batch, number, attempt, started, ended, verdict, request_id) \
                  VALUES ($1, $2, $3, $4, $4, $5, $6) ON CONFLICT (batch, number, attempt) DO UPDATE SET \
                  ended = excluded.ended, verdict = excluded.verdict, \
                  request_id = COALESCE(excluded.request_id, fetch_hive_attempt.request_id)";
    let ledger_values =
        [batch.into(), number.into(), attempt.into(), now.into(), verdict.as_str().into(), request_id.clone().into()];
    // An unknown row was already counted when it became unknown.
    let breaker = Breaker { recent, count: recent_count };
    let breaker = if was_unknown { breaker } else { breaker.after(*state) };
    let is_not_sent = i64::from(*state == RowStatus::Ready);
    let (not_before, backoffs) = if is_not_sent == 0 || update.pause.is_some() {
        // A delay that the service requested remains in effect.
        (not_before, 0)
    } else {
        let backoff = (1_000 << backoffs.min(6)).min(MAX_BACKOFF);
        (now + backoff.max(update.retry_after.map_or(0, millis)), backoffs + 1)
    };
    let sql = "UPDATE fetch_hive_batch SET tokens = tokens + $2, recent = $3, recent_count = $4, \
               runs = runs - $5, day_runs = CASE WHEN day_runs > $5 THEN day_runs - $5 ELSE 0 END, not_before = $6, backoffs = $7 WHERE id = $1";
    let tokens = crate::signed(*tokens);
    let batch_values = [
        batch.into(),
        tokens.into(),
        breaker.recent.into(),
        breaker.count.into(),
        is_not_sent.into(),
        not_before.into(),
        backoffs.into(),
    ];
    tx.pipeline(&[(ledger, &ledger_values), (sql, &batch_values)]).await?;
    if let Some(reason) = update.pause.clone().or_else(|| breaker.reason(*state).filter(|_| !was_unknown)) {
        pause(tx, batch, &reason).await?;
    }
    Ok(true)
}

/// The outcomes of the last rows, with one bit per row, where 1 means failed or unknown.
struct Breaker {
    recent: i64,
    count: i64,
}

impl Breaker {
    fn after(self, state: RowStatus) -> Self {
        let failed = match state {
            RowStatus::Failed | RowStatus::Unknown => 1,
            RowStatus::Succeeded | RowStatus::Rejected => 0,
            _ => return self,
        };
        let window = (1_i64 << LAST_ROWS) - 1;
        Self { recent: ((self.recent << 1) | failed) & window, count: self.count + 1 }
    }

    /// Returns the reason why the batch must be paused after this outcome, or `None`.
    fn reason(&self, state: RowStatus) -> Option<String> {
        let failures = self.recent.count_ones();
        if !matches!(state, RowStatus::Failed | RowStatus::Unknown) {
            None
        } else if self.count == FIRST_ROWS && i64::from(failures) == FIRST_ROWS {
            Some(format!("the first {FIRST_ROWS} rows are failed or unknown; check them, then resume"))
        } else if failures > MAX_FAILURES {
            let rows = self.count.min(LAST_ROWS.into());
            Some(format!("{failures} of the last {rows} rows are failed or unknown; check them, then resume"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(states: impl IntoIterator<Item = RowStatus>) -> Option<String> {
        let mut breaker = Breaker { recent: 0, count: 0 };
        let mut reason = None;
        for state in states {
            breaker = breaker.after(state);
            reason = reason.or_else(|| breaker.reason(state));
        }
        reason
    }

    #[test]
    fn breaker_trips_after_three_first_failures() {
        let tripped = reason([RowStatus::Failed, RowStatus::Unknown, RowStatus::Failed]);
        assert_eq!(tripped.as_deref(), Some("the first 3 rows are failed or unknown; check them, then resume"));
        assert_eq!(reason([RowStatus::Failed, RowStatus::Succeeded, RowStatus::Failed]), None);
        assert_eq!(reason([RowStatus::Rejected; 3]), None);
    }

    #[test]
    fn breaker_trips_above_a_fifth_of_the_last_fifty() {
        let rows = |failed: usize| {
            (0..50).map(move |row| if row % 5 < failed { RowStatus::Failed } else { RowStatus::Succeeded })
        };
        assert_eq!(reason([RowStatus::Succeeded].into_iter().chain(rows(1))), None);
        let one_more = [RowStatus::Succeeded].into_iter().chain(rows(1)).chain([RowStatus::Unknown]);
        assert_eq!(reason(one_more), None, "the first failure left the window");
        let tripped = reason([RowStatus::Succeeded].into_iter().chain(rows(2)));
        assert_eq!(tripped.as_deref(), Some("11 of the last 27 rows are failed or unknown; check them, then resume"));
    }
}
