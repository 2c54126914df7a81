//! Tests of waiting for a run by looking it up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_client::types::{ApiKey, RequestId, RunStatus};
use fetch_hive_client::{BoxError, Client, CredentialProvider, Error, ErrorKind, RetryPolicy, WaitError};
use fetch_hive_testing::{Exchange, PausedClock, Replay};
use fetch_hive_tests::{Scripted, Step};
use serde_json::json;

const HANG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

fn wait_error(error: &Error) -> &WaitError {
    let ErrorKind::Wait(error) = error.kind() else { panic!("{error:?}") };
    error
}

fn record(status: &str) -> Step {
    let body = json!({"request_id": "req_1", "status": status, "data": {"output": "done"}});
    Step::respond("200 OK", "content-type: application/json\r\n", body.to_string())
}

/// Starts a server that answers one look-up per step.
async fn scripted(steps: Vec<Step>) -> (Scripted, Client) {
    let script = steps.into_iter().flat_map(|step| [Step::Read, step]).collect();
    let server = Scripted::start(vec![script]).await.unwrap();
    let builder = Client::builder().api_key("fhk_test").base_url(server.base_url());
    let client = builder.retry(RetryPolicy::never()).build().unwrap();
    (server, client)
}

#[tokio::test]
async fn polling_continues_after_temporary_errors() {
    let busy = Step::respond("503 Service Unavailable", "", "<html>busy</html>");
    let throttled =
        Step::respond("429 Too Many Requests", "", r#"{"error":"slow down","error_code":"too_many_requests"}"#);
    let steps = vec![record("queued"), busy, record("running"), throttled, record("brand_new"), record("completed")];
    let (server, client) = scripted(steps).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let statuses = Arc::clone(&seen);
    let poll = client.requests().wait("req_1").interval(SHORT, SHORT).on_progress(move |record| {
        statuses.lock().unwrap().push(record.status.as_ref().unwrap().as_str().to_owned());
    });
    let record = poll.await.unwrap();
    assert_eq!(record.to_run().into_output().unwrap(), "done");
    assert_eq!(*seen.lock().unwrap(), ["queued", "running", "brand_new", "completed"]);
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn until_approval_returns_early() {
    let (_server, client) = scripted(vec![
        record("running"),
        record("awaiting_approval"),
        record("awaiting_approval"),
        record("completed"),
    ])
    .await;
    let poll = || client.requests().wait("req_1").interval(SHORT, SHORT);
    let paused = poll().until_approval().await.unwrap();
    assert!(paused.is_awaiting_approval() && !paused.has_ended());
    let ended = poll().await.unwrap();
    assert_eq!(ended.status, Some(RunStatus::Completed));
}

#[tokio::test]
async fn timeout_error_names_the_run_and_its_last_status() {
    let (server, client) = scripted(vec![record("awaiting_approval"); 500]).await;
    let poll = client.requests().wait("req_1").interval(SHORT, SHORT * 5).timeout(Duration::from_millis(500));
    let error = poll.await.unwrap_err();
    assert!(error.to_string().contains("req_1") && error.to_string().contains("awaiting_approval"), "{error}");
    assert!(error.to_string().contains("not finished within 500ms (timeout)"), "{error}");
    assert_eq!(error.request_id(), Some(RequestId::from("req_1")));
    assert!(server.requests().len() > 1);
}

#[tokio::test]
async fn permanent_error_ends_the_polling() {
    let missing = Step::respond("404 Not Found", "", r#"{"error":"There is no such request."}"#);
    let (_server, client) = scripted(vec![record("running"), missing]).await;
    let error = client.requests().wait("req_1").interval(SHORT, SHORT).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 404);

    let invalid = client.requests().wait("..").await.unwrap_err();
    assert!(!invalid.may_have_run(), "{invalid}");
}

#[tokio::test]
async fn timeout_applies_to_a_pending_look_up() {
    let (_server, client) = scripted(vec![Step::Wait(HANG)]).await;
    let poll = client.requests().wait("req_1").interval(SHORT, SHORT).timeout(Duration::from_millis(50));
    let error = poll.await.unwrap_err();
    let WaitError::Timeout { last_error: Some(last), .. } = wait_error(&error) else { panic!("{error:?}") };
    assert!(last.downcast_ref::<Error>().unwrap().timeout().is_some());
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn intervals_grow() {
    let (server, client) = scripted(vec![record("running"); 500]).await;
    let poll = client.requests().wait("req_1").interval(Duration::from_millis(10), Duration::from_secs(10));
    assert!(poll.timeout(Duration::from_millis(400)).await.is_err());
    // The intervals are 10, 20, 40, 80 and 160 ms: at most 6 look-ups in 400 ms.
    let count = server.requests().len();
    assert!((2..=6).contains(&count), "{count}");
}

/// A credential provider that fails on its first call.
struct FailsOnce(AtomicUsize);

#[async_trait]
impl CredentialProvider for FailsOnce {
    async fn api_key(&self) -> Result<ApiKey, BoxError> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 { Err("closed".into()) } else { Ok(ApiKey::new("fhk_test")?) }
    }
}

#[tokio::test]
async fn retry_after_and_minimum_interval_are_kept() {
    let paused = |exchanges: Vec<Exchange>| {
        let (replay, clock) = (Replay::new(exchanges), PausedClock::new());
        let credentials = FailsOnce(AtomicUsize::new(0));
        let builder = Client::builder().credentials(credentials).transport(replay).clock(clock.clone());
        (builder.retry(RetryPolicy::never()).build().unwrap(), clock)
    };
    let record = |status: &str| Exchange::status(200).body(json!({"id": "r", "status": status}).to_string());
    let busy = || Exchange::status(503).header("retry-after", "30");
    let (client, clock) = paused(vec![busy(), record("running"), record("completed")]);
    client.requests().wait("req_1").interval(Duration::ZERO, Duration::ZERO).await.unwrap();
    let (minimum, retry_after) = (Duration::from_millis(1), Duration::from_secs(30));
    assert_eq!(clock.sleeps(), [minimum, minimum, retry_after, minimum], "first, credentials, 503, running");

    // A retry after the timeout is not waited for.
    let (client, clock) = paused(vec![busy()]);
    let error = client.requests().wait("req_1").timeout(Duration::from_secs(20)).await.unwrap_err();
    assert!(matches!(wait_error(&error), WaitError::Timeout { last_error: Some(_), .. }), "{error:?}");
    assert_eq!(clock.elapsed(), Duration::from_secs(20));
}

#[tokio::test]
async fn unknown_run_is_looked_up_slowly_for_30_seconds() {
    let missing = || Exchange::status(404).body(r#"{"error":"There is no such request."}"#);
    let (replay, clock) = (Replay::new([missing(), missing(), missing(), missing()]), PausedClock::new());
    let builder = Client::builder().api_key("fhk_test").transport(replay.clone()).clock(clock.clone());
    let client = builder.retry(RetryPolicy::never()).build().unwrap();
    let error = client.requests().wait("req_1").await.unwrap_err();
    assert_eq!(error.status().unwrap(), 404);
    // The look-ups are made after about 5, 15 and 35 s.
    let seconds: Vec<_> = clock.sleeps().iter().map(Duration::as_secs_f64).collect();
    for (sleep, expected) in seconds.iter().zip([5.0, 10.0, 20.0]) {
        assert!((expected * 0.9..=expected * 1.1).contains(sleep), "{seconds:?}");
    }
    assert_eq!(seconds.len(), 3);
}

#[tokio::test]
async fn daily_cap_ends_the_polling() {
    let cap = r#"{"error":"E","error_code":"api_rate_limit_exceeded","limit":100,"current":100}"#;
    let (replay, clock) = (Replay::new([Exchange::status(429).body(cap)]), PausedClock::new());
    let client = Client::builder().api_key("fhk_test").transport(replay).clock(clock).build().unwrap();
    let error = client.requests().wait("req_1").await.unwrap_err();
    assert!(error.to_string().contains("retry after midnight UTC"), "{error}");
}
