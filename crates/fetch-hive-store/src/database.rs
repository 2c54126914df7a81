//! Transactions that run the same statements on both databases.

use std::pin::Pin;

use crate::StoreError;

/// The value of a parameter or a column.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(Some(value.to_owned()))
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(Some(value))
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(value: Option<Vec<u8>>) -> Self {
        Self::Blob(value)
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

/// A result row. Each method reads the next column.
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn new(columns: Vec<Value>) -> Self {
        Self(columns.into_iter())
    }

    /// Reads a number. `NULL` is read as 0.
    pub(crate) fn int(&mut self) -> i64 {
        self.opt_int().unwrap_or_default()
    }

    pub(crate) fn opt_int(&mut self) -> Option<i64> {
        if let Some(Value::Int(value)) = self.0.next() { value } else { None }
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        if let Some(Value::Text(value)) = self.0.next() { value } else { None }
    }

    pub(crate) fn blob(&mut self) -> Option<Vec<u8>> {
        if let Some(Value::Blob(value)) = self.0.next() { value } else { None }
    }
}

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A statement and its parameters.
pub(crate) type Statement<'a> = (&'a str, &'a [Value]);

/// Statements that change rows.
pub(crate) type Changes = Vec<(&'static str, Vec<Value>)>;

/// Borrows the statements of changes.
pub(crate) fn statements(changes: &Changes) -> Vec<Statement<'_>> {
    changes.iter().map(|(sql, values)| (*sql, values.as_slice())).collect()
}

/// The operations of one transaction.
pub(crate) type Operation<T> = Box<dyn for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send>;

/// An open transaction.
pub(crate) enum Tx {
    #[cfg(feature = "sqlite")]
    Sqlite(crate::sqlite::Group),
    #[cfg(feature = "postgres")]
    Postgres(crate::postgres::OpenTransaction),
}

impl Tx {
    /// Runs a statement with parameters `$1`, `$2` and so on, and returns its rows.
    pub(crate) async fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        Ok(self.pipeline(&[(sql, values)]).await?.pop().unwrap_or_default())
    }

    /// Runs statements in order without waiting for each response, and returns the rows of each
    /// statement.
    pub(crate) async fn pipeline(&mut self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(group) => group.pipeline(statements),
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.pipeline(statements, crate::postgres::End::Open).await,
        }
    }

    /// Runs the last statements of the transaction and commits it in the same round trip. If this
    /// returns an error, the changes may have been committed. A SQLite transaction is committed
    /// together with its group.
    pub(crate) async fn commit_with(&mut self, statements: &[Statement<'_>]) -> Result<Vec<Vec<Row>>, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(group) => group.last(statements),
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.pipeline(statements, crate::postgres::End::Commit).await,
        }
    }

    /// Commits like [`commit_with`](Self::commit_with), and wakes the processes that wait for the
    /// run's event or for its slot.
    pub(crate) async fn commit_event(
        &mut self,
        statements: &[Statement<'_>],
        token: &[u8],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(group) => {
                _ = token;
                group.last(statements)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(tx) => tx.pipeline(statements, crate::postgres::End::CommitEvent(token)).await,
        }
    }

    /// Runs the last statement of the transaction, commits like [`commit_with`](Self::commit_with),
    /// and returns the first row.
    pub(crate) async fn commit_row(&mut self, sql: &str, values: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.commit_with(&[(sql, values)]).await?.into_iter().flatten().next())
    }

    /// Runs a statement and discards its rows.
    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<(), StoreError> {
        self.query(sql, values).await.map(drop)
    }

    /// Runs a statement and returns its first row.
    pub(crate) async fn row(&mut self, sql: &str, values: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// Returns the database's current time in milliseconds since 1970.
    pub(crate) async fn now(&mut self) -> Result<i64, StoreError> {
        let row = self.row(&self.now_statement(), &[]).await?;
        Ok(row.map_or(0, |mut row| row.int()))
    }

    /// Returns the statement that reads the database's current time.
    pub(crate) fn now_statement(&self) -> String {
        format!("SELECT {}", self.now_expression())
    }

    /// Returns the SQL expression for the database's current time.
    pub(crate) fn now_expression(&self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        }
    }

    /// Returns the statement that reads the system identifier and timeline of the PostgreSQL server
    /// and those that were confirmed last. They differ after another server has taken over. SQLite
    /// returns none.
    pub(crate) fn server_statement(&self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "SELECT NULL, NULL",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                "SELECT system_identifier::text || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), \
                 (SELECT id FROM fetch_hive_server LIMIT 1) FROM pg_control_system()"
            }
        }
    }
}
