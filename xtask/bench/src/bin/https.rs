//! Measures calls, bodies and streams in the conditions of production: TLS, HTTP/2, files, large
//! inputs and many streams.
//!
//! Usage: `https CLIENT MEASUREMENT URL CERTIFICATE COUNT [CONCURRENCY]`. It prints one line with
//! the CPU time and the memory that the measurement added to this process.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_bench::{Cost, KEY, Meter, Request, Run, argument, cpu_time, line};
use fetch_hive_client::{Client, HyperTransport, open_asset_file};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use tokio::io::AsyncReadExt as _;

type BoxError = Box<dyn Error + Send + Sync>;
type HyperClient = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, BoxBody<Bytes, std::io::Error>>;

#[derive(Serialize)]
struct Figures {
    #[serde(flatten)]
    cost: Cost,
    /// The resident memory that the measurement added at its peak, and that it added in the end.
    peak_bytes: f64,
    resident_bytes: f64,
}

pub fn main() -> Result<(), BoxError> {
    let (client, measurement): (String, String) = (argument(1, "CLIENT"), argument(2, "MEASUREMENT"));
    if measurement == "cold" {
        return cold(&client);
    }
    fetch_hive_bench::raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&client, &measurement))
}

/// One call of a new process, whose whole CPU time counts.
fn cold(client: &str) -> Result<(), BoxError> {
    let url: String = argument(3, "URL");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The certificate of the server is not among the roots of the platform, so the call fails after
    // these were loaded and used.
    let failed = runtime.block_on(async {
        if client == "ours" {
            let client = Client::builder().api_key(KEY).base_url(format!("{url}/v1")).build()?;
            let call = client.invoke_workflow("weekly-report").input("topic", "enterprise AI");
            return Ok::<_, BoxError>(call.retry(fetch_hive_client::RetryPolicy::never()).await.is_err());
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().build()?;
        let call = client.post(format!("{url}/v1/workflow/invoke")).bearer_auth(KEY).json(&Request::new());
        Ok(call.send().await.is_err())
    })?;
    assert!(failed, "the certificate was accepted");
    let cpu_ns = cpu_time().as_secs_f64() * 1e9;
    println!("{}", line("cold", &serde_json::json!({ "cpu_ns": cpu_ns })));
    Ok(())
}

async fn measure(client: &str, measurement: &str) -> Result<(), BoxError> {
    let (url, certificate): (String, PathBuf) = (argument(3, "URL"), argument::<String>(4, "CERTIFICATE").into());
    let (count, concurrency): (usize, usize) = (argument(5, "COUNT"), argument(6, "CONCURRENCY"));
    let caller: Arc<dyn Caller> = match client {
        "ours" => Arc::new(Ours::new(&url, &certificate)?),
        "hyper" => Arc::new(Hyper::new(&url, &certificate)?),
        "reqwest" => Arc::new(Reqwest::new(&url, &certificate)?),
        other => panic!("unknown client {other}"),
    };
    // The first call opens the connection and initializes global state. The server delays each call
    // of the measurement `limited`.
    for _ in 0..if measurement == "calls" { 20 * concurrency } else { 1 } {
        caller.call().await?;
    }
    let start = Start::now()?;
    match measurement {
        "calls" | "limited" => concurrently(count, concurrency, || Arc::clone(&caller).owned_call()).await?,
        "upload" => caller.upload(&argument::<String>(7, "FILE")).await?,
        "rows" => {
            let rows = rows(count);
            let start = Start::now()?;
            caller.rows(rows).await?;
            return print(&start.figures()?);
        }
        "text" => {
            let text = "x".repeat(count);
            let start = Start::now()?;
            caller.text(text).await?;
            return print(&start.figures()?);
        }
        "streams" => {
            let mut open = Vec::with_capacity(count);
            for _ in 0..count {
                open.push(caller.open_stream().await?);
            }
            return print(&start.figures()?);
        }
        "events" => caller.events(count).await?,
        other => panic!("unknown measurement {other}"),
    }
    print(&start.figures()?)
}

fn print(figures: &Figures) -> Result<(), BoxError> {
    println!("{}", line("https", figures));
    Ok(())
}

struct Start {
    meter: Meter<'static>,
    resident: usize,
}

impl Start {
    fn now() -> Result<Self, BoxError> {
        Ok(Self { resident: memory("VmRSS:")?, meter: Meter::start() })
    }

    fn figures(&self) -> Result<Figures, BoxError> {
        let cost = self.meter.per(1);
        let added = |now: usize| now.saturating_sub(self.resident) as f64;
        Ok(Figures { cost, peak_bytes: added(memory("VmHWM:")?), resident_bytes: added(memory("VmRSS:")?) })
    }
}

/// Returns a figure of the memory of this process, in bytes.
fn memory(name: &str) -> Result<usize, BoxError> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such figure")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
}

async fn concurrently<F>(count: usize, concurrency: usize, call: impl Fn() -> F) -> Result<(), BoxError>
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    if count == concurrency {
        let calls: Vec<_> = (0..count).map(|_| tokio::spawn(call())).collect();
        for call in calls {
            call.await??;
        }
        return Ok(());
    }
    let left = Arc::new(AtomicUsize::new(count));
    let mut running = tokio::task::JoinSet::new();
    while running.len() < concurrency {
        running.spawn(call());
    }
    left.fetch_sub(concurrency, Ordering::Relaxed);
    while let Some(done) = running.join_next().await {
        done??;
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            running.spawn(call());
        }
    }
    Ok(())
}

#[derive(Clone, Serialize)]
struct Row {
    id: u32,
    name: String,
    score: f64,
    tags: [&'static str; 3],
    note: String,
}

/// Returns rows of about 104 bytes each.
fn rows(count: usize) -> Vec<Row> {
    let row = |n: usize| Row {
        id: u32::try_from(n).unwrap_or_default(),
        name: format!("customer {n}"),
        score: n as f64 / 7.0,
        tags: ["a", "b", "c"],
        note: "a short note".to_owned(),
    };
    (0..count).map(row).collect()
}

/// A client that is measured. A measurement that has no peer for a client is not implemented.
#[async_trait::async_trait]
trait Caller: Send + Sync {
    async fn call(&self) -> Result<(), BoxError>;

    async fn upload(&self, _file: &str) -> Result<(), BoxError> {
        Err(NOT_MEASURED.into())
    }

    async fn rows(&self, _rows: Vec<Row>) -> Result<(), BoxError> {
        Err(NOT_MEASURED.into())
    }

    async fn text(&self, _text: String) -> Result<(), BoxError> {
        Err(NOT_MEASURED.into())
    }

    async fn open_stream(&self) -> Result<Box<dyn Send>, BoxError> {
        Err(NOT_MEASURED.into())
    }

    async fn events(&self, _count: usize) -> Result<(), BoxError> {
        Err(NOT_MEASURED.into())
    }

    async fn owned_call(self: Arc<Self>) -> Result<(), BoxError> {
        self.call().await
    }
}

const NOT_MEASURED: &str = "this client is not measured here";

struct Ours(Client);

impl Ours {
    fn new(url: &str, certificate: &std::path::Path) -> Result<Self, BoxError> {
        let transport = HyperTransport::builder().add_root_certificates_pem(std::fs::read(certificate)?);
        let transport = transport.only_added_root_certificates().build()?;
        let builder = Client::builder().api_key(KEY).base_url(format!("{url}/v1")).transport(transport);
        Ok(Self(builder.timeout(Duration::from_secs(600)).build()?))
    }
}

#[async_trait::async_trait]
impl Caller for Ours {
    async fn call(&self) -> Result<(), BoxError> {
        let call = self.0.invoke_workflow("weekly-report").input("topic", "enterprise AI").input("audience", "board");
        assert!(call.await?.request_id.is_some());
        Ok(())
    }

    async fn upload(&self, file: &str) -> Result<(), BoxError> {
        let file = open_asset_file(file, "application/octet-stream")?.max_bytes(u64::MAX);
        self.0.workspace("ws_1").assets().upload(file).await?;
        Ok(())
    }

    async fn rows(&self, rows: Vec<Row>) -> Result<(), BoxError> {
        self.0.invoke_workflow("weekly-report").input("rows", &rows).await?;
        Ok(())
    }

    async fn text(&self, text: String) -> Result<(), BoxError> {
        self.0.invoke_workflow("weekly-report").input("text", text).await?;
        Ok(())
    }

    async fn open_stream(&self) -> Result<Box<dyn Send>, BoxError> {
        let mut events = self.0.invoke_prompt("weekly-report").input("topic", "enterprise AI").stream().await?;
        events.next().await.ok_or("no event")??;
        Ok(Box::new(events))
    }

    async fn events(&self, count: usize) -> Result<(), BoxError> {
        let call = self.0.invoke_agent("researcher", "What is new?").header("x-events", (count * 2).to_string());
        let (mut events, mut seen) = (call.stream().await?, 0);
        while let Some(event) = events.next().await {
            event?;
            seen += 1;
        }
        assert!(seen + 2 >= count, "{seen} of {count} events");
        Ok(())
    }
}

/// hyper-util's pooled client with hyper-rustls, without timeouts, retries, checks and gzip.
struct Hyper {
    client: HyperClient,
    url: String,
}

fn config(certificate: &std::path::Path) -> Result<rustls::ClientConfig, BoxError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Hyper {
    fn new(url: &str, certificate: &std::path::Path) -> Result<Self, BoxError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config(certificate)?);
        let connector = connector.https_or_http().enable_all_versions().wrap_connector(tcp);
        let mut builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).http2_initial_stream_window_size(1 << 20);
        builder.http2_initial_connection_window_size((1 << 31) - 1);
        Ok(Self { client: builder.build(connector), url: url.to_owned() })
    }

    async fn send(
        &self,
        path: &str,
        content_type: &str,
        headers: &[(&str, String)],
        body: BoxBody<Bytes, std::io::Error>,
    ) -> Result<http::Response<Incoming>, BoxError> {
        let mut request = http::Request::post(format!("{}{path}", self.url))
            .header("accept", "application/json")
            .header("user-agent", "fetch-hive-bench/0.1.0")
            .header("content-type", content_type)
            .header("authorization", format!("Bearer {KEY}"));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = self.client.request(request.body(body)?).await?;
        assert!(response.status().is_success(), "{}", response.status());
        Ok(response)
    }

    async fn invoke(&self, body: Vec<u8>) -> Result<(), BoxError> {
        let response = self.send("/v1/workflow/invoke", "application/json", &[], whole(body)).await?;
        let run: Run = serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
        assert!(!run.request_id.is_empty());
        Ok(())
    }
}

fn whole(body: Vec<u8>) -> BoxBody<Bytes, std::io::Error> {
    Full::from(body).map_err(|never| match never {}).boxed()
}

#[derive(Serialize)]
struct Invoke<T: Serialize> {
    deployment: &'static str,
    inputs: BTreeMap<&'static str, T>,
}

#[async_trait::async_trait]
impl Caller for Hyper {
    async fn call(&self) -> Result<(), BoxError> {
        self.invoke(serde_json::to_vec(&Request::new())?).await
    }

    async fn upload(&self, file: &str) -> Result<(), BoxError> {
        let (sender, chunks) = tokio::sync::mpsc::channel(1);
        let mut reader = tokio::fs::File::open(file).await?;
        let length = reader.metadata().await?.len();
        let (head, tail) = (
            "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n".to_owned(),
            "\r\n--b--\r\n".to_owned(),
        );
        let remaining = length + (head.len() + tail.len()) as u64;
        tokio::spawn(async move {
            let _ = sender.send(Ok(Bytes::from(head))).await;
            loop {
                let mut chunk = Vec::with_capacity(256 << 10);
                match reader.read_buf(&mut chunk).await {
                    Ok(0) => break,
                    Ok(_) => drop(sender.send(Ok(Bytes::from(chunk))).await),
                    Err(error) => drop(sender.send(Err(error)).await),
                }
            }
            let _ = sender.send(Ok(Bytes::from(tail))).await;
        });
        let body = ChannelBody { chunks, remaining }.boxed();
        let path = "/v1/public/workspaces/ws_1/assets";
        let response = self.send(path, "multipart/form-data; boundary=b", &[], body).await?;
        response.into_body().collect().await?;
        Ok(())
    }

    async fn rows(&self, rows: Vec<Row>) -> Result<(), BoxError> {
        let inputs = BTreeMap::from([("rows", &rows)]);
        self.invoke(serde_json::to_vec(&Invoke { deployment: "weekly-report", inputs })?).await
    }

    async fn text(&self, text: String) -> Result<(), BoxError> {
        let inputs = BTreeMap::from([("text", text)]);
        self.invoke(serde_json::to_vec(&Invoke { deployment: "weekly-report", inputs })?).await
    }

    async fn open_stream(&self) -> Result<Box<dyn Send>, BoxError> {
        let body = whole(serde_json::to_vec(&Request::new())?);
        let mut response = self.send("/v1/prompt/invoke", "application/json", &[], body).await?;
        response.body_mut().frame().await.ok_or("no event")??;
        Ok(Box::new(response))
    }

    async fn events(&self, count: usize) -> Result<(), BoxError> {
        let body = whole(serde_json::to_vec(&Request::new())?);
        let events = [("x-events", (count * 2).to_string())];
        let mut response = self.send("/v1/agent/invoke", "application/json", &events, body).await?;
        let (mut seen, mut buffer) = (0, Vec::new());
        while let Some(frame) = response.body_mut().frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            buffer.extend_from_slice(&data);
            while let Some(end) = memchr::memmem::find(&buffer, b"\n\n") {
                let text = buffer[..end].strip_prefix(b"data: ").ok_or("no event")?;
                if text != b"[DONE]" {
                    let event: MinimalEvent<'_> = serde_json::from_slice(text)?;
                    assert!(!event.response.is_empty());
                }
                seen += 1;
                buffer.drain(..end + 2);
            }
        }
        assert!(seen + 2 >= count, "{seen} of {count} events");
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct MinimalEvent<'a> {
    #[serde(borrow)]
    response: std::borrow::Cow<'a, str>,
}

struct ChannelBody {
    chunks: tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>,
    remaining: u64,
}

impl hyper::body::Body for ChannelBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let chunk = std::task::ready!(self.chunks.poll_recv(cx));
        if let Some(Ok(chunk)) = &chunk {
            self.remaining -= chunk.len() as u64;
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// reqwest, for the measurements whose target names every peer.
struct Reqwest {
    client: reqwest::Client,
    url: String,
}

impl Reqwest {
    fn new(url: &str, certificate: &std::path::Path) -> Result<Self, BoxError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut tls = config(certificate)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).build()?;
        Ok(Self { client, url: format!("{url}/v1/workflow/invoke") })
    }
}

#[async_trait::async_trait]
impl Caller for Reqwest {
    async fn call(&self) -> Result<(), BoxError> {
        let run: Run = self.client.post(&self.url).bearer_auth(KEY).json(&Request::new()).send().await?.json().await?;
        assert!(!run.request_id.is_empty());
        Ok(())
    }
}
