//! Streams that are open at one time: `memory CLIENT URL STREAMS`. Prints how much memory of this process each of them takes.

use std::error::Error;

use bytes::Bytes;
use fetch_hive_bench::{KEY, Request, argument, line};
use fetch_hive_client::types::InvokePrompt;
use fetch_hive_client::{Client, EventStream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

type Failure = Box<dyn Error>;

/// Streams are opened so many at a time, as fast as the server takes them.
const BURST: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
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
            measure(streams, || raw(client.clone(), format!("{url}/v1/prompt/invoke"))).await?
        }
        other => panic!("no client is named {other}"),
    };
    println!("{}", line(&client, &serde_json::json!({ "bytes": bytes })));
    Ok(())
}

/// Opens streams, reads the first event of each, and gives the resident memory that they add, for each of them.
async fn measure<S: Send + 'static, F>(streams: usize, open: impl Fn() -> F) -> Result<f64, Failure>
where
    F: Future<Output = Result<S, Failure>>,
{
    // The first ones open what is made once.
    let mut kept = Vec::with_capacity(streams + BURST);
    for _ in 0..BURST {
        kept.push(open().await?);
    }
    let before = resident()?;
    for _ in 0..streams {
        kept.push(open().await?);
    }
    let after = resident()?;
    assert_eq!(kept.len(), streams + BURST);
    Ok(after.saturating_sub(before) as f64 / streams as f64)
}

async fn ours(client: Client) -> Result<EventStream<InvokePrompt>, Failure> {
    let mut events = client.invoke_prompt("weekly-report").input("topic", "enterprise AI").stream().await?;
    events.next().await.ok_or("no event")??;
    Ok(events)
}

type Raw = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

/// The response is kept with its head, as our stream keeps it.
async fn raw(client: Raw, url: String) -> Result<http::Response<Incoming>, Failure> {
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

/// The resident memory of this process, in bytes.
fn resident() -> Result<usize, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
}
