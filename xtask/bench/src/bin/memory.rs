//! Measures the memory that each open stream adds to this process.
//!
//! Usage: `memory CLIENT URL STREAMS`.

use std::error::Error;

use bytes::Bytes;
use fetch_hive_bench::{KEY, Request, argument, line, memory_bytes};
use fetch_hive_client::types::InvokePrompt;
use fetch_hive_client::{Client, EventStream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

type BoxError = Box<dyn Error>;

/// Streams that are opened before the measurement.
const WARM_UP: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    fetch_hive_bench::raise_open_files();
    let (client, url): (String, String) = (argument(1, "CLIENT"), argument(2, "URL"));
    let streams: usize = argument(3, "STREAMS");
    let bytes = match client.as_str() {
        "ours" => {
            let client = Client::builder().api_key(KEY).base_url(format!("{url}/v1")).build()?;
            measure(streams, || ours(client.clone())).await?
        }
        "hyper" => {
            let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(HttpConnector::new());
            measure(streams, || raw_hyper(client.clone(), format!("{url}/v1/prompt/invoke"))).await?
        }
        other => panic!("unknown client {other}"),
    };
    println!("{}", line(&client, &serde_json::json!({ "bytes": bytes })));
    Ok(())
}

/// Opens streams, reads the first event of each, and returns the bytes of resident memory per
/// stream.
async fn measure<S: Send + 'static, F>(streams: usize, open: impl Fn() -> F) -> Result<f64, BoxError>
where
    F: Future<Output = Result<S, BoxError>>,
{
    // The first streams initialize global state.
    let mut open_streams = Vec::with_capacity(streams + WARM_UP);
    for _ in 0..WARM_UP {
        open_streams.push(open().await?);
    }
    let before = memory_bytes("VmRSS");
    for _ in 0..streams {
        open_streams.push(open().await?);
    }
    let after = memory_bytes("VmRSS");
    assert_eq!(open_streams.len(), streams + WARM_UP);
    Ok(after.saturating_sub(before) as f64 / streams as f64)
}

async fn ours(client: Client) -> Result<EventStream<InvokePrompt>, BoxError> {
    let mut events = client.invoke_prompt("weekly-report").input("topic", "enterprise AI").stream().await?;
    events.next().await.ok_or("no event")??;
    Ok(events)
}

type HyperClient = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

/// Opens a stream with raw hyper. The response retains its headers, as our stream does.
async fn raw_hyper(client: HyperClient, url: String) -> Result<http::Response<Incoming>, BoxError> {
    let request = http::Request::post(url)
        .header("authorization", format!("Bearer {KEY}"))
        .header("accept", "text/event-stream")
        .header("content-type", "application/json")
        .body(Full::from(serde_json::to_vec(&Request::new())?))?;
    let mut response = client.request(request).await?;
    let frame = response.body_mut().frame().await.ok_or("no event")??;
    assert!(frame.is_data());
    Ok(response)
}
