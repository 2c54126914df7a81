use std::fmt;
use std::time::{Duration, SystemTime};

use fetch_hive_store::batches::BatchState;

use super::Batch;
use crate::{Error, RowStatus};

/// The progress of a batch at one moment.
///
/// `Display` shows one line, such as `409/2024 ok 405 failed 3 rejected 0 unknown 1 running 3`,
/// where 409 rows are settled or unknown.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// The number of rows in each state, in the order of [`RowStatus::ALL`].
    pub(super) counts: [u64; 7],
    /// The number of attempts that may have started a run.
    pub runs: u64,
    /// The number of these attempts that were made on the current day (UTC).
    pub runs_today: u64,
    /// The number of tokens of the settled rows.
    pub tokens: u64,
    /// The reason why the batch is paused.
    pub paused: Option<String>,
    /// The time until which no row starts, because the service could not be reached or refused a
    /// run. [`Worker::on_progress`](super::Worker::on_progress) also considers the daily cap and
    /// `max_runs_per_day`.
    pub paused_until: Option<SystemTime>,
    /// The rows per minute that this worker has settled recently. Only
    /// [`Worker::on_progress`](super::Worker::on_progress) sets it and the next two fields.
    pub rows_per_minute: Option<f64>,
    /// The expected time until the last row ends, at the recent rate of this worker and with its
    /// limit of runs per day.
    pub time_left: Option<Duration>,
    /// The number of results of this worker that are not stored yet, because the database fails.
    pub unsaved: u64,
}

impl Progress {
    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the number of rows with a status.
    pub fn count(&self, status: RowStatus) -> u64 {
        let counts = RowStatus::ALL.iter().zip(self.counts);
        counts.filter(|(counted, _)| **counted == status).map(|(_, count)| count).sum()
    }

    /// Returns the number of rows whose run is in progress.
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

/// An estimate for the remaining rows, from the succeeded ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// The number of rows with a duration.
    pub rows: u64,
    /// The average seconds per row.
    pub seconds_per_row: f64,
    /// The average tokens per row.
    pub tokens_per_row: f64,
    /// The number of rows that are ready or running.
    pub remaining_rows: u64,
    /// The expected seconds until all rows are settled, with these slots.
    pub remaining_seconds: f64,
    /// The expected tokens of the remaining rows.
    pub remaining_tokens: f64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows: {:.1} s and {:.0} tokens per row; the other {} rows take about {:.0} s and {:.0} tokens",
            self.rows,
            self.seconds_per_row,
            self.tokens_per_row,
            self.remaining_rows,
            self.remaining_seconds,
            self.remaining_tokens
        )
    }
}

impl Batch {
    /// Returns the progress of the batch.
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

    /// Estimates the time and the tokens of the remaining rows from succeeded rows, for a number of
    /// slots. Returns `None` if no row has succeeded.
    ///
    /// Run a few rows with [`Worker::stop_after`](super::Worker::stop_after) first.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn sample(&self, slots: u32) -> Result<Option<Sample>, Error> {
        let (mut rows, mut seconds, mut tokens) = (0_u64, 0.0, 0.0);
        let mut after = 0;
        // The first rows are representative enough.
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

/// Converts a count, which is far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "a count of rows or tokens")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
