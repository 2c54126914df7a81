/// An error of a store.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database cannot be opened or reached.
    #[error("cannot open the store {target}: {reason}")]
    Open {
        /// The path, or the host and port.
        target: String,
        /// The message of the operating system or the database.
        reason: String,
    },
    /// The tables were created by a newer version of this crate.
    #[error("the store has schema version {found}, and this version supports up to {supported}; upgrade this program")]
    NewerSchema {
        /// The version of the tables.
        found: i64,
        /// The newest version that is supported.
        supported: i64,
    },
    /// The database rejected an operation, or the connection was lost.
    #[error("database error: {0}")]
    Database(String),
    /// Another PostgreSQL server answers, such as a promoted standby. It may have lost the last
    /// committed runs, so no limiter of the store starts a run before
    /// [`Store::confirm_server`](crate::Store::confirm_server) was called.
    #[error(
        "the PostgreSQL server changed from {confirmed} to {found} (system identifier/timeline), so it may not \
         know all started runs; compare them and call Store::confirm_server"
    )]
    ServerChanged {
        /// The server that was confirmed last.
        confirmed: String,
        /// The server that answers now.
        found: String,
    },
    /// Another process has replaced or completed the batch that this process was creating.
    #[error("another process replaced or completed the batch; run again")]
    BatchReplaced,
    /// The lease of a row has expired before its request was sent.
    #[error("the lease of the row expired before its request was sent; nothing was sent")]
    RowTaken,
    /// A value cannot be sealed or decrypted.
    #[error("a value cannot be sealed or decrypted; check the key of seal_with")]
    Sealed,
    /// The event no longer belongs to this process.
    #[error("the event no longer belongs to this process; discard its result")]
    ClaimLost,
}

impl StoreError {
    /// Converts the error, and maps `ClaimLost` to the type of the client, which callers check for.
    pub(crate) fn boxed(self) -> fetch_hive_client::BoxError {
        match self {
            Self::ClaimLost => fetch_hive_client::callback::ClaimLost.into(),
            other => other.into(),
        }
    }
}
