//! The tables, which are the same in both databases.

use crate::StoreError;
use crate::database::Tx;

const VERSION: i64 = 2;

/// The statements that migrate each version to the next one. Times are milliseconds since 1970.
const VERSIONS: [&[&str]; 2] = [&TABLES, &BATCHES];

const TABLES: [&str; 13] = [
    "CREATE TABLE fetch_hive_boot (id TEXT NOT NULL)",
    "INSERT INTO fetch_hive_boot (id) VALUES ('')",
    // The database server that was confirmed last.
    "CREATE TABLE fetch_hive_server (id TEXT NOT NULL)",
    // `state` is 0 until the event that ends the run arrives, 1 once the event is stored, and 2
    // once it is acknowledged.
    "CREATE TABLE fetch_hive_run (
        token BYTEA PRIMARY KEY, started BIGINT NOT NULL, request_id TEXT, secret BYTEA,
        state BIGINT NOT NULL, delivery BYTEA, number BIGINT NOT NULL, lease_end BIGINT NOT NULL,
        changed BIGINT NOT NULL)",
    "CREATE INDEX fetch_hive_run_request ON fetch_hive_run (request_id)",
    "CREATE TABLE fetch_hive_held (
        token BYTEA NOT NULL, number BIGINT NOT NULL, delivery BYTEA NOT NULL, size BIGINT NOT NULL,
        PRIMARY KEY (token, number))",
    // `lease_end` is null once the claim is committed.
    "CREATE TABLE fetch_hive_event (
        key BYTEA PRIMARY KEY, number BIGINT NOT NULL, lease_end BIGINT, changed BIGINT NOT NULL)",
    "CREATE TABLE fetch_hive_secret (deployment TEXT PRIMARY KEY, secret BYTEA NOT NULL)",
    // `probe` is the slot of the first run after a reset of the daily cap, 0 if that run has not
    // started yet, and null if no probe is needed.
    "CREATE TABLE fetch_hive_limit (
        name TEXT PRIMARY KEY, size BIGINT NOT NULL, last_number BIGINT NOT NULL,
        shrunk_size BIGINT NOT NULL, shrunk_until BIGINT NOT NULL,
        paused_until BIGINT NOT NULL, reset_at BIGINT NOT NULL, probe BIGINT, probes BIGINT NOT NULL,
        day BIGINT NOT NULL, starts BIGINT NOT NULL)",
    // `held` is 0 while a process holds the slot, 1 if the run may still be in progress without a
    // holder, and 2 after the run has ended.
    "CREATE TABLE fetch_hive_slot (
        name TEXT NOT NULL, number BIGINT NOT NULL, held BIGINT NOT NULL, request_id TEXT,
        lease_end BIGINT NOT NULL, hold BIGINT NOT NULL, PRIMARY KEY (name, number))",
    "CREATE INDEX fetch_hive_slot_request ON fetch_hive_slot (request_id)",
    // `batch` is null for an interactive run.
    "CREATE TABLE fetch_hive_queue (
        name TEXT NOT NULL, number BIGINT NOT NULL, batch TEXT, since BIGINT NOT NULL,
        lease_end BIGINT NOT NULL, PRIMARY KEY (name, number))",
    "CREATE TABLE fetch_hive_batch_start (
        name TEXT NOT NULL, batch TEXT NOT NULL, started BIGINT NOT NULL, PRIMARY KEY (name, batch))",
];

const BATCHES: [&str; 6] = [
    // `state` is 0 while rows are added, 1 while rows may start, and 2 while the batch is paused.
    // The other tables refer to the id, because the name of a deleted batch can be reused. `recent`
    // contains one bit for each of the last `recent_count` rows.
    "CREATE TABLE fetch_hive_batch (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL, state BIGINT NOT NULL,
        reason TEXT, rows BIGINT NOT NULL, runs BIGINT NOT NULL, day BIGINT NOT NULL, day_runs BIGINT NOT NULL,
        tokens BIGINT NOT NULL, recent BIGINT NOT NULL, recent_count BIGINT NOT NULL,
        not_before BIGINT NOT NULL, backoffs BIGINT NOT NULL, created BIGINT NOT NULL)",
    // `state` is the number of a `RowStatus`. `due` is the time at which an accepted run is looked
    // up.
    "CREATE TABLE fetch_hive_batch_row (
        batch TEXT NOT NULL, number BIGINT NOT NULL, content BYTEA NOT NULL, state BIGINT NOT NULL,
        attempt BIGINT NOT NULL, attempt_key TEXT, slot BIGINT, started BIGINT,
        lease_end BIGINT NOT NULL, due BIGINT NOT NULL, token BYTEA, request_id TEXT, result BYTEA,
        PRIMARY KEY (batch, number))",
    "CREATE INDEX fetch_hive_batch_row_state ON fetch_hive_batch_row (batch, state, number)",
    "CREATE INDEX fetch_hive_batch_row_token ON fetch_hive_batch_row (token) WHERE token IS NOT NULL",
    "CREATE TABLE fetch_hive_attempt (
        batch TEXT NOT NULL, number BIGINT NOT NULL, attempt BIGINT NOT NULL, started BIGINT NOT NULL,
        ended BIGINT, verdict TEXT, request_id TEXT, resolution TEXT,
        PRIMARY KEY (batch, number, attempt))",
    "CREATE TABLE fetch_hive_history (
        number BIGINT PRIMARY KEY, started BIGINT NOT NULL, arguments TEXT NOT NULL,
        operation TEXT NOT NULL, target TEXT, duration BIGINT, verdict TEXT, exit_code BIGINT,
        request_id TEXT, tokens BIGINT, error TEXT)",
];

/// Migrates the tables to the current version. The caller must hold an exclusive transaction.
pub(crate) async fn migrate(tx: &mut Tx) -> Result<(), StoreError> {
    let create = "CREATE TABLE IF NOT EXISTS fetch_hive_meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL)";
    tx.execute(create, &[]).await?;
    let found = tx.row("SELECT value FROM fetch_hive_meta WHERE name = 'version'", &[]).await?;
    let found = found.map_or(0, |mut row| row.int());
    check_version(found)?;
    for statements in VERSIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        for sql in *statements {
            tx.execute(sql, &[]).await?;
        }
    }
    // Opening an up-to-date store writes nothing.
    if found == VERSION {
        return Ok(());
    }
    let sql = "INSERT INTO fetch_hive_meta (name, value) VALUES ('version', $1) \
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, &[VERSION.into()]).await
}

/// Returns an error if a newer version of this crate has changed the tables.
pub(crate) fn check_version(found: i64) -> Result<(), StoreError> {
    if found > VERSION { Err(StoreError::NewerSchema { found, supported: VERSION }) } else { Ok(()) }
}
