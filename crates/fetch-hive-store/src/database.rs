//! Transactions, which run the same statements on both databases.

use std::pin::Pin;

use crate::StoreError;

/// A parameter or a column.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

impl Value {
    pub(crate) fn int(&self) -> i64 {
        self.opt_int().unwrap_or_default()
    }

    pub(crate) fn opt_int(&self) -> Option<i64> {
        if let Self::Int(value) = self { *value } else { None }
    }

    pub(crate) fn text(self) -> Option<String> {
        if let Self::Text(value) = self { value } else { None }
    }

    pub(crate) fn blob(self) -> Option<Vec<u8>> {
        if let Self::Blob(value) = self { value } else { None }
    }
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

pub(crate) type Row = std::vec::IntoIter<Value>;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The statements of one transaction.
pub(crate) type Operation<T> = Box<dyn for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send>;

/// An open transaction.
pub(crate) enum Tx {
    #[cfg(feature = "sqlite")]
    Sqlite(rusqlite::Connection),
    #[cfg(feature = "postgres")]
    Postgres(deadpool_postgres::Object),
}

impl Tx {
    /// Runs a statement with parameters `$1`, `$2` and so on, and returns its rows.
    pub(crate) async fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => crate::sqlite::query(connection, sql, values),
            #[cfg(feature = "postgres")]
            Self::Postgres(client) => crate::postgres::query(client, sql, values).await,
        }
    }

    /// Runs a statement that returns no rows.
    pub(crate) async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<(), StoreError> {
        self.query(sql, values).await.map(drop)
    }

    /// Runs a statement and returns its first row.
    pub(crate) async fn row(&mut self, sql: &str, values: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// Returns the time of the database in milliseconds since 1970.
    pub(crate) async fn now(&mut self) -> Result<i64, StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Ok(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
                Ok(self.row(sql, &[]).await?.and_then(|mut row| row.next()).map_or(0, |now| now.int()))
            }
        }
    }
}
