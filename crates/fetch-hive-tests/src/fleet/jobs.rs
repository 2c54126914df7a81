//! The tables of the test, in the database of the store.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fetch_hive_store::CommitStatement;
use fetch_hive_tests::process::BoxError;
use rusqlite::OptionalExtension as _;
use tokio::sync::Mutex as AsyncMutex;
use tokio_postgres::NoTls;

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Ready,
    Starting,
    Started,
    Unknown,
    Done,
}

const STATES: [State; 5] = [State::Ready, State::Starting, State::Started, State::Unknown, State::Done];

const TABLES: &str = "CREATE TABLE fleet_run (id BIGINT PRIMARY KEY, state BIGINT NOT NULL, token TEXT, \
                      waited_until BIGINT NOT NULL); \
                      CREATE TABLE fleet_handled (id BIGINT NOT NULL)";

/// How long a process owns a run before another one may start it or wait for it, in milliseconds.
const WAIT_MS: i64 = 3_000;

/// How long the database may take for a transaction, before its connection counts as broken.
const SILENCE: Duration = Duration::from_secs(8);

/// A connection to the tables. A closed PostgreSQL connection is replaced.
pub(crate) enum Jobs {
    Postgres { url: String, client: AsyncMutex<Option<tokio_postgres::Client>> },
    Sqlite(Mutex<rusqlite::Connection>),
}

/// A parameter of a statement.
#[derive(Clone)]
pub(crate) enum Value {
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row with a number and a text.
type Row = (i64, Option<String>);

impl Jobs {
    pub(crate) fn open(database: &str) -> Result<Self, BoxError> {
        if database.starts_with("postgres://") {
            return Ok(Self::Postgres { url: database.to_owned(), client: AsyncMutex::default() });
        }
        let connection = rusqlite::Connection::open(database)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch("PRAGMA journal_mode = WAL")?;
        Ok(Self::Sqlite(Mutex::new(connection)))
    }

    /// Runs statements in one transaction, and returns the rows of the last one. If the commit of a
    /// claim updates no row, rolls back and returns no rows. Replaces a connection that is silent.
    async fn run(&self, statements: &[(&str, &[Value])]) -> Result<Vec<Row>, BoxError> {
        match self {
            Self::Postgres { url, client } => {
                let mut client = client.lock().await;
                if client.as_ref().is_none_or(tokio_postgres::Client::is_closed) {
                    let (new, connection) = tokio_postgres::connect(url, NoTls).await?;
                    tokio::spawn(connection);
                    *client = Some(new);
                }
                let Some(connected) = client.as_mut() else { return Err("not connected".into()) };
                let finished = tokio::time::timeout(SILENCE, run_on_postgres(connected, statements)).await;
                if finished.is_err() {
                    *client = None;
                }
                finished?
            }
            Self::Sqlite(connection) => tokio::task::block_in_place(|| {
                let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                run_on_sqlite(&mut connection, statements)
            }),
        }
    }

    pub(crate) async fn create_tables(&self) -> Result<(), BoxError> {
        for table in TABLES.split("; ") {
            self.run(&[(table, &[])]).await?;
        }
        Ok(())
    }

    pub(crate) async fn add(&self, ids: RangeInclusive<i64>) -> Result<(), BoxError> {
        let insert = "INSERT INTO fleet_run (id, state, waited_until) VALUES ($1, 0, 0)";
        let values: Vec<_> = ids.map(|id| [Value::Int(id)]).collect();
        let statements: Vec<_> = values.iter().map(|values| (insert, values.as_slice())).collect();
        self.run(&statements).await.map(drop)
    }

    /// Takes the next run that is ready to be started.
    pub(crate) async fn claim_start(&self) -> Result<Option<i64>, BoxError> {
        Ok(self.claim(State::Ready).await?.map(|row| row.0))
    }

    /// Takes the next started run that nobody waits for.
    pub(crate) async fn claim_wait(&self) -> Result<Option<(i64, String)>, BoxError> {
        Ok(self.claim(State::Started).await?.and_then(|(id, token)| Some((id, token?))))
    }

    async fn claim(&self, state: State) -> Result<Option<Row>, BoxError> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
        let now = i64::try_from(now)?;
        let sql = "UPDATE fleet_run SET waited_until = $2 WHERE id = \
                   (SELECT id FROM fleet_run WHERE state = $3 AND waited_until < $1 ORDER BY id LIMIT 1 \
                   FOR UPDATE SKIP LOCKED) RETURNING id, token";
        let values = [Value::Int(now), Value::Int(now + WAIT_MS), Value::Int(state as i64)];
        Ok(self.run(&[(sql, &values)]).await?.pop())
    }

    /// Marks a run as about to be sent. Returns `false` if another process has already done so.
    pub(crate) async fn set_starting(&self, id: i64) -> Result<bool, BoxError> {
        let sql = "UPDATE fleet_run SET state = 1 WHERE id = $1 AND state = 0 RETURNING id, token";
        Ok(!self.run(&[(sql, &[Value::Int(id)])]).await?.is_empty())
    }

    pub(crate) async fn set_started(&self, id: i64, token: &str) -> Result<(), BoxError> {
        let sql = "UPDATE fleet_run SET state = 2, token = $2 WHERE id = $1 RETURNING id, token";
        self.run(&[(sql, &[Value::Int(id), Value::Text(token.to_owned())])]).await.map(drop)
    }

    /// Makes a run that was not started ready again.
    pub(crate) async fn set_ready(&self, id: i64) -> Result<(), BoxError> {
        self.set_state(id, State::Ready).await
    }

    pub(crate) async fn set_unknown(&self, id: i64) -> Result<(), BoxError> {
        self.set_state(id, State::Unknown).await
    }

    pub(crate) async fn set_done(&self, id: i64) -> Result<(), BoxError> {
        self.set_state(id, State::Done).await
    }

    async fn set_state(&self, id: i64, state: State) -> Result<(), BoxError> {
        let sql = "UPDATE fleet_run SET state = $2 WHERE id = $1 RETURNING id, token";
        self.run(&[(sql, &[Value::Int(id), Value::Int(state as i64)])]).await.map(drop)
    }

    /// Records that an event was handled, and commits its claim in the same transaction.
    pub(crate) async fn handle(&self, id: i64, commit: &CommitStatement) -> Result<(), BoxError> {
        let commit_sql = format!("{} RETURNING number, NULL", commit.sql);
        let rows = self
            .run(&[
                ("INSERT INTO fleet_handled (id) VALUES ($1)", &[Value::Int(id)]),
                ("UPDATE fleet_run SET state = 4 WHERE id = $1 RETURNING id, token", &[Value::Int(id)]),
                (&commit_sql, &[Value::Bytes(commit.key.clone()), Value::Int(commit.number)]),
            ])
            .await?;
        if rows.len() == 1 { Ok(()) } else { Err("the claim was lost".into()) }
    }

    pub(crate) async fn counts(&self) -> Result<BTreeMap<State, i64>, BoxError> {
        let mut counts = BTreeMap::new();
        for state in STATES {
            let sql = "SELECT COUNT(*), NULL FROM fleet_run WHERE state = $1";
            let count = self.run(&[(sql, &[Value::Int(state as i64)])]).await?.pop();
            counts.insert(state, count.map_or(0, |row| row.0));
        }
        Ok(counts)
    }

    /// Returns how often the event of each run was handled.
    pub(crate) async fn handled(&self) -> Result<BTreeMap<i64, usize>, BoxError> {
        let mut handled = BTreeMap::new();
        for (id, _) in self.run(&[("SELECT id, NULL FROM fleet_handled", &[])]).await? {
            *handled.entry(id).or_default() += 1;
        }
        Ok(handled)
    }
}

/// Returns whether the commit of a claim updated no row.
fn has_lost_claim(sql: &str, rows: &[Row]) -> bool {
    sql.starts_with("UPDATE fetch_hive_event") && rows.is_empty()
}

async fn run_on_postgres(
    client: &mut tokio_postgres::Client,
    statements: &[(&str, &[Value])],
) -> Result<Vec<Row>, BoxError> {
    let transaction = client.transaction().await?;
    let mut rows = Vec::new();
    for (sql, values) in statements {
        let sql = sql.replace(", NULL", ", NULL::text");
        let values: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = values
            .iter()
            .map(|value| match value {
                Value::Int(value) => value as _,
                Value::Text(value) => value as _,
                Value::Bytes(value) => value as _,
            })
            .collect();
        rows = Vec::new();
        for row in transaction.query(&sql, &values).await? {
            rows.push((row.try_get(0)?, row.try_get(1)?));
        }
        if has_lost_claim(&sql, &rows) {
            return Ok(rows);
        }
    }
    transaction.commit().await?;
    Ok(rows)
}

fn run_on_sqlite(connection: &mut rusqlite::Connection, statements: &[(&str, &[Value])]) -> Result<Vec<Row>, BoxError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut rows = Vec::new();
    for (sql, values) in statements {
        let sql = sql.replace('$', "?").replace(" FOR UPDATE SKIP LOCKED", "");
        let values: Vec<rusqlite::types::Value> = values
            .iter()
            .map(|value| match value.clone() {
                Value::Int(value) => value.into(),
                Value::Text(value) => value.into(),
                Value::Bytes(value) => value.into(),
            })
            .collect();
        let mut statement = transaction.prepare(&sql)?;
        let mut found = statement.query(rusqlite::params_from_iter(values))?;
        rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push((row.get(0)?, row.get::<_, Option<String>>(1).optional()?.flatten()));
        }
        if has_lost_claim(&sql, &rows) {
            return Ok(rows);
        }
    }
    transaction.commit()?;
    Ok(rows)
}
