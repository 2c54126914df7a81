//! The number of series does not depend on ids, and the usage of limiters in a database is polled.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fetch_hive_client::callback::{Receiver, Verifier, signed_request};
use fetch_hive_client::{BoxError, Client, RetryPolicy, RunLimiter as _, RunLimiterUsage, RunRequest};
use fetch_hive_emulator::{Emulator, Fault, Script};
use fetch_hive_store::Store;
use observability::{Metrics, Telemetry, poll_usage};
use support::prometheus::{Series, parse};

const SECRET: &str = "whsec_1";

/// The number of statuses that the service answers with.
const STATUSES: usize = 200;

/// Makes a call and receives a callback whose ids, deployments, users, event types and run statuses
/// contain `n`.
async fn use_ids(client: &Client, receiver: &Receiver, n: usize) {
    let id = format!("id-{n}");
    // Every fourth status is that of a success. Most of the others are not registered.
    let status = n / 5 % STATUSES;
    let fault = if status % 4 == 0 { "delay=0".to_owned() } else { format!("status={}", 400 + status) };
    let header = "x-fetch-hive-fault";
    drop(match n % 5 {
        0 => client.invoke_prompt(&id).input("id", &id).header(header, &fault).await.map(drop),
        1 => client.invoke_agent(&*id, &id).header(header, &fault).await.map(drop),
        2 => client.requests().get(&*id).header(header, &fault).await.map(drop),
        3 => client.workspace(&*id).agents().get(&*id).header(header, &fault).await.map(drop),
        _ => client.invoke_workflow(&id).metadata("user_id", &*id).header(header, &fault).await.map(drop),
    });
    let event = format!(r#"{{"event_type":"workflow.{id}","request_id":"{id}","data":{{"run_status":"{id}"}}}}"#);
    let secret = if n % 7 == 0 { &id } else { SECRET };
    receiver.receive_bytes(signed_request(secret, event), |_| async { Ok::<_, BoxError>(()) }).await;
}

fn names(series: &[Series]) -> BTreeSet<String> {
    series.iter().map(|series| format!("{} {:?}", series.name, series.labels)).collect()
}

#[tokio::test]
async fn a_thousand_ids_add_no_series() {
    let emulator = Emulator::builder().fault_header().record_limit(5_000).start().await.unwrap();
    let telemetry = Telemetry::start("test", None).unwrap();
    let metrics = Metrics::new(&telemetry.meter());
    let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).retry(RetryPolicy::never());
    let client = metrics.observe_client(builder).build().unwrap();
    let receiver = metrics.observe_receiver(Receiver::new(Verifier::new([SECRET])));

    for n in 0..1_000 {
        use_ids(&client, &receiver, n).await;
    }
    let text = telemetry.prometheus_text().unwrap();
    let first = names(&parse(&text));
    for n in 1_000..2_000 {
        use_ids(&client, &receiver, n).await;
    }
    let text_later = telemetry.prometheus_text().unwrap();
    let later = names(&parse(&text_later));
    assert_eq!(emulator.requests().len(), 2_000);
    println!("{} series after 1,000 calls, {} after 2,000", first.len(), later.len());
    let new: Vec<_> = later.difference(&first).collect();
    assert!(new.is_empty() && first.len() < 900, "{new:#?}");
    assert!(!text_later.contains("id-") && text_later.contains(r#"fetch_hive_run_status="_OTHER""#), "{text_later}");
    assert!(!text_later.contains("otel_metric_overflow"));
}

#[tokio::test]
async fn runs_without_a_result_are_unresolved() {
    let emulator = Emulator::builder()
        .stream("cut", Script::new().text("a").disconnect())
        .fault(Fault::close().operation("invokeWorkflow").nth(1))
        .fault(Fault::status(200).body("no JSON").operation("invokeWorkflow").nth(1))
        .fault(Fault::status(200).body("{}").operation("invokeWorkflow").nth(1))
        .start()
        .await
        .unwrap();
    let telemetry = Telemetry::start("test", None).unwrap();
    let metrics = Metrics::new(&telemetry.meter());
    let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url());
    let client = metrics.observe_client(builder).build().unwrap();
    client.invoke_workflow("lost").await.unwrap_err();
    client.invoke_workflow("unreadable").await.unwrap_err();
    client.invoke_workflow("no status").await.unwrap();
    client.invoke_prompt("cut").stream().await.unwrap().into_response().await.end.unwrap_err();
    let text = telemetry.prometheus_text().unwrap();
    let runs: Vec<_> = text.lines().filter(|line| line.starts_with("fetch_hive_runs_")).collect();
    let workflow = r#"fetch_hive_operation="invokeWorkflow""#;
    let prompt = r#"fetch_hive_operation="invokePrompt""#;
    assert_eq!(
        runs,
        [
            format!(r#"fetch_hive_runs_ended_total{{{workflow},fetch_hive_run_status="_OTHER"}} 1"#),
            format!("fetch_hive_runs_started_total{{{prompt}}} 1"),
            format!("fetch_hive_runs_started_total{{{workflow}}} 2"),
            format!(r#"fetch_hive_runs_unresolved_total{{error_type="decode",{workflow}}} 1"#),
            format!(r#"fetch_hive_runs_unresolved_total{{error_type="may_have_run",{prompt}}} 1"#),
            format!(r#"fetch_hive_runs_unresolved_total{{error_type="may_have_run",{workflow}}} 1"#),
        ]
    );
}

#[tokio::test]
async fn usage_of_a_limiter_in_a_database_is_polled() {
    let folder = std::env::temp_dir().join(format!("fetch-hive-observability-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let limiter = Store::open(folder.join("runs.db")).await.unwrap().run_limiter("plan", 3);
    let telemetry = Telemetry::start("test", None).unwrap();
    let metrics = Metrics::new(&telemetry.meter());
    let polled = Arc::clone(&limiter);
    let usage = poll_usage(Duration::from_millis(10), move || {
        let limiter = Arc::clone(&polled);
        async move { limiter.usage().await }
    });
    metrics.observe_run_limiter("plan", usage);
    // A second limiter has its own series.
    metrics.observe_run_limiter("other", || Some(RunLimiterUsage::new(5, 1, 2, 7)));
    let gauges = || {
        let series = parse(&telemetry.prometheus_text().unwrap());
        let text = |series: &Series| {
            let label = |name: &str| series.labels.get(name).map_or("queue", String::as_str).to_owned();
            let (name, state) = (label("fetch_hive_run_limiter_name"), label("fetch_hive_run_limiter_state"));
            format!("{name} {state} {}", series.count)
        };
        let gauges = series.iter().filter(|series| series.name.starts_with("fetch_hive_run_limiter_"));
        gauges.map(text).collect::<BTreeSet<_>>()
    };
    let contains = |expected: &[&str]| {
        let gauges = gauges();
        expected.iter().all(|expected| gauges.contains(*expected))
    };
    let until = async |expected: &[&str]| {
        for _ in 0..500 {
            if contains(expected) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:#?} does not contain {expected:?}", gauges());
    };
    until(&["plan running 0", "plan held 0", "plan free 3", "plan queue 0"]).await;
    assert!(contains(&["other running 1", "other held 2", "other free 2", "other queue 7"]), "{:?}", gauges());

    let acquire = || Arc::clone(&limiter).acquire(RunRequest::new("invokeWorkflow", None));
    let permits = [acquire().await.unwrap(), acquire().await.unwrap(), acquire().await.unwrap()];
    let waiting = tokio::spawn(acquire());
    until(&["plan running 3", "plan free 0", "plan queue 1"]).await;
    drop(permits);
    drop(waiting.await.unwrap().unwrap());
    until(&["plan running 0", "plan free 3", "plan queue 0"]).await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn usage_that_cannot_be_read_is_not_known() {
    let readings = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&readings);
    let usage = poll_usage(Duration::from_millis(500), move || {
        let reading = counted.fetch_add(1, Ordering::SeqCst);
        async move { if reading == 0 { Ok(RunLimiterUsage::new(1, 0, 0, 0)) } else { Err("the database is down") } }
    });
    assert_eq!(usage(), None);
    while readings.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    assert_eq!(usage(), Some(RunLimiterUsage::new(1, 0, 0, 0)));
    while readings.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(usage(), None);
    // Dropping the function ends the task.
    drop(usage);
    let before = readings.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(readings.load(Ordering::SeqCst) <= before + 1);
}
