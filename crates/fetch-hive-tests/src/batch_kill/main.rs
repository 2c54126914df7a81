//! A test of workers that share a batch, while they and the database fail.
//!
//! `batch-kill postgres|sqlite ROWS` runs half of the rows without callbacks and half with
//! callbacks, in three workers that are killed at random moments, at least 100 times for 6,000
//! rows. `batch-kill postgres ROWS faults` also suspends them for longer than their lease, drops
//! one in 20 answers to `COMMIT`, silences the connections to the database and crashes it while
//! results arrive.
//!
//! The test fails if the service was invoked twice for a row, if a row is neither settled nor
//! unknown, if an unknown row belongs to a worker that was not killed, or if the export does not
//! have every row once, in order.

mod worker;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fetch_hive_batch::{Batch, End, Export, Mapping, RowStatus, Rows, Stop};
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use fetch_hive_store::Store;
use fetch_hive_tests::process::BoxError;
use fetch_hive_tests::{ReplicaSet, SilentRelay};
use replicas::postgres::{Directory, Postgres};
use tokio::time::sleep;

const WORKERS: usize = 3;
const KILL_INTERVAL: Duration = Duration::from_millis(400);
const SUSPENSIONS: usize = 50;

/// How long a run takes, in milliseconds.
const RUN_MS: u64 = 20;

/// Longer than the lease of a row, which is [`worker::LEASE`].
const MAX_SUSPENSION: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--worker", database, base_url, batch, folder, callback_url] => {
            runtime.block_on(worker::run(database, base_url, batch, Path::new(folder), callback_url))
        }
        [kind @ ("postgres" | "sqlite"), rows] => runtime.block_on(test(kind, rows, false)),
        ["postgres", rows, "faults"] => runtime.block_on(test("postgres", rows, true)),
        _ => Err("usage: batch-kill postgres|sqlite ROWS, or batch-kill postgres ROWS faults".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("batch-kill: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn test(kind: &str, rows: &str, with_faults: bool) -> Result<(), BoxError> {
    let rows: u64 = rows.parse().map_err(|error| format!("{rows}: {error}"))?;
    let directory = Directory::new()?;
    let server = if kind == "postgres" { Postgres::start()? } else { None };
    let database = match (&server, kind) {
        (Some(server), _) => server.url(),
        (None, "sqlite") => directory.path().join("batch.db").to_string_lossy().into_owned(),
        _ => return Err("PostgreSQL is not installed".into()),
    };
    for name in ["direct", "callbacks"] {
        let phase = Phase {
            name,
            rows: rows / 2,
            database: &database,
            folder: directory.path(),
            server: server.as_ref().filter(|_| with_faults),
        };
        phase.run().await?;
    }
    Ok(())
}

/// A batch, and what fails while it runs.
struct Phase<'a> {
    name: &'static str,
    rows: u64,
    database: &'a str,
    folder: &'a Path,
    /// The server to crash, if faults are requested.
    server: Option<&'a Postgres>,
}

impl Phase<'_> {
    async fn run(&self) -> Result<(), BoxError> {
        let emulator = Emulator::builder()
            .deployment(Deployment::workflow("summarise").delay_ms(RUN_MS))
            .concurrency(worker::MAX_RUNS.try_into()?)
            .delivery(200, Duration::from_millis(200))
            .record_limit(1_000_000)
            .fault(Fault::callback_redeliver(1).every(10).offset(1))
            .fault(Fault::callback_early().every(7).offset(2))
            .start()
            .await?;
        let store = worker::open(self.database).await?;
        let input = (1..=self.rows).map(|id| serde_json::json!([id, format!("text {id}")]));
        let mapping = Mapping::workflow("summarise").columns(["text"]);
        let rows = Rows::from_iter(["id", "text"], input.collect::<Vec<_>>())?;
        let batch = Batch::create(&store, self.name, rows, &mapping).await?;

        let relay = match self.server {
            Some(server) => Some(SilentRelay::start_dropping((Ipv4Addr::LOCALHOST, server.port()).into(), 20).await?),
            None => None,
        };
        let database = match (self.server, &relay) {
            (Some(_), Some(relay)) => relay.database_url(),
            _ => self.database.to_owned(),
        };
        let (base_url, name, folder) = (emulator.base_url(), self.name.to_owned(), self.folder.display().to_string());
        let arguments = |callback_url| vec!["--worker".to_owned(), database, base_url, name, folder, callback_url];
        let mut workers = ReplicaSet::start(WORKERS, arguments).await?;
        let pauses = self.fail_workers(&mut workers, &batch, relay.as_ref()).await?;
        println!(
            "{}: {} kills, {} suspensions, {} dropped answers to COMMIT, {pauses} pauses by the circuit breaker",
            self.name,
            workers.killed.len(),
            workers.suspensions,
            relay.as_ref().map_or(0, SilentRelay::dropped_commits)
        );
        workers.kill_all();
        self.finish(&store, &batch, &emulator).await?;
        self.check(&store, &batch, &emulator, &workers.killed).await
    }

    /// Kills workers until few rows are left. Returns how often the circuit breaker paused the
    /// batch.
    async fn fail_workers(
        &self,
        workers: &mut ReplicaSet,
        batch: &Batch,
        relay: Option<&SilentRelay>,
    ) -> Result<usize, BoxError> {
        let began = Instant::now();
        let timeout = Duration::from_secs(120) + Duration::from_millis(400) * u32::try_from(self.rows)?;
        let (mut pauses, mut crashes, mut silences) = (0, 0, 0);
        loop {
            sleep(KILL_INTERVAL).await;
            // The server may be down.
            let Ok(progress) = batch.progress().await else { continue };
            let open = progress.rows() - progress.done();
            if open < 20 {
                return Ok(pauses);
            }
            if began.elapsed() > timeout {
                return Err(format!("not settled after {timeout:?}: {progress}").into());
            }
            if progress.paused.is_some() {
                pauses += 1;
                batch.resume().await?;
            }
            workers.kill()?;
            let (Some(server), Some(relay)) = (self.server, relay) else { continue };
            if workers.suspensions < SUSPENSIONS {
                workers.suspend(MAX_SUSPENSION).await?;
            }
            let parts_done = 8 * (self.rows - open) / self.rows;
            if crashes < 2 && parts_done > 2 * crashes {
                crashes += 1;
                server.stop("immediate")?;
                sleep(Duration::from_secs(2)).await;
                server.restart()?;
            } else if silences < 3 && parts_done > 2 * silences + 1 {
                silences += 1;
                relay.silence();
            }
        }
    }

    /// Resumes the batch until it is finished, and then waits for late events.
    async fn finish(&self, store: &Store, batch: &Batch, emulator: &Emulator) -> Result<(), BoxError> {
        batch.resume().await?;
        let client = worker::client(&emulator.base_url())?;
        let limiter = worker::limiter(store);
        let worker = batch.worker(&client, &limiter).lease(worker::LEASE).max_run_time(worker::MAX_RUN_TIME);
        let worker = worker.spill_folder(self.folder);
        let ended = tokio::time::timeout(Duration::from_secs(120), worker.run(&Stop::new())).await;
        match ended.map_err(|_| "the resumed batch did not finish")?? {
            End::Finished => Ok(()),
            other => Err(format!("the resumed batch ended: {other}").into()),
        }
    }

    async fn check(
        &self,
        store: &Store,
        batch: &Batch,
        emulator: &Emulator,
        killed: &std::collections::HashSet<u32>,
    ) -> Result<(), BoxError> {
        let mut invoked = BTreeMap::<String, usize>::new();
        for run in emulator.runs() {
            *invoked.entry(run.metadata["batch_row"].to_string()).or_default() += 1;
        }
        let twice = invoked.values().filter(|times| **times > 1).count();
        let progress = batch.progress().await?;
        let unknown = store.batches().rows(batch.id(), Some(RowStatus::Unknown), 0, u32::MAX).await?;
        let of_killed =
            |key: &str| key.split('-').next().and_then(|id| id.parse().ok()).is_some_and(|id| killed.contains(&id));
        let unexplained = unknown.iter().filter(|row| !row.attempt_key.as_deref().is_some_and(of_killed)).count();

        let path = self.folder.join(format!("{}.csv", self.name));
        let written = batch.export(&Export::csv(&path)).await?;
        let text = std::fs::read_to_string(&path)?;
        let ids = text.lines().skip(1).filter_map(|line| line.split(',').next()?.parse::<u64>().ok());
        let is_ordered = ids.eq(1..=self.rows) && written.rows() == self.rows;
        let spilled = std::fs::read_dir(self.folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("fetch-hive-spill"))
            .count();
        println!(
            "   {progress}; {} runs for {} rows, {twice} rows invoked twice, {unexplained} unknown rows without a \
             kill, {spilled} spill files left, export in order: {is_ordered}",
            emulator.runs().len(),
            invoked.len()
        );
        let failures = [
            (twice > 0, "a row was invoked twice"),
            (progress.done() != self.rows, "a row is neither settled nor unknown"),
            (progress.count(RowStatus::Failed) + progress.count(RowStatus::Rejected) > 0, "a row failed"),
            (unexplained > 0, "a row is unknown, and its worker was not killed"),
            (!is_ordered, "the export is incomplete or not in order"),
            (spilled > 0, "a spill file was not imported"),
        ];
        let failures: Vec<_> = failures.into_iter().filter_map(|(failed, text)| failed.then_some(text)).collect();
        if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
    }
}
