//! The in-memory stores pass the conformance checks for stores.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_client::callback::{
    AcceptedRun, DeliverResult, MemoryDedupStore, MemoryPendingRuns, PendingRunState, PendingRuns, RawDelivery,
    RunToken, TakeResult,
};
use fetch_hive_client::{BoxError, MemoryRunLimiter, RunLimiter, TokioClock};
use fetch_hive_testing::stores;

#[tokio::test]
async fn memory_stores_conform() {
    let runs = MemoryPendingRuns::new();
    let report = stores::check_pending_runs(&runs, &runs.clone()).await;
    assert!(report.is_success(), "{report}");
    let dedup = MemoryDedupStore::new();
    let report = stores::check_dedup_store(&dedup, &dedup).await;
    assert!(report.is_success(), "{report}");
    let limiter: Arc<dyn RunLimiter> = MemoryRunLimiter::new(2, Duration::from_secs(60), Arc::new(TokioClock));
    let report = stores::check_run_limiter(Arc::clone(&limiter), limiter).await;
    assert!(report.is_success(), "{report}");
}

#[tokio::test]
async fn violations_are_reported() {
    // Two handles that do not share their state.
    let report = stores::check_pending_runs(&MemoryPendingRuns::new(), &MemoryPendingRuns::new()).await;
    assert!(report.failures().any(|name| name == "event-is-taken-once"), "{report}");
    let report = stores::check_dedup_store(&MemoryDedupStore::new(), &MemoryDedupStore::new()).await;
    assert!(report.failures().any(|name| name == "concurrent-claims"), "{report}");
    let limiter =
        |runs| -> Arc<dyn RunLimiter> { MemoryRunLimiter::new(runs, Duration::from_secs(60), Arc::new(TokioClock)) };
    let report = stores::check_run_limiter(limiter(2), limiter(2)).await;
    assert!(report.failures().any(|name| name == "limit-is-kept"), "{report}");

    let runs = ForgetsLeases(MemoryPendingRuns::new());
    let report = stores::check_pending_runs(&runs, &runs).await;
    assert_eq!(report.failures().collect::<Vec<_>>(), ["lease-is-renewed"], "{report}");
}

/// A store that ignores renewals.
struct ForgetsLeases(MemoryPendingRuns);

#[async_trait]
impl PendingRuns for ForgetsLeases {
    async fn open(&self, token: &RunToken) -> Result<(), BoxError> {
        self.0.open(token).await
    }

    async fn started(&self, token: &RunToken, run: AcceptedRun) -> Result<Vec<RawDelivery>, BoxError> {
        self.0.started(token, run).await
    }

    async fn cancel(&self, token: &RunToken) -> Result<(), BoxError> {
        self.0.cancel(token).await
    }

    async fn find(&self, token: &RunToken) -> Result<Option<PendingRunState>, BoxError> {
        self.0.find(token).await
    }

    async fn deliver(
        &self,
        token: &RunToken,
        delivery: RawDelivery,
        verified: bool,
    ) -> Result<DeliverResult, BoxError> {
        self.0.deliver(token, delivery, verified).await
    }

    async fn take(&self, token: &RunToken, lease: Duration) -> Result<TakeResult, BoxError> {
        self.0.take(token, lease).await
    }

    async fn renew(&self, token: &RunToken, number: u64, _: Duration) -> Result<(), BoxError> {
        self.0.renew(token, number, Duration::ZERO).await
    }

    async fn acknowledge(&self, token: &RunToken, number: u64) -> Result<(), BoxError> {
        self.0.acknowledge(token, number).await
    }

    async fn give_back(&self, token: &RunToken, number: u64) -> Result<(), BoxError> {
        self.0.give_back(token, number).await
    }
}
