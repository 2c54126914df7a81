//! The client in Node.js, against an emulator. `cargo xtask wasm` starts both.

#![cfg(all(target_family = "wasm", target_os = "unknown"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code fails by panicking")]

use std::time::Duration;

use fetch_hive_client::callback::{MemoryDedupStore, Receiver, Verifier, signed_request};
use fetch_hive_client::types::{AssetFile, StreamEvent};
use fetch_hive_client::{Client, Clock, Error, RequestBody, StreamError, Timeout, Transport};
use fetch_hive_example_fetch::{FetchClock, FetchTransport};
use futures_util::future::{Either, select};
use http::Request;
use http_body_util::BodyExt as _;
use js_sys::{Reflect, global};
use serde_json::Value;
use wasm_bindgen_test::wasm_bindgen_test;
use web_time::Instant;

/// The header with which a request sets a fault of the emulator.
const FAULT: &str = "x-fetch-hive-fault";

/// Returns the base URL of the emulator.
fn base_url() -> String {
    let get = |object, key: &str| Reflect::get(&object, &key.into()).unwrap();
    let environment = get(get(global().into(), "process"), "env");
    get(environment, "FETCH_HIVE_EMULATOR").as_string().unwrap()
}

fn client(base_url: &str) -> Client {
    let client = Client::builder().api_key("fhk_example").base_url(base_url);
    client.transport(FetchTransport).clock(FetchClock).build().unwrap()
}

/// Returns how the last request of an operation ended, according to the emulator. The text is empty
/// if it has not ended.
async fn end_of_last(operation: &str) -> String {
    let url = format!("{}/_emulator/log", base_url().trim_end_matches("/v1"));
    let response = FetchTransport.send(Request::get(url).body(RequestBody::default()).unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let log: Value = serde_json::from_slice(&body).unwrap();
    let mut requests = log["requests"].as_array().unwrap().iter().filter(|request| request["operation"] == operation);
    requests.next_back().unwrap()["end"].as_str().unwrap().to_owned()
}

/// Waits until the emulator has noticed that the client ended a request.
async fn wait_for_disconnection(operation: &str) {
    while end_of_last(operation).await.is_empty() {
        FetchClock.sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(end_of_last(operation).await, "client disconnected");
}

#[wasm_bindgen_test]
async fn run_returns_its_output() {
    let run = client(&base_url()).invoke_workflow("weekly-report").input("topic", "AI").await.unwrap();
    assert_eq!(run.output_text(), Some("weekly-report: topic = AI"));
    assert_eq!(run.parts().attempts, 1);
}

#[wasm_bindgen_test]
async fn error_response_keeps_its_status_and_body() {
    let call = client(&base_url()).invoke_workflow("weekly-report").header(FAULT, "status=422 body=no_topic");
    let error: Error = call.await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), &error.body().unwrap()[..]), (422, &b"no topic"[..]));
    assert!(!error.may_have_run());
}

#[wasm_bindgen_test]
async fn rejected_call_is_retried_after_the_requested_time() {
    let start = Instant::now();
    let fault = "status=429 header=retry-after:1 times=1";
    let error = client(&base_url()).invoke_workflow("weekly-report").header(FAULT, fault).await.unwrap_err();
    assert!(error.attempts() > 1 && error.waited() >= Duration::from_secs(1), "{error}");
    assert!(start.elapsed() >= error.waited());
}

#[wasm_bindgen_test]
async fn stream_delivers_its_events() {
    let mut events = client(&base_url()).invoke_agent("researcher", "What is new?").stream().await.unwrap();
    let (mut text, mut tokens) = (String::new(), None);
    while let Some(event) = events.next().await {
        match &*event.unwrap() {
            StreamEvent::Response(chunk) => text += chunk.text(),
            StreamEvent::Usage(end) => tokens = end.usage.as_ref().unwrap().total(),
            other => panic!("{}", other.event_type()),
        }
    }
    assert_eq!(text, "researcher heard: What is new?");
    assert!(tokens.is_some());
}

#[wasm_bindgen_test]
async fn cut_stream_is_an_error() {
    let body = r#"data:_{"type":"response","response":"Hi"}%0A%0A"#;
    let fault = format!("status=200 header=content-type:text/event-stream body={body}");
    for (fault, is_lost) in [(fault.clone(), false), (format!("{fault}xxxx cut-after=44"), true)] {
        let call = client(&base_url()).invoke_agent("researcher", "Hi").header(FAULT, fault);
        let mut events = call.stream().await.unwrap();
        assert_eq!(events.next().await.unwrap().unwrap().event_type(), "response");
        let error = events.next().await.unwrap().unwrap_err();
        assert_eq!(matches!(error.stream(), Some(StreamError::Cut { .. })), !is_lost, "{error}");
        assert!(error.may_have_run(), "{error}");
        assert!(events.next().await.is_none());
    }
}

#[wasm_bindgen_test]
async fn dropped_stream_closes_its_connection() {
    let body = r#"data:_{"type":"response","response":"Hi"}%0A%0Axxxx"#;
    let fault = format!("status=200 header=content-type:text/event-stream body={body} stall-after=44");
    let call = client(&base_url()).invoke_agent("researcher", "Hi").header(FAULT, fault);
    let mut events = call.stream().await.unwrap();
    assert!(events.next().await.unwrap().is_ok());
    assert_eq!(end_of_last("invokeAgent").await, "");
    drop(events);
    wait_for_disconnection("invokeAgent").await;
}

#[wasm_bindgen_test]
async fn timeouts_end_a_call() {
    let short = Duration::from_millis(200);
    let client = client(&base_url());
    let start = Instant::now();
    let error = client.invoke_workflow("weekly-report").header(FAULT, "delay=20000").timeout(short).await.unwrap_err();
    assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Deadline), true), "{error}");
    let error = client.invoke_workflow("weekly-report").header(FAULT, "hang").headers_timeout(short).await.unwrap_err();
    assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Headers), true), "{error}");
    let fault = "status=200 body={%22output%22:1} stall-after=3";
    let error = client.invoke_workflow("weekly-report").header(FAULT, fault).idle_timeout(short).await.unwrap_err();
    assert_eq!((error.timeout(), error.may_have_run()), (Some(Timeout::Idle), true), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    wait_for_disconnection("invokeWorkflow").await;
}

#[wasm_bindgen_test]
async fn bytes_are_uploaded_as_a_form() {
    let file = AssetFile::new("notes.txt", "text/plain", "hello");
    let asset = client(&base_url()).workspace("ws_1").assets().upload(file).await.unwrap();
    assert!(asset.id().is_ok());
}

#[wasm_bindgen_test]
async fn refused_connection_is_reported_as_not_sent() {
    let error = client("http://127.0.0.1:64999/v1").invoke_workflow("weekly-report").await.unwrap_err();
    assert!(!error.may_have_run() && error.is_retryable() && error.attempts() > 1, "{error}");
}

#[wasm_bindgen_test]
async fn lost_response_is_reported_as_may_have_run() {
    let error =
        client(&base_url()).invoke_workflow("weekly-report").header(FAULT, "reset after-run").await.unwrap_err();
    assert!(error.may_have_run() && error.attempts() == 1, "{error}");
}

#[wasm_bindgen_test]
async fn timer_longer_than_the_platform_allows_does_not_expire() {
    let long = FetchClock.sleep(Duration::from_secs(u64::from(u32::MAX)));
    let short = FetchClock.sleep(Duration::from_millis(50));
    assert!(matches!(select(long, short).await, Either::Right(_)));
}

#[wasm_bindgen_test]
async fn callback_is_verified_and_handled_once() {
    let receiver = Receiver::new(Verifier::new(["whsec_example"])).dedup(MemoryDedupStore::new()).clock(FetchClock);
    let body = r#"{"event_type":"workflow.completed","request_id":"req_1","data":{"output":"done"}}"#;
    let deliver = |secret: &str| {
        let request = signed_request(secret, body).map(http_body_util::Full::new);
        receiver.receive(request, |delivery| async move {
            assert_eq!(delivery.event.output_as::<String>()?, "done");
            Ok::<_, fetch_hive_client::BoxError>(())
        })
    };
    let statuses = [
        deliver("whsec_example").await.status().as_u16(),
        deliver("whsec_example").await.status().as_u16(),
        deliver("whsec_other").await.status().as_u16(),
    ];
    assert_eq!(statuses, [200, 200, 401]);
}
