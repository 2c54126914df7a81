//! From the moment at which the server hands an event to its HTTP stack to that at which the caller has it: `latency CLIENT URL EVENTS`.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_bench::{KEY, Request, argument, line, monotonic};
use fetch_hive_client::Client;
use fetch_hive_client::types::StreamEvent;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

type Failure = Box<dyn Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let (client, url): (String, String) = (argument(1, "CLIENT"), argument(2, "URL"));
    let events: usize = argument(3, "EVENTS");
    let mut times = match client.as_str() {
        "ours" => ours(&url, events).await?,
        "hyper" => raw(&url, events).await?,
        other => panic!("no client is named {other}"),
    };
    times.sort_unstable();
    let micros = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e6;
    println!("{}", line(&client, &serde_json::json!({ "median_us": micros(50), "p99_us": micros(99) })));
    Ok(())
}

fn since(stamp: &str) -> Result<Duration, Failure> {
    Ok(monotonic().saturating_sub(Duration::from_nanos(stamp.parse()?)))
}

async fn ours(url: &str, events: usize) -> Result<Vec<Duration>, Failure> {
    let client = Client::builder().api_key(KEY).base_url(format!("{url}/v1")).build()?;
    let mut stream = client.invoke_agent("researcher", "What is new?").stream().await?;
    let mut times = Vec::with_capacity(events);
    while times.len() < events {
        let event = stream.next().await.ok_or("the stream ended")??;
        if let StreamEvent::Response(piece) = &event.event {
            times.push(since(&piece.response)?);
        }
    }
    Ok(times)
}

/// hyper alone: the bytes of the event, with no more done to them than to find the stamp.
async fn raw(url: &str, events: usize) -> Result<Vec<Duration>, Failure> {
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
        // Events that came together count once each; the clock is read when each is found.
        for event in text.split("\n\n").filter(|event| !event.is_empty()) {
            let stamp = event.split("\"response\":\"").nth(1).and_then(|rest| rest.split('"').next());
            times.push(since(stamp.ok_or("an event without a stamp")?)?);
        }
    }
    Ok(times)
}
