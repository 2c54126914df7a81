//! The periodic tasks of a worker: renewing leases, handling events, looking up runs and importing
//! results.

use std::sync::Arc;
use std::time::Instant;

use fetch_hive_store::StoreError;
use fetch_hive_store::batches::RowStatus;

use super::accepted::{after_event, look_up_interval};
use super::run::Run;
use super::shared::lock;
use crate::Error;

/// The maximum number of events that are read per query.
const EVENTS: u32 = 100;

impl Run {
    /// Stores the recent changes again if the database server has changed.
    pub(super) async fn restore_after_promotion(&mut self) -> Result<(), StoreError> {
        let server = self.worker.batch.batches().server().await?;
        if self.server.is_some() && self.server != server {
            self.shared.store_again().await?;
        }
        self.server = server;
        Ok(())
    }

    /// Renews leases, and settles rows whose workers have disappeared or whose runs have ended.
    pub(super) async fn upkeep(&mut self) {
        let is_due = Instant::now() >= self.next_upkeep;
        let result = if is_due {
            self.next_upkeep = Instant::now() + self.interval();
            self.upkeep_all().await
        } else if self.worker.receiver.is_some() {
            self.settle_events().await
        } else {
            Ok(())
        };
        if let Err(error) = result {
            self.shared.store_failed(&error);
        }
    }

    async fn upkeep_all(&mut self) -> Result<(), StoreError> {
        let (batches, id) = (self.worker.batch.batches(), self.worker.batch.id.clone());
        let in_flight: Vec<_> = lock(&self.shared.in_flight).values().map(|row| (row.number, row.attempt)).collect();
        if !in_flight.is_empty() {
            batches.renew(&id, &in_flight, self.worker.lease).await?;
        }
        self.restore_after_promotion().await?;
        self.settle_events().await?;
        self.release_settled().await?;
        // After an outage, the other workers need time to renew their leases.
        if lock(&self.shared.last_failure).elapsed() > self.worker.lease {
            batches.sweep(&id).await?;
        }
        let max_run_time = self.worker.max_run_time;
        for row in batches.take_due(&id, look_up_interval(max_run_time), 10).await? {
            // A slow look-up must not delay the renewal of leases.
            self.tasks.spawn(Arc::clone(&self.shared).look_up(row, max_run_time));
        }
        match self.shared.spill.import(&batches, &id).await {
            Ok(0) => {}
            Ok(imported) => tracing::info!(batch = id, imported, "results were imported from files"),
            Err(Error::Store(error)) => return Err(error),
            Err(error) => tracing::warn!(batch = id, %error, "results could not be imported from files"),
        }
        Ok(())
    }

    async fn settle_events(&mut self) -> Result<(), StoreError> {
        let (batches, id) = (self.worker.batch.batches(), &self.worker.batch.id);
        for event in batches.events(id, EVENTS).await? {
            batches.update(id, &after_event(&event)).await?;
            self.shared.run_ended(event.number);
        }
        Ok(())
    }

    /// Frees the slots of accepted rows that another worker has settled.
    async fn release_settled(&mut self) -> Result<(), StoreError> {
        let mut rows: Vec<_> =
            lock(&self.shared.accepted).iter().map(|(number, (attempt, _))| (*number, *attempt)).collect();
        // Rows in flight are skipped, because they are added to `accepted` before their change is
        // stored.
        rows.retain(|(number, _)| !lock(&self.shared.in_flight).contains_key(number));
        if rows.is_empty() {
            return Ok(());
        }
        let states = self.worker.batch.batches().states(&self.worker.batch.id, &rows).await?;
        for ((number, _), state) in rows.into_iter().zip(states) {
            match state {
                Some(RowStatus::Accepted) => {}
                // The run may still be running, so its slot is held.
                Some(RowStatus::Unknown) => drop(lock(&self.shared.accepted).remove(&number)),
                _ => self.shared.run_ended(number),
            }
        }
        Ok(())
    }
}
