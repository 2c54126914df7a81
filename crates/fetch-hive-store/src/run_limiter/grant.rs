//! Decides whether a run may start.

use fetch_hive_client::RunLimiterUsage;

use super::daily_cap::DAY;
use super::limits::Limits;
use crate::database::{Changes, Row, Statement, Tx, Value, statements};
use crate::{StoreError, millis, schema};

/// The interval at which a waiter checks for a free slot without a notification, in milliseconds.
const POLL: i64 = 1_000;

/// How long a batch run yields to interactive runs, in milliseconds.
const MAX_BATCH_WAIT: i64 = 60_000;

/// A run that requests a slot.
pub(crate) struct Applicant {
    /// The number of its queue entry, or `None` if it is not in the queue yet.
    pub(crate) queued: Option<i64>,
    pub(crate) batch: Option<String>,
}

pub(crate) enum Decision {
    /// The number of the slot.
    Granted(i64),
    /// The number of the queue entry, and the milliseconds until a slot may be free.
    Queued {
        number: i64,
        remaining: i64,
        /// The end of the pause because of the daily cap, in milliseconds since 1970.
        paused_until: Option<i64>,
    },
}

/// A limiter and its slots. Its row is locked until the end of the transaction.
struct Limit {
    /// The time at which the lock was granted.
    now: i64,
    size: i64,
    last_number: i64,
    paused_until: i64,
    probe: Option<i64>,
    starts_today: i64,
    taken: i64,
    /// Whether the probe is running.
    waits_for_probe: bool,
    /// The time at which the hold of the next held slot expires.
    free_at: Option<i64>,
}

/// A locked limiter, and the position of each applicant in the queue.
pub(crate) struct Locked {
    limit: Limit,
    positions: Vec<Position>,
}

impl Locked {
    /// Returns the time at which the lock was granted.
    pub(crate) fn now(&self) -> i64 {
        self.limit.now
    }
}

/// The position of an applicant in the queue.
struct Position {
    /// The time at which the applicant entered the queue, if it is already waiting.
    since: Option<i64>,
    /// The time at which the lease of its queue entry expires.
    lease_end: Option<i64>,
    /// The number of interactive runs ahead of it.
    interactive_ahead: i64,
    /// The number of interactive runs and of batch runs that no longer yield ahead of it.
    urgent_ahead: i64,
}

/// Grants each applicant a slot or adds it to the queue. The caller must store the changes.
pub(crate) async fn decide(
    tx: &mut Tx,
    limits: &Limits,
    applicants: &[Applicant],
    mut locked: Locked,
) -> Result<(Vec<Decision>, Changes), StoreError> {
    let (mut decisions, mut changes) = (Vec::with_capacity(applicants.len()), Changes::new());
    for (index, applicant) in applicants.iter().enumerate() {
        let Some(position) = locked.positions.get(index) else { break };
        let decision = decide_one(tx, limits, applicant, position, &mut locked.limit, &mut changes).await?;
        let changes_queue = applicant.queued.is_some() == matches!(decision, Decision::Granted(_));
        decisions.push(decision);
        if changes_queue && index + 1 < applicants.len() {
            // The positions of the other applicants have changed.
            tx.pipeline(&statements(&changes)).await?;
            changes.clear();
            locked = lock(tx, limits, applicants).await?;
        }
    }
    Ok((decisions, changes))
}

async fn decide_one(
    tx: &mut Tx,
    limits: &Limits,
    applicant: &Applicant,
    position: &Position,
    limit: &mut Limit,
    changes: &mut Changes,
) -> Result<Decision, StoreError> {
    let (name, now) = (limits.name.as_str(), limit.now);
    let number = applicant.queued.unwrap_or(limit.last_number + 1);
    let batches_blocked = limits.daily_cap.is_some_and(|cap| limit.starts_today >= cap.runs - cap.reserved);
    let since = position.since.unwrap_or(now);

    let is_blocked =
        limit.paused_until > now || limit.waits_for_probe || (batches_blocked && applicant.batch.is_some());
    if !is_blocked && limit.taken < limit.size {
        let ahead = match &applicant.batch {
            Some(batch) if since > now - MAX_BATCH_WAIT => count_ahead_of_batch(tx, name, number, batch, now).await?,
            _ if batches_blocked => position.interactive_ahead,
            _ => position.urgent_ahead,
        };
        let free = if limit.probe.is_some() { 1 } else { limit.size - limit.taken };
        if ahead < free {
            return Ok(Decision::Granted(start(limits, applicant, number, limit, changes)));
        }
    }
    if applicant.queued.is_none() {
        limit.last_number = number;
        changes.push(limit.update(name));
    }
    // The entry is renewed rarely, because each change wakes the other processes.
    if position.lease_end.is_none_or(|end| end - now < millis(limits.lease) / 2) {
        let sql = "INSERT INTO fetch_hive_queue (name, number, batch, since, lease_end) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (name, number) DO UPDATE SET lease_end = excluded.lease_end";
        let lease_end = now + millis(limits.lease);
        let batch = applicant.batch.clone();
        changes.push((sql, vec![name.into(), number.into(), batch.into(), since.into(), lease_end.into()]));
    }
    let paused_until = if limit.paused_until > now {
        Some(limit.paused_until)
    } else {
        (batches_blocked && applicant.batch.is_some()).then(|| (now / DAY + 1) * DAY)
    };
    let renewal = millis(limits.lease) / 3;
    let remaining = match paused_until {
        Some(until) => (until - now).min(renewal).max(1),
        None => limit.free_at.map_or(POLL, |end| (end - now).min(POLL)).min(renewal).max(1),
    };
    Ok(Decision::Queued { number, remaining, paused_until })
}

/// Moves an applicant from the queue to a slot, and returns the number of the slot.
fn start(limits: &Limits, applicant: &Applicant, number: i64, limit: &mut Limit, changes: &mut Changes) -> i64 {
    let (name, now) = (limits.name.as_str(), limit.now);
    let slot = limit.last_number.max(number) + 1;
    limit.last_number = slot;
    limit.starts_today += 1;
    limit.taken += 1;
    limit.probe = limit.probe.map(|_| slot);
    limit.waits_for_probe = limit.probe.is_some();
    changes.push(limit.update(name));
    let (lease_end, hold) = (now + millis(limits.lease), millis(limits.hold));
    let sql = "INSERT INTO fetch_hive_slot (name, number, held, lease_end, hold) VALUES ($1, $2, 0, $3, $4)";
    changes.push((sql, vec![name.into(), slot.into(), lease_end.into(), hold.into()]));
    if applicant.queued.is_some() {
        let sql = "DELETE FROM fetch_hive_queue WHERE name = $1 AND number = $2";
        changes.push((sql, vec![name.into(), number.into()]));
    }
    if let Some(batch) = &applicant.batch {
        let sql = "INSERT INTO fetch_hive_batch_start (name, batch, started) VALUES ($1, $2, $3) \
                   ON CONFLICT (name, batch) DO UPDATE SET started = excluded.started";
        // The slot number orders starts that happen within the same millisecond.
        changes.push((sql, vec![name.into(), batch.as_str().into(), slot.into()]));
    }
    slot
}

impl Limit {
    /// Reads the row of a limiter, and also returns the stored number of slots.
    fn new(mut row: Row, now: i64) -> Result<(Self, i64), StoreError> {
        let (stored, last_number) = (row.int(), row.int());
        let (shrunk_size, shrunk_until, paused_until, probe) = (row.int(), row.int(), row.int(), row.opt_int());
        let (day, starts) = (row.int(), row.int());
        // Another process may have migrated the tables since the store was opened.
        schema::check_version(row.int())?;
        let limit = Self {
            now,
            size: if shrunk_until > now { shrunk_size.clamp(1, stored) } else { stored },
            last_number,
            paused_until,
            probe,
            starts_today: if day == now / DAY { starts } else { 0 },
            taken: 0,
            waits_for_probe: false,
            free_at: None,
        };
        Ok((limit, stored))
    }

    /// Counts the occupied slots, and returns the time at which the next lease expires.
    fn add_slots(&mut self, slots: Vec<Row>) -> i64 {
        let mut next_expiry = i64::MAX;
        for mut slot in slots {
            let (number, held, lease_end) = (slot.int(), slot.int(), slot.int());
            next_expiry = next_expiry.min(lease_end);
            self.taken += i64::from(held < 2);
            // A probe whose process disappeared or whose outcome is unknown is replaced by the next
            // run.
            self.waits_for_probe |= held == 0 && self.probe == Some(number);
            if held == 1 {
                self.free_at = Some(self.free_at.map_or(lease_end, |earlier| earlier.min(lease_end)));
            }
        }
        next_expiry
    }

    /// Returns the statement that stores the counters.
    fn update(&self, name: &str) -> (&'static str, Vec<Value>) {
        let sql = "UPDATE fetch_hive_limit SET last_number = $2, day = $3, starts = $4, probe = $5 WHERE name = $1";
        let day = (self.now / DAY).into();
        (sql, vec![name.into(), self.last_number.into(), day, self.starts_today.into(), self.probe.into()])
    }
}

/// Locks the row of the limiter, and creates it if necessary. Removes expired slots and queue
/// entries.
pub(crate) async fn lock(tx: &mut Tx, limits: &Limits, applicants: &[Applicant]) -> Result<Locked, StoreError> {
    let name = limits.name.as_str();
    loop {
        let mut found = read(tx, name, applicants).await?.into_iter();
        let mut next = || found.next().unwrap_or_default();
        let (row, server, slots) = (next(), next(), next());
        let Some(row) = row.into_iter().next() else {
            let insert = "INSERT INTO fetch_hive_limit (name, size, last_number, shrunk_size, shrunk_until, \
                          paused_until, reset_at, probes, day, starts) VALUES ($1, $2, 0, 0, 0, 0, 0, 0, 0, 0) \
                          ON CONFLICT (name) DO NOTHING";
            tx.execute(insert, &[name.into(), limits.max_runs.into()]).await?;
            continue;
        };
        check_server(tx, server).await?;
        let (mut now, mut next_expiry, mut positions) = (0, i64::MAX, Vec::with_capacity(applicants.len()));
        for mut row in found.flatten() {
            now = row.int();
            next_expiry = row.opt_int().unwrap_or(i64::MAX).min(next_expiry);
            let (since, lease_end) = (row.opt_int(), row.opt_int());
            positions.push(Position { since, lease_end, interactive_ahead: row.int(), urgent_ahead: row.int() });
        }
        let (mut limit, stored) = Limit::new(row, now)?;
        next_expiry = limit.add_slots(slots).min(next_expiry);
        if next_expiry > now {
            if stored != limits.max_runs && applicants.iter().any(|applicant| applicant.queued.is_none()) {
                let configured = limits.max_runs;
                tracing::warn!(limit = name, stored, configured, "the stored size of the run limit is used");
            }
            return Ok(Locked { limit, positions });
        }
        let values = [name.into(), now.into()];
        let statements = REMOVE_EXPIRED.map(|sql| (sql, values.as_slice()));
        tx.pipeline(&statements).await?;
    }
}

/// Reads the limiter, the server, the slots and the queue positions of all applicants in one round
/// trip.
async fn read(tx: &mut Tx, name: &str, applicants: &[Applicant]) -> Result<Vec<Vec<Row>>, StoreError> {
    let now = tx.now_expression();
    let limit = "SELECT size, last_number, shrunk_size, shrunk_until, paused_until, probe, day, starts, \
                 (SELECT value FROM fetch_hive_meta WHERE name = 'version') \
                 FROM fetch_hive_limit WHERE name = $1 FOR UPDATE";
    let slots = "SELECT number, held, lease_end FROM fetch_hive_slot WHERE name = $1";
    // This statement reads the time after the lock has been granted.
    let queue = format!(
        "SELECT {now}, MIN(lease_end), MAX(since) FILTER (WHERE number = $2), MAX(lease_end) FILTER (WHERE number = $2), \
         COUNT(*) FILTER (WHERE number < $2 AND batch IS NULL), \
         COUNT(*) FILTER (WHERE number < $2 AND (batch IS NULL OR since <= {now} - {MAX_BATCH_WAIT})) \
         FROM fetch_hive_queue WHERE name = $1"
    );
    let values = [name.into()];
    // A run that is not in the queue yet is behind all others.
    let positions = applicants.iter().map(|applicant| [name.into(), applicant.queued.unwrap_or(i64::MAX).into()]);
    let positions: Vec<_> = positions.collect();
    let mut statements: Vec<Statement<'_>> = vec![(limit, &values), (tx.server_statement(), &[]), (slots, &values)];
    statements.extend(positions.iter().map(|values| (queue.as_str(), values.as_slice())));
    tx.pipeline(&statements).await
}

/// Statements that remove queue entries and slots whose leases have expired. If the holder of a
/// slot disappeared, the slot is first held for a while, because its run may still be in progress.
const REMOVE_EXPIRED: [&str; 3] = [
    "UPDATE fetch_hive_slot SET held = 1, lease_end = lease_end + hold \
     WHERE name = $1 AND held = 0 AND lease_end <= $2",
    "DELETE FROM fetch_hive_slot WHERE name = $1 AND held > 0 AND lease_end <= $2",
    "DELETE FROM fetch_hive_queue WHERE name = $1 AND lease_end <= $2",
];

/// Counts the waiting runs that have priority over a batch run.
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

/// Counts the occupied slots and the waiting runs.
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

/// Returns an error if the current server is not the confirmed one, because it may be missing
/// committed runs. `rows` is the result of the server statement.
pub(crate) async fn check_server(tx: &mut Tx, rows: Vec<Row>) -> Result<(), StoreError> {
    let Some(mut row) = rows.into_iter().next() else { return Ok(()) };
    match (row.text(), row.text()) {
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

/// Extends the lease of a slot, and returns whether the slot still belongs to this process.
pub(super) async fn renew(tx: &mut Tx, limits: &Limits, slot: i64) -> Result<bool, StoreError> {
    let sql = format!(
        "UPDATE fetch_hive_slot SET lease_end = {} + $3 WHERE name = $1 AND number = $2 AND held <> 1 RETURNING number",
        tx.now_expression()
    );
    let values = [limits.name.as_str().into(), slot.into(), millis(limits.lease).into()];
    Ok(tx.commit_row(&sql, &values).await?.is_some())
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::Store;

    fn limits() -> Limits {
        Limits::new("plan", 2)
    }

    /// Decides about applicants, and stores the changes.
    async fn step(store: &Store, queued: &[Option<i64>]) -> Result<Vec<Decision>, StoreError> {
        let applicants: Vec<_> = queued.iter().map(|queued| Applicant { queued: *queued, batch: None }).collect();
        let operation = store.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let locked = lock(tx, &limits(), &applicants).await?;
                let (decisions, changes) = decide(tx, &limits(), &applicants, locked).await?;
                tx.commit_with(&statements(&changes)).await?;
                Ok(decisions)
            })
        }));
        operation.await
    }

    #[tokio::test]
    async fn one_transaction_fills_all_free_slots_in_order() {
        let folder = std::env::temp_dir().join(format!("fetch-hive-grant-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let store = Store::open(folder.join("runs.db")).await.unwrap();
        let first = step(&store, &[None, None, None, None, None]).await.unwrap();
        let queued: Vec<_> = first
            .iter()
            .filter_map(|decision| if let Decision::Queued { number, .. } = decision { Some(*number) } else { None })
            .collect();
        assert_eq!((first.len(), queued.len()), (5, 3));
        let free: crate::database::Operation<()> =
            Box::new(|tx| Box::pin(async move { tx.execute("DELETE FROM fetch_hive_slot", &[]).await }));
        store.transaction(free).await.unwrap();
        let waiting: Vec<_> = queued.iter().map(|number| Some(*number)).collect();
        let second = step(&store, &waiting).await.unwrap();
        assert!(
            matches!(second[..], [Decision::Granted(_), Decision::Granted(_), Decision::Queued { .. }]),
            "the two longest waiting runs start"
        );
        drop(store);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
