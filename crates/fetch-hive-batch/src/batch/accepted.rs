//! Settles rows whose runs were accepted, after an event or a look-up.

use std::time::Duration;

use fetch_hive_client::RetryPolicy;
use fetch_hive_client::callback::Delivery;
use fetch_hive_client::http::StatusCode;
use fetch_hive_client::types::RequestId;
use fetch_hive_store::batches::{DueRow, RowEvent, RowUpdate};

use super::judge::{AttemptId, LOOK_UP_INTERVAL};

const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns the change for a verified event that ends a run.
pub(super) fn after_event(event: &RowEvent) -> RowUpdate {
    let id = AttemptId { number: event.number, attempt: event.attempt, started: event.started };
    let delivery = Delivery::from_verified(event.delivery.body.clone());
    let mut update = id.after_run(delivery.event.to_run(), &event.delivery.body, true);
    update.acknowledges_event = true;
    update
}

/// Looks up a run, and returns the change to its row, if there is one.
pub(super) async fn look_up(
    client: &fetch_hive_client::Client,
    row: &DueRow,
    max_run_time: Duration,
) -> Option<RowUpdate> {
    let id = AttemptId { number: row.number, attempt: row.attempt, started: row.started };
    let expired = row.age >= max_run_time;
    let unknown = |reason: String| expired.then(|| id.unknown(&reason, row.request_id.clone()));
    let Some(request_id) = row.request_id.clone().map(RequestId::from) else {
        return unknown(format!("no callback arrived within {max_run_time:?}, and the run has no known id"));
    };
    let call = client.requests().get(request_id).retry(RetryPolicy::never()).timeout(LOOK_UP_TIMEOUT);
    match call.await {
        Ok(record) if record.has_ended() => Some(id.after_run(record.to_run(), record.body(), true)),
        Ok(record) => {
            let status = record.to_run().run_status.map(|status| status.to_string()).unwrap_or_default();
            unknown(format!("the run has not ended within {max_run_time:?}: its status is {status:?}"))
        }
        // Other errors may be temporary, so the look-up is repeated for a while.
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) || row.age >= max_run_time * 2 => {
            unknown(format!("the run has no known end after {max_run_time:?}, and its look-up failed: {error}"))
        }
        Err(_) => None,
    }
}

/// Returns how long to wait between two look-ups of a row.
pub(super) fn look_up_interval(max_run_time: Duration) -> Duration {
    LOOK_UP_INTERVAL.min(max_run_time)
}
