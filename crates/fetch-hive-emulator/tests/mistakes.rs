//! Tests of the errors for mistakes of a user, over sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_emulator::{CallbackReceiver, Emulator, Fault, StartError};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

#[tokio::test]
async fn example_of_the_help_is_a_configuration_file() {
    let example = fetch_hive_emulator::FORMAT_HELP.split_once("\n\n").unwrap().1.split_once("\nFaults:").unwrap().0;
    let file = std::env::temp_dir().join(format!("fetch-hive-example-{}.toml", std::process::id()));
    std::fs::write(&file, example).unwrap();
    let started = Emulator::builder().config(&file).start().await.map(drop);
    std::fs::remove_file(&file).unwrap();
    started.unwrap();
}

/// Sends a request and returns the status and the error text, or the whole body.
async fn send(emulator: &Emulator, method: &str, path: &str, fault: Option<&str>, body: &Value) -> (u16, String) {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", emulator.address()))
        .header("authorization", "Bearer fhk_test")
        .header("content-type", "application/json");
    if let Some(fault) = fault {
        request = request.header("x-fetch-hive-fault", fault);
    }
    let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    let error = serde_json::from_str(&text).ok().and_then(|json: Value| json["error"].as_str().map(str::to_owned));
    (status, error.unwrap_or(text))
}

#[tokio::test]
async fn unknown_paths_and_methods_name_the_right_ones() {
    let emulator = Emulator::start().await.unwrap();
    let base_url = emulator.base_url();
    for path in ["/foo", "/workflow/invoke", "/v1/workflow/invoked", "/v1workflow/invoke", "/"] {
        let (status, error) = send(&emulator, "POST", path, None, &json!({})).await;
        assert_eq!((status, error), (404, format!("no operation at {path}; the base URL is {base_url}")));
    }
    let (status, error) = send(&emulator, "GET", "/v1/workflow/invoke", None, &json!({})).await;
    assert_eq!((status, error.as_str()), (405, "no GET operation at /v1/workflow/invoke; use POST"));
}

#[tokio::test]
async fn faults_that_never_apply_are_rejected_everywhere() {
    let emulator = Emulator::builder().fault_header().start().await.unwrap();
    for (fault, reason) in [
        ("status=503 cut-after=3", "the body has only 0 bytes"),
        ("close operation=invokeWorkflows", "did you mean invokeWorkflow?"),
        ("callback-lost event=workflow.complete", "did you mean workflow.completed?"),
        ("callback-lost operation=listModels", "sends no callbacks"),
    ] {
        let (status, error) = send(&emulator, "POST", "/_emulator/faults", None, &json!({"fault": fault})).await;
        assert!(status == 400 && error.contains(reason), "{fault}: {error}");
        let body = json!({"deployment": "d"});
        let (status, error) = send(&emulator, "POST", "/v1/workflow/invoke", Some(fault), &body).await;
        assert!(status == 400 && error.contains(reason), "{fault}: {error}");
    }
    let tls_only = json!({"fault": "expired-certificate"});
    let (status, error) = send(&emulator, "POST", "/_emulator/faults", None, &tls_only).await;
    assert!(status == 400 && error.contains("--tls"), "{error}");
    let (status, error) = send(&emulator, "POST", "/v1/workflow/invoke", Some("reset-connection"), &json!({})).await;
    assert!(status == 400 && error.contains("--fault"), "{error}");

    assert!(emulator.add_fault(Fault::close().operation("invokeEverything")).is_err());
    assert!(emulator.add_fault(Fault::close().operation("listModels")).is_ok());
    let error = Emulator::builder().fault(Fault::status(200).stall_after(1)).start().await.unwrap_err();
    assert!(matches!(&error, StartError::Fault(_)) && error.to_string().contains("stall-after=1"), "{error}");
}

#[tokio::test]
async fn log_lines_name_the_injected_fault() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    let emulator = Emulator::builder()
        .fault("status=503 body=SECRET operation=listModels".parse().unwrap())
        .fault(Fault::callback_bad_signature())
        .fault(Fault::callback_early())
        .logger(move |line| log.lock().unwrap().push(line.to_owned()))
        .start()
        .await
        .unwrap();
    assert_eq!(send(&emulator, "GET", "/v1/public/models", None, &Value::Null).await.0, 503);
    let mut receiver = CallbackReceiver::start().await.unwrap();
    let body = json!({"deployment": "d", "async": {"enabled": true, "callback_url": receiver.url()}});
    assert_eq!(send(&emulator, "POST", "/v1/workflow/invoke", None, &body).await.0, 202);
    receiver.next().await.unwrap();
    let logged = async {
        loop {
            let text = lines.lock().unwrap().join("\n");
            if text.contains("/v1/workflow/invoke 202") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(20), logged).await.unwrap();
    for part in ["(fault status=503)", "attempt 1: 200 (fault callback-bad-signature)", "(fault callback-early)"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert!(!text.contains("SECRET"), "{text}");
}

#[tokio::test]
async fn unknown_record_kinds_and_paths_are_rejected() {
    let emulator = Emulator::start().await.unwrap();
    for (path, part) in [
        ("agents/w/a", "did you mean agent?"),
        ("thing/w/a", "use one of agent, chat, message"),
        ("agent/a", "/_emulator/records/agent/WORKSPACE/ID"),
        ("chat/w/c", "/_emulator/records/chat/WORKSPACE/AGENT/ID"),
    ] {
        let path = format!("/_emulator/records/{path}");
        let (status, error) = send(&emulator, "PUT", &path, None, &json!({"name": "a"})).await;
        assert!(status == 400 && error.contains(part), "{path}: {error}");
    }
    let stored = send(&emulator, "PUT", "/_emulator/records/agent/w/a", None, &json!({"name": "a"})).await;
    assert_eq!(stored.0, 200, "{}", stored.1);
}
