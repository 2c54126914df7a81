use std::fmt;
use std::time::{Duration, SystemTime};

use crate::database::Row;
use crate::run_limiter::DAY;

/// The state of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchState {
    /// Rows may start.
    Running,
    /// No row starts until the batch is resumed.
    Paused {
        /// The reason for the pause.
        reason: String,
    },
}

/// The record of a batch.
///
/// `Debug` does not show the definition.
#[derive(Clone)]
#[non_exhaustive]
pub struct BatchRecord {
    /// The id of the batch, as an argument for the methods of
    /// [`StoreBatches`](super::StoreBatches).
    pub id: String,
    /// The name of the batch.
    pub name: String,
    /// The definition that was passed to [`complete`](super::StoreBatches::complete).
    pub definition: String,
    /// The state of the batch.
    pub state: BatchState,
    /// The number of rows.
    pub rows: u64,
    /// The number of attempts that may have started a run.
    pub runs: u64,
    /// The number of attempts of the current day (UTC) that may have started a run.
    pub runs_today: u64,
    /// The total number of tokens that the settled rows have used.
    pub tokens: u64,
    /// The time at which the batch was created, by the database's clock.
    pub created: SystemTime,
    /// The time before which no row starts, because the service could not be reached or refused the
    /// last run. Without a delay, it is in the past.
    pub not_before: SystemTime,
}

impl fmt::Debug for BatchRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchRecord")
            .field("name", &self.name)
            .field("state", &self.state)
            .field("rows", &self.rows)
            .field("runs", &self.runs)
            .finish_non_exhaustive()
    }
}

/// Reads the columns of a batch.
pub(super) fn batch_record(mut row: Row) -> BatchRecord {
    let mut text = || row.text().unwrap_or_default();
    let (id, name, definition) = (text(), text(), text());
    let (state, reason) = (row.int(), row.text());
    let state =
        if state == 2 { BatchState::Paused { reason: reason.unwrap_or_default() } } else { BatchState::Running };
    let [rows, runs, tokens] = [row.int(), row.int(), row.int()].map(crate::unsigned);
    let (created, not_before) = (system_time(row.int()), system_time(row.int()));
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (day, day_runs) = (row.int(), crate::unsigned(row.int()));
    let runs_today = if day == crate::millis(today) / DAY { day_runs } else { 0 };
    BatchRecord { id, name, definition, state, rows, runs, runs_today, tokens, created, not_before }
}

/// Converts milliseconds since 1970.
pub(super) fn system_time(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// The status of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RowStatus {
    /// No run has started.
    #[default]
    Ready,
    /// The intent to send the row has been committed, and its request may be in flight.
    Starting,
    /// The service has accepted the run, but its outcome is not known yet.
    Accepted,
    /// The run has completed.
    Succeeded,
    /// The run has failed, and may have been charged.
    Failed,
    /// The request was invalid, or the row was rejected manually. Nothing was charged.
    Rejected,
    /// The run may have started, but its outcome is unknown.
    Unknown,
}

impl fmt::Display for RowStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl RowStatus {
    /// All statuses, in the order of their numbers in the database.
    pub const ALL: [Self; 7] =
        [Self::Ready, Self::Starting, Self::Accepted, Self::Succeeded, Self::Failed, Self::Rejected, Self::Unknown];

    /// Returns the status as it appears in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Accepted => "accepted",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn number(self) -> i64 {
        self as i64
    }

    pub(super) fn from_number(number: i64) -> Self {
        let known = usize::try_from(number).ok().and_then(|index| Self::ALL.get(index));
        known.copied().unwrap_or(Self::Unknown)
    }
}
