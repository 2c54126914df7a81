use fetch_hive_store::batches::{Attempt, RowUpdate, StoredRow};

use super::Batch;
use crate::{Error, Export, Row, RowResult, RowStatus, Written};

/// The number of rows that an export reads per query.
const PAGE: u32 = 200;

/// A person's decision about a row whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// The run did not start, so the row is sent again.
    DidNotRun,
    /// The run has ended, but its output is not known. The row counts as succeeded, without an
    /// output.
    Ran,
    /// The row is sent again, although an earlier run may have been charged.
    RunAgain,
}

/// A row of a batch with its result and its attempts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RowReport {
    /// The input row.
    pub row: Row,
    /// The result so far.
    pub result: RowResult,
    /// The attempts to run the row, oldest first.
    pub attempts: Vec<Attempt>,
}

impl Batch {
    /// Writes the original columns and the results of all rows in input order.
    ///
    /// You can call this while the batch is running.
    ///
    /// # Errors
    ///
    /// Returns an error if a column name occurs twice, if the file cannot be written, or if the
    /// database fails.
    pub async fn export(&self, export: &Export) -> Result<Written, Error> {
        let mut writer = export.create(&std::sync::Arc::new(self.definition.header.clone()))?;
        let mut after = 0;
        loop {
            let page = self.batches().rows(&self.id, None, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.number;
            for stored in &page {
                let row = self.parse_row(stored.number, &stored.content)?;
                writer.write(&row, &self.result_of(stored)?)?;
            }
        }
        writer.finish()
    }

    /// Returns the rows that have a given status, with their results and attempts.
    ///
    /// Returns at most `limit` rows whose numbers are greater than `after`.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn rows(&self, with: RowStatus, after: u64, limit: u32) -> Result<Vec<RowReport>, Error> {
        let mut rows = Vec::new();
        for stored in self.batches().rows(&self.id, Some(with), after, limit).await? {
            let attempts = self.batches().attempts(&self.id, Some(stored.number)).await?;
            let row = self.parse_row(stored.number, &stored.content)?;
            rows.push(RowReport { row, result: self.result_of(&stored)?, attempts });
        }
        Ok(rows)
    }

    /// Records a person's decision about an unknown row.
    ///
    /// # Errors
    ///
    /// Returns an error if the row is not unknown, or if the database fails.
    pub async fn resolve(&self, number: u64, resolution: Resolution) -> Result<(), Error> {
        let batches = self.batches();
        let found = batches.rows(&self.id, Some(RowStatus::Unknown), number.saturating_sub(1), 1).await?;
        let Some(row) = found.into_iter().find(|row| row.number == number) else {
            let reason = format!("row {number} cannot be resolved: it is not `unknown`");
            return Err(self.not_allowed(&reason));
        };
        match resolution {
            Resolution::DidNotRun => {
                batches.run_again(&self.id, RowStatus::Unknown, Some(number)).await?;
                batches.record_resolution(&self.id, number, "did not run").await?;
            }
            Resolution::RunAgain => {
                batches.run_again(&self.id, RowStatus::Unknown, Some(number)).await?;
            }
            Resolution::Ran => {
                let mut result = self.result_of(&row)?;
                result.status = RowStatus::Succeeded;
                result.error = Some("resolved by a person: the run has ended, and its output is not known".to_owned());
                let mut update = RowUpdate::new(number, row.attempts, RowStatus::Succeeded, "resolved by a person");
                update.result = serde_json::to_vec(&result).ok();
                batches.update(&self.id, &update).await?;
                batches.record_resolution(&self.id, number, "ran").await?;
            }
        }
        Ok(())
    }

    /// Makes all failed rows or all rejected rows ready for another attempt, and returns their
    /// number.
    ///
    /// A failed row may be charged again. For unknown rows, use [`resolve`](Self::resolve) instead.
    ///
    /// # Errors
    ///
    /// Returns an error if `with` is another status, or if the database fails.
    pub async fn retry(&self, with: RowStatus) -> Result<u64, Error> {
        if !matches!(with, RowStatus::Failed | RowStatus::Rejected) {
            let reason = format!(
                "rows with status `{with}` are not retried, only `failed` and `rejected` ones; for `unknown`, see `resolve`"
            );
            return Err(self.not_allowed(&reason));
        }
        Ok(self.batches().run_again(&self.id, with, None).await?)
    }

    /// Rejects a ready row, so that the batch continues without running it.
    ///
    /// Use this for a row whose content repeatedly pauses the batch, for example because a proxy
    /// rejects it.
    ///
    /// # Errors
    ///
    /// Returns an error if the row is not ready, or if the database fails.
    pub async fn reject(&self, number: u64, reason: &str) -> Result<(), Error> {
        let mut result = RowResult::new(RowStatus::Rejected);
        result.error = Some(format!("rejected by a person: {reason}"));
        let result = serde_json::to_vec(&result).unwrap_or_default();
        if self.batches().reject(&self.id, number, &result).await? {
            return Ok(());
        }
        let reason = format!("row {number} cannot be rejected: it is not `ready`");
        Err(self.not_allowed(&reason))
    }

    /// Returns the result of a stored row.
    pub(super) fn result_of(&self, row: &StoredRow) -> Result<RowResult, Error> {
        let mut result = match &row.result {
            Some(result) => serde_json::from_slice(result).map_err(|error| Error::Corrupt {
                name: self.name.clone(),
                reason: format!("row {}: {error}", row.number),
            })?,
            None => RowResult::default(),
        };
        result.status = row.status;
        result.attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
        result.request_id = result.request_id.or_else(|| row.request_id.clone().map(Into::into));
        result.started_at = row.started.map(|time| humantime::format_rfc3339_millis(time).to_string().into());
        if row.status == RowStatus::Unknown && result.error.is_none() {
            result.error = Some("its worker disappeared while the request was sent; the run may be charged".to_owned());
        }
        Ok(result)
    }
}
