//! Tests of callback faults, from the receiver's side.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_core::signature::{SIGNATURE_HEADER, sign};
use fetch_hive_core::types::WebhookSecret;
use fetch_hive_emulator::{CallbackReceiver, Deployment, Emulator, EmulatorBuilder, Fault};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

const SECRET: &str = "whsec_faults";

fn builder() -> EmulatorBuilder {
    Emulator::builder()
        .deployment(Deployment::workflow("d").webhook_secret(SECRET))
        .deployment(Deployment::workflow("bad").webhook_secret(SECRET).failure("no"))
        .deployment(Deployment::hive_agent("h").webhook_secret(SECRET))
        .delivery(5, Duration::from_millis(1))
}

/// Sends a request and returns the status and the JSON body.
async fn post(emulator: &Emulator, path: &str, faults: &[&str], body: &Value) -> (u16, Value) {
    let mut request = Request::post(format!("http://{}{path}", emulator.address()))
        .header("authorization", "Bearer fhk_test")
        .header("content-type", "application/json");
    for fault in faults {
        request = request.header("x-fetch-hive-fault", *fault);
    }
    let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// Starts a workflow run with callback delivery and returns its id.
async fn start(emulator: &Emulator, deployment: &str, receiver: &CallbackReceiver, faults: &[&str]) -> String {
    let body = json!({"deployment": deployment, "async": {"enabled": true, "callback_url": receiver.url()}});
    let (status, response) = post(emulator, "/v1/workflow/invoke", faults, &body).await;
    assert_eq!(status, 202, "{response}");
    response["request_id"].as_str().unwrap().to_owned()
}

/// Returns the run, the event type and the kind of signature of the next delivery.
async fn next(receiver: &mut CallbackReceiver) -> (String, String, &'static str) {
    let delivery = tokio::time::timeout(Duration::from_secs(30), receiver.next()).await.unwrap().unwrap();
    let expected = sign(&WebhookSecret::new(SECRET), delivery.body());
    let signed = match delivery.headers().get(SIGNATURE_HEADER).map(|value| value.to_str().unwrap()) {
        None => "unsigned",
        Some(signature) if signature == expected => "valid",
        Some(_) => "invalid",
    };
    // A corrupted body may not be JSON.
    let event: Value = serde_json::from_slice(delivery.body()).unwrap_or_default();
    let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
    (text("request_id"), text("event_type"), signed)
}

#[tokio::test]
async fn file_builder_endpoint_and_header_inject_the_same_fault() {
    let rule = "callback-bad-signature first-attempts=1 operation=invokeWorkflow nth=2";
    let file = std::env::temp_dir().join(format!("fetch-hive-callback-faults-{}.toml", std::process::id()));
    std::fs::write(&file, format!("[[fault]]\nrule = \"{rule}\"\n")).unwrap();
    for way in ["file", "builder", "endpoint", "header"] {
        let builder = match way {
            "file" => builder().config(&file),
            "builder" => builder().fault(rule.parse().unwrap()),
            _ => builder().fault_header(),
        };
        let emulator = builder.start().await.unwrap();
        if way == "endpoint" {
            let (status, response) = post(&emulator, "/_emulator/faults", &[], &json!({"fault": rule})).await;
            assert_eq!((status, response), (200, json!({"faults": 1})));
        }
        let mut receiver =
            CallbackReceiver::start_with_statuses([StatusCode::OK, StatusCode::UNAUTHORIZED]).await.unwrap();
        let first = start(&emulator, "d", &receiver, &[]).await;
        assert_eq!(next(&mut receiver).await, (first, "workflow.completed".to_owned(), "valid"), "{way}");
        let header = if way == "header" { ["callback-bad-signature first-attempts=1"].as_slice() } else { &[] };
        let second = start(&emulator, "d", &receiver, header).await;
        for signed in ["invalid", "valid"] {
            assert_eq!(next(&mut receiver).await, (second.clone(), "workflow.completed".to_owned(), signed), "{way}");
        }
        let third = start(&emulator, "d", &receiver, &[]).await;
        assert_eq!(next(&mut receiver).await, (third, "workflow.completed".to_owned(), "valid"), "{way}");
    }
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn callback_faults_select_by_operation_event_and_count() {
    let emulator = builder()
        .fault("callback-unsigned operation=invokeHiveAgent".parse().unwrap())
        .fault("callback-bad-signature event=workflow.failed".parse().unwrap())
        .fault("callback-redeliver=2 operation=invokeWorkflow times=1".parse().unwrap())
        .start()
        .await
        .unwrap();
    let mut receiver = CallbackReceiver::start().await.unwrap();
    let expect = |run: &str, event: &str, signed| (run.to_owned(), event.to_owned(), signed);
    let hive = json!({"hive_agent": "h", "objective": "x", "async": {"enabled": true, "callback_url": receiver.url()}});
    let (status, response) = post(&emulator, "/v1/hive-agent/invoke", &[], &hive).await;
    assert_eq!(status, 202);
    let hive = response["request_id"].as_str().unwrap();
    assert_eq!(next(&mut receiver).await, expect(hive, "hive_agent.completed", "unsigned"));
    let first = start(&emulator, "d", &receiver, &[]).await;
    for _ in 0..3 {
        assert_eq!(next(&mut receiver).await, expect(&first, "workflow.completed", "valid"));
    }
    let failed = start(&emulator, "bad", &receiver, &[]).await;
    assert_eq!(next(&mut receiver).await, expect(&failed, "workflow.failed", "invalid"));
    let last = start(&emulator, "d", &receiver, &[]).await;
    assert_eq!(next(&mut receiver).await, expect(&last, "workflow.completed", "valid"));
}

#[tokio::test]
async fn header_faults_apply_to_the_run_and_combine() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    let logger = move |line: &str| log.lock().unwrap().push(line.to_owned());
    let emulator = builder().fault_header().logger(logger).start().await.unwrap();
    let mut receiver = CallbackReceiver::start_with_statuses([StatusCode::UNAUTHORIZED]).await.unwrap();

    // A lost callback is logged and never sent.
    let lost = start(&emulator, "d", &receiver, &["callback-lost"]).await;
    // The signature is for the original body. The first attempt comes before the response.
    let faults = ["callback-early", "callback-corrupt first-attempts=1", "callback-redeliver=1"];
    let run = start(&emulator, "d", &receiver, &faults).await;
    assert!(emulator.deliveries().iter().any(|delivery| delivery.request_id == run));
    assert_eq!(next(&mut receiver).await.2, "invalid");
    for _ in 0..2 {
        assert_eq!(next(&mut receiver).await, (run.clone(), "workflow.completed".to_owned(), "valid"));
    }
    assert!(emulator.deliveries().iter().all(|delivery| delivery.request_id != lost));
    assert!(
        lines
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(&lost) && line.contains("not sent (fault callback-lost)"))
    );

    // An invalid fault is rejected with the reason.
    let (status, response) = post(&emulator, "/v1/workflow/invoke", &["callback-lost cut-after=1"], &json!({})).await;
    assert_eq!(status, 400);
    assert!(response["error"].as_str().unwrap().contains("only a fault that starts with status="), "{response}");
}

#[tokio::test]
async fn delegation_callbacks_have_the_faults_of_their_request() {
    let file = std::env::temp_dir().join(format!("fetch-hive-delegation-faults-{}.toml", std::process::id()));
    let declared = format!(
        "[[agent]]\nagent = \"a\"\nwebhook_secret = \"{SECRET}\"\ntools = [{{ tool = \"w\", background_ms = 1, observation = 1 }}]\n"
    );
    std::fs::write(&file, declared).unwrap();
    let emulator = builder().config(&file).fault_header().start().await.unwrap();
    let mut receiver = CallbackReceiver::start().await.unwrap();
    let body = json!({"agent": "a", "message": "m", "async": {"callback_url": receiver.url()}});
    for (faults, signed) in [(["callback-unsigned"].as_slice(), "unsigned"), (&[], "valid")] {
        let (status, response) = post(&emulator, "/v1/agent/invoke", faults, &body).await;
        assert_eq!(status, 200, "{response}");
        let run = response["request_id"].as_str().unwrap().to_owned();
        assert_eq!(next(&mut receiver).await, (run, "agent.delegation.completed".to_owned(), signed));
    }
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn reordered_callback_waits_for_another() {
    let emulator = builder()
        .fault(Fault::callback_reorder().nth(1))
        .fault(Fault::callback_late(Duration::from_millis(20)).nth(2))
        .start()
        .await
        .unwrap();
    let mut receiver = CallbackReceiver::start().await.unwrap();
    let (first, second) = (start(&emulator, "d", &receiver, &[]).await, start(&emulator, "d", &receiver, &[]).await);
    let came = [next(&mut receiver).await.0, next(&mut receiver).await.0];
    assert_eq!(came, [second, first]);
    emulator.clear_faults();
    let third = start(&emulator, "d", &receiver, &[]).await;
    assert_eq!(next(&mut receiver).await.0, third);
}
