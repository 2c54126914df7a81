//! The endpoints with which the page sends requests, sets faults and shows the usage, over sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]
#![cfg(feature = "page")]

use bytes::Bytes;
use fetch_hive_emulator::{Emulator, Fault};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

async fn send(emulator: &Emulator, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", emulator.address()))
        .header("authorization", "Bearer fhk_emulator")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(if body.is_null() { String::new() } else { body.to_string() })))
        .unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn samples_of_all_operations_are_accepted() {
    let emulator = Emulator::builder().page(true).start().await.unwrap();
    let (_, operations) = send(&emulator, "GET", "/_emulator/operations", &Value::Null).await;
    let operations = operations.as_array().unwrap();
    assert_eq!(operations.len(), 43);
    for operation in operations.iter().filter(|operation| operation["is_upload"] == false) {
        let path = format!("/v1{}", operation["path"].as_str().unwrap().replace(['{', '}'], ""));
        let (status, answer) = send(&emulator, operation["method"].as_str().unwrap(), &path, &operation["body"]).await;
        // The records in the paths do not exist, but no sample is invalid.
        let is_unknown = status == 404 || answer["error"].as_str().is_some_and(|error| error.contains("not found"));
        // A trigger needs the webhook secret of its deployment.
        let needs_secret = status == 401 && path.contains("/webhooks/");
        assert!(status < 300 || is_unknown || needs_secret, "{operation}: {status} {answer}");
    }
}

#[tokio::test]
async fn usage_shows_slots_calls_and_faults() {
    let builder = Emulator::builder().page(true).concurrency(3).daily_cap(7);
    let emulator = builder.fault(Fault::hang().nth(2)).start().await.unwrap();
    let usage = async || send(&emulator, "GET", "/_emulator/log", &Value::Null).await.1["usage"].clone();
    let before = usage().await;
    assert_eq!((&before["active_runs"], &before["run_slots"]), (&json!(0), &json!(3)));
    assert_eq!((&before["calls_today"], &before["daily_cap"]), (&json!(0), &json!(7)));
    assert_eq!(before["faults"].as_array().unwrap().len(), 1);
    send(&emulator, "POST", "/v1/workflow/invoke", &json!({"deployment": "d"})).await;
    assert_eq!(usage().await["calls_today"], 1);

    let (status, _) = send(&emulator, "POST", "/_emulator/faults", &json!({"fault": "status=503 times=1"})).await;
    assert_eq!(status, 200);
    assert_eq!(usage().await["faults"].as_array().unwrap().len(), 2);
    let (_, list) = send(&emulator, "GET", "/_emulator/faults", &Value::Null).await;
    assert_eq!((list["faults"].as_u64(), list["list"].as_array().unwrap().len()), (Some(2), 2));
    let (status, answer) = send(&emulator, "POST", "/_emulator/faults", &json!({"fault": "status=999x"})).await;
    assert!(status == 400 && answer["error"].is_string(), "{answer}");
    send(&emulator, "DELETE", "/_emulator/faults", &Value::Null).await;
    assert_eq!(usage().await["faults"], json!([]));
}
