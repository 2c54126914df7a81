use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use fetch_hive_client::callback::{
    AcceptedRun, DeliverResult, Delivery, PendingRuns, RawDelivery, RunToken, TakeResult, signed_request,
};
use fetch_hive_client::types::WebhookSecret;
use fetch_hive_client::{RunLimiter, RunRequest};
use fetch_hive_store::Store;
use tokio::task::JoinSet;

use super::{CLIENTS, CONCURRENT_DELIVERIES, Waiter, body, delay_until_line};

const SECRET: &str = "whsec_0123456789abcdef";

async fn open(database: &str) -> Store {
    let opened = if database.contains("://") { Store::connect(database).await } else { Store::open(database).await };
    opened.unwrap_or_else(|error| panic!("{error}"))
}

/// Starts the run number `n`, which ends with the callback `body(n)`.
async fn pending_run(store: &Store, n: usize) -> RunToken {
    let token = RunToken::random().unwrap_or_else(|error| panic!("{error}"));
    let runs = store.pending_runs();
    runs.open(&token).await.unwrap_or_else(|error| panic!("{error}"));
    let request_id = format!("req_{n}").into();
    let run = AcceptedRun::new(Some(request_id), Some(WebhookSecret::new(SECRET)));
    runs.started(&token, run).await.unwrap_or_else(|error| panic!("{error}"));
    token
}

/// How many runs are pending at a time.
const PENDING_RUNS: usize = 2_000;

/// Receives callbacks of pending runs through the receiver, which verifies and stores them.
pub(crate) async fn deliveries(database: &str, count: usize) -> Duration {
    let store = open(database).await;
    let mut elapsed = Duration::ZERO;
    for first in (0..count).step_by(PENDING_RUNS) {
        let mut opened = JoinSet::new();
        for n in first..first + PENDING_RUNS {
            let store = store.clone();
            opened.spawn(async move { (n, pending_run(&store, n).await) });
        }
        elapsed += deliver(&store, opened.join_all().await).await;
    }
    elapsed
}

async fn deliver(store: &Store, runs: Vec<(usize, RunToken)>) -> Duration {
    let receiver = store.receiver("http://localhost/callbacks");
    let (runs, next) = (Arc::new(runs), Arc::new(AtomicUsize::new(0)));
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..CONCURRENT_DELIVERIES {
        let (receiver, runs, next) = (receiver.clone(), Arc::clone(&runs), Arc::clone(&next));
        workers.spawn(async move {
            while let Some((n, token)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (mut parts, body) = signed_request(SECRET, body(*n)).into_parts();
                let url = format!("http://localhost/callbacks/{}", token.as_str());
                parts.uri = url.parse().unwrap_or_else(|error| panic!("{error}"));
                let handle = |_: Delivery| async { Ok::<_, std::convert::Infallible>(()) };
                let response = receiver.receive(Request::from_parts(parts, Body::from(body)), handle).await;
                assert_eq!(response.status(), 200);
            }
        });
    }
    workers.join_all().await;
    start.elapsed()
}

/// Acquires and releases slots. Slots are released in the background, so there are enough that no
/// client waits for the previous release.
pub(crate) async fn slots(database: &str, count: usize) -> Duration {
    let store = open(database).await;
    let limiter = store.run_limiter("plan", (8 * CLIENTS).try_into().unwrap_or(u32::MAX));
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let limiter = Arc::clone(&limiter);
        clients.spawn(async move {
            for _ in 0..count / CLIENTS {
                let limiter = Arc::clone(&limiter);
                let permit = limiter.acquire(RunRequest::new("invokeWorkflow", None)).await;
                drop(permit.unwrap_or_else(|error| panic!("{error}")));
            }
        });
    }
    clients.join_all().await;
    // A permit is released in the background.
    while limiter.usage().await.unwrap_or_else(|error| panic!("{error}")).running > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    start.elapsed()
}

/// Stores deliveries one after another, and measures when the other process has taken each.
pub(crate) async fn wake_ups(database: &str, count: usize) -> Vec<Duration> {
    let store = open(database).await;
    let mut waiter = Waiter::start("ours", database);
    let runs = store.pending_runs();
    let mut delays = Vec::with_capacity(count);
    for n in 0..count {
        let token = pending_run(&store, n).await;
        waiter.send(token.as_str());
        assert_eq!(waiter.line(), "waiting");
        let (parts, body) = signed_request(SECRET, body(n)).into_parts();
        let before = Instant::now();
        let stored = runs.deliver(&token, RawDelivery::new(parts.headers, body), true).await;
        assert!(matches!(stored, Ok(DeliverResult::Stored)), "{stored:?}");
        delays.push(delay_until_line(&mut waiter, before));
    }
    delays
}

/// Waits for the run of each token that it reads.
pub(crate) async fn wait(database: &str) {
    let runs = open(database).await.pending_runs();
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap_or_else(|error| panic!("{error}"));
        let token = RunToken::parse(&line).unwrap_or_else(|| panic!("{line} is not a token"));
        let mut is_waiting = false;
        loop {
            match runs.take(&token, Duration::from_secs(60)).await {
                Ok(TakeResult::Pending(changed)) => {
                    if !std::mem::replace(&mut is_waiting, true) {
                        println!("waiting");
                    }
                    changed.await;
                }
                Ok(TakeResult::Event { .. }) => break println!("taken"),
                other => panic!("{other:?}"),
            }
        }
    }
}
