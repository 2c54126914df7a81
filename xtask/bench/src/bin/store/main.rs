//! Measures a shared store, and bare loops on the same database.
//!
//! Usage: `store server`, which prints the URL of a throwaway PostgreSQL server, or
//! `store CLIENT MEASUREMENT DATABASE COUNT`.

mod bare;
mod ours;

use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use fetch_hive_bench::{argument, line};
use replicas::postgres::Postgres;
use tokio::runtime::Runtime;

/// How many deliveries are stored at a time.
const CONCURRENT_DELIVERIES: usize = 64;

/// How many clients take and release slots.
const CLIENTS: usize = 8;

/// The body of a callback.
fn body(n: usize) -> String {
    format!(
        r#"{{"event_type":"workflow.completed","request_id":"req_{n}","data":{{"run_status":"completed","output":"{}"}}}}"#,
        "x".repeat(400)
    )
}

fn main() {
    let client: String = argument(1, "CLIENT");
    if client == "server" {
        return serve();
    }
    let (measurement, database): (String, String) = (argument(2, "MEASUREMENT"), argument(3, "DATABASE"));
    let count: usize = argument(4, "COUNT");
    let runtime = Runtime::new().unwrap_or_else(|error| panic!("cannot create the runtime: {error}"));
    match (client.as_str(), measurement.as_str()) {
        ("ours", "deliveries") => print_rate(count, runtime.block_on(ours::deliveries(&database, count))),
        ("bare", "deliveries") => print_rate(count, bare::deliveries(&runtime, &database, count)),
        ("ours", "slots") => print_rate(count, runtime.block_on(ours::slots(&database, count))),
        ("bare", "slots") => print_rate(count, runtime.block_on(bare::slots(&database, count))),
        ("ours", "wake-ups") => print_delays(&runtime.block_on(ours::wake_ups(&database, count))),
        ("bare", "wake-ups") => print_delays(&runtime.block_on(bare::wake_ups(&database, count))),
        ("ours", "wait") => runtime.block_on(ours::wait(&database)),
        ("bare", "wait") => runtime.block_on(bare::wait(&database)),
        (client, measurement) => panic!("unknown client {client} or measurement {measurement}"),
    }
}

/// Runs a server until the standard input ends.
fn serve() {
    let server = Postgres::start().unwrap_or_else(|error| panic!("cannot start PostgreSQL: {error}"));
    let server = server.unwrap_or_else(|| panic!("PostgreSQL is not installed"));
    println!("{}", server.url());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn print_rate(count: usize, elapsed: Duration) {
    let rate = count as f64 / elapsed.as_secs_f64();
    println!("{}", line("rate", &serde_json::json!({ "per_second": rate })));
}

fn print_delays(delays: &[Duration]) {
    let mut delays: Vec<_> = delays.iter().map(|delay| delay.as_secs_f64() * 1e6).collect();
    delays.sort_by(f64::total_cmp);
    let percentile = |part: usize| delays[(delays.len() * part / 100).min(delays.len() - 1)];
    let figures = serde_json::json!({ "median_us": percentile(50), "p99_us": percentile(99) });
    println!("{}", line("delays", &figures));
}

/// A second process that waits for changes in the same database.
struct Waiter {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Waiter {
    /// Starts the process, which prints a line when it is ready.
    fn start(client: &str, database: &str) -> Self {
        let program = std::env::current_exe().unwrap_or_else(|error| panic!("the path of this program: {error}"));
        let mut command = Command::new(program);
        command.args([client, "wait", database, "1"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("cannot start the waiter: {error}"));
        let lines = process.stdout.take().map_or_else(|| panic!("the waiter has no output"), BufReader::new);
        let mut waiter = Self { process, lines };
        waiter.line();
        waiter
    }

    /// Sends a line to the process.
    fn send(&mut self, text: &str) {
        use std::io::Write as _;
        let input = self.process.stdin.as_mut().unwrap_or_else(|| panic!("the waiter has no input"));
        writeln!(input, "{text}").unwrap_or_else(|error| panic!("the waiter ended: {error}"));
    }

    /// Reads a line from the process.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).unwrap_or_else(|error| panic!("the waiter ended: {error}"));
        assert!(read > 0, "the waiter ended");
        line.trim().to_owned()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Measures the time from `before` until the waiter has printed a line, and then lets it settle.
fn delay_until_line(waiter: &mut Waiter, before: Instant) -> Duration {
    waiter.line();
    before.elapsed()
}
