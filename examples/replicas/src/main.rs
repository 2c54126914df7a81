//! Runs an axum service in three processes behind a balancer, against the emulator.
//!
//! The processes share a PostgreSQL server, which the example starts in a temporary folder. Without
//! an installed PostgreSQL, they share a SQLite file.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fetch_hive_client::BoxError;
use fetch_hive_emulator::{Deployment, Emulator};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use replicas::balancer::Balancer;
use replicas::postgres::{Directory, Postgres};
use replicas::service::{MAX_RUNS, Report, read_address, serve};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const REPLICAS: usize = 3;
const SUMMARIES: usize = 30;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [database, base_url, callback_url] = arguments.as_slice() {
        return serve(database, base_url, callback_url).await;
    }
    let directory = Directory::new()?;
    let postgres = Postgres::start()?;
    let database = match &postgres {
        Some(server) => server.url(),
        None => directory.path().join("runs.db").to_string_lossy().into_owned(),
    };
    println!("store: {}", if postgres.is_some() { "PostgreSQL" } else { "SQLite (no initdb in /usr/lib/postgresql)" });

    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("summarize").output("a summary").delay_ms(100))
        .concurrency(MAX_RUNS as usize)
        .start()
        .await?;
    let balancer = Balancer::start().await?;
    let callback_url = format!("http://{}/callbacks", balancer.address());
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(Replica::start(&database, &emulator.base_url(), &callback_url)?);
    }
    balancer.set_replicas(replicas.iter().map(|replica| replica.address));

    let mut requests = JoinSet::new();
    for n in 0..SUMMARIES {
        let address = balancer.address();
        requests.spawn(async move { send(address, "POST", "/summaries", format!("text {n}")).await });
    }
    while let Some(summary) = requests.join_next().await {
        summary??;
    }
    let mut total = Report::default();
    for replica in &replicas {
        let report: Report = serde_json::from_str(&send(replica.address, "GET", "/report", String::new()).await?)?;
        total.answered += report.answered;
        total.received_elsewhere += report.received_elsewhere;
        total.refused += report.refused;
    }
    for replica in replicas {
        replica.stop()?;
    }
    println!("runs:                          {}", emulator.runs().len());
    println!("summaries returned:            {}", total.answered);
    println!("callbacks at another replica:  {}", total.received_elsewhere);
    println!("largest number of runs at once: {} (limit {MAX_RUNS})", emulator.max_concurrent_runs());
    println!("refused because of the limit:  {}", total.refused);
    Ok(())
}

/// A process of the service.
struct Replica {
    process: Child,
    address: SocketAddr,
}

impl Replica {
    fn start(database: &str, base_url: &str, callback_url: &str) -> Result<Self, BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.args([database, base_url, callback_url]).stdout(Stdio::piped()).spawn()?;
        let address = read_address(&mut process)?;
        Ok(Self { process, address })
    }

    /// Sends SIGTERM and waits until the process exits.
    fn stop(mut self) -> Result<(), BoxError> {
        Command::new("kill").arg(self.process.id().to_string()).status()?;
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a replica ended with {status}").into()) }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}

/// Sends a request and returns the body of its response.
async fn send(address: SocketAddr, method: &str, path: &str, body: String) -> Result<String, BoxError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = http::Request::builder().method(method).uri(path).header("host", "localhost").body(body)?;
    let response = tokio::time::timeout(Duration::from_secs(60), sender.send_request(request)).await??;
    let status = response.status();
    let body = String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?;
    if status.is_success() { Ok(body) } else { Err(format!("{status}: {body}").into()) }
}
