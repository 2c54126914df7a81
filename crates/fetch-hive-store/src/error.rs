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
    /// The database returned an error, or the connection was lost.
    #[error("database error: {0}")]
    Database(String),
    /// The PostgreSQL server has changed, for example because a standby was promoted. The new
    /// server may be missing the last committed runs, so the store's limiters start no runs until
    /// you call [`Store::confirm_server`](crate::Store::confirm_server).
    #[error(
        "the PostgreSQL server changed from {confirmed} to {found} (system identifier/timeline), so it may not \
         know all started runs; compare them and call Store::confirm_server"
    )]
    ServerChanged {
        /// The server that was confirmed last.
        confirmed: String,
        /// The current server.
        found: String,
    },
    /// Another process has replaced or completed the batch that this process was creating.
    #[error("another process replaced or completed the batch; run again")]
    BatchReplaced,
    /// The lease of a batch row expired before the row's request was sent.
    #[error("the lease of the row expired before its request was sent; nothing was sent")]
    RowTaken,
    /// A value cannot be encrypted or decrypted.
    #[error("a value cannot be sealed or decrypted; check the key of seal_with")]
    Sealed,
    /// The lease of an event expired, and the event no longer belongs to this process.
    #[error("the event no longer belongs to this process; discard its result")]
    ClaimLost,
}

impl StoreError {
    /// Converts the error for the client's traits, whose callers check for the client's own
    /// `ClaimLost`.
    pub(crate) fn boxed(self) -> fetch_hive_client::BoxError {
        match self {
            Self::ClaimLost => fetch_hive_client::callback::ClaimLost.into(),
            other => other.into(),
        }
    }
}
