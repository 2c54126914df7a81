//! Measures the time from the server's write of an event until the caller receives it.
//!
//! Usage: `latency CLIENT URL EVENTS`.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_bench::{KEY, Request, argument, line, monotonic};
use fetch_hive_client::Client;
use fetch_hive_client::types::StreamEvent;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

type BoxError = Box<dyn Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (client, url): (String, String) = (argument(1, "CLIENT"), argument(2, "URL"));
    let events: usize = argument(3, "EVENTS");
    let mut times = match client.as_str() {
        "ours" => ours(&url, events).await?,
        "hyper" => raw_hyper(&url, events).await?,
        other => panic!("unknown client {other}"),
    };
    times.sort_unstable();
    let percentile = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e6;
    println!("{}", line(&client, &serde_json::json!({ "median_us": percentile(50), "p99_us": percentile(99) })));
    Ok(())
}

fn elapsed_since(timestamp: &str) -> Result<Duration, BoxError> {
    Ok(monotonic().saturating_sub(Duration::from_nanos(timestamp.parse()?)))
}

async fn ours(url: &str, events: usize) -> Result<Vec<Duration>, BoxError> {
    let client = Client::builder().api_key(KEY).base_url(format!("{url}/v1")).build()?;
    let mut stream = client.invoke_agent("researcher", "What is new?").stream().await?;
    let mut times = Vec::with_capacity(events);
    while times.len() < events {
        let event = stream.next().await.ok_or("the stream ended")??;
        if let StreamEvent::Response(chunk) = &event.event {
            times.push(elapsed_since(&chunk.response)?);
        }
    }
    Ok(times)
}

/// Receives events with raw hyper, and searches their bytes for the timestamp only.
async fn raw_hyper(url: &str, events: usize) -> Result<Vec<Duration>, BoxError> {
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let request: http::Request<Full<Bytes>> = http::Request::post(format!("{url}/v1/agent/invoke"))
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(Full::from(serde_json::to_vec(&Request::new())?))?;
    let mut response = client.request(request).await?;
    let mut times = Vec::with_capacity(events);
    while times.len() < events {
        let frame = response.body_mut().frame().await.ok_or("the stream ended")??;
        let Ok(data) = frame.into_data() else { continue };
        let text = std::str::from_utf8(&data)?;
        // A frame can contain several events.
        for event in text.split("\n\n").filter(|event| !event.is_empty()) {
            let timestamp = event.split("\"response\":\"").nth(1).and_then(|rest| rest.split('"').next());
            times.push(elapsed_since(timestamp.ok_or("an event without a timestamp")?)?);
        }
    }
    Ok(times)
}
