//! Tests on a PostgreSQL server, which are skipped if it is not installed.
#![cfg(feature = "postgres")]

mod support;

use std::time::{Duration, Instant};

use fetch_hive_client::callback::{DeliverResult, PendingRuns, RawDelivery, RunToken, TakeResult};
use fetch_hive_store::Store;
use fetch_hive_testing::stores;
use http::HeaderMap;
use support::Postgres;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn stores_conform() {
    let Some(server) = Postgres::start() else { return };
    // The second one polls, as behind a pooler in transaction mode.
    let first = Store::connect(&server.url()).await.unwrap();
    let second = Store::connect(&format!("{}&listen=false", server.url())).await.unwrap();
    let report = stores::check_pending_runs(&first.pending_runs(), &second.pending_runs()).await;
    assert!(report.is_success(), "{report}");
    let report = stores::check_dedup_store(&first.dedup(), &second.dedup()).await;
    assert!(report.is_success(), "{report}");
    let report = stores::check_run_limiter(first.run_limiter("plan", 2), second.run_limiter("plan", 2)).await;
    assert!(report.is_success(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_event_survives_a_crash_of_the_server() {
    let Some(server) = Postgres::start() else { return };
    let store = Store::connect(&server.url()).await.unwrap();
    let (runs, token) = (store.pending_runs(), RunToken::random().unwrap());
    runs.open(&token).await.unwrap();
    let event = RawDelivery::new(HeaderMap::new(), "event");
    assert!(matches!(runs.deliver(&token, event.clone(), true).await.unwrap(), DeliverResult::Stored));
    server.stop("immediate");
    assert!(runs.take(&token, LONG).await.is_err());
    server.restart_after("");
    // The same store recovers without a restart of the process.
    let began = Instant::now();
    let taken = loop {
        match runs.take(&token, LONG).await {
            Ok(taken) => break taken,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(30), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(matches!(taken, TakeResult::Event { delivery, .. } if delivery == event));
}

#[tokio::test]
async fn unreachable_server_is_named() {
    let error = Store::connect("postgres://nobody@127.0.0.1:1/none?sslmode=disable").await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && error.contains("refused"), "{error}");
    let error = Store::connect("postgres://nobody@127.0.0.1:1/none?sslmode=require").await.unwrap_err().to_string();
    assert!(error.contains("unsupported"), "{error}");
}
