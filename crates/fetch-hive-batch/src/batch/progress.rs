use std::fmt;
use std::time::{Duration, SystemTime};

use fetch_hive_store::batches::BatchState;

use super::Batch;
use crate::{Error, RowStatus};

/// A snapshot of a batch's progress.
///
/// `Display` formats it as one line, such as
/// `409/2024 ok 405 failed 3 rejected 0 unknown 1 running 3`, where 409 is the number of rows that
/// are settled or unknown.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// The number of rows in each status, in the order of [`RowStatus::ALL`].
    pub(super) counts: [u64; 7],
    /// The number of attempts that may have started a run.
    pub runs: u64,
    /// The number of these attempts that were made on the current day (UTC).
    pub runs_today: u64,
    /// The total number of tokens that the settled rows have used.
    pub tokens: u64,
    /// The reason why the batch is paused, or `None` if it is not paused.
    pub paused: Option<String>,
    /// The time until which no row starts, because the service could not be reached or refused a
    /// run. In [`Worker::on_progress`](super::Worker::on_progress), the reason can also be the
    /// daily cap or `max_runs_per_day`.
    pub paused_until: Option<SystemTime>,
    /// The time at which a slot becomes free again, if no row can start because slots are held for
    /// runs that may still be in progress, such as those of unknown rows. It is set only in
    /// [`Worker::on_progress`](super::Worker::on_progress).
    pub slots_held_until: Option<SystemTime>,
    /// The number of rows per minute that this worker has settled recently. This field and the next
    /// two are set only in [`Worker::on_progress`](super::Worker::on_progress).
    pub rows_per_minute: Option<f64>,
    /// The estimated time until the batch finishes, from this worker's recent rate and its limit on
    /// runs per day.
    pub time_left: Option<Duration>,
    /// The number of this worker's results that could not be stored yet because the database
    /// failed.
    pub unsaved: u64,
}

impl Progress {
    /// Returns the total number of rows.
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the number of rows that have a given status.
    pub fn count(&self, status: RowStatus) -> u64 {
        let counts = RowStatus::ALL.iter().zip(self.counts);
        counts.filter(|(counted, _)| **counted == status).map(|(_, count)| count).sum()
    }

    /// Returns the number of rows whose runs are in progress.
    pub fn running(&self) -> u64 {
        self.count(RowStatus::Starting) + self.count(RowStatus::Accepted)
    }

    /// Returns the number of rows that are settled or unknown.
    pub fn done(&self) -> u64 {
        self.rows() - self.count(RowStatus::Ready) - self.running()
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |status| self.count(status);
        write!(
            f,
            "{}/{} ok {} failed {} rejected {} unknown {} running {}",
            self.done(),
            self.rows(),
            count(RowStatus::Succeeded),
            count(RowStatus::Failed),
            count(RowStatus::Rejected),
            count(RowStatus::Unknown),
            self.running()
        )?;
        match &self.paused {
            Some(reason) => write!(f, " paused: {reason}"),
            None => Ok(()),
        }
    }
}

/// An estimate for the remaining rows, based on the rows that have succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// The number of succeeded rows on which the estimate is based.
    pub rows: u64,
    /// The average number of seconds per row.
    pub seconds_per_row: f64,
    /// The average number of tokens per row.
    pub tokens_per_row: f64,
    /// The number of rows that are ready or running.
    pub remaining_rows: u64,
    /// The estimated number of seconds until the batch finishes with the given number of slots.
    pub remaining_seconds: f64,
    /// The estimated number of tokens for the remaining rows.
    pub remaining_tokens: f64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows: {:.1} s per row; the other {} rows take about {:.0} s",
            self.rows, self.seconds_per_row, self.remaining_rows, self.remaining_seconds
        )?;
        // The service does not report the tokens of every run.
        if self.tokens_per_row > 0.0 {
            write!(f, " and {:.0} tokens ({:.0} per row)", self.remaining_tokens, self.tokens_per_row)?;
        }
        Ok(())
    }
}

impl Batch {
    /// Returns the current progress of the batch.
    ///
    /// # Errors
    ///
    /// Returns an error if the batch was deleted, or if the database fails.
    pub async fn progress(&self) -> Result<Progress, Error> {
        let counts = self.batches().counts(&self.id).await?;
        let record = self.record().await?;
        let mut progress = Progress {
            counts,
            runs: record.runs,
            runs_today: record.runs_today,
            tokens: record.tokens,
            ..Progress::default()
        };
        if let BatchState::Paused { reason } = record.state {
            progress.paused = Some(reason);
        }
        progress.paused_until = (record.not_before > SystemTime::now()).then_some(record.not_before);
        Ok(progress)
    }

    /// Estimates the time and the tokens for the remaining rows from the rows that have succeeded.
    /// Returns `None` if no row has succeeded.
    ///
    /// The estimate assumes that the batch can use `slots` run slots.
    ///
    /// Run a few rows with [`Worker::stop_after`](super::Worker::stop_after) first.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn sample(&self, slots: u32) -> Result<Option<Sample>, Error> {
        let (mut rows, mut seconds, mut tokens) = (0_u64, 0.0, 0.0);
        let mut after = 0;
        // The first rows are sufficiently representative.
        while rows < 1_000 {
            let page = self.batches().rows(&self.id, Some(RowStatus::Succeeded), after, 100).await?;
            let Some(last) = page.last() else { break };
            after = last.number;
            for row in page {
                let result = self.result_of(&row)?;
                if let Some(duration) = result.seconds {
                    rows += 1;
                    seconds += duration;
                    tokens += float(result.tokens.unwrap_or_default());
                }
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let progress = self.progress().await?;
        let remaining_rows = progress.rows() - progress.done();
        let (seconds_per_row, tokens_per_row) = (seconds / float(rows), tokens / float(rows));
        Ok(Some(Sample {
            rows,
            seconds_per_row,
            tokens_per_row,
            remaining_rows,
            remaining_seconds: seconds_per_row * float(remaining_rows) / f64::from(slots.max(1)),
            remaining_tokens: tokens_per_row * float(remaining_rows),
        }))
    }
}

/// Converts a count, which is far below 2^52, to a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "a count of rows or tokens")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
