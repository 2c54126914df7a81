//! Measures the same workflow call with different clients.
//!
//! Usage: `call CLIENT URL CONCURRENCY CALLS`.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_bench::{KEY, Meter, Request, Run, argument};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub fn main() {
    let (client, url): (String, String) = (argument(1, "CLIENT"), argument(2, "URL"));
    let (concurrency, calls): (usize, usize) = (argument(3, "CONCURRENCY"), argument(4, "CALLS"));
    if client == "ureq" {
        return threads(&Ureq::new(&url), concurrency, calls);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("cannot create the runtime: {error}"));
    match client.as_str() {
        "ours" => runtime.block_on(tasks(Ours::new(&url), concurrency, calls)),
        "hyper" => runtime.block_on(tasks(Hyper::new(&url), concurrency, calls)),
        "reqwest" => runtime.block_on(tasks(Reqwest::new(&url), concurrency, calls)),
        other => panic!("unknown client {other}"),
    }
}

/// Returns the number of calls before the measurement, which open the connections and initialize
/// global state.
const fn warm_up(concurrency: usize) -> usize {
    concurrency * 20
}

trait Caller: Send + Sync + 'static {
    /// Sends the request and parses the response.
    fn call(&self) -> impl Future<Output = ()> + Send;
}

/// Measures an asynchronous client with tasks on one thread.
async fn tasks(caller: impl Caller, concurrency: usize, calls: usize) {
    let caller = Arc::new(caller);
    run(&caller, concurrency, warm_up(concurrency)).await;
    let meter = Meter::start();
    run(&caller, concurrency, calls).await;
    println!("{}", meter.per(calls).line("call"));
}

async fn run<C: Caller>(caller: &Arc<C>, concurrency: usize, calls: usize) {
    let left = Arc::new(AtomicUsize::new(calls));
    let tasks: Vec<_> = (0..concurrency)
        .map(|_| {
            let (caller, left) = (Arc::clone(caller), Arc::clone(&left));
            tokio::spawn(async move {
                while take_one(&left) {
                    caller.call().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap_or_else(|error| panic!("a call panicked: {error}"));
    }
}

fn take_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// Measures a blocking client with threads.
fn threads(caller: &Ureq, concurrency: usize, calls: usize) {
    let run = |calls| {
        let left = AtomicUsize::new(calls);
        std::thread::scope(|scope| {
            for _ in 0..concurrency {
                scope.spawn(|| {
                    while take_one(&left) {
                        caller.call();
                    }
                });
            }
        });
    };
    run(warm_up(concurrency));
    let meter = Meter::start();
    run(calls);
    println!("{}", meter.per(calls).line("call"));
}

struct Ours(fetch_hive_client::Client);

impl Ours {
    fn new(url: &str) -> Self {
        let client = fetch_hive_client::Client::builder().api_key(KEY).base_url(format!("{url}/v1")).build();
        Self(client.unwrap_or_else(|error| panic!("{error}")))
    }
}

impl Caller for Ours {
    async fn call(&self) {
        let call = self.0.invoke_workflow("weekly-report").input("topic", "enterprise AI").input("audience", "board");
        let run = call.await.unwrap_or_else(|error| panic!("{error}"));
        assert!(run.request_id.is_some());
        black_box(run);
    }
}

/// hyper-util's pooled client without TLS, proxies, gzip, timeouts, retries or checks.
struct Hyper {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    authorization: String,
}

impl Hyper {
    fn new(url: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector),
            url: format!("{url}/v1/workflow/invoke"),
            authorization: format!("Bearer {KEY}"),
        }
    }
}

impl Caller for Hyper {
    async fn call(&self) {
        let body = serde_json::to_vec(&Request::new()).unwrap_or_else(|error| panic!("{error}"));
        let request = http::Request::post(&self.url)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "fetch-hive-bench/0.1.0")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, &self.authorization)
            .body(Full::from(body))
            .unwrap_or_else(|error| panic!("{error}"));
        let response = self.client.request(request).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(response.status().is_success());
        let body = response.into_body().collect().await.unwrap_or_else(|error| panic!("{error}")).to_bytes();
        let run: Run = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}"));
        assert!(!run.request_id.is_empty());
        black_box(run);
    }
}

/// reqwest with the default timeouts of our client.
struct Reqwest {
    client: reqwest::Client,
    url: String,
}

impl Reqwest {
    fn new(url: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120))
            .user_agent("fetch-hive-bench/0.1.0")
            .build();
        Self { client: client.unwrap_or_else(|error| panic!("{error}")), url: format!("{url}/v1/workflow/invoke") }
    }
}

impl Caller for Reqwest {
    async fn call(&self) {
        let request = self.client.post(&self.url).bearer_auth(KEY).header(ACCEPT, "application/json");
        let response = request.json(&Request::new()).send().await.unwrap_or_else(|error| panic!("{error}"));
        assert!(response.status().is_success());
        let run: Run = response.json().await.unwrap_or_else(|error| panic!("{error}"));
        assert!(!run.request_id.is_empty());
        black_box(run);
    }
}

/// ureq with one thread per concurrent call.
struct Ureq {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

impl Ureq {
    fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(120)))
            .user_agent("fetch-hive-bench/0.1.0")
            .max_idle_connections_per_host(256)
            .max_idle_connections(256)
            .http_status_as_error(false)
            .build();
        let url = format!("{url}/v1/workflow/invoke");
        Self { agent: config.into(), url, authorization: format!("Bearer {KEY}") }
    }

    fn call(&self) {
        let request = self.agent.post(&self.url).header(AUTHORIZATION, &self.authorization);
        let request = request.header(ACCEPT, "application/json");
        let mut response = request.send_json(Request::new()).unwrap_or_else(|error| panic!("{error}"));
        assert!(response.status().is_success());
        let run: Run = response.body_mut().read_json().unwrap_or_else(|error| panic!("{error}"));
        assert!(!run.request_id.is_empty());
        black_box(run);
    }
}
