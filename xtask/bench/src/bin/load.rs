//! A load generator for the emulator.
//!
//! `load URL SECONDS mixed|fixed` calls a service. `load mock` serves a fixed response with
//! wiremock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// Concurrent callers, each with its own connection.
const CLIENTS: usize = 200;

/// Concurrent streams, in addition to the callers.
const STREAMS: usize = 100;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["mock"] => mock().await,
        [url, seconds, mode] => load(url, Duration::from_secs(seconds.parse()?), *mode == "mixed").await,
        _ => Err("usage: load mock | load URL SECONDS mixed|fixed".into()),
    }
}

async fn mock() -> Result<(), BoxError> {
    use wiremock::matchers::{method, path};
    let server = wiremock::MockServer::builder().disable_request_recording().start().await;
    let response = json!({"request_id": "req_1", "run_status": "completed", "output": "weekly-report: topic = AI"});
    let mock = wiremock::Mock::given(method("POST")).and(path("/v1/workflow/invoke"));
    mock.respond_with(wiremock::ResponseTemplate::new(200).set_body_json(response)).mount(&server).await;
    println!("listening on {}/v1", server.uri());
    tokio::signal::ctrl_c().await?;
    Ok(())
}

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    streams: AtomicU64,
    events: AtomicU64,
    errors: AtomicU64,
}

async fn load(url: &str, duration: Duration, mixed: bool) -> Result<(), BoxError> {
    let counts = Arc::new(Counts::default());
    let end = Instant::now() + duration;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let (caller, counts) = (Caller::new(url), Arc::clone(&counts));
        tasks.spawn(async move {
            while Instant::now() < end {
                let result = if mixed { caller.mixed(number, &counts).await } else { caller.fixed(&counts).await };
                if let Err(error) = result {
                    report(&counts, &error);
                }
            }
        });
    }
    for _ in 0..if mixed { STREAMS } else { 0 } {
        let (caller, counts) = (Caller::new(url), Arc::clone(&counts));
        tasks.spawn(async move {
            while Instant::now() < end {
                if let Err(error) = caller.stream(&counts).await {
                    report(&counts, &error);
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{}",
        json!({
            "calls": read(&counts.calls),
            "streams": read(&counts.streams),
            "events": read(&counts.events),
            "errors": read(&counts.errors),
            "calls_per_second": read(&counts.calls) / duration.as_secs().max(1),
        })
    );
    Ok(())
}

fn report(counts: &Counts, error: &BoxError) {
    if counts.errors.fetch_add(1, Ordering::Relaxed) < 5 {
        eprintln!("{error}");
    }
}

struct Caller {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Caller {
    fn new(url: &str) -> Self {
        Self { url: url.to_owned(), client: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Bytes), BoxError> {
        let bytes = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", "Bearer fhk_load")
            .header("content-type", "application/json")
            .body(Full::new(bytes))?;
        let response = self.client.request(request).await?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    async fn call(&self, counts: &Counts, method: &str, path: &str, body: Value) -> Result<Value, BoxError> {
        let (status, response) = self.send(method, path, &body).await?;
        counts.calls.fetch_add(1, Ordering::Relaxed);
        if status != 200 {
            return Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&response)).into());
        }
        Ok(serde_json::from_slice(&response)?)
    }

    async fn fixed(&self, counts: &Counts) -> Result<(), BoxError> {
        let body = json!({"deployment": "weekly-report", "inputs": {"topic": "AI"}});
        self.call(counts, "POST", "/workflow/invoke", body).await.map(drop)
    }

    /// Sends different calls, and checks the state that they leave.
    async fn mixed(&self, number: usize, counts: &Counts) -> Result<(), BoxError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let agents = format!("/public/workspaces/00000000-0000-4000-8000-{number:012}/agents");
        let run = self
            .call(counts, "POST", "/workflow/invoke", json!({"deployment": "weekly-report", "inputs": {"topic": "AI"}}))
            .await?;
        let record =
            self.call(counts, "GET", &format!("/public/requests/{}", text(&run["request_id"])), Value::Null).await?;
        if record["status"] != "completed" {
            return Err(format!("the run did not complete: {record}").into());
        }
        self.call(counts, "POST", "/prompt/invoke", json!({"deployment": "summary", "inputs": {"text": "a b c"}}))
            .await?;
        let agent = json!({"agent": {"name": "n", "llm_model": "gpt-4o", "model_type": "llm"}});
        let created = self.call(counts, "POST", &agents, agent).await?;
        let agent = format!("{agents}/{}", text(&created["agent"]["id"]));
        self.call(counts, "PATCH", &agent, json!({"agent": {"description": "d"}})).await?;
        let read = self.call(counts, "GET", &agent, Value::Null).await?;
        if read["agent"]["description"] != "d" {
            return Err(format!("the agent was not updated: {read}").into());
        }
        self.call(counts, "POST", "/agent/invoke", json!({"agent": "support", "message": "Hi"})).await?;
        self.call(counts, "DELETE", &agent, Value::Null).await?;
        self.call(counts, "GET", "/public/models", Value::Null).await?;
        Ok(())
    }

    /// Reads a stream that takes about two seconds.
    async fn stream(&self, counts: &Counts) -> Result<(), BoxError> {
        let (status, body) =
            self.send("POST", "/prompt/invoke", &json!({"deployment": "slow-stream", "streaming": true})).await?;
        let text = String::from_utf8_lossy(&body);
        if status != 200 || !text.ends_with("data: [DONE]\n\n") {
            return Err(format!("a stream ended with {status}: {text}").into());
        }
        counts.streams.fetch_add(1, Ordering::Relaxed);
        counts.events.fetch_add(text.matches("data: ").count() as u64, Ordering::Relaxed);
        Ok(())
    }
}
