//! Tests of the errors for mistakes of a user, over sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use bytes::Bytes;
use fetch_hive_emulator::Emulator;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

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
