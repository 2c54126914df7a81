//! Tests on SQLite files.
#![cfg(feature = "sqlite")]

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use fetch_hive_client::callback::{
    AcceptedRun, ClaimResult, DedupStore, DeliverResult, EventKey, PendingRuns, RawDelivery, Receiver, RunToken,
    TakeResult, Verifier, signed_request,
};
use fetch_hive_store::{Store, StoreError};
use http::HeaderMap;
use support::{Directory, check_conformance, history, limiter};

const LONG: Duration = Duration::from_secs(60);
const TOKEN: &str = "run-0123456789abcdef0123456789abcdef";

fn event() -> RawDelivery {
    RawDelivery::new(HeaderMap::new(), "the paid answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_conform() {
    let directory = Directory::new().unwrap();
    let path = directory.path().join("runs.db");
    // Two connections to one file, as in two processes.
    let (first, second) = (Store::open(&path).await.unwrap(), Store::open(&path).await.unwrap());
    check_conformance(&first, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limiter_is_shared_by_processes() {
    let directory = Directory::new().unwrap();
    let path = directory.path().join("runs.db");
    let (first, second) = (Store::open(&path).await.unwrap(), Store::open(&path).await.unwrap());
    limiter::interactive_runs_go_first(&first, &second).await;
    limiter::reserved_share_of_the_cap_is_kept(&first).await;
    limiter::daily_cap_pauses_every_process(&first, &second).await;
    limiter::refusal_shrinks_the_limit(&first).await;
    limiter::event_wakes_waiting_runs(&first, &second).await;
    limiter::unresolved_run_is_held(&first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_shared_by_processes() {
    let directory = Directory::new().unwrap();
    let path = directory.path().join("runs.db");
    let (first, second) = (Store::open(&path).await.unwrap(), Store::open(&path).await.unwrap());
    history::history_is_shared_by_processes(&first, &second).await;
}

#[tokio::test]
async fn stored_secrets_verify_callbacks() {
    for seal in [false, true] {
        let directory = Directory::new().unwrap();
        let builder = if seal { Store::builder().seal_with("key-1", &[7; 32]).unwrap() } else { Store::builder() };
        let store = builder.open(directory.path().join("runs.db")).await.unwrap();
        store.put_secret("weekly-report", &"whsec_old".into()).await.unwrap();
        store.put_secret("weekly-report", &"whsec_new".into()).await.unwrap();
        store.put_secret("digest", &"whsec_digest".into()).await.unwrap();
        let receiver = Receiver::new(Verifier::new(None::<&str>)).secret_source(store.secrets());
        let body = r#"{"event_type":"workflow.completed","request_id":"req_1","data":{}}"#;
        for (secret, status) in [("whsec_new", 200), ("whsec_digest", 200), ("whsec_old", 401)] {
            let handle = |_| async { Ok::<_, std::convert::Infallible>(()) };
            let response = receiver.receive_bytes(signed_request(secret, body), handle).await;
            assert_eq!(response.status(), status, "{secret}");
        }
        assert!(store.delete_secret("digest").await.unwrap());
        assert!(!store.delete_secret("digest").await.unwrap());
    }
}

#[tokio::test]
async fn purge_keeps_what_is_not_settled() {
    let directory = Directory::new().unwrap();
    let path = directory.path().join("runs.db");
    let store = Store::open(&path).await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    support::purge::keeps_what_is_not_settled(&store, |sql| connection.execute_batch(sql).unwrap()).await;
}

/// Fills the disk on which its file is. Runs as the child of the next test.
#[tokio::test]
async fn full_disk_child() {
    let Some(path) = std::env::var_os("FETCH_HIVE_STORE_FULL_DISK") else { return };
    let store = Store::open(path).await.unwrap();
    let (runs, token) = (store.pending_runs(), RunToken::random().unwrap());
    runs.open(&token).await.unwrap();
    runs.started(&token, AcceptedRun::new(Some("req_1".into()), None)).await.unwrap();
    let big = RawDelivery::new(HeaderMap::new(), "x".repeat(4 << 20));
    let error = runs.deliver(&token, big, true).await.unwrap_err();
    assert!(error.to_string().contains("disk is full"), "{error}");
    // What was acknowledged is still there, and a smaller event fits.
    assert!(matches!(runs.deliver(&token, event(), true).await.unwrap(), DeliverResult::Stored));
    println!("\nfull disk was reported");
}

#[tokio::test]
async fn full_disk_is_named_and_loses_nothing() {
    let directory = Directory::new().unwrap();
    let mounted = directory.path().join("small");
    std::fs::create_dir(&mounted).unwrap();
    // A file system of 1 MiB, which only the child sees.
    let script = "mount -t tmpfs -o size=1m none \"$0\" || exit 77; exec \"$1\" --exact full_disk_child --nocapture";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .args([mounted.as_os_str(), std::env::current_exe().unwrap().as_os_str()])
        .env("FETCH_HIVE_STORE_FULL_DISK", mounted.join("runs.db"))
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("full disk was reported"), "{text}");
        }
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        }
        _ => support::report_skipped("permission to mount a file system"),
    }
}

#[tokio::test]
async fn folder_that_does_not_exist_is_named() {
    let error = Store::open("/no/such/folder/runs.db").await.unwrap_err().to_string();
    assert!(error.contains("/no/such/folder/runs.db") && error.contains("No such file"), "{error}");
}

#[tokio::test]
async fn files_are_private() {
    let directory = Directory::new().unwrap();
    let store = Store::open(directory.path().join("runs.db")).await.unwrap();
    store.pending_runs().open(&RunToken::random().unwrap()).await.unwrap();
    for name in ["runs.db", "runs.db-wal", "runs.db-shm"] {
        let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn newer_schema_is_rejected() {
    let directory = Directory::new().unwrap();
    let path = directory.path().join("runs.db");
    drop(Store::open(&path).await.unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE fetch_hive_meta SET value = 99 WHERE name = 'version'", []).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn locked_file_is_reported() {
    let directory = Directory::new().unwrap();
    let path = directory.path().join("runs.db");
    let store = Store::open(&path).await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let runs = store.pending_runs();
    let token = RunToken::random().unwrap();
    let error = runs.open(&token).await.unwrap_err();
    assert!(error.to_string().contains("locked"), "{error}");
    connection.execute_batch("ROLLBACK").unwrap();
    assert!(runs.find(&token).await.unwrap().is_none());
    runs.open(&token).await.unwrap();
}

#[tokio::test]
async fn sealed_values_are_unreadable_without_the_key() {
    for seal in [false, true] {
        let directory = Directory::new().unwrap();
        let path = directory.path().join("runs.db");
        let builder = if seal { Store::builder().seal_with("key-1", &[7; 32]).unwrap() } else { Store::builder() };
        let store = builder.open(&path).await.unwrap();
        let (runs, token) = (store.pending_runs(), RunToken::random().unwrap());
        runs.open(&token).await.unwrap();
        runs.started(&token, AcceptedRun::new(None, Some("whsec_private".into()))).await.unwrap();
        runs.deliver(&token, event(), true).await.unwrap();
        let bytes: Vec<u8> = ["runs.db", "runs.db-wal"]
            .iter()
            .flat_map(|name| std::fs::read(directory.path().join(name)).unwrap())
            .collect();
        let contains = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert_eq!(contains("the paid answer"), !seal);
        assert_eq!(contains("whsec_private"), !seal);
        assert!(!contains(token.as_str()));
        let other = Store::builder().seal_with("key-1", &[8; 32]).unwrap().open(&path).await.unwrap();
        assert_eq!(other.pending_runs().take(&token, Duration::ZERO).await.is_err(), seal);
        // The failed attempt took the event for no time.
        let event_taken = runs.take(&token, LONG).await.unwrap();
        assert!(matches!(event_taken, TakeResult::Event { delivery, .. } if delivery == event()));
    }
}

/// Runs as the child of the next test, and is killed when it has printed a line.
#[tokio::test]
async fn child() {
    let Some(path) = std::env::var_os("FETCH_HIVE_STORE_CHILD") else { return };
    let store = Store::open(path).await.unwrap();
    let (runs, token) = (store.pending_runs(), RunToken::parse(TOKEN).unwrap());
    runs.open(&token).await.unwrap();
    runs.started(&token, AcceptedRun::new(Some("req_1".into()), None)).await.unwrap();
    assert!(matches!(runs.deliver(&token, event(), true).await.unwrap(), DeliverResult::Stored));
    runs.take(&token, Duration::from_secs(2)).await.unwrap();
    let dedup = store.dedup();
    let ClaimResult::Acquired(claim) = dedup.claim(&EventKey::new("handled"), LONG).await.unwrap() else { return };
    dedup.commit(&claim).await.unwrap();
    dedup.claim(&EventKey::new("claimed"), LONG).await.unwrap();
    println!("\nready");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn killed_process_loses_nothing() {
    let directory = Directory::new().unwrap();
    let path = directory.path().join("runs.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env("FETCH_HIVE_STORE_CHILD", &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    child.kill().unwrap();
    child.wait().unwrap();
    let store = Store::open(&path).await.unwrap();
    let (runs, token) = (store.pending_runs(), RunToken::parse(TOKEN).unwrap());
    assert!(matches!(runs.deliver(&token, event(), true).await.unwrap(), DeliverResult::AlreadyStored));
    // The event goes to the next waiter when the lease of the killed one ends.
    let delivery = loop {
        match runs.take(&token, LONG).await.unwrap() {
            TakeResult::Event { delivery, .. } => break delivery,
            TakeResult::Pending(changed) => changed.await,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(delivery, event());
    let dedup = store.dedup();
    assert_eq!(dedup.claim(&EventKey::new("handled"), LONG).await.unwrap(), ClaimResult::AlreadyHandled);
    assert_eq!(dedup.claim(&EventKey::new("claimed"), LONG).await.unwrap(), ClaimResult::InProgress);
}
