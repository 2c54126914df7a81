//! Measures work without a network: receiving callbacks, and calls that wait for a run slot.
//!
//! Usage: `local CLIENT MEASUREMENT COUNT [BYTES]`.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use fetch_hive_bench::{KEY, argument, cpu_time, line, memory_bytes};
use fetch_hive_client::callback::{Delivery, Receiver, Verifier, signed_request};
use fetch_hive_client::types::InvokeWorkflowResponse;
use fetch_hive_client::{ApiResponse, Client, Clock, Error};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tower_service::Service as _;

const SECRET: &str = "whsec_0123456789abcdef";

fn main() {
    let (client, measurement): (String, String) = (argument(1, "CLIENT"), argument(2, "MEASUREMENT"));
    let count: usize = argument(3, "COUNT");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("cannot create the runtime: {error}"));
    match measurement.as_str() {
        "callbacks" => runtime.block_on(callbacks(&client, count, argument(4, "BYTES"))),
        "queue" => runtime.block_on(async { queue(&client, count) }),
        other => panic!("unknown measurement {other}"),
    }
}

async fn callbacks(client: &str, count: usize, bytes: usize) {
    let head = r#"{"event_type":"workflow.completed","request_id":"req_1","data":{"run_status":"completed","output":""#;
    let body = format!("{head}{}\"}}}}", "x".repeat(bytes - head.len() - 3));
    let (parts, body) = signed_request(SECRET, body).into_parts();
    let mut router = match client {
        "ours" => {
            let receiver = Receiver::new(Verifier::new([SECRET]));
            let handle = |delivery: Delivery| async move {
                assert!(black_box(delivery).event.output().is_some());
                Ok::<_, std::convert::Infallible>(())
            };
            Router::new()
                .route("/", post(move |request: Request| async move { receiver.receive(request, handle).await }))
        }
        "bare" => {
            let key = Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes()));
            Router::new()
                .route("/", post(move |headers: HeaderMap, body: Bytes| async move { bare(&key, &headers, &body) }))
        }
        other => panic!("unknown client {other}"),
    };
    let mut start = cpu_time();
    for n in 0..count + count / 10 {
        if n == count / 10 {
            start = cpu_time();
        }
        let mut request = Request::new(Body::from(body.clone()));
        *request.method_mut() = parts.method.clone();
        request.headers_mut().clone_from(&parts.headers);
        let ready = poll_fn(|cx| <Router as tower_service::Service<Request>>::poll_ready(&mut router, cx)).await;
        ready.unwrap_or_else(|never| match never {});
        let response = router.call(request).await.unwrap_or_else(|never| match never {});
        assert_eq!(response.status(), StatusCode::OK);
    }
    let cpu_ns = cpu_time().saturating_sub(start).as_secs_f64() * 1e9 / count as f64;
    println!("{}", line("callbacks", &serde_json::json!({ "cpu_ns": cpu_ns })));
}

#[derive(serde::Deserialize)]
struct Event {
    event_type: String,
    request_id: String,
    data: Map<String, Value>,
}

/// A handler without limits, redeliveries, lenient reading and other encodings of a signature.
fn bare(key: &ring::hmac::Key, headers: &HeaderMap, body: &[u8]) -> StatusCode {
    let signature = headers.get("x-fetch-hive-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digest = signature.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? * 16 + digit(*pair.get(1)?)?));
    let Some(digest) = digest.collect::<Option<Vec<u8>>>() else { return StatusCode::UNAUTHORIZED };
    if ring::hmac::verify(key, body, &digest).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(event) = serde_json::from_slice::<Event>(body) else { return StatusCode::BAD_REQUEST };
    assert!(!event.event_type.is_empty() && !event.request_id.is_empty() && event.data.contains_key("output"));
    StatusCode::OK
}

type Waiting = Pin<Box<dyn Future<Output = Result<ApiResponse<InvokeWorkflowResponse>, Error>>>>;

/// Polls calls that wait for the only slot, once each. The peer waits for a semaphore before each
/// call.
fn queue(client: &str, count: usize) {
    let mut waiting: Vec<Waiting> = Vec::with_capacity(count);
    let builder = Client::builder().api_key(KEY).base_url("http://127.0.0.1:9/v1").transport(Never).clock(NoTimers);
    let is_ours = client == "ours";
    let builder = if is_ours { builder.max_concurrent_runs(1) } else { builder };
    let client = builder.build().unwrap_or_else(|error| panic!("{error}"));
    let semaphore = Arc::new(Semaphore::new(1));
    let mut cx = Context::from_waker(Waker::noop());
    let mut holder: Waiting = if is_ours {
        client.invoke_workflow("weekly-report").into_future()
    } else {
        let semaphore = Arc::clone(&semaphore);
        Box::pin(async move {
            let _permit = semaphore.acquire().await;
            std::future::pending().await
        })
    };
    assert!(holder.as_mut().poll(&mut cx).is_pending());
    let before = memory_bytes("VmRSS");
    let start = Instant::now();
    for n in 0..count {
        let call = client.invoke_workflow("weekly-report").input("n", n);
        let mut call: Waiting = if is_ours {
            call.into_future()
        } else {
            let semaphore = Arc::clone(&semaphore);
            Box::pin(async move {
                let _permit = semaphore.acquire().await;
                call.await
            })
        };
        assert!(call.as_mut().poll(&mut cx).is_pending());
        waiting.push(call);
    }
    let wall_ns = start.elapsed().as_secs_f64() * 1e9 / count as f64;
    let bytes = memory_bytes("VmRSS").saturating_sub(before) as f64 / count as f64;
    // The waiting calls leave the queue before the slot is free.
    drop(waiting);
    drop(holder);
    println!("{}", line("queue", &serde_json::json!({ "wall_ns": wall_ns, "bytes": bytes })));
}

struct Never;

#[async_trait::async_trait]
impl fetch_hive_client::Transport for Never {
    async fn send(
        &self,
        _: http::Request<fetch_hive_client::RequestBody>,
    ) -> Result<http::Response<fetch_hive_client::ResponseBody>, fetch_hive_client::TransportError> {
        std::future::pending().await
    }
}

struct NoTimers;

impl Clock for NoTimers {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}
