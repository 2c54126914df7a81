//! Faults of callbacks, however they are asked for, as a receiver meets them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_core::signature::{SIGNATURE_HEADER, sign};
use fetch_hive_core::types::WebhookSecret;
use fetch_hive_emulator::{Deployment, Emulator, EmulatorBuilder, Fault, CallbackReceiver};
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

/// Posts to a path of the emulator, and gives status and reply.
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

/// Starts a run of a workflow whose callback goes to an inbox.
async fn start(emulator: &Emulator, deployment: &str, inbox: &CallbackReceiver, faults: &[&str]) -> String {
    let body = json!({"deployment": deployment, "async": {"enabled": true, "callback_url": inbox.url()}});
    let (status, reply) = post(emulator, "/v1/workflow/invoke", faults, &body).await;
    assert_eq!(status, 202, "{reply}");
    reply["request_id"].as_str().unwrap().to_owned()
}

/// The next delivery: its run, the type of its event, and how it is signed.
async fn next(inbox: &mut CallbackReceiver) -> (String, String, &'static str) {
    let delivery = tokio::time::timeout(Duration::from_secs(30), inbox.next()).await.unwrap().unwrap();
    let right = sign(&WebhookSecret::new(SECRET), delivery.body());
    let signed = match delivery.headers().get(SIGNATURE_HEADER).map(|value| value.to_str().unwrap()) {
        None => "not",
        Some(signature) if signature == right => "well",
        Some(_) => "wrongly",
    };
    // What was corrupted may be no JSON any more.
    let event: Value = serde_json::from_slice(delivery.body()).unwrap_or_default();
    let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
    (text("request_id"), text("event_type"), signed)
}

#[tokio::test]
async fn a_file_a_call_the_endpoint_and_a_header_ask_for_the_same() {
    let words = "callback-bad-signature first-attempts=1 operation=invokeWorkflow nth=2";
    let file = std::env::temp_dir().join(format!("fetch-hive-callback-faults-{}.toml", std::process::id()));
    std::fs::write(&file, format!("[[fault]]\nrule = \"{words}\"\n")).unwrap();
    for way in ["file", "call", "endpoint", "header"] {
        let builder = match way {
            "file" => builder().config(&file),
            "call" => builder().fault(words.parse().unwrap()),
            _ => builder().fault_header(),
        };
        let emulator = builder.start().await.unwrap();
        if way == "endpoint" {
            let (status, reply) = post(&emulator, "/_emulator/faults", &[], &json!({"fault": words})).await;
            assert_eq!((status, reply), (200, json!({"faults": 1})));
        }
        let mut inbox = CallbackReceiver::start_with_statuses([StatusCode::OK, StatusCode::UNAUTHORIZED]).await.unwrap();
        let first = start(&emulator, "d", &inbox, &[]).await;
        assert_eq!(next(&mut inbox).await, (first, "workflow.completed".to_owned(), "well"), "{way}");
        let of_its_own = if way == "header" { ["callback-bad-signature first-attempts=1"].as_slice() } else { &[] };
        let second = start(&emulator, "d", &inbox, of_its_own).await;
        for signed in ["wrongly", "well"] {
            assert_eq!(next(&mut inbox).await, (second.clone(), "workflow.completed".to_owned(), signed), "{way}");
        }
        let third = start(&emulator, "d", &inbox, &[]).await;
        assert_eq!(next(&mut inbox).await, (third, "workflow.completed".to_owned(), "well"), "{way}");
    }
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn callbacks_are_chosen_by_operation_event_and_number() {
    let emulator = builder()
        .fault("callback-unsigned operation=invokeHiveAgent".parse().unwrap())
        .fault("callback-bad-signature event=workflow.failed".parse().unwrap())
        .fault("callback-redeliver=2 operation=invokeWorkflow times=1".parse().unwrap())
        .start()
        .await
        .unwrap();
    let mut inbox = CallbackReceiver::start().await.unwrap();
    let expect = |run: &str, event: &str, signed| (run.to_owned(), event.to_owned(), signed);
    let hive = json!({"hive_agent": "h", "objective": "x", "async": {"enabled": true, "callback_url": inbox.url()}});
    let (status, reply) = post(&emulator, "/v1/hive-agent/invoke", &[], &hive).await;
    assert_eq!(status, 202);
    let hive = reply["request_id"].as_str().unwrap();
    assert_eq!(next(&mut inbox).await, expect(hive, "hive_agent.completed", "not"));
    let first = start(&emulator, "d", &inbox, &[]).await;
    for _ in 0..3 {
        assert_eq!(next(&mut inbox).await, expect(&first, "workflow.completed", "well"));
    }
    let failed = start(&emulator, "bad", &inbox, &[]).await;
    assert_eq!(next(&mut inbox).await, expect(&failed, "workflow.failed", "wrongly"));
    let last = start(&emulator, "d", &inbox, &[]).await;
    assert_eq!(next(&mut inbox).await, expect(&last, "workflow.completed", "well"));
}

#[tokio::test]
async fn a_request_asks_for_faults_of_its_own_run_and_several_meet() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&lines);
    let logger = move |line: &str| told.lock().unwrap().push(line.to_owned());
    let emulator = builder().fault_header().logger(logger).start().await.unwrap();
    let mut inbox = CallbackReceiver::start_with_statuses([StatusCode::UNAUTHORIZED]).await.unwrap();

    // Lost: nothing of it comes, and the log says so.
    let lost = start(&emulator, "d", &inbox, &["callback-lost"]).await;
    // The corrupt one is signed for what it was. The first try comes before the reply, for the receiver answers it.
    let faults = ["callback-early", "callback-corrupt first-attempts=1", "callback-redeliver=1"];
    let run = start(&emulator, "d", &inbox, &faults).await;
    assert!(emulator.deliveries().iter().any(|delivery| delivery.request_id == run));
    assert_eq!(next(&mut inbox).await.2, "wrongly");
    for _ in 0..2 {
        assert_eq!(next(&mut inbox).await, (run.clone(), "workflow.completed".to_owned(), "well"));
    }
    assert!(emulator.deliveries().iter().all(|delivery| delivery.request_id != lost));
    assert!(lines.lock().unwrap().iter().any(|line| line.contains(&lost) && line.contains("not sent (fault callback-lost)")));

    // The request itself meets none of them, and a wrong word is refused with its reason.
    let (status, reply) = post(&emulator, "/v1/workflow/invoke", &["callback-lost cut-after=1"], &json!({})).await;
    assert_eq!(status, 400);
    assert!(reply["error"].as_str().unwrap().contains("only a fault that starts with status="), "{reply}");
}

#[tokio::test]
async fn the_callback_of_a_delegation_belongs_to_the_request_that_started_it() {
    let file = std::env::temp_dir().join(format!("fetch-hive-delegation-faults-{}.toml", std::process::id()));
    let declared = format!(
        "[[agent]]\nagent = \"a\"\nwebhook_secret = \"{SECRET}\"\ntools = [{{ tool = \"w\", background_ms = 1, observation = 1 }}]\n"
    );
    std::fs::write(&file, declared).unwrap();
    let emulator = builder().config(&file).fault_header().start().await.unwrap();
    let mut inbox = CallbackReceiver::start().await.unwrap();
    let body = json!({"agent": "a", "message": "m", "async": {"callback_url": inbox.url()}});
    for (faults, signed) in [(["callback-unsigned"].as_slice(), "not"), (&[], "well")] {
        let (status, reply) = post(&emulator, "/v1/agent/invoke", faults, &body).await;
        assert_eq!(status, 200, "{reply}");
        let run = reply["request_id"].as_str().unwrap().to_owned();
        assert_eq!(next(&mut inbox).await, (run, "agent.delegation.completed".to_owned(), signed));
    }
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn an_event_waits_until_another_overtakes_it() {
    let emulator = builder()
        .fault(Fault::callback_reorder().nth(1))
        .fault(Fault::callback_late(Duration::from_millis(20)).nth(2))
        .start()
        .await
        .unwrap();
    let mut inbox = CallbackReceiver::start().await.unwrap();
    let (first, second) = (start(&emulator, "d", &inbox, &[]).await, start(&emulator, "d", &inbox, &[]).await);
    let came = [next(&mut inbox).await.0, next(&mut inbox).await.0];
    assert_eq!(came, [second, first]);
    emulator.clear_faults();
    let third = start(&emulator, "d", &inbox, &[]).await;
    assert_eq!(next(&mut inbox).await.0, third);
}
