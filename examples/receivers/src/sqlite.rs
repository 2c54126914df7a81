use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use fetch_hive_client::BoxError;
use fetch_hive_client::callback::{Claim, ClaimLost, ClaimResult, EventKey, DedupStore};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

/// A table of events; `until` is when the lease ends, in milliseconds since 1970, and null once the event was committed. The number goes up
/// with each claim, so that who comes back after the lease can be told from who has the event now.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS events (
        key TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        until INTEGER
    ) WITHOUT ROWID;";

const CLAIM: &str = "
    INSERT INTO events (key, number, until) VALUES (?1, 1, ?2)
    ON CONFLICT (key) DO UPDATE SET number = number + 1, until = ?2 WHERE until <= ?3
    RETURNING number";

const IS_DONE: &str = "SELECT until IS NULL FROM events WHERE key = ?1";

const COMMIT: &str = "UPDATE events SET until = NULL WHERE key = ?1 AND number = ?2";

const RELEASE: &str = "UPDATE events SET until = 0 WHERE key = ?1 AND number = ?2 AND until IS NOT NULL";

/// A repeat guard in an SQLite file, which the processes of one machine share. A clone shares the connection.
///
/// It never forgets an event; a job of yours may delete old ones.
#[derive(Clone, Debug)]
pub struct SqliteGuard {
    connection: Arc<Mutex<Connection>>,
}

impl SqliteGuard {
    /// Opens the file, or makes it, with further tables for the work of handlers.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, or the schema does not fit.
    pub fn open(file: impl AsRef<Path>, schema: &str) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        // Several processes write: each waits for the others.
        connection.busy_timeout(Duration::from_secs(30))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(schema)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Does a handler's work and commits its claim, both or neither: in one transaction. If the process is killed before its end, the event
    /// is handled again and nothing of the first time is there; after it, the event is known as handled.
    ///
    /// # Errors
    ///
    /// [`ClaimLost`] when another has the event meanwhile, and the error of the work; nothing was written then.
    pub async fn handle<T, W>(&self, claim: &Claim, work: W) -> Result<T, BoxError>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (key, number) = (claim.key.as_str().to_owned(), i64::try_from(claim.number)?);
        self.blocking(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if transaction.execute(COMMIT, params![key, number])? == 0 {
                return Err(ClaimLost.into());
            }
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }

    /// SQLite blocks, so it has threads of its own.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, BoxError> {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner)))
            .await?
    }
}

#[async_trait]
impl DedupStore for SqliteGuard {
    async fn claim(&self, key: &EventKey, lease: Duration) -> Result<ClaimResult, BoxError> {
        let key = key.clone();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let (now, until) = (i64::try_from(now.as_millis())?, i64::try_from((now + lease).as_millis())?);
        self.blocking(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let number = transaction.query_row(CLAIM, params![key.as_str(), until, now], |row| row.get::<_, i64>(0));
            let claimed = if let Some(number) = number.optional()? {
                ClaimResult::Acquired(Claim::new(key, u64::try_from(number)?))
            } else if transaction.query_row(IS_DONE, [key.as_str()], |row| row.get(0))? {
                ClaimResult::AlreadyHandled
            } else {
                ClaimResult::InProgress
            };
            transaction.commit()?;
            Ok(claimed)
        })
        .await
    }

    async fn commit(&self, claim: &Claim) -> Result<(), BoxError> {
        self.handle(claim, |_| Ok(())).await
    }

    async fn release(&self, claim: &Claim) -> Result<(), BoxError> {
        let (key, number) = (claim.key.as_str().to_owned(), i64::try_from(claim.number)?);
        self.blocking(move |connection| Ok(connection.execute(RELEASE, params![key, number]).map(drop)?)).await
    }
}
