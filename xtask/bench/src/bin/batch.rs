//! Measures batches, and bare statements on the same database.
//!
//! Usage: `batch CLIENT MEASUREMENT FILE COUNT`.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use fetch_hive_batch::{Batch, End, Export, Mapping, Rows, Stop};
use fetch_hive_bench::{KEY, argument, line, memory_bytes};
use fetch_hive_client::{Client, RequestBody, ResponseBody, Transport, TransportError};
use fetch_hive_store::Store;
use fetch_hive_store::batches::{Start, StartRequest};
use rusqlite::Connection;
use tokio::runtime::Runtime;

/// The text of a row.
fn text(number: usize) -> String {
    format!("review {number} {}", "x".repeat(200))
}

/// A transport that answers at once, in this process.
struct Immediate;

#[async_trait]
impl Transport for Immediate {
    async fn send(&self, _: http::Request<RequestBody>) -> Result<http::Response<ResponseBody>, TransportError> {
        let body = r#"{"request_id":"req_1","run_status":"completed","output":"Summary of the review."}"#;
        Ok(http::Response::new(ResponseBody::whole(body)))
    }
}

fn main() {
    let (client, measurement): (String, String) = (argument(1, "CLIENT"), argument(2, "MEASUREMENT"));
    let (file, count): (String, usize) = (argument(3, "FILE"), argument(4, "COUNT"));
    let runtime = Runtime::new().unwrap_or_else(|error| panic!("cannot create the runtime: {error}"));
    match (client.as_str(), measurement.as_str()) {
        ("ours", "rows") => runtime.block_on(rows(&file, count)),
        ("bare", "rows") => bare_rows(&file, count).unwrap_or_else(|error| panic!("{error}")),
        ("ours", "resume") => runtime.block_on(resume(&file, count)),
        ("bare", "resume") => bare_scan(&file).unwrap_or_else(|error| panic!("{error}")),
        ("ours", "export") => runtime.block_on(export(&file, count)),
        (client, measurement) => panic!("unknown client {client} or measurement {measurement}"),
    }
}

fn print(elapsed: Duration) {
    let figures = serde_json::json!({ "seconds": elapsed.as_secs_f64(), "peak_bytes": memory_bytes("VmHWM") });
    println!("{}", line("batch", &figures));
}

async fn create(store: &Store, count: usize) -> Batch {
    let values = (1..=count).map(|number| serde_json::json!([number, text(number)]));
    let rows = Rows::from_iter(["id", "text"], values).unwrap_or_else(|error| panic!("{error}"));
    let mapping = Mapping::workflow("summarize").columns(["text"]);
    Batch::create(store, "bench", rows, &mapping).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn open(file: &str) -> Store {
    Store::open(file).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Stores rows and runs them one after another.
async fn rows(file: &str, count: usize) {
    let store = open(file).await;
    let start = Instant::now();
    let batch = create(&store, count).await;
    let client = Client::builder().api_key(KEY).transport(Immediate).build().unwrap_or_else(|error| panic!("{error}"));
    let worker = batch.worker(&client, &store.run_limiter("plan", 1));
    let end = worker.run(&Stop::new()).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(end, End::Finished);
    print(start.elapsed());
}

/// Inserts rows, and updates each twice, with a commit after each statement.
fn bare_rows(file: &str, count: usize) -> rusqlite::Result<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         CREATE TABLE item (number INTEGER PRIMARY KEY, content TEXT, state INTEGER, result TEXT)",
    )?;
    let start = Instant::now();
    for number in 1..=count {
        let (text, number) = (text(number), i64::try_from(number).unwrap_or(i64::MAX));
        connection.prepare_cached("INSERT INTO item VALUES (?1, ?2, 0, NULL)")?.execute((number, text))?;
        connection.prepare_cached("UPDATE item SET state = 1 WHERE number = ?1")?.execute([number])?;
        let sql = "UPDATE item SET state = 2, result = 'Summary of the review.' WHERE number = ?1";
        connection.prepare_cached(sql)?.execute([number])?;
    }
    print(start.elapsed());
    Ok(())
}

/// Stores rows, and measures the time until a new worker has the first row.
async fn resume(file: &str, count: usize) {
    drop(create(&open(file).await, count).await);
    let store = open(file).await;
    let limiter = store.run_limiter("plan", 1);
    let start = Instant::now();
    let batch = Batch::open(&store, "bench").await.unwrap_or_else(|error| panic!("{error}"));
    let progress = batch.progress().await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(progress.rows(), count as u64);
    let request = StartRequest::new("bench-1", Duration::from_secs(60));
    let started = store.batches().start(batch.id(), &limiter.for_batch(batch.id()), request).await;
    let elapsed = start.elapsed();
    assert!(matches!(started, Ok(Start::Started(_))), "{started:?}");
    print(elapsed);
}

/// Reads the rows that `resume` has stored.
fn bare_scan(file: &str) -> rusqlite::Result<()> {
    let connection = Connection::open(file)?;
    let start = Instant::now();
    let mut statement = connection.prepare("SELECT number, content, state FROM fetch_hive_batch_row")?;
    let mut rows = statement.query([])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        bytes += row.get_ref(1)?.as_blob().map_or(0, <[u8]>::len);
    }
    let elapsed = start.elapsed();
    assert!(bytes > 0);
    print(elapsed);
    Ok(())
}

/// Exports stored rows to a CSV file.
async fn export(file: &str, count: usize) {
    let store = open(file).await;
    let batch = create(&store, count).await;
    let start = Instant::now();
    let path = format!("{file}.csv");
    let written = batch.export(&Export::csv(&path)).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(written.rows(), count as u64);
    print(start.elapsed());
}
