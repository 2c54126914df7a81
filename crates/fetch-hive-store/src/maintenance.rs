//! Deletes old records and confirms a new database server.

use std::time::Duration;

use fetch_hive_client::types::RequestId;

use crate::database::Tx;
use crate::run_limiter::confirm_server;
use crate::{Store, StoreError, millis};

/// How long acknowledged runs and keys of handled events are kept, so that redeliveries are
/// recognized.
const KEPT: Duration = Duration::from_secs(72 * 60 * 60);

/// How long runs are kept whose start was never recorded.
const KEPT_UNSTARTED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The maximum number of rows that one transaction deletes.
const CHUNK: i64 = 1_000;

const PURGED: [&str; 4] = [
    "DELETE FROM fetch_hive_run WHERE token IN \
     (SELECT token FROM fetch_hive_run WHERE state = 2 AND changed < $1 LIMIT $2) RETURNING number",
    "DELETE FROM fetch_hive_held WHERE token IN (SELECT h.token FROM fetch_hive_held h JOIN fetch_hive_run r \
     ON r.token = h.token WHERE r.state = 0 AND r.started = 0 AND r.changed < $1 LIMIT $2) RETURNING number",
    "DELETE FROM fetch_hive_run WHERE token IN \
     (SELECT token FROM fetch_hive_run WHERE state = 0 AND started = 0 AND changed < $1 LIMIT $2) RETURNING number",
    "DELETE FROM fetch_hive_event WHERE key IN \
     (SELECT key FROM fetch_hive_event WHERE lease_end IS NULL AND changed < $1 LIMIT $2) RETURNING number",
];

/// The number of rows that [`Store::purge`] deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// The number of runs whose event had been acknowledged.
    pub runs: u64,
    /// The number of runs that were opened more than 30 days ago, and whose start was never
    /// recorded. Their process ended before it read the response, or before it sent the request.
    pub unstarted_runs: u64,
    /// The number of keys of handled events.
    pub events: u64,
}

impl Store {
    /// Deletes records of acknowledged runs and keys of handled events that are older than 72
    /// hours, and runs that were opened more than 30 days ago but never recorded as started.
    ///
    /// Started runs whose event has not arrived or has not been acknowledged are kept. Call this
    /// method about once a day.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails. Rows deleted before the failure stay deleted.
    pub async fn purge(&self) -> Result<Purged, StoreError> {
        let [runs, held, unstarted_runs, events] = PURGED;
        self.purge_rows(held, KEPT_UNSTARTED).await?;
        Ok(Purged {
            runs: self.purge_rows(runs, KEPT).await?,
            unstarted_runs: self.purge_rows(unstarted_runs, KEPT_UNSTARTED).await?,
            events: self.purge_rows(events, KEPT).await?,
        })
    }

    async fn purge_rows(&self, sql: &'static str, kept: Duration) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let deleted = self.transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let before = tx.now().await? - millis(kept);
                    tx.query(sql, &[before.into(), CHUNK.into()]).await
                })
            }));
            let deleted = deleted.await?.len();
            total += deleted as u64;
            if (deleted as u64) < crate::unsigned(CHUNK) {
                return Ok(total);
            }
        }
    }

    /// Deletes a run's event, secret and held deliveries. Returns whether anything was stored.
    ///
    /// A call that is waiting for the run then fails within 10 s.
    ///
    /// If another process started the run, it may keep the run's secret in memory until it exits or
    /// has started 4,096 more runs.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn erase_run(&self, request_id: &RequestId) -> Result<bool, StoreError> {
        self.started_runs().erase(request_id.as_str());
        let request_id = request_id.to_string();
        let operation =
            self.transaction(Box::new(move |tx| Box::pin(async move { erase(tx, request_id.as_str()).await })));
        operation.await
    }

    /// Confirms the current PostgreSQL server after [`StoreError::ServerChanged`], which allows
    /// runs to start again.
    ///
    /// A promoted standby may be missing the last committed transactions. Before you confirm it,
    /// find out which runs were started while the old server was in use.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn confirm_server(&self) -> Result<(), StoreError> {
        self.transaction(Box::new(|tx| Box::pin(confirm_server(tx)))).await
    }
}

async fn erase(tx: &mut Tx, request_id: &str) -> Result<bool, StoreError> {
    let tokens = "(SELECT token FROM fetch_hive_run WHERE request_id = $1)";
    tx.execute(&format!("DELETE FROM fetch_hive_held WHERE token IN {tokens}"), &[request_id.into()]).await?;
    let sql = "DELETE FROM fetch_hive_run WHERE request_id = $1 RETURNING number";
    Ok(!tx.query(sql, &[request_id.into()]).await?.is_empty())
}
