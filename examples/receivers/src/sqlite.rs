use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use fetch_hive_client::BoxError;
use fetch_hive_client::callback::{Claim, ClaimLost, ClaimResult, DedupStore, EventKey};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

/// `lease_end` is in milliseconds since 1970, and null once the claim is committed. `number`
/// increases with each claim of an event, so that an expired claim cannot be committed.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS events (
        key TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        lease_end INTEGER
    ) WITHOUT ROWID;";

const CLAIM: &str = "
    INSERT INTO events (key, number, lease_end) VALUES (?1, 1, ?2)
    ON CONFLICT (key) DO UPDATE SET number = number + 1, lease_end = ?2 WHERE lease_end <= ?3
    RETURNING number";

const IS_HANDLED: &str = "SELECT lease_end IS NULL FROM events WHERE key = ?1";

const COMMIT: &str = "UPDATE events SET lease_end = NULL WHERE key = ?1 AND number = ?2";

const RELEASE: &str = "UPDATE events SET lease_end = 0 WHERE key = ?1 AND number = ?2 AND lease_end IS NOT NULL";

/// A dedup store in an SQLite file, for processes on one machine.
///
/// It never deletes events. Run a job that deletes old ones. Cloning shares the connection.
#[derive(Clone, Debug)]
pub struct SqliteDedupStore {
    connection: Arc<Mutex<Connection>>,
}

impl SqliteDedupStore {
    /// Opens or creates the file, and creates the tables of `schema` for the handlers.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened or the schema is invalid.
    pub fn open(file: impl AsRef<Path>, schema: &str) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        // Several processes write to the file.
        connection.busy_timeout(Duration::from_secs(30))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(schema)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Commits a claim and the work of its handler in one transaction.
    ///
    /// If the process is killed before the transaction ends, neither is stored, and the event is
    /// handled again.
    ///
    /// # Errors
    ///
    /// Returns [`ClaimLost`] if the event was claimed again since, or the error of the work.
    /// Nothing is stored then.
    pub async fn handle<T, W>(&self, claim: &Claim, work: W) -> Result<T, BoxError>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (key, number) = (claim.key.as_str().to_owned(), i64::try_from(claim.number)?);
        self.run_blocking(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if transaction.execute(COMMIT, params![key, number])? == 0 {
                return Err(ClaimLost.into());
            }
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
        .await
    }

    /// Runs blocking SQLite code on a thread for blocking work.
    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, BoxError> {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner)))
            .await?
    }
}

#[async_trait]
impl DedupStore for SqliteDedupStore {
    async fn claim(&self, key: &EventKey, lease: Duration) -> Result<ClaimResult, BoxError> {
        let key = key.clone();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let (now, lease_end) = (i64::try_from(now.as_millis())?, i64::try_from((now + lease).as_millis())?);
        self.run_blocking(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let number =
                transaction.query_row(CLAIM, params![key.as_str(), lease_end, now], |row| row.get::<_, i64>(0));
            let result = if let Some(number) = number.optional()? {
                ClaimResult::Acquired(Claim::new(key, u64::try_from(number)?))
            } else if transaction.query_row(IS_HANDLED, [key.as_str()], |row| row.get(0))? {
                ClaimResult::AlreadyHandled
            } else {
                ClaimResult::InProgress
            };
            transaction.commit()?;
            Ok(result)
        })
        .await
    }

    async fn commit(&self, claim: &Claim) -> Result<(), BoxError> {
        self.handle(claim, |_| Ok(())).await
    }

    async fn release(&self, claim: &Claim) -> Result<(), BoxError> {
        let (key, number) = (claim.key.as_str().to_owned(), i64::try_from(claim.number)?);
        self.run_blocking(move |connection| Ok(connection.execute(RELEASE, params![key, number]).map(drop)?)).await
    }
}
