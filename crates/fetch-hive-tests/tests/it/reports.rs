//! The reports of runs, of calls whose run may have started, and of deliveries.

use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetch_hive_client::callback::{MemoryDedupStore, Receiver, Verifier, signed_request};
use fetch_hive_client::{BoxError, Client, RetryPolicy, blocking};
use fetch_hive_emulator::{Deployment, Emulator, Fault, Script};
use fetch_hive_tests::{CallbackListener, needs, stack};
use serde_json::json;

const SECRET: &str = "whsec_1";

/// Longer than anything else takes.
const SLOW: Duration = Duration::from_millis(500);

/// The texts of the reports of one kind.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

impl Reports {
    fn push(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    /// Removes and returns the texts.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Returns a client and the reports of its runs.
fn client(emulator: &Emulator) -> (Client, Reports) {
    let reports = Reports::default();
    let runs = reports.clone();
    let builder = stack::client(&emulator).retry(RetryPolicy::never()).on_run(move |report| {
        let (operation, target) = (report.operation, report.target.unwrap_or("-"));
        let (status, error) = (report.status.unwrap_or("-"), report.error_type.unwrap_or("-"));
        runs.push(format!("{operation} {target} {status} {error} slow: {}", report.duration >= SLOW));
    });
    (builder.build().unwrap(), reports)
}

#[tokio::test]
async fn result_of_direct_run_is_reported() {
    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("slow").delay_ms(500))
        .deployment(Deployment::workflow("broken").failure("model refused"))
        .fault(Fault::status(502).body("<html>Bad gateway</html>").operation("invokeWorkflow").nth(3))
        .fault(Fault::status(200).body("no JSON").operation("invokeWorkflow").nth(3))
        .start()
        .await
        .unwrap();
    let (client, reports) = client(&emulator);
    client.invoke_workflow("slow").await.unwrap();
    client.invoke_workflow("broken").await.unwrap();
    client.invoke_workflow("lost").await.unwrap_err();
    client.invoke_workflow("unreadable").await.unwrap_err();
    client.invoke_prompt("headline").await.unwrap();
    client.invoke_agent("researcher", "What is new?").await.unwrap();
    // An accepted run has no result yet, and other operations start no run.
    client.invoke_workflow("later").callback_url("https://example.com/callbacks").await.unwrap();
    client.requests().get("req_1").await.unwrap_err();
    assert_eq!(
        reports.take(),
        [
            "invokeWorkflow slow completed - slow: true",
            "invokeWorkflow broken failed - slow: false",
            "invokeWorkflow unreadable - decode slow: false",
            "invokePrompt headline completed - slow: false",
            "invokeAgent researcher completed - slow: false",
        ]
    );
}

#[tokio::test]
async fn end_of_stream_is_reported_once() {
    needs!(Drop);
    let usage = json!({"type": "usage", "status": "awaiting_approval", "usage": {"total_tokens": 3}});
    let error = json!({"type": "error", "error": "model refused"});
    let emulator = Emulator::builder()
        .stream("paused", Script::new().text("a").event(&usage).done())
        .stream("done", Script::new().text("a").done())
        .stream("failed", Script::new().event(&error).done())
        .stream("cut", Script::new().text("a").disconnect())
        .stream("slow", Script::new().wait(SLOW).text("a").done())
        .stream("dropped", Script::new().text("a").wait(Duration::from_secs(60)))
        .start()
        .await
        .unwrap();
    let (client, reports) = client(&emulator);
    for target in ["paused", "done", "failed", "cut", "slow"] {
        drop(client.invoke_prompt(target).stream().await.unwrap().into_response().await);
    }
    assert_eq!(
        reports.take(),
        [
            "invokePrompt paused awaiting_approval - slow: false",
            "invokePrompt done completed - slow: false",
            "invokePrompt failed failed stream_failed slow: false",
            "invokePrompt cut - may_have_run slow: false",
            "invokePrompt slow completed - slow: true",
        ]
    );
    let mut stream = client.invoke_prompt("dropped").stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert!(reports.take().is_empty());
    drop(stream);
    assert_eq!(reports.take(), ["invokePrompt dropped - cancelled slow: false"]);
}

#[tokio::test]
async fn result_of_callback_run_is_reported_when_its_event_is_taken() {
    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("slow").delay_ms(500))
        .deployment(Deployment::workflow("broken").failure("model refused"))
        .start()
        .await
        .unwrap();
    let (client, reports) = client(&emulator);
    let listener = CallbackListener::bind_any().await.unwrap();
    let receiver = Receiver::with_callback_url(listener.url());
    let _server = listener.serve(receiver.clone(), |_| async { Ok(()) });

    client.invoke_workflow("slow").run_and_wait(&receiver).await.unwrap();
    let mut pending = client.invoke_workflow("broken").start(&receiver).await.unwrap().pending;
    // A second handler after a failure receives the same event.
    pending.handle(|_| async { Err::<(), BoxError>("no".into()) }).await.unwrap_err();
    pending.handle(|_| async { Ok::<_, BoxError>(()) }).await.unwrap();
    assert_eq!(
        reports.take(),
        ["invokeWorkflow slow completed - slow: true", "invokeWorkflow broken failed - slow: false",]
    );
    // Nobody waits for this run, so its result is not known here.
    drop(client.invoke_workflow("slow").start(&receiver).await.unwrap());
    assert!(reports.take().is_empty());
}

#[tokio::test]
async fn call_report_states_whether_the_run_may_have_started() {
    needs!(Socket);
    let emulator = Emulator::builder()
        // A request that has a fault does not count for the next faults.
        .fault(Fault::status(429).operation("invokeWorkflow").nth(1))
        .fault(Fault::close().operation("invokeWorkflow").nth(1))
        .fault(Fault::hang().operation("invokeWorkflow").nth(1))
        .fault(Fault::hang().operation("getRequest").nth(1))
        .start()
        .await
        .unwrap();
    let reports = Reports::default();
    let calls = reports.clone();
    let client = stack::client(&emulator).retry(RetryPolicy::never()).max_concurrent_runs(1).on_call(move |report| {
        let queued = report.queued >= SLOW;
        calls.push(format!("{} {} queued: {queued}", report.error_type.unwrap_or("-"), report.may_have_run));
    });
    let client = client.unresolved_run_hold(Duration::ZERO).build().unwrap();
    client.invoke_workflow("d").await.unwrap_err();
    client.invoke_workflow("d").await.unwrap_err();
    // One call is dropped while it is in the queue, and then another while its request is sent.
    let mut dropped = client.invoke_workflow("d").into_future();
    let mut waiting = client.invoke_workflow("d").into_future();
    let both = async { tokio::join!(&mut dropped, &mut waiting) };
    assert!(tokio::time::timeout(SLOW, both).await.is_err());
    drop(waiting);
    drop(dropped);
    let lookup = tokio::time::timeout(SLOW, client.requests().get("req_1").into_future());
    assert!(lookup.await.is_err());
    client.invoke_workflow("d").await.unwrap();
    let reports = reports.take();
    assert_eq!(
        reports,
        [
            "429 false queued: false",
            "may_have_run true queued: false",
            "cancelled false queued: true",
            "cancelled true queued: false",
            "cancelled false queued: false",
            "- false queued: false",
        ]
    );
}

#[tokio::test]
async fn delivery_report_states_the_event_of_verified_deliveries_only() {
    let reports = Reports::default();
    let deliveries = reports.clone();
    let receiver = || {
        let deliveries = deliveries.clone();
        let receiver = Receiver::new(Verifier::new([SECRET])).dedup(MemoryDedupStore::new());
        receiver.on_delivery(move |report| {
            let event = report.event_type.map_or("-", |event| event.as_str());
            let status = report.run_status.map_or("-", |status| status.as_str());
            let is_slow = report.duration.unwrap() >= SLOW;
            deliveries.push(format!("{} {event} {status} slow: {is_slow}", report.outcome.kind()));
        })
    };
    let done = r#"{"event_type":"workflow.completed","request_id":"req_1","data":{"output":"secret"}}"#;
    let expected = [
        "handled workflow.completed completed slow: true",
        "already_handled workflow.completed completed slow: false",
        "rejected - - slow: false",
    ];
    let slow = |_| async {
        tokio::time::sleep(SLOW).await;
        Ok::<_, BoxError>(())
    };
    let receive = receiver();
    for secret in [SECRET, SECRET, "whsec_other"] {
        receive.receive_bytes(signed_request(secret, done), slow).await;
    }
    assert_eq!(reports.take(), expected);
    let receive = receiver();
    tokio::task::spawn_blocking(move || {
        for secret in [SECRET, SECRET, "whsec_other"] {
            let slow = |_| {
                std::thread::sleep(SLOW);
                Ok::<_, BoxError>(())
            };
            receive.receive_bytes_blocking(signed_request(secret, done), slow).unwrap();
        }
    })
    .await
    .unwrap();
    assert_eq!(reports.take(), expected);
}

#[tokio::test]
async fn delivery_report_of_pending_run_states_its_event() {
    let emulator = Emulator::start().await.unwrap();
    let reports = Reports::default();
    let deliveries = reports.clone();
    let listener = CallbackListener::bind_any().await.unwrap();
    let receiver = Receiver::with_callback_url(listener.url()).on_delivery(move |report| {
        deliveries.push(format!("{} {:?} {:?}", report.outcome.kind(), report.event_type, report.run_status));
    });
    let _server = listener.serve(receiver.clone(), |_| async { Ok(()) });
    let client = stack::client(&emulator).build().unwrap();
    client.invoke_workflow("d").run_and_wait(&receiver).await.unwrap();
    for _ in 0..100 {
        if !reports.0.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(reports.take().last().unwrap(), "run_ended Some(WorkflowCompleted) Some(Completed)");
}

#[tokio::test]
async fn blocking_client_reports_runs_too() {
    let emulator = Emulator::start().await.unwrap();
    let reports = Reports::default();
    let runs = reports.clone();
    let client = blocking::Client::builder().api_key("fhk_test").base_url(emulator.base_url());
    let client = client.on_run(move |report| runs.push(format!("{} {:?}", report.operation, report.status)));
    let client = client.build().unwrap();
    tokio::task::spawn_blocking(move || client.invoke_workflow("d").send().map(drop)).await.unwrap().unwrap();
    assert_eq!(reports.take(), [r#"invokeWorkflow Some("completed")"#]);
}
