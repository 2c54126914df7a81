//! Conformance checks for your own [`PendingRuns`], [`DedupStore`] and [`RunLimiter`].
//!
//! Each function takes two handles to the same state, as two processes would hold them, and works
//! on any async runtime. The checks use random keys, so that they can run on a store that is in
//! use. They take a few seconds, because leases must expire.
//!
//! ```
//! use fetch_hive_client::callback::{MemoryDedupStore, MemoryPendingRuns};
//! use fetch_hive_testing::stores;
//!
//! # pollster::block_on(async {
//! let runs = MemoryPendingRuns::new();
//! let report = stores::check_pending_runs(&runs, &runs.clone()).await;
//! assert!(report.is_success(), "{report}");
//!
//! let dedup = MemoryDedupStore::new();
//! let report = stores::check_dedup_store(&dedup, &dedup).await;
//! assert!(report.is_success(), "{report}");
//! # });
//! ```

mod dedup;
mod pending_runs;
mod report;
mod run_limiter;

use std::sync::Arc;

use fetch_hive_client::RunLimiter;
use fetch_hive_client::callback::{DedupStore, PendingRuns};

pub use self::report::StoreReport;

/// Checks a store of pending runs through two handles to the same state.
pub async fn check_pending_runs(first: &dyn PendingRuns, second: &dyn PendingRuns) -> StoreReport {
    let mut report = StoreReport::default();
    report.add("deliveries-of-unknown-runs", pending_runs::unknown_run(first, second).await);
    report.add("event-is-taken-once", pending_runs::event_is_taken_once(first, second).await);
    report.add("waiter-is-woken", pending_runs::waiter_is_woken(first, second).await);
    report.add("given-back-event-is-taken-again", pending_runs::event_is_given_back(first, second).await);
    report.add("lease-expires", pending_runs::lease_expires(first, second).await);
    report.add("lease-is-renewed", pending_runs::lease_is_renewed(first, second).await);
    report.add("unverified-deliveries-are-held", pending_runs::unverified_are_held(first, second).await);
    report.add("known-secret-is-kept", pending_runs::known_secret_is_kept(first, second).await);
    report.add("canceled-run-is-forgotten", pending_runs::canceled_run_is_forgotten(first, second).await);
    report
}

/// Checks a dedup store through two handles to the same state.
pub async fn check_dedup_store(first: &dyn DedupStore, second: &dyn DedupStore) -> StoreReport {
    let mut report = StoreReport::default();
    report.add("event-is-claimed-once", dedup::event_is_claimed_once(first, second).await);
    report.add("released-event-is-claimed-again", dedup::released_event_is_claimed_again(first, second).await);
    report.add("expired-claim-is-lost", dedup::expired_claim_is_lost(first, second).await);
    report.add("lease-is-renewed", dedup::lease_is_renewed(first, second).await);
    report.add("concurrent-claims", dedup::concurrent_claims(first, second).await);
    report
}

/// Checks a run limiter with two slots, and whose hold of unresolved runs is at least 10 s, through
/// two handles to the same state. Nobody else may use the limiter.
pub async fn check_run_limiter(first: Arc<dyn RunLimiter>, second: Arc<dyn RunLimiter>) -> StoreReport {
    let mut report = StoreReport::default();
    report.add("limit-is-kept", run_limiter::limit_is_kept(&first, &second).await);
    report.add("queue-is-fair", run_limiter::queue_is_fair(&first, &second).await);
    report.add("leaving-the-queue-loses-no-slot", run_limiter::leaving_loses_no_slot(&first, &second).await);
    report.add("unresolved-run-keeps-its-slot", run_limiter::unresolved_run_keeps_its_slot(&first, &second).await);
    report
}
