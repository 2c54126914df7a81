#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "postgres"), allow(clippy::unused_async, reason = "only PostgreSQL waits"))]

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
compile_error!("fetch-hive-store needs the feature `sqlite` or `postgres`");

pub mod batches;
mod database;
mod dedup;
mod error;
mod history;
mod maintenance;
mod pending_runs;
#[cfg(feature = "postgres")]
mod postgres;
mod run_limiter;
mod schema;
mod seal;
mod secrets;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;
#[cfg(feature = "sqlite")]
mod sqlite;
mod started_runs;
mod wake_ups;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fetch_hive_client::callback::Receiver;
use tokio::sync::watch;

pub use dedup::{CommitStatement, StoreDedup};
pub use error::StoreError;
pub use history::{HistoryEntry, HistoryOutcome, StoreHistory};
pub use maintenance::Purged;
pub use pending_runs::StorePendingRuns;
pub use run_limiter::{OnStoreFailure, StoreRunLimiter, StoreRunLimiterBuilder};
pub use secrets::StoreSecrets;

use database::Operation;
use seal::Sealer;
use started_runs::StartedRuns;
use wake_ups::{WakeUp, WakeUps};

/// Durable state that several processes can share. Cloning is cheap.
///
/// A store needs a tokio runtime with its timer enabled.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    database: Database,
    sealer: Sealer,
    started_runs: StartedRuns,
    wake_ups: WakeUps,
    /// The number of operations that run in the background.
    background: watch::Sender<usize>,
    /// Dropping the last receiver closes the listening connection.
    _receiver: watch::Receiver<u64>,
    runtime: tokio::runtime::Handle,
}

enum Database {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::Sqlite),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Postgres),
    #[cfg(feature = "simulation")]
    Simulated(simulation::Connection),
}

/// A builder for a [`Store`], for example with a key that encrypts payloads and secrets.
#[derive(Default)]
pub struct StoreBuilder {
    sealer: Sealer,
}

impl fmt::Debug for StoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreBuilder").finish_non_exhaustive()
    }
}

impl StoreBuilder {
    /// Encrypts stored payloads and secrets with AES-256-GCM. The key id is authenticated with each
    /// value.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Sealed`] if the key is rejected.
    pub fn seal_with(mut self, key_id: &str, key: &[u8; 32]) -> Result<Self, StoreError> {
        self.sealer = Sealer::new(key_id, key)?;
        Ok(self)
    }

    /// Opens a SQLite file, and creates it if it does not exist.
    ///
    /// If other users have access to the file, its mode is set to 0600.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened, or if a newer version of this crate has
    /// changed its tables.
    #[cfg(feature = "sqlite")]
    pub async fn open(self, path: impl AsRef<std::path::Path>) -> Result<Store, StoreError> {
        let path = path.as_ref().to_owned();
        let (wake_ups, receiver) = WakeUps::new();
        let own = wake_ups.clone();
        let opened = tokio::task::spawn_blocking(move || sqlite::Sqlite::open(&path, own)).await;
        let opened = opened.map_err(|error| StoreError::Database(error.to_string()))??;
        Ok(self.build(Database::Sqlite(opened), wake_ups, receiver))
    }

    /// Connects to a PostgreSQL database, and creates the tables if they do not exist.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid, if the server cannot be reached within 10 s, or if a
    /// newer version of this crate has changed the tables.
    #[cfg(feature = "postgres")]
    pub async fn connect(self, url: &str) -> Result<Store, StoreError> {
        let (wake_ups, receiver) = WakeUps::new();
        let database = postgres::Postgres::connect(url, wake_ups.clone()).await?;
        Ok(self.build(Database::Postgres(database), wake_ups, receiver))
    }

    fn build(self, database: Database, wake_ups: WakeUps, receiver: watch::Receiver<u64>) -> Store {
        let runtime = tokio::runtime::Handle::current();
        let background = watch::Sender::new(0);
        let (sealer, started_runs) = (self.sealer, StartedRuns::default());
        Store(Arc::new(Shared { database, sealer, started_runs, wake_ups, background, _receiver: receiver, runtime }))
    }
}

impl Store {
    /// Returns a builder for setting options.
    pub fn builder() -> StoreBuilder {
        StoreBuilder::default()
    }

    /// Opens a SQLite file. Short for [`StoreBuilder::open`].
    ///
    /// # Errors
    ///
    /// See [`StoreBuilder::open`].
    #[cfg(feature = "sqlite")]
    pub async fn open(path: impl AsRef<std::path::Path>) -> Result<Self, StoreError> {
        Self::builder().open(path).await
    }

    /// Connects to a PostgreSQL database. Short for [`StoreBuilder::connect`].
    ///
    /// # Errors
    ///
    /// See [`StoreBuilder::connect`].
    #[cfg(feature = "postgres")]
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Returns a limiter for the concurrent runs of all processes that use the same name. Pass it
    /// to [`ClientBuilder::run_limiter`](fetch_hive_client::ClientBuilder::run_limiter).
    ///
    /// Use one name per workspace, because the plan limits each workspace separately. The number of
    /// slots that was stored first is used. If `max_runs` differs from it, a warning is logged.
    pub fn run_limiter(&self, name: &str, max_runs: u32) -> Arc<StoreRunLimiter> {
        self.run_limiter_builder(name, max_runs).build()
    }

    /// Returns a builder for a [`run_limiter`](Self::run_limiter) with custom settings.
    pub fn run_limiter_builder(&self, name: &str, max_runs: u32) -> StoreRunLimiterBuilder {
        StoreRunLimiterBuilder::new(self.clone(), name, max_runs)
    }

    /// Creates a receiver for callbacks to a public URL. It keeps its pending runs, handled events
    /// and secrets in this store.
    ///
    /// Any process that uses the store can receive the callback for a run, and any process can wait
    /// for it.
    pub fn receiver(&self, callback_url: &str) -> Receiver {
        Receiver::with_callback_url(callback_url)
            .pending_runs(self.pending_runs())
            .dedup(self.dedup())
            .secret_source(self.secrets())
    }

    /// Returns the store's pending runs, for
    /// [`Receiver::pending_runs`](fetch_hive_client::callback::Receiver::pending_runs).
    pub fn pending_runs(&self) -> StorePendingRuns {
        StorePendingRuns::new(self.clone())
    }

    /// Returns the dedup store, for
    /// [`Receiver::dedup`](fetch_hive_client::callback::Receiver::dedup).
    pub fn dedup(&self) -> StoreDedup {
        StoreDedup(self.clone())
    }

    async fn transaction<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T, StoreError> {
        match &self.0.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(database) => database.transaction(operation).await,
            #[cfg(feature = "postgres")]
            Database::Postgres(database) => database.transaction(operation).await,
            #[cfg(feature = "simulation")]
            Database::Simulated(database) => database.transaction(operation).await,
        }
    }

    /// Wakes the waiters for a key in all processes, after a commit.
    async fn notify(&self, key: &[u8]) {
        self.notify_own(key);
        match &self.0.database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite(_) => {}
            #[cfg(feature = "postgres")]
            Database::Postgres(database) => {
                database.notify(key).await;
            }
            #[cfg(feature = "simulation")]
            Database::Simulated(database) => database.notify(key),
        }
    }

    /// Wakes the waiters for a key in this process.
    fn notify_own(&self, key: &[u8]) {
        self.0.wake_ups.wake(key);
    }

    /// Subscribes to the changes that [`notify`](Self::notify) reports for a key.
    fn subscribe(&self, key: &[u8]) -> WakeUp {
        self.0.wake_ups.subscribe(key)
    }

    fn started_runs(&self) -> &StartedRuns {
        &self.0.started_runs
    }

    fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    /// Waits until all background changes, such as freed run slots, have been stored.
    ///
    /// Call it before the process ends, with a timeout in case the database is unavailable.
    pub async fn flush(&self) {
        drop(self.0.background.subscribe().wait_for(|count| *count == 0).await);
    }

    /// Runs an operation in the background, and logs its error.
    fn detach(&self, operation: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        let background = self.0.background.clone();
        background.send_modify(|count| *count += 1);
        self.0.runtime.spawn(async move {
            if let Err(error) = operation.await {
                tracing::warn!(%error, "an update of the store failed");
            }
            background.send_modify(|count| *count -= 1);
        });
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

fn digest(text: &str) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

/// `u64::cast_signed` needs Rust 1.87.
fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}
