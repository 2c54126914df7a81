//! Checks of the limiter that every database must pass.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fetch_hive_client::callback::{AcceptedRun, DeliverResult, PendingRuns as _, RawDelivery, RunToken};
use fetch_hive_client::{ApiError, RunEnd, RunLimiter, RunLimiterUsage, RunPermit, RunRequest};
use fetch_hive_core::Operation;
use fetch_hive_core::types::InvokeWorkflow;
use fetch_hive_store::{Store, StoreRunLimiter};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

const RUN: RunRequest<'static> = RunRequest::new("invokeWorkflow", None);

/// Longer than a waiter sleeps without a notification.
const SOON: Duration = Duration::from_secs(15);

async fn acquire(limiter: &Arc<impl RunLimiter>) -> RunPermit {
    timeout(SOON, Arc::clone(limiter).acquire(RUN)).await.unwrap().unwrap()
}

fn queue(limiter: &Arc<impl RunLimiter>) -> JoinHandle<RunPermit> {
    let limiter = Arc::clone(limiter);
    tokio::spawn(async move { limiter.acquire(RUN).await.unwrap() })
}

fn refusal(body: &'static str, date: &str) -> ApiError {
    let response = http::Response::builder().status(429).header("date", date).body(Bytes::from(body)).unwrap();
    ApiError::new(&Operation::of::<InvokeWorkflow>(), response)
}

/// Waits until this many runs are in the queue.
async fn until_waiting(limiter: &StoreRunLimiter, runs: u64) {
    let waiting = async {
        while limiter.usage().await.unwrap().waiting != runs {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, waiting).await.unwrap();
}

pub async fn interactive_runs_go_first(first: &Store, second: &Store) {
    let limiter = first.run_limiter("classes", 1);
    let (one, two) = (second.run_limiter("classes", 1).for_batch("one"), limiter.for_batch("two"));
    let running = acquire(&one).await;
    let mut batch_one = queue(&one);
    until_waiting(&limiter, 1).await;
    let mut batch_two = queue(&two);
    until_waiting(&limiter, 2).await;
    let interactive = queue(&limiter);
    until_waiting(&limiter, 3).await;
    drop(running);
    let interactive = timeout(SOON, interactive).await.unwrap().unwrap();
    assert!(!batch_one.is_finished() && !batch_two.is_finished());
    drop(interactive);
    // Batch one arrived first, but its last run started later than that of batch two.
    let permit = timeout(SOON, &mut batch_two).await.unwrap().unwrap();
    assert!(!batch_one.is_finished());
    drop(permit);
    timeout(SOON, &mut batch_one).await.unwrap().unwrap();
}

pub async fn reserved_share_of_the_cap_is_kept(store: &Store) {
    let limiter = store.run_limiter_builder("reserve", 5).daily_cap(3, 1).build();
    let batch = limiter.for_batch("one");
    drop((acquire(&batch).await, acquire(&batch).await));
    let waiting = queue(&batch);
    until_waiting(&limiter, 1).await;
    // The batch does not stand in the way of interactive runs.
    drop(acquire(&limiter).await);
    sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    waiting.abort();
}

pub async fn daily_cap_pauses_every_process(first: &Store, second: &Store) {
    let (limiter, other) = (first.run_limiter("cap", 3), second.run_limiter("cap", 3));
    let refused = acquire(&limiter).await;
    let body = r#"{"error_code":"api_rate_limit_exceeded","error":"Daily limit","limit":1500,"current":1500}"#;
    let error = refusal(body, "Thu, 01 Jan 2026 23:59:54 GMT");
    assert!(matches!(error.rate_limit(), Some(fetch_hive_client::RateLimit::DailyCap { .. })), "{error}");
    limiter.refused(&error);
    drop(refused);
    sleep(Duration::from_secs(2)).await;
    let mut waiting = JoinSet::new();
    for limiter in [other, limiter] {
        waiting.spawn(async move { limiter.acquire(RUN).await.unwrap() });
    }
    let early = timeout(Duration::from_secs(1), waiting.join_next()).await;
    assert!(early.is_err(), "the cap is reset after six seconds");
    // One run is the probe, and the other one follows when it was not refused.
    let probe = timeout(SOON, waiting.join_next()).await.unwrap().unwrap().unwrap();
    assert!(timeout(Duration::from_millis(1_500), waiting.join_next()).await.is_err());
    drop(probe);
    timeout(SOON, waiting.join_next()).await.unwrap().unwrap().unwrap();
}

pub async fn refusal_shrinks_the_limit(store: &Store) {
    let limiter = store.run_limiter("shrink", 3);
    let (one, two, refused) = (acquire(&limiter).await, acquire(&limiter).await, acquire(&limiter).await);
    let body = r#"{"error":"You have reached your concurrency limit."}"#;
    let error = refusal(body, "Thu, 01 Jan 2026 12:00:00 GMT");
    assert!(matches!(error.rate_limit(), Some(fetch_hive_client::RateLimit::Concurrency)), "{error}");
    limiter.refused(&error);
    sleep(Duration::from_secs(1)).await;
    drop(refused);
    let waiting = queue(&limiter);
    sleep(Duration::from_millis(1_500)).await;
    assert!(!waiting.is_finished(), "two runs are running, and the third one was refused");
    drop(one);
    timeout(SOON, waiting).await.unwrap().unwrap();
    drop(two);
}

/// Without a wake-up, a waiter looks for a slot after a second.
pub async fn event_wakes_waiting_runs(first: &Store, second: &Store) {
    let (limiter, other) = (first.run_limiter("event", 1), second.run_limiter("event", 1));
    let mut fastest = Duration::MAX;
    for number in 0..5 {
        let permit = acquire(&limiter).await;
        let request_id = format!("req_event_{number}");
        let (runs, token) = (first.pending_runs(), RunToken::random().unwrap());
        runs.open(&token).await.unwrap();
        let run = AcceptedRun::new(Some(request_id.as_str().into()), Some("whsec_0123456789".into()));
        runs.started(&token, run).await.unwrap();
        limiter.run_started(permit.slot(), &request_id.into());
        first.flush().await;
        let waiting = queue(&other);
        until_waiting(&limiter, 1).await;
        let event = RawDelivery::new(http::HeaderMap::new(), Bytes::from("{}"));
        assert!(matches!(runs.deliver(&token, event, true).await, Ok(DeliverResult::Stored)));
        let delivered = Instant::now();
        drop(timeout(SOON, waiting).await.unwrap().unwrap());
        fastest = fastest.min(delivered.elapsed());
        drop(permit);
        first.flush().await;
        second.flush().await;
    }
    assert!(fastest < Duration::from_millis(600), "{fastest:?}");
}

pub async fn unresolved_run_is_held(store: &Store) {
    let limiter = store.run_limiter_builder("hold", 1).unresolved_run_hold(Duration::from_secs(3)).build();
    let mut permit = acquire(&limiter).await;
    permit.set_end(RunEnd::MayBeRunning { request_id: Some("req_1".into()) });
    drop(permit);
    let mut waiting = queue(&limiter);
    sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    assert_eq!(limiter.usage().await.unwrap(), RunLimiterUsage::new(1, 0, 1, 1));
    let permit = timeout(SOON, &mut waiting).await.unwrap().unwrap();
    assert_eq!(limiter.usage().await.unwrap(), RunLimiterUsage::new(1, 1, 0, 0));
    drop(permit);
    assert_eq!(limiter.lost_permits(), 0);
}
