//! Measures calls, bodies and streams in the conditions of production: TLS, HTTP/2, files, large
//! inputs and many streams.
//!
//! Usage: `https CLIENT MEASUREMENT URL CERTIFICATE COUNT [CONCURRENCY]`. It prints one line with
//! the CPU time and the memory that the measurement added to this process.

mod hyper_peer;
mod ours;
mod reqwest_peer;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fetch_hive_bench::{Cost, KEY, Meter, Request, argument, cpu_time, line, memory_bytes};
use fetch_hive_client::Client;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;

use self::hyper_peer::Hyper;
use self::ours::Ours;
use self::reqwest_peer::Reqwest;

type BoxError = Box<dyn Error + Send + Sync>;

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
        Ok(Self { resident: memory_bytes("VmRSS"), meter: Meter::start() })
    }

    fn figures(&self) -> Result<Figures, BoxError> {
        let cost = self.meter.per(1);
        let added = |now: usize| now.saturating_sub(self.resident) as f64;
        Ok(Figures { cost, peak_bytes: added(memory_bytes("VmHWM")), resident_bytes: added(memory_bytes("VmRSS")) })
    }
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

/// Returns a TLS configuration that trusts only the certificate of the server.
fn config(certificate: &std::path::Path) -> Result<rustls::ClientConfig, BoxError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
