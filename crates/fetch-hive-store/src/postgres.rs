//! PostgreSQL: a pool of connections, and one connection that listens for changes.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::watch;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;
use crate::database::{Operation, Row, Tx, Value};
use crate::schema;

const CHANNEL: &str = "fetch_hive";

/// Starts a transaction whose commit is durable and whose waits are limited.
const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'; \
                     SET LOCAL statement_timeout = '30s'; SET LOCAL idle_in_transaction_session_timeout = '30s'";

#[derive(Clone)]
pub(crate) struct Postgres {
    pool: Pool,
}

impl Postgres {
    pub(crate) async fn connect(url: &str, changes: watch::Sender<u64>) -> Result<Self, StoreError> {
        let invalid = |reason: String| StoreError::Open { target: "PostgreSQL".into(), reason };
        let (url, parameters) = split_parameters(url);
        let mut config: Config = url.parse().map_err(|error| invalid(describe(&error)))?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        let target = target(&config);
        let failed = |reason: String| StoreError::Open { target: target.clone(), reason };
        let tls = parameters.tls(&mut config).map_err(failed)?;
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match &tls {
            Some(tls) => Manager::from_config(config.clone(), tls.clone(), manager_config),
            None => Manager::from_config(config.clone(), NoTls, manager_config),
        };
        let timeout = Some(Duration::from_secs(10));
        let pool = Pool::builder(manager)
            .max_size(8)
            .runtime(Runtime::Tokio1)
            .wait_timeout(timeout)
            .create_timeout(timeout)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        let store = Self { pool };
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
            tokio::spawn(listen(config, tls, changes));
        }
        Ok(store)
    }

    /// Runs an operation in its own task, so that dropping the future never leaves a transaction
    /// open.
    pub(crate) async fn transaction<T: Send + 'static>(&self, operation: Operation<T>) -> Result<T, StoreError> {
        let pool = self.pool.clone();
        let task = tokio::spawn(async move {
            let client = pool.get().await.map_err(|error| StoreError::Database(describe(&error)))?;
            client.batch_execute(BEGIN).await.map_err(|error| StoreError::Database(describe(&error)))?;
            let mut tx = Tx::Postgres(client);
            let result = operation(&mut tx).await;
            finish(tx, result).await
        });
        task.await.map_err(|error| StoreError::Database(error.to_string()))?
    }

    /// Wakes the other processes. It is a hint, so errors are ignored.
    pub(crate) async fn notify(&self, payload: &str) {
        let Ok(client) = self.pool.get().await else { return };
        let values: [(&(dyn ToSql + Sync), Type); 2] = [(&CHANNEL, Type::TEXT), (&payload, Type::TEXT)];
        if let Err(error) = client.query_typed("SELECT pg_notify($1, $2)", &values).await {
            tracing::debug!(%error, "notification failed");
        }
    }
}

#[cfg_attr(not(feature = "sqlite"), expect(irrefutable_let_patterns))]
async fn finish<T>(tx: Tx, result: Result<T, StoreError>) -> Result<T, StoreError> {
    let Tx::Postgres(client) = tx else { return result };
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    if let Err(error) = client.batch_execute(end).await {
        // Its transaction may still be open.
        drop(Object::take(client));
        result?;
        return Err(StoreError::Database(format!("the commit was not confirmed: {}", describe(&error))));
    }
    result
}

/// The parameters that `tokio-postgres` does not parse.
struct Parameters {
    sslmode: String,
    root_certificate: Option<String>,
    listen: bool,
}

fn split_parameters(url: &str) -> (String, Parameters) {
    let mut parameters = Parameters { sslmode: "prefer".into(), root_certificate: None, listen: true };
    let Some((base, query)) = url.split_once('?') else { return (url.into(), parameters) };
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", value)) => parameters.sslmode = value.into(),
            Some(("sslrootcert", value)) => parameters.root_certificate = Some(value.into()),
            Some(("listen", value)) => parameters.listen = value != "false",
            _ => rest.push(pair),
        }
    }
    (if rest.is_empty() { base.into() } else { format!("{base}?{}", rest.join("&")) }, parameters)
}

impl Parameters {
    /// Returns the TLS connector, or `None` for plain text.
    fn tls(&self, config: &mut Config) -> Result<Option<MakeRustlsConnect>, String> {
        let local = config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)));
        match self.sslmode.as_str() {
            "disable" => {
                config.ssl_mode(SslMode::Disable);
                return Ok(None);
            }
            "prefer" => config.ssl_mode(SslMode::Prefer),
            "verify-full" => config.ssl_mode(SslMode::Require),
            mode @ ("allow" | "require" | "verify-ca") => {
                return Err(format!("sslmode={mode} is unsupported; use verify-full, prefer or disable"));
            }
            mode => return Err(format!("invalid sslmode {mode}")),
        };
        if local {
            config.ssl_mode(SslMode::Disable);
            return Ok(None);
        }
        let mut roots = rustls::RootCertStore::empty();
        if let Some(path) = &self.root_certificate {
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| format!("{path}: {error}"))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| format!("{path}: {error}"))?;
                roots.add(certificate).map_err(|error| format!("{path}: {error}"))?;
            }
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Some(MakeRustlsConnect::new(tls)))
    }
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

/// Listens for changes and reconnects. Waiters poll meanwhile.
async fn listen(config: Config, tls: Option<MakeRustlsConnect>, changes: watch::Sender<u64>) {
    loop {
        let result = match &tls {
            Some(tls) => match config.connect(tls.clone()).await {
                Ok((client, connection)) => relay(client, connection, &changes).await,
                Err(error) => Err(error),
            },
            None => match config.connect(NoTls).await {
                Ok((client, connection)) => relay(client, connection, &changes).await,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = result {
            tracing::debug!(error = %describe(&error), "listening connection failed");
        }
        if changes.is_closed() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn relay<S, T>(
    client: tokio_postgres::Client,
    mut connection: tokio_postgres::Connection<S, T>,
    changes: &watch::Sender<u64>,
) -> Result<(), tokio_postgres::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut listening = pin!(client.batch_execute("LISTEN fetch_hive"));
    let mut is_listening = false;
    let mut closed = pin!(changes.closed());
    poll_fn(|cx| {
        loop {
            if closed.as_mut().poll(cx).is_ready() {
                return std::task::Poll::Ready(Ok(()));
            }
            if !is_listening && listening.as_mut().poll(cx).is_ready() {
                is_listening = true;
                // Changes before this moment were not notified.
                changes.send_modify(|count| *count += 1);
            }
            match std::task::ready!(connection.poll_message(cx)) {
                Some(Ok(AsyncMessage::Notification(_))) => changes.send_modify(|count| *count += 1),
                Some(Ok(_)) => {}
                Some(Err(error)) => return std::task::Poll::Ready(Err(error)),
                None => return std::task::Poll::Ready(Ok(())),
            }
        }
    })
    .await
}

/// Runs an unnamed statement, which works behind a pooler in transaction mode.
pub(crate) async fn query(client: &Object, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
    let values: Vec<(&(dyn ToSql + Sync), Type)> = values
        .iter()
        .map(|value| match value {
            Value::Int(value) => (value as &(dyn ToSql + Sync), Type::INT8),
            Value::Text(value) => (value as _, Type::TEXT),
            Value::Blob(value) => (value as _, Type::BYTEA),
        })
        .collect();
    let failed = |error: tokio_postgres::Error| StoreError::Database(describe(&error));
    let rows = client.query_typed(sql, &values).await.map_err(failed)?;
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
        result.push(columns.into_iter());
    }
    Ok(result)
}

/// Returns the messages of an error and its sources.
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
