//! SQLite: one thread per store owns the connection, and commits operations in groups.

use std::path::Path;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};
use tokio::sync::oneshot;

use crate::StoreError;
use crate::database::{Operation, Row, Statement, Tx, Value};
use crate::schema;
use crate::wake_ups::WakeUps;

/// The maximum number of operations in one transaction.
const MAX_GROUP: usize = 64;

/// The interval at which an idle thread checks for changes by other processes.
const POLL: Duration = Duration::from_millis(200);

/// Reports the result of an operation, unless its transaction could not be committed.
pub(crate) type Reply = Box<dyn FnOnce(Result<(), StoreError>)>;
/// An operation, which receives `None` if no transaction could be started.
pub(crate) type Job = Box<dyn FnOnce(Option<&mut Tx>) -> Reply + Send>;

#[derive(Clone)]
pub(crate) struct Sqlite {
    jobs: mpsc::Sender<Job>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, wake_ups: WakeUps) -> Result<Self, StoreError> {
        let failed = |reason: String| StoreError::Open { target: path.display().to_string(), reason };
        restrict_mode(path).map_err(|error| failed(error.to_string()))?;
        if let Some(kind) = network_file_system(path) {
            tracing::warn!(path = %path.display(), kind, "SQLite may lose data on a network file system");
        }
        let connection = Connection::open(path).map_err(|error| failed(error.to_string()))?;
        let mut tx = prepare(connection).map_err(|error| match error {
            StoreError::Database(reason) => failed(reason),
            other => other,
        })?;
        let (jobs, queue) = mpsc::channel();
        std::thread::Builder::new()
            .name("fetch-hive-store".into())
            .spawn(move || serve(&mut tx, &queue, &wake_ups))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { jobs })
    }

    pub(crate) async fn transaction<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T, StoreError> {
        let (job, receiver) = job(operation);
        let stopped = || StoreError::Database("the thread of the store ended".into());
        self.jobs.send(job).map_err(|_| stopped())?;
        receiver.await.map_err(|_| stopped())?
    }
}

/// Returns a job that runs an operation, and the receiver of its result.
pub(crate) fn job<T: Send + 'static>(operation: Operation<T>) -> (Job, oneshot::Receiver<Result<T, StoreError>>) {
    let (sender, receiver) = oneshot::channel();
    let job: Job = Box::new(move |tx| {
        let result = tx.map(|tx| run_operation(tx, operation));
        Box::new(move |committed| {
            let not_started = || Err(StoreError::Database("cannot begin a transaction".into()));
            drop(sender.send(match result {
                // The operation's error is more specific than the commit's.
                Some(Err(error)) => Err(error),
                Some(Ok(value)) => committed.map(|()| value),
                None => committed.and_then(|()| not_started()),
            }));
        })
    });
    (job, receiver)
}

/// Creates the file with mode 0600. SQLite creates the `-wal` and `-shm` files with the same mode.
fn restrict_mode(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
    }
    #[cfg(not(unix))]
    options.open(path)?;
    Ok(())
}

/// Returns the type of the file system if it is a known network file system. Works only on Linux.
fn network_file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    // The longest matching mount point contains the file.
    let (_, kind) = mounts.filter(|(point, _)| path.starts_with(point)).max_by_key(|(point, _)| point.len())?;
    let is_network =
        ["nfs", "cifs", "smb", "9p", "fuse.sshfs", "ceph", "glusterfs"].iter().any(|name| kind.starts_with(name));
    is_network.then(|| kind.to_owned())
}

/// A connection and the transaction of a group of operations.
pub(crate) struct Group {
    connection: Connection,
    /// Whether the current operation can be rolled back separately.
    has_savepoint: bool,
    /// Whether the current operation failed without a savepoint.
    is_broken: bool,
}

impl Group {
    fn new(connection: Connection) -> Self {
        Self { connection, has_savepoint: false, is_broken: false }
    }

    pub(crate) fn pipeline(&mut self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>, StoreError> {
        if !self.has_savepoint && !self.connection.is_autocommit() {
            query(&self.connection, "SAVEPOINT operation", &[])?;
            self.has_savepoint = true;
        }
        run(&self.connection, statements)
    }

    /// Runs the last statements of an operation. If the operation has no others, no savepoint is
    /// created, because it would cost more than the statements. A failure then rolls back the whole
    /// group.
    pub(crate) fn last(&mut self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>, StoreError> {
        let result = run(&self.connection, statements);
        self.is_broken = result.is_err() && !self.has_savepoint;
        result
    }
}

fn run(connection: &Connection, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>, StoreError> {
    statements.iter().map(|(sql, values)| query(connection, sql, values)).collect()
}

pub(crate) fn prepare(connection: Connection) -> Result<Tx, StoreError> {
    connection.busy_timeout(Duration::from_secs(5)).map_err(database_error)?;
    connection.set_prepared_statement_cache_capacity(64);
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(database_error)?;
    if mode != "wal" {
        return Err(StoreError::Database(format!("journal mode is {mode} instead of WAL; use a local file system")));
    }
    // With the default cache of 2 MB, lookups of random tokens would reread many pages.
    let settings = "PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE";
    connection.execute_batch(settings).map_err(database_error)?;
    let mut tx = Tx::Sqlite(Group::new(connection));
    run_operation(&mut tx, Box::new(|tx| Box::pin(schema::migrate(tx))))?;
    run_operation(&mut tx, Box::new(|tx| Box::pin(expire_leases_of_earlier_boot(tx))))?;
    batch(group(&mut tx)?, "COMMIT")?;
    Ok(tx)
}

/// Expires leases whose holders cannot have survived a reboot. Slots stay occupied until their hold
/// expires.
async fn expire_leases_of_earlier_boot(tx: &mut Tx) -> Result<(), StoreError> {
    let Ok(boot) = std::fs::read_to_string("/proc/sys/kernel/random/boot_id") else { return Ok(()) };
    let sql = "UPDATE fetch_hive_boot SET id = $1 WHERE id <> $1 RETURNING id";
    if tx.row(sql, &[boot.trim().into()]).await?.is_some() {
        tx.execute("UPDATE fetch_hive_run SET lease_end = 0", &[]).await?;
        tx.execute("UPDATE fetch_hive_event SET lease_end = 0 WHERE lease_end IS NOT NULL", &[]).await?;
        tx.execute("DELETE FROM fetch_hive_queue", &[]).await?;
    }
    Ok(())
}

/// Polls an operation once, because SQLite operations never wait.
fn run_now<T>(future: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(StoreError::Database("an operation on SQLite waited".into())),
    }
}

fn run_operation<T>(tx: &mut Tx, operation: Operation<T>) -> Result<T, StoreError> {
    let result = run_now(operation(tx));
    let group = group(tx)?;
    let has_savepoint = std::mem::take(&mut group.has_savepoint);
    let is_broken = std::mem::take(&mut group.is_broken);
    // If the disk is full, SQLite itself rolls back the whole transaction.
    if !group.connection.is_autocommit() {
        if is_broken {
            batch(group, "ROLLBACK")?;
        } else if has_savepoint {
            if result.is_err() {
                batch(group, "ROLLBACK TO operation")?;
            }
            query(&group.connection, "RELEASE operation", &[])?;
        }
    }
    result
}

#[cfg_attr(not(feature = "postgres"), expect(clippy::unnecessary_wraps))]
fn group(tx: &mut Tx) -> Result<&mut Group, StoreError> {
    match tx {
        Tx::Sqlite(group) => Ok(group),
        #[cfg(feature = "postgres")]
        Tx::Postgres(_) => Err(StoreError::Database("not a SQLite transaction".into())),
    }
}

/// Returns whether a transaction is open.
fn is_open(tx: &mut Tx) -> bool {
    group(tx).is_ok_and(|group| !group.connection.is_autocommit())
}

fn serve(tx: &mut Tx, queue: &mpsc::Receiver<Job>, wake_ups: &WakeUps) {
    let mut version = 0;
    loop {
        match queue.recv_timeout(POLL) {
            Ok(job) => {
                let jobs: Vec<_> = std::iter::once(job).chain(queue.try_iter().take(MAX_GROUP - 1)).collect();
                commit(tx, jobs);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                // `data_version` changes when another connection commits.
                let current = run_now(tx.row("PRAGMA data_version", &[])).ok().flatten();
                let current = current.map_or(version, |mut row| row.int());
                if current != version {
                    version = current;
                    wake_ups.wake_all();
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Runs operations in one transaction, and replies after the commit. If an operation ends the
/// transaction, the remaining operations run in another one.
pub(crate) fn commit(tx: &mut Tx, jobs: Vec<Job>) {
    let mut jobs = jobs.into_iter();
    while jobs.len() > 0 {
        if let Err(error) = group(tx).and_then(|group| batch(group, "BEGIN IMMEDIATE")) {
            let reason = reason(error);
            for job in jobs {
                job(None)(Err(StoreError::Database(reason.clone())));
            }
            return;
        }
        let mut replies = Vec::with_capacity(jobs.len());
        while let Some(job) = if is_open(tx) { jobs.next() } else { None } {
            replies.push(job(Some(&mut *tx)));
        }
        let committed = if is_open(tx) {
            group(tx).and_then(|group| batch(group, "COMMIT")).map_err(reason)
        } else {
            Err("another operation rolled back the transaction; retry".to_owned())
        };
        if is_open(tx) {
            let _ = group(tx).and_then(|group| batch(group, "ROLLBACK"));
        }
        for reply in replies {
            reply(committed.clone().map_err(StoreError::Database));
        }
    }
}

fn reason(error: StoreError) -> String {
    match error {
        StoreError::Database(reason) => reason,
        other => other.to_string(),
    }
}

fn batch(group: &Group, sql: &str) -> Result<(), StoreError> {
    group.connection.execute_batch(sql).map_err(database_error)
}

fn query(connection: &Connection, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
    // SQLite locks the whole file, and writes numbered parameters with question marks.
    let sql = sql.replace('$', "?").replace(" FOR UPDATE", "");
    let mut statement = connection.prepare_cached(&sql).map_err(database_error)?;
    let columns = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(database_error)?;
    let mut result = Vec::new();
    while let Some(row) = rows.next().map_err(database_error)? {
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(match row.get_ref(column).map_err(database_error)? {
                ValueRef::Null => Value::Int(None),
                ValueRef::Integer(value) => value.into(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).as_ref().into(),
                ValueRef::Blob(bytes) => bytes.to_vec().into(),
                ValueRef::Real(_) => return Err(StoreError::Database("unexpected column type".into())),
            });
        }
        result.push(Row::new(values));
    }
    Ok(result)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Int(value) => value.to_sql(),
            Self::Text(value) => value.to_sql(),
            Self::Blob(value) => value.to_sql(),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
pub(crate) fn database_error(error: rusqlite::Error) -> StoreError {
    StoreError::Database(match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy) => "another process has locked the file for more than 5 s".into(),
        Some(rusqlite::ErrorCode::ReadOnly) => "the file or its folder is read-only".into(),
        Some(rusqlite::ErrorCode::DiskFull) => "the disk is full, so nothing was stored".into(),
        _ => error.to_string(),
    })
}
