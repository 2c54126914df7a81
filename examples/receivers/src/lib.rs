//! A dedup store in SQLite, which the example receivers share.

mod sqlite;

pub use sqlite::SqliteDedupStore;
