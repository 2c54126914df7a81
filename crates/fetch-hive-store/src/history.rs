use std::fmt;
use std::time::Duration;

use crate::database::{Row, Tx, Value};
use crate::{Store, StoreError, millis};

/// The number of entries that are kept.
const KEPT: i64 = 10_000;

const COLUMNS: &str = "number, started, arguments, operation, target, duration, verdict, exit_code, request_id, \
                       tokens, error";

/// A history of the commands that were run with a [`Store`].
///
/// Store an entry before a command sends anything, so that the entry remains if the process is
/// killed. The last 10,000 entries are kept.
#[derive(Clone)]
pub struct StoreHistory(Store);

impl fmt::Debug for StoreHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHistory").finish_non_exhaustive()
    }
}

/// An entry of a [`StoreHistory`].
///
/// `Debug` does not show the arguments.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The number of the entry, counted from 1.
    pub number: i64,
    /// The time at which the command started, in milliseconds since 1970.
    pub started: i64,
    /// The arguments of the command. They must not contain secrets.
    pub arguments: String,
    /// The operation that the command called, such as `invokeWorkflow`.
    pub operation: String,
    /// The deployment or the agent that was invoked.
    pub target: Option<String>,
    /// The request id of the run, if it is known.
    pub request_id: Option<String>,
    /// The outcome, or `None` if the command is still running or was killed.
    pub outcome: Option<HistoryOutcome>,
}

impl fmt::Debug for HistoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryEntry")
            .field("number", &self.number)
            .field("operation", &self.operation)
            .field("target", &self.target)
            .field("request_id", &self.request_id)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// The outcome of a command in a [`StoreHistory`].
///
/// `Debug` does not show the error message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HistoryOutcome {
    /// A short verdict, such as `ok`.
    pub verdict: String,
    /// The exit code of the command.
    pub exit_code: u8,
    /// The duration of the command.
    pub duration: Duration,
    /// The request id of the run.
    pub request_id: Option<String>,
    /// The number of tokens that the run used.
    pub tokens: Option<u64>,
    /// The error message. It must not contain secrets.
    pub error: Option<String>,
}

impl fmt::Debug for HistoryOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryOutcome")
            .field("verdict", &self.verdict)
            .field("exit_code", &self.exit_code)
            .field("duration", &self.duration)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Returns the history of commands.
    pub fn history(&self) -> StoreHistory {
        StoreHistory(self.clone())
    }
}

impl StoreHistory {
    /// Adds an entry for a command that starts now, and returns the number of the entry.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn start(&self, arguments: &str, operation: &str, target: Option<&str>) -> Result<i64, StoreError> {
        let values: [Value; 3] = [arguments.into(), operation.into(), target.map(str::to_owned).into()];
        self.0.transaction(Box::new(move |tx| Box::pin(async move { insert(tx, values).await }))).await
    }

    /// Stores the request id of the run that the command has started.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn set_request_id(&self, number: i64, request_id: &str) -> Result<(), StoreError> {
        let values = [number.into(), request_id.into()];
        let sql = "UPDATE fetch_hive_history SET request_id = $2 WHERE number = $1";
        self.0.transaction(Box::new(move |tx| Box::pin(async move { tx.execute(sql, &values).await }))).await
    }

    /// Stores the outcome of a command.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn finish(&self, number: i64, outcome: &HistoryOutcome) -> Result<(), StoreError> {
        let tokens = outcome.tokens.map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX));
        let values: [Value; 7] = [
            number.into(),
            millis(outcome.duration).into(),
            outcome.verdict.as_str().into(),
            i64::from(outcome.exit_code).into(),
            outcome.request_id.clone().into(),
            tokens.into(),
            outcome.error.clone().into(),
        ];
        let sql = "UPDATE fetch_hive_history SET duration = $2, verdict = $3, exit_code = $4, \
                   request_id = COALESCE($5, request_id), tokens = $6, error = $7 WHERE number = $1";
        self.0.transaction(Box::new(move |tx| Box::pin(async move { tx.execute(sql, &values).await }))).await
    }

    /// Returns at most `limit` entries, newest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn list(&self, limit: u32) -> Result<Vec<HistoryEntry>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM fetch_hive_history ORDER BY number DESC LIMIT $1");
        let values = [i64::from(limit).into()];
        let operation = Box::pin(self.0.transaction(Box::new(move |tx: &mut Tx| {
            Box::pin(async move { tx.query(&sql, &values).await.map(|rows| rows.into_iter().map(entry).collect()) })
        })));
        operation.await
    }

    /// Returns the entry with a number, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn get(&self, number: i64) -> Result<Option<HistoryEntry>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM fetch_hive_history WHERE number = $1");
        let values = [number.into()];
        let operation = Box::pin(self.0.transaction(Box::new(move |tx: &mut Tx| {
            Box::pin(async move { Ok(tx.row(&sql, &values).await?.map(entry)) })
        })));
        operation.await
    }

    /// Deletes all entries, and returns how many there were.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn clear(&self) -> Result<u64, StoreError> {
        let sql = "DELETE FROM fetch_hive_history RETURNING number";
        let deleted = self.0.transaction(Box::new(move |tx| Box::pin(async move { tx.query(sql, &[]).await })));
        Ok(deleted.await?.len() as u64)
    }
}

async fn insert(tx: &mut Tx, [arguments, operation, target]: [Value; 3]) -> Result<i64, StoreError> {
    let sql = "INSERT INTO fetch_hive_meta (name, value) VALUES ('history', 1) \
               ON CONFLICT (name) DO UPDATE SET value = fetch_hive_meta.value + 1 RETURNING value";
    let number = tx.row(sql, &[]).await?.map_or(1, |mut row| row.int());
    let now = tx.now().await?;
    let sql = "INSERT INTO fetch_hive_history (number, started, arguments, operation, target) \
               VALUES ($1, $2, $3, $4, $5)";
    tx.execute(sql, &[number.into(), now.into(), arguments, operation, target]).await?;
    tx.execute("DELETE FROM fetch_hive_history WHERE number <= $1", &[(number - KEPT).into()]).await?;
    Ok(number)
}

fn entry(mut row: Row) -> HistoryEntry {
    let (number, started) = (row.int(), row.int());
    let (arguments, operation) = (row.text().unwrap_or_default(), row.text().unwrap_or_default());
    let (target, duration, verdict) = (row.text(), row.int(), row.text());
    let (exit_code, request_id, tokens, error) = (row.int(), row.text(), row.opt_int(), row.text());
    let outcome = verdict.map(|verdict| HistoryOutcome {
        verdict,
        exit_code: u8::try_from(exit_code).unwrap_or(1),
        duration: Duration::from_millis(u64::try_from(duration).unwrap_or_default()),
        request_id: request_id.clone(),
        tokens: tokens.and_then(|tokens| u64::try_from(tokens).ok()),
        error,
    });
    HistoryEntry { number, started, arguments, operation, target, request_id, outcome }
}
