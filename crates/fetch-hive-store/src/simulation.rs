//! A SQLite database that uses the tokio runtime's clock, for `cargo xtask simulate`.
//!
//! With a paused clock, a day takes minutes. The schema, statements and transactions are the same
//! as for a SQLite file. Notifications reach every process, as with PostgreSQL.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rusqlite::functions::FunctionFlags;
use tokio::time::Instant;

use crate::database::{Operation, Tx};
use crate::wake_ups::WakeUps;
use crate::{Database, Store, StoreBuilder, StoreError, sqlite};

/// The latency between a process and the database, in each direction.
const LATENCY: Duration = Duration::from_millis(1);

/// The Julian day of 1970-01-01 00:00 UTC, as in the statement that reads the time.
const EPOCH: f64 = 2_440_587.5;

/// A database that simulated processes share. Cloning is cheap.
#[derive(Clone)]
pub struct SimulatedDatabase(Arc<Shared>);

struct Shared {
    tx: Mutex<Tx>,
    is_down: AtomicBool,
    /// The number of upcoming commits whose reply is lost.
    lost_replies: AtomicU64,
    transactions: AtomicU64,
    /// The waiters of each process, in a fixed order to make simulations reproducible.
    processes: Mutex<Vec<WakeUps>>,
}

impl fmt::Debug for SimulatedDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedDatabase").finish_non_exhaustive()
    }
}

impl SimulatedDatabase {
    /// Creates a database in a new file. Its clock starts at `start`.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened.
    pub fn create(path: &Path, start: SystemTime) -> Result<Self, StoreError> {
        let connection = rusqlite::Connection::open(path).map_err(sqlite::database_error)?;
        let (began, start) = (Instant::now(), start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        connection
            .create_scalar_function("julianday", 1, FunctionFlags::SQLITE_UTF8, move |_| {
                Ok(EPOCH + (start + began.elapsed()).as_secs_f64() / 86_400.0)
            })
            .map_err(sqlite::database_error)?;
        Ok(Self(Arc::new(Shared {
            tx: Mutex::new(sqlite::prepare(connection)?),
            is_down: AtomicBool::new(false),
            lost_replies: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
            processes: Mutex::default(),
        })))
    }

    /// Connects a process. Setting the returned flag kills the process, as `kill -9` would: nothing
    /// that it has begun continues.
    pub fn connect(&self) -> (Store, Arc<AtomicBool>) {
        let (wake_ups, receiver) = WakeUps::new();
        lock(&self.0.processes).push(wake_ups.clone());
        let is_killed = Arc::new(AtomicBool::new(false));
        let connection = Connection { database: self.clone(), is_killed: Arc::clone(&is_killed) };
        (StoreBuilder::default().build(Database::Simulated(connection), wake_ups, receiver), is_killed)
    }

    /// Sets whether all transactions fail. The next `lost_replies` transactions are committed,
    /// although their processes receive an error.
    pub fn set_down(&self, is_down: bool, lost_replies: u64) {
        self.0.is_down.store(is_down, Ordering::Relaxed);
        self.0.lost_replies.store(lost_replies, Ordering::Relaxed);
    }

    /// Returns the number of transactions since the database was created.
    pub fn transactions(&self) -> u64 {
        self.0.transactions.load(Ordering::Relaxed)
    }
}

/// The connection of one process.
pub(crate) struct Connection {
    database: SimulatedDatabase,
    is_killed: Arc<AtomicBool>,
}

impl Connection {
    pub(crate) async fn transaction<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T, StoreError> {
        self.travel().await;
        let database = &self.database.0;
        let take_one = |left: u64| left.checked_sub(1);
        let is_lost = database.lost_replies.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok();
        if database.is_down.load(Ordering::Relaxed) && !is_lost {
            return Err(StoreError::Database("the database cannot be reached".into()));
        }
        database.transactions.fetch_add(1, Ordering::Relaxed);
        let (job, receiver) = sqlite::job(operation);
        sqlite::commit(&mut lock(&database.tx), vec![job]);
        self.travel().await;
        if is_lost {
            return Err(StoreError::Database("the commit was not confirmed; the changes may be stored".into()));
        }
        receiver.await.map_err(|_| StoreError::Database("the transaction was not run".into()))?
    }

    pub(crate) fn notify(&self, key: &[u8]) {
        if !self.database.0.is_down.load(Ordering::Relaxed) {
            for wake_ups in lock(&self.database.0.processes).iter() {
                wake_ups.wake(key);
            }
        }
    }

    async fn travel(&self) {
        tokio::time::sleep(LATENCY).await;
        if self.is_killed.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
