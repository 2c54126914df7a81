//! Tests on a PostgreSQL server, which are skipped if it is not installed.
#![cfg(feature = "postgres")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fetch_hive_client::callback::{DeliverResult, PendingRuns, RawDelivery, RunToken, TakeResult};
use fetch_hive_client::{RunLimiter, RunRequest};
use fetch_hive_store::{OnStoreFailure, Store};
use http::HeaderMap;
use support::postgres::Postgres;
use support::{
    PgBouncer, SilentRelay, check_conformance, history, limiter, root_certificate, start_postgres,
    start_postgres_with_tls,
};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn purge_keeps_what_is_not_settled() {
    let Some(server) = start_postgres() else { return };
    let store = Store::connect(&server.url()).await.unwrap();
    support::purge::keeps_what_is_not_settled(&store, |sql| drop(server.query(sql).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_conform() {
    let Some(server) = start_postgres() else { return };
    let first = Store::connect(&server.url()).await.unwrap();
    // This one polls, as behind a pooler.
    let second = Store::connect(&format!("{}&listen=false", server.url())).await.unwrap();
    check_conformance(&first, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_conform_behind_pgbouncer() {
    let Some(server) = start_postgres() else { return };
    let Some(bouncer) = PgBouncer::start(&server) else { return };
    let (first, second) =
        (Store::connect(&bouncer.url()).await.unwrap(), Store::connect(&bouncer.url()).await.unwrap());
    check_conformance(&first, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limiter_is_shared_by_processes() {
    let Some(server) = start_postgres() else { return };
    let (first, second) = (Store::connect(&server.url()).await.unwrap(), Store::connect(&server.url()).await.unwrap());
    limiter::interactive_runs_go_first(&first, &second).await;
    limiter::reserved_share_of_the_cap_is_kept(&first).await;
    limiter::daily_cap_pauses_every_process(&first, &second).await;
    limiter::refusal_shrinks_the_limit(&first).await;
    limiter::event_wakes_waiting_runs(&first, &second).await;
    limiter::unresolved_run_is_held(&first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_shared_by_processes() {
    let Some(server) = start_postgres() else { return };
    let (first, second) = (Store::connect(&server.url()).await.unwrap(), Store::connect(&server.url()).await.unwrap());
    history::history_is_shared_by_processes(&first, &second).await;
}

/// Connects, and returns whether the connection uses TLS.
async fn is_encrypted(server: &Postgres, url: &str) -> Result<bool, String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let _store = Store::connect(&format!("{url}&application_name={name}")).await.map_err(|error| error.to_string())?;
    let sql = format!(
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                       WHERE application_name = '{name}'"
    );
    Ok(server.query(&sql).map_err(|error| error.to_string())? == "t")
}

#[tokio::test(flavor = "multi_thread")]
async fn sslmode_has_the_meaning_of_libpq() {
    let Some(server) = start_postgres_with_tls() else { return };
    let root = format!("sslrootcert={}", root_certificate(&server).display());
    let localhost = |parameters: &str| server.url_with(parameters);
    let address = |parameters: &str| server.url_with(parameters).replace("@localhost", "@127.0.0.1");
    for (url, expected) in [
        (localhost("sslmode=disable"), Ok(false)),
        (localhost("sslmode=allow"), Ok(false)),
        (localhost("sslmode=prefer"), Ok(true)),
        (localhost("sslmode=require"), Ok(true)),
        (localhost(&format!("sslmode=verify-full&{root}")), Ok(true)),
        (address(&format!("sslmode=verify-ca&{root}")), Ok(true)),
        (address(&format!("sslmode=verify-full&{root}")), Err("not valid for name")),
        (localhost("sslmode=verify-full"), Err("UnknownIssuer")),
        (localhost("sslmode=verify-ca"), Err("UnknownIssuer")),
        (localhost("sslmode=never"), Err("invalid sslmode")),
        (localhost("sslmode=require&sslrootcert=/no/such/file"), Err("/no/such/file")),
    ] {
        match (is_encrypted(&server, &url).await, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{url}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{url}: {error}"),
            (found, _) => panic!("{url}: {found:?}"),
        }
    }
    // Without TLS on the server, `prefer` continues with a warning, and the other modes fail.
    let Some(plain) = start_postgres() else { return };
    assert_eq!(is_encrypted(&plain, &plain.url_with("sslmode=prefer")).await, Ok(false));
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = is_encrypted(&plain, &plain.url_with(&format!("sslmode={mode}"))).await.unwrap_err();
        assert!(error.contains("does not support TLS"), "{mode}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promoted_standby_starts_nothing_before_it_is_confirmed() {
    let Some(primary) = start_postgres() else { return };
    let store = Store::connect(&primary.url()).await.unwrap();
    let run = RunRequest::new("invokeWorkflow", None);
    drop(store.run_limiter("plan", 1).acquire(run).await.unwrap());
    let standby = primary.start_standby().unwrap();
    primary.stop("immediate").unwrap();
    standby.promote().unwrap();
    let store = Store::connect(&standby.url()).await.unwrap();
    let error = store.run_limiter("plan", 1).acquire(run).await.unwrap_err().to_string();
    assert!(error.contains("server changed") && error.contains("confirm_server"), "{error}");
    store.confirm_server().await.unwrap();
    drop(store.run_limiter("plan", 1).acquire(run).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_event_survives_a_crash_of_the_server() {
    let Some(server) = start_postgres() else { return };
    let store = Store::connect(&server.url()).await.unwrap();
    let (runs, token) = (store.pending_runs(), RunToken::random().unwrap());
    runs.open(&token).await.unwrap();
    let event = RawDelivery::new(HeaderMap::new(), "event");
    assert!(matches!(runs.deliver(&token, event.clone(), true).await.unwrap(), DeliverResult::Stored));
    server.stop("immediate").unwrap();
    assert!(runs.take(&token, LONG).await.is_err());
    server.restart().unwrap();
    // The same store recovers without a restart of the process.
    let began = Instant::now();
    let result = loop {
        match runs.take(&token, LONG).await {
            Ok(result) => break result,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(30), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(matches!(result, TakeResult::Event { delivery, .. } if delivery == event));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_replaced() {
    let Some(server) = start_postgres() else { return };
    let relay = SilentRelay::start((std::net::Ipv4Addr::LOCALHOST, server.port()).into()).await.unwrap();
    let store = Store::connect(&relay.database_url()).await.unwrap();
    let (runs, token) = (store.pending_runs(), RunToken::random().unwrap());
    runs.open(&token).await.unwrap();
    relay.silence();
    // The pooled connections never answer, and new ones work.
    assert!(runs.find(&token).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn database_failure_stops_runs_unless_configured() {
    let Some(server) = start_postgres() else { return };
    let store = Store::connect(&server.url()).await.unwrap();
    let run = RunRequest::new("invokeWorkflow", None);
    let anyway = store.run_limiter_builder("plan", 1).on_store_failure(OnStoreFailure::StartAnyway).build();
    server.stop("immediate").unwrap();
    assert!(store.run_limiter("plan", 1).acquire(run).await.is_err());
    assert!(anyway.for_batch("nightly").acquire(run).await.is_err());
    drop(anyway.acquire(run).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_schema_stops_new_runs() {
    let Some(server) = start_postgres() else { return };
    let store = Store::connect(&server.url()).await.unwrap();
    let (run, limiter) = (RunRequest::new("invokeWorkflow", None), store.run_limiter("plan", 1));
    let held = Arc::clone(&limiter).acquire(run).await.unwrap();
    server.query("UPDATE fetch_hive_meta SET value = 99 WHERE name = 'version'").unwrap();
    // What runs may end, but nothing new starts.
    drop(held);
    let error = limiter.acquire(run).await.unwrap_err().to_string();
    assert!(error.contains("schema version 99"), "{error}");
    assert_eq!(server.query("SELECT count(*) FROM fetch_hive_slot").unwrap(), "0");
}

#[tokio::test]
async fn unreachable_server_is_named() {
    for mode in ["disable", "prefer", "require", "verify-full"] {
        let url = format!("postgres://nobody:hunter2@127.0.0.1:1/none?sslmode={mode}");
        let error = Store::connect(&url).await.unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:1") && error.contains("refused"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
