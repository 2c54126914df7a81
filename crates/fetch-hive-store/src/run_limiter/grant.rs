//! The decision whether a run may start.

use fetch_hive_client::RunLimiterUsage;

use super::daily_cap::DAY;
use super::limits::Limits;
use crate::database::{Row, Statement, Tx};
use crate::{StoreError, millis, schema};

/// How often a waiter looks for a free slot without a notification, in milliseconds.
const POLL: i64 = 1_000;

/// How long a batch waits behind interactive runs, in milliseconds.
const MAX_BATCH_WAIT: i64 = 60_000;

/// A run that asks for a slot.
pub(crate) struct Applicant {
    /// Its number in the queue, unless it has just arrived.
    pub(crate) queued: Option<i64>,
    pub(crate) batch: Option<String>,
}

pub(crate) enum Decision {
    /// The number of the slot.
    Granted(i64),
    /// The number in the queue, and the milliseconds until a slot may be free.
    Queued {
        number: i64,
        remaining: i64,
        /// The end of the pause because of the daily cap, in milliseconds since 1970.
        paused_until: Option<i64>,
    },
}

/// The row of a limit, which is locked until the end of the transaction.
pub(crate) struct Limit {
    size: i64,
    last_number: i64,
    paused_until: i64,
    probe: Option<i64>,
    starts_today: i64,
}

/// Grants a slot to an applicant, or puts it into the queue. The limit is locked.
pub(crate) async fn decide(
    tx: &mut Tx,
    limits: &Limits,
    applicant: &Applicant,
    limit: Limit,
    now: i64,
) -> Result<Decision, StoreError> {
    let name = limits.name.as_str();
    let number = applicant.queued.unwrap_or(limit.last_number + 1);
    let batches_blocked = limits.daily_cap.is_some_and(|cap| limit.starts_today >= cap.runs - cap.reserved);
    let Counts { taken, probes, free_at, since, queue_lease, urgent_ahead } =
        count(tx, name, &limit, number, now, batches_blocked).await?;
    let since = since.unwrap_or(now);

    // A probe that vanished or whose end is unknown is followed by another one.
    let waits_for_probe = probes > 0;
    let is_blocked = limit.paused_until > now || waits_for_probe || (batches_blocked && applicant.batch.is_some());
    if !is_blocked && taken < limit.size {
        let ahead = match &applicant.batch {
            Some(batch) if since > now - MAX_BATCH_WAIT => count_ahead_of_batch(tx, name, number, batch, now).await?,
            _ => urgent_ahead,
        };
        let free = if limit.probe.is_some() { 1 } else { limit.size - taken };
        if ahead < free {
            return start(tx, limits, applicant, &limit, number, now).await.map(Decision::Granted);
        }
    }
    if applicant.queued.is_none() {
        let sql = "UPDATE fetch_hive_limit SET last_number = $2 WHERE name = $1";
        tx.execute(sql, &[name.into(), number.into()]).await?;
    }
    // Renewed rarely, because each change wakes the other processes.
    if queue_lease.is_none_or(|end| end - now < millis(limits.lease) / 2) {
        let sql = "INSERT INTO fetch_hive_queue (name, number, batch, since, lease_end) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (name, number) DO UPDATE SET lease_end = excluded.lease_end";
        let lease_end = now + millis(limits.lease);
        let batch = applicant.batch.clone();
        tx.execute(sql, &[name.into(), number.into(), batch.into(), since.into(), lease_end.into()]).await?;
    }
    let longest = POLL.min(millis(limits.lease) / 3).max(1);
    let remaining = free_at.map_or(longest, |end| (end - now).clamp(1, longest));
    let paused_until = if limit.paused_until > now {
        Some(limit.paused_until)
    } else {
        (batches_blocked && applicant.batch.is_some()).then(|| (now / DAY + 1) * DAY)
    };
    Ok(Decision::Queued { number, remaining, paused_until })
}

/// Locks the row of the limit, and creates it first if necessary. Returns the time at which the
/// lock was granted.
pub(crate) async fn lock(tx: &mut Tx, limits: &Limits, applicant: &Applicant) -> Result<(Limit, i64), StoreError> {
    let name = [limits.name.as_str().into()];
    let select = "SELECT size, last_number, shrunk_size, shrunk_until, paused_until, probe, day, starts, \
                  (SELECT value FROM fetch_hive_meta WHERE name = 'version') \
                  FROM fetch_hive_limit WHERE name = $1 FOR UPDATE";
    let insert = "INSERT INTO fetch_hive_limit (name, size, last_number, shrunk_size, shrunk_until, paused_until, \
                  reset_at, probes, day, starts) VALUES ($1, $2, 0, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT (name) DO NOTHING";
    let now = tx.now_statement();
    let mut found = tx.pipeline(&[(select, &name), (now, &[])]).await?;
    if found.first().is_none_or(Vec::is_empty) {
        tx.execute(insert, &[limits.name.as_str().into(), limits.max_runs.into()]).await?;
        found = tx.pipeline(&[(select, &name), (now, &[])]).await?;
    }
    let mut rows = found.into_iter().map(|rows| rows.into_iter().next());
    let (Some(Some(mut row)), Some(Some(mut now))) = (rows.next(), rows.next()) else {
        return Err(StoreError::Database(format!("the limit {} was deleted", limits.name)));
    };
    let now = now.int();
    let (stored, last_number) = (row.int(), row.int());
    let (shrunk_size, shrunk_until, paused_until, probe) = (row.int(), row.int(), row.int(), row.opt_int());
    let (day, starts) = (row.int(), row.int());
    // Another process may have changed the tables meanwhile.
    schema::check_version(row.int())?;
    if stored != limits.max_runs && applicant.queued.is_none() {
        let configured = limits.max_runs;
        tracing::warn!(limit = limits.name, stored, configured, "the stored size of the run limit is used");
    }
    let size = if shrunk_until > now { shrunk_size.clamp(1, stored) } else { stored };
    let starts_today = if day == now / DAY { starts } else { 0 };
    Ok((Limit { size, last_number, paused_until, probe, starts_today }, now))
}

/// Removes queue entries and slots whose leases have expired. A slot whose holder vanished is
/// held first, because its run may still be running.
const REMOVE_EXPIRED: [&str; 3] = [
    "UPDATE fetch_hive_slot SET held = 1, lease_end = lease_end + hold \
     WHERE name = $1 AND held = 0 AND lease_end <= $2",
    "DELETE FROM fetch_hive_slot WHERE name = $1 AND held > 0 AND lease_end <= $2",
    "DELETE FROM fetch_hive_queue WHERE name = $1 AND lease_end <= $2",
];

/// The slots and the queue, as an applicant sees them.
struct Counts {
    taken: i64,
    /// 1 if the probe is running.
    probes: i64,
    /// The time at which the next held slot is free.
    free_at: Option<i64>,
    /// The arrival of the applicant.
    since: Option<i64>,
    /// The end of the lease of its queue entry.
    queue_lease: Option<i64>,
    /// The interactive runs, and those of batches that have waited long enough, before the
    /// applicant.
    urgent_ahead: i64,
}

async fn count(
    tx: &mut Tx,
    name: &str,
    limit: &Limit,
    number: i64,
    now: i64,
    batches_blocked: bool,
) -> Result<Counts, StoreError> {
    let counts = "SELECT (SELECT COUNT(*) FROM fetch_hive_slot WHERE name = $1 AND held < 2), \
                  (SELECT COUNT(*) FROM fetch_hive_slot WHERE name = $1 AND held = 0 AND number = $3), \
                  (SELECT MIN(lease_end) FROM fetch_hive_slot WHERE name = $1 AND held = 1), \
                  (SELECT since FROM fetch_hive_queue WHERE name = $1 AND number = $2), \
                  (SELECT lease_end FROM fetch_hive_queue WHERE name = $1 AND number = $2), \
                  (SELECT COUNT(*) FROM fetch_hive_queue \
                   WHERE name = $1 AND number < $2 AND (batch IS NULL OR since <= $4))";
    let urgent_since = if batches_blocked { i64::MIN } else { now - MAX_BATCH_WAIT };
    let probe = limit.probe.unwrap_or_default();
    let expired = [name.into(), now.into()];
    let values = [name.into(), number.into(), probe.into(), urgent_since.into()];
    let [hold, free, leave] = REMOVE_EXPIRED;
    let statements: [Statement<'_>; 4] = [(hold, &expired), (free, &expired), (leave, &expired), (counts, &values)];
    let row = tx.pipeline(&statements).await?.pop().and_then(|rows| rows.into_iter().next());
    let mut row = row.ok_or_else(|| StoreError::Database("the database returned no counts".into()))?;
    Ok(Counts {
        taken: row.int(),
        probes: row.int(),
        free_at: row.opt_int(),
        since: row.opt_int(),
        queue_lease: row.opt_int(),
        urgent_ahead: row.int(),
    })
}

/// Counts the waiting runs that start before a run of a batch.
async fn count_ahead_of_batch(tx: &mut Tx, name: &str, number: i64, batch: &str, now: i64) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM fetch_hive_queue q \
               LEFT JOIN fetch_hive_batch_start b ON b.name = q.name AND b.batch = q.batch \
               CROSS JOIN (SELECT COALESCE(MAX(started), 0) AS started FROM fetch_hive_batch_start \
                           WHERE name = $1 AND batch = $4) mine \
               WHERE q.name = $1 AND q.number <> $2 AND (q.batch IS NULL OR q.since <= $3 \
               OR COALESCE(b.started, 0) < mine.started \
               OR (COALESCE(b.started, 0) = mine.started AND q.number < $2))";
    let values = [name.into(), number.into(), (now - MAX_BATCH_WAIT).into(), batch.into()];
    Ok(tx.row(sql, &values).await?.map_or(0, |mut row| row.int()))
}

/// Counts the slots that are in use and the runs that wait.
pub(super) async fn usage(tx: &mut Tx, limits: &Limits) -> Result<RunLimiterUsage, StoreError> {
    let name = limits.name.as_str();
    let now = tx.now().await?;
    for sql in REMOVE_EXPIRED {
        tx.execute(sql, &[name.into(), now.into()]).await?;
    }
    let sql = "SELECT (SELECT size FROM fetch_hive_limit WHERE name = $1), \
               (SELECT COUNT(*) FROM fetch_hive_slot WHERE name = $1 AND held = 0), \
               (SELECT COUNT(*) FROM fetch_hive_slot WHERE name = $1 AND held = 1), \
               (SELECT COUNT(*) FROM fetch_hive_queue WHERE name = $1)";
    let row = tx.row(sql, &[name.into()]).await?;
    let mut row = row.ok_or_else(|| StoreError::Database("the database returned no counts".into()))?;
    let slots = row.opt_int().unwrap_or(limits.max_runs);
    let [slots, running, held, waiting] = [slots, row.int(), row.int(), row.int()].map(crate::unsigned);
    Ok(RunLimiterUsage::new(slots, running, held, waiting))
}

/// Moves an applicant from the queue to a slot, and returns the number of the slot.
async fn start(
    tx: &mut Tx,
    limits: &Limits,
    applicant: &Applicant,
    limit: &Limit,
    number: i64,
    now: i64,
) -> Result<i64, StoreError> {
    let name = limits.name.as_str();
    let slot = limit.last_number.max(number) + 1;
    let (day, starts) = (now / DAY, limit.starts_today + 1);
    let (lease_end, hold) = (now + millis(limits.lease), millis(limits.hold));
    let update_limit = "UPDATE fetch_hive_limit SET last_number = $2, day = $3, starts = $4, \
                        probe = CASE WHEN probe IS NULL THEN NULL ELSE $2 END WHERE name = $1";
    let leave_queue = "DELETE FROM fetch_hive_queue WHERE name = $1 AND number = $2";
    let insert_slot = "INSERT INTO fetch_hive_slot (name, number, held, lease_end, hold) VALUES ($1, $2, 0, $3, $4)";
    let limit_values = [name.into(), slot.into(), day.into(), starts.into()];
    let queue_values = [name.into(), number.into()];
    let slot_values = [name.into(), slot.into(), lease_end.into(), hold.into()];
    let statements: [Statement<'_>; 5] = [
        (tx.server_statement(), &[]),
        CONFIRMED_SERVER,
        (update_limit, &limit_values),
        (leave_queue, &queue_values),
        (insert_slot, &slot_values),
    ];
    let rows = tx.pipeline(&statements).await?;
    check_server(tx, rows).await?;
    if let Some(batch) = &applicant.batch {
        let sql = "INSERT INTO fetch_hive_batch_start (name, batch, started) VALUES ($1, $2, $3) \
                   ON CONFLICT (name, batch) DO UPDATE SET started = excluded.started";
        // The number of the slot orders starts within one millisecond.
        tx.execute(sql, &[name.into(), batch.as_str().into(), slot.into()]).await?;
    }
    Ok(slot)
}

/// Reads the server that was confirmed last.
pub(crate) const CONFIRMED_SERVER: Statement<'static> = ("SELECT id FROM fetch_hive_server", &[]);

/// Fails if another server answers than the confirmed one, because it may have lost committed runs.
/// `rows` starts with the results of the server statement and of [`CONFIRMED_SERVER`].
pub(crate) async fn check_server(tx: &mut Tx, rows: Vec<Vec<Row>>) -> Result<(), StoreError> {
    let mut rows = rows.into_iter().map(|rows| rows.into_iter().next());
    let mut text = || rows.next().flatten().and_then(|mut row| row.text());
    match (text(), text()) {
        (Some(found), Some(confirmed)) if confirmed != found => Err(StoreError::ServerChanged { confirmed, found }),
        (Some(found), None) => set_server(tx, &found).await,
        _ => Ok(()),
    }
}

/// Records the current database server as confirmed.
pub(crate) async fn confirm_server(tx: &mut Tx) -> Result<(), StoreError> {
    let found = tx.row(tx.server_statement(), &[]).await?.and_then(|mut row| row.text());
    match found {
        Some(found) => set_server(tx, &found).await,
        None => Ok(()),
    }
}

async fn set_server(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM fetch_hive_server", &[]).await?;
    tx.execute("INSERT INTO fetch_hive_server (id) VALUES ($1)", &[id.into()]).await
}

/// Extends the lease of a slot. Returns whether the slot still belongs to this process.
pub(super) async fn renew(tx: &mut Tx, limits: &Limits, slot: i64) -> Result<bool, StoreError> {
    let lease_end = tx.now().await? + millis(limits.lease);
    let sql = "UPDATE fetch_hive_slot SET lease_end = $3 WHERE name = $1 AND number = $2 AND held <> 1 \
               RETURNING number";
    Ok(tx.row(sql, &[limits.name.as_str().into(), slot.into(), lease_end.into()]).await?.is_some())
}

/// Frees the slot of a run that has ended. Its row remains until its holder releases it.
pub(crate) async fn free_slot_of(tx: &mut Tx, request_id: &str) -> Result<(), StoreError> {
    let sql = "UPDATE fetch_hive_slot SET held = 2 WHERE request_id = $1";
    tx.execute(sql, &[request_id.into()]).await
}
