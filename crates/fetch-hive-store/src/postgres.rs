//! PostgreSQL: a connection pool, and one connection that listens for notifications.

mod tls;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use futures_util::future::{try_join, try_join_all, try_join3};
use tokio_postgres::config::Host;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::tls::SslMode;
use crate::StoreError;
use crate::database::{Operation, Row, Statement, Tx, Value};
use crate::schema;
use crate::wake_ups::WakeUps;

const CHANNEL: &str = "fetch_hive";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to begin a transaction before it is considered broken.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(3);

/// If the server has responded within this time, connections are not checked before use.
const RECENT: Duration = Duration::from_secs(1);

/// The timeout of a transaction, which is longer than the server-side timeouts.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(35);

/// How long sent bytes may stay unacknowledged, and how long a connection is idle before it is
/// checked.
const TCP_TIMEOUT: Duration = Duration::from_secs(30);

/// Begins a transaction with a durable commit and with timeouts. A suspended process holds its
/// locks for at most 5 s.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'; \
                     SET LOCAL statement_timeout = '30s'; SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// Sends a notification for a key.
const NOTIFY: &str = "SELECT pg_notify($1, encode(sha256($2), 'hex'))";

/// Sends notifications for the token of a run and for the limiter whose slot the run's event has
/// freed.
const NOTIFY_EVENT: &str = "SELECT pg_notify($1, encode(sha256($2), 'hex')) UNION ALL \
                            SELECT pg_notify($1, encode(sha256(convert_to(s.name, 'UTF8')), 'hex')) \
                            FROM fetch_hive_run r JOIN fetch_hive_slot s ON s.request_id = r.request_id \
                            WHERE r.token = $2";

#[derive(Clone)]
pub(crate) struct Postgres {
    pool: Pool,
    last_answer: Arc<Mutex<Option<Instant>>>,
}

impl Postgres {
    pub(crate) async fn connect(url: &str, wake_ups: WakeUps) -> Result<Self, StoreError> {
        let invalid = |reason: String| StoreError::Open { target: "PostgreSQL".into(), reason };
        let parameters = Parameters::split(url);
        let mut config: Config = parameters.rest.parse().map_err(|error| invalid(describe(&error)))?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.tcp_user_timeout(TCP_TIMEOUT).keepalives_idle(TCP_TIMEOUT).keepalives_interval(TCP_TIMEOUT / 3);
        let target = target(&config);
        let failed = |reason: String| StoreError::Open { target: target.clone(), reason };
        // The connect timeout does not cover the TLS handshake and authentication.
        let chosen = tokio::time::timeout(CONNECT_TIMEOUT, choose_tls(&mut config, &parameters)).await;
        let silent = |_| failed(format!("the server did not answer within {CONNECT_TIMEOUT:?}"));
        let tls = chosen.map_err(silent)?.map_err(failed)?;
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match &tls {
            Some(tls) => Manager::from_config(config.clone(), tls.clone(), manager_config),
            None => Manager::from_config(config.clone(), NoTls, manager_config),
        };
        let timeout = Some(CONNECT_TIMEOUT);
        let pool = Pool::builder(manager)
            .max_size(8)
            .runtime(Runtime::Tokio1)
            .wait_timeout(timeout)
            .create_timeout(timeout)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        let store = Self { pool, last_answer: Arc::default() };
        let migrate: Operation<()> = Box::new(|tx| {
            Box::pin(async move {
                tx.execute("SELECT pg_advisory_xact_lock(7310294417)", &[]).await?;
                schema::migrate(tx).await
            })
        });
        store.transaction(migrate).await.map_err(|error| match error {
            StoreError::Database(reason) => failed(reason),
            other => other,
        })?;
        if parameters.listen {
            tokio::spawn(listen(config, tls, wake_ups));
        }
        Ok(store)
    }

    /// Runs an operation in a separate task, so that dropping the future never leaves a transaction
    /// open.
    pub(crate) async fn transaction<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T, StoreError> {
        let store = self.clone();
        let task = tokio::spawn(async move {
            let mut tx = Tx::Postgres(store.begin().await?);
            let work = async move {
                let result = operation(&mut tx).await;
                finish(tx, result).await
            };
            let silent = |_| {
                StoreError::Database(format!(
                    "the database did not answer within {TRANSACTION_TIMEOUT:?}; the changes may be stored"
                ))
            };
            let result = tokio::time::timeout(TRANSACTION_TIMEOUT, work).await.map_err(silent)?;
            if result.is_ok() {
                *store.last_answer() = Some(Instant::now());
            }
            result
        });
        task.await.map_err(|error| StoreError::Database(error.to_string()))?
    }

    fn last_answer(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last_answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a connection for a transaction. If the server has responded recently, the
    /// transaction begins in the same round trip as its first statements.
    async fn begin(&self) -> Result<OpenTransaction, StoreError> {
        let has_answered = self.last_answer().is_some_and(|answer| answer.elapsed() < RECENT);
        let mut tx = OpenTransaction { pool: self.pool.clone(), connection: None, stage: Stage::New };
        tx.connect().await?;
        if !has_answered {
            tx.pipeline(&[], End::Open).await?;
        }
        Ok(tx)
    }

    /// Wakes the other processes. Errors are ignored, because waiters also poll.
    pub(crate) async fn notify(&self, key: &[u8]) {
        if let Ok(connection) = self.pool.get().await {
            notify(&connection, NOTIFY, key).await;
        }
    }
}

/// A connection with a transaction. Dropping it closes the connection instead of returning it to
/// the pool.
pub(crate) struct OpenTransaction {
    pool: Pool,
    connection: Option<Object>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    New,
    Begun,
    Committed,
}

/// What follows the statements in the same round trip.
#[derive(Clone, Copy)]
pub(crate) enum End<'a> {
    Open,
    Commit,
    /// A commit, and notifications for a run and for its slot's limiter.
    CommitEvent(&'a [u8]),
}

impl OpenTransaction {
    /// Runs statements in order without waiting for each response, and returns the rows of each
    /// statement. The first call also begins the transaction.
    pub(crate) async fn pipeline(
        &mut self,
        statements: &[Statement<'_>],
        end: End<'_>,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        loop {
            let connection = self.connection()?;
            let begin = async {
                if self.stage == Stage::New { begin(connection).await.map_err(Failure::Begin) } else { Ok(()) }
            };
            let queries = async {
                let queries = statements.iter().map(|(sql, values)| query(connection, sql, values));
                try_join_all(queries).await.map_err(Failure::Other)
            };
            let commit =
                async { if let End::Open = end { Ok(()) } else { commit(connection).await.map_err(Failure::Other) } };
            let notification = async {
                if let End::CommitEvent(token) = end {
                    notify(connection, NOTIFY_EVENT, token).await;
                }
                Ok(())
            };
            match try_join3(begin, queries, try_join(commit, notification)).await {
                Ok(((), rows, ..)) => {
                    self.stage = if let End::Open = end { Stage::Begun } else { Stage::Committed };
                    return Ok(rows);
                }
                // A pooled connection that does not respond is replaced, unless the transaction may
                // have been committed. The other idle connections are probably broken too, so they
                // are closed.
                Err(Failure::Begin(_)) if matches!(end, End::Open) && Object::metrics(connection).recycle_count > 0 => {
                    drop(self.pool.retain(|_, _| false));
                    self.close();
                    self.connect().await?;
                }
                Err(Failure::Begin(error)) => {
                    // A connection that does not respond would not respond to a rollback either.
                    self.close();
                    return Err(error);
                }
                Err(Failure::Other(error)) => return Err(error),
            }
        }
    }

    async fn connect(&mut self) -> Result<(), StoreError> {
        let connected = self.pool.get().await;
        self.connection = Some(connected.map_err(|error| StoreError::Database(describe(&error)))?);
        Ok(())
    }

    fn connection(&self) -> Result<&Object, StoreError> {
        let connection = self.connection.as_ref().filter(|_| self.stage != Stage::Committed);
        connection.ok_or_else(|| StoreError::Database("the transaction has ended".into()))
    }

    /// Closes the connection instead of returning it to the pool.
    fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

/// The error of a pipeline.
enum Failure {
    /// The transaction could not begin.
    Begin(StoreError),
    Other(StoreError),
}

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        self.close();
    }
}

async fn begin(connection: &Object) -> Result<(), StoreError> {
    let silent = |_| StoreError::Database(format!("the database did not answer within {BEGIN_TIMEOUT:?}"));
    tokio::time::timeout(BEGIN_TIMEOUT, run(connection, BEGIN)).await.map_err(silent)?
}

async fn notify(connection: &Object, sql: &str, key: &[u8]) {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&CHANNEL, Type::TEXT), (&key, Type::BYTEA)];
    if let Err(error) = connection.query_typed(sql, &values).await {
        tracing::debug!(%error, "notification failed");
    }
}

async fn run(connection: &Object, sql: &str) -> Result<(), StoreError> {
    connection.batch_execute(sql).await.map_err(|error| StoreError::Database(describe(&error)))
}

async fn commit(connection: &Object) -> Result<(), StoreError> {
    let failed =
        |error| StoreError::Database(format!("the commit was not confirmed: {error}; the changes may be stored"));
    connection.batch_execute("COMMIT").await.map_err(|error| failed(describe(&error)))
}

#[cfg_attr(not(feature = "sqlite"), expect(irrefutable_let_patterns))]
async fn finish<T>(tx: Tx, result: Result<T, StoreError>) -> Result<T, StoreError> {
    let Tx::Postgres(mut tx) = tx else { return result };
    let Some(connection) = &tx.connection else { return result };
    let ended = match (&result, tx.stage) {
        (_, Stage::Committed) => Ok(()),
        (Ok(_), _) => commit(connection).await,
        (Err(_), _) => run(connection, "ROLLBACK").await,
    };
    match (ended, result) {
        (Ok(()), result) => {
            // Returns the connection to the pool.
            drop(tx.connection.take());
            result
        }
        (Err(_), Err(error)) | (Err(error), Ok(_)) => Err(error),
    }
}

/// The connection parameters that `tokio-postgres` does not parse, and the rest of the URL.
struct Parameters {
    sslmode: Result<SslMode, String>,
    root_certificate: Option<String>,
    listen: bool,
    rest: String,
}

impl Parameters {
    /// Splits a URL with a query, or a string of `key=value` pairs.
    fn split(url: &str) -> Self {
        let mut parameters =
            Self { sslmode: Ok(SslMode::Prefer), root_certificate: None, listen: true, rest: String::new() };
        let (base, query, separator) = match url.split_once('?') {
            Some((base, query)) => (base, query, '&'),
            None if url.contains("://") => (url, "", '&'),
            None => ("", url, ' '),
        };
        let mut rest = Vec::new();
        for pair in query.split(separator) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => parameters.sslmode = SslMode::parse(value),
                Some(("sslrootcert", value)) => parameters.root_certificate = Some(value.into()),
                Some(("listen", value)) => parameters.listen = value != "false",
                _ => rest.push(pair),
            }
        }
        let rest = rest.join(&separator.to_string());
        parameters.rest =
            if base.is_empty() || rest.is_empty() { base.to_owned() + &rest } else { format!("{base}?{rest}") };
        parameters
    }
}

/// Connects once to find out whether to use TLS, and returns the connector for it.
async fn choose_tls(config: &mut Config, parameters: &Parameters) -> Result<Option<MakeRustlsConnect>, String> {
    let mode = parameters.sslmode.clone()?;
    let is_local = config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)));
    let attempts = if is_local { SslMode::Disable.attempts() } else { mode.attempts() };
    let mut first_error = None;
    for with_tls in attempts {
        let connected = if *with_tls {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
            let tls = tls::connector(mode, parameters.root_certificate.as_deref())?;
            config.connect(tls.clone()).await.map(|_| Some(tls))
        } else {
            config.ssl_mode(tokio_postgres::config::SslMode::Disable);
            config.connect(NoTls).await.map(|_| None)
        };
        match (connected, &first_error) {
            (Ok(tls), Some(error)) if tls.is_none() => {
                tracing::warn!(%error, "the connection to PostgreSQL is not encrypted; sslmode=require prevents this");
                return Ok(tls);
            }
            (Ok(tls), _) => return Ok(tls),
            (Err(error), _) => first_error = first_error.or_else(|| Some(describe(&error))),
        }
    }
    Err(first_error.unwrap_or_default())
}

fn target(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(host) => host.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("{}:{port}", hosts.collect::<Vec<_>>().join(","))
}

/// Listens for notifications, and reconnects if the connection is lost. In the meantime, waiters
/// poll.
async fn listen(config: Config, tls: Option<MakeRustlsConnect>, wake_ups: WakeUps) {
    loop {
        let result = match &tls {
            Some(tls) => match config.connect(tls.clone()).await {
                Ok((client, connection)) => relay(client, connection, &wake_ups).await,
                Err(error) => Err(error),
            },
            None => match config.connect(NoTls).await {
                Ok((client, connection)) => relay(client, connection, &wake_ups).await,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = result {
            tracing::debug!(error = %describe(&error), "listening connection failed");
        }
        if wake_ups.is_closed() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn relay<S, T>(
    client: tokio_postgres::Client,
    mut connection: tokio_postgres::Connection<S, T>,
    wake_ups: &WakeUps,
) -> Result<(), tokio_postgres::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut listening = pin!(client.batch_execute("LISTEN fetch_hive"));
    let mut is_listening = false;
    let mut closed = pin!(wake_ups.closed());
    poll_fn(|cx| {
        loop {
            if closed.as_mut().poll(cx).is_ready() {
                return std::task::Poll::Ready(Ok(()));
            }
            if !is_listening && listening.as_mut().poll(cx).is_ready() {
                is_listening = true;
                // Notifications that were sent before this moment have been missed.
                wake_ups.wake_all();
            }
            match std::task::ready!(connection.poll_message(cx)) {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    // The payload is the key's digest.
                    match notification.payload().get(..2).map(|byte| u8::from_str_radix(byte, 16)) {
                        Some(Ok(first_byte)) => wake_ups.wake_group(first_byte),
                        _ => wake_ups.wake_all(),
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return std::task::Poll::Ready(Err(error)),
                None => return std::task::Poll::Ready(Ok(())),
            }
        }
    })
    .await
}

/// Runs an unnamed statement, which also works with a pooler in transaction mode.
async fn query(connection: &Object, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
    let values: Vec<(&(dyn ToSql + Sync), Type)> = values
        .iter()
        .map(|value| match value {
            Value::Int(value) => (value as &(dyn ToSql + Sync), Type::INT8),
            Value::Text(value) => (value as _, Type::TEXT),
            Value::Blob(value) => (value as _, Type::BYTEA),
        })
        .collect();
    let failed = |error: tokio_postgres::Error| StoreError::Database(describe(&error));
    let rows = connection.query_typed(sql, &values).await.map_err(failed)?;
    let mut result = Vec::with_capacity(rows.len());
    for row in rows {
        let mut columns = Vec::with_capacity(row.len());
        for (index, column) in row.columns().iter().enumerate() {
            columns.push(match *column.type_() {
                Type::INT8 => Value::Int(row.try_get(index).map_err(failed)?),
                Type::TEXT => Value::Text(row.try_get(index).map_err(failed)?),
                Type::BYTEA => Value::Blob(row.try_get(index).map_err(failed)?),
                _ => Value::Int(None),
            });
        }
        result.push(Row::new(columns));
    }
    Ok(result)
}

/// Returns the messages of an error and of its sources.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        source = error.source();
    }
    text
}
