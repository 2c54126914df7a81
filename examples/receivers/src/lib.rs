//! What the receivers in this package share: a repeat guard in SQLite, for several processes at once.

mod sqlite;

pub use sqlite::SqliteGuard;
