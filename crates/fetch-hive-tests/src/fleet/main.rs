//! A test of three processes that share a store, while processes and the database fail.
//!
//! `fleet postgres|sqlite RUNS` starts the runs in three replicas behind a balancer. Callbacks are
//! redelivered, early, late and out of order, and 2 % of the 202 responses are lost. First, nothing
//! is killed, and the runs in progress must not exceed the limit. Then replicas are killed
//! repeatedly and suspended for up to 1.5 s (the lease is 1 s). PostgreSQL crashes twice, and a
//! relay in front of it silently stops forwarding the open connections three times.
//!
//! The test fails if an event is handled twice or not at all, if a run starts twice, or if too many
//! runs are refused or unknown.

mod jobs;
mod replica;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fetch_hive_emulator::{Deployment, Emulator, Fault};
use fetch_hive_tests::process::BoxError;
use fetch_hive_tests::{ReplicaSet, SilentRelay};
use jobs::{Jobs, State};
use replicas::postgres::{Directory, Postgres};
use tokio::time::sleep;

const REPLICAS: usize = 3;

/// The concurrent runs that the plan allows.
const MAX_RUNS: usize = 3;

/// How long a run takes, in milliseconds. It is longer than a start, so that the limit is reached.
const RUN_MS: u64 = 100;

const KILL_INTERVAL: Duration = Duration::from_millis(500);
const SUSPENSIONS: usize = 50;

/// It is longer than the leases.
const MAX_SUSPENSION: Duration = Duration::from_millis(1_500);

/// The part of the timeout of a phase per run, in addition to 120 s.
const TIMEOUT_PER_RUN: Duration = Duration::from_millis(400);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--replica", database, base_url, callback_url] => {
            runtime.block_on(replica::run(database, base_url, callback_url))
        }
        [kind @ ("postgres" | "sqlite"), runs] => match runs.parse() {
            Ok(runs) => runtime.block_on(fleet(kind, runs)),
            Err(error) => Err(format!("{runs}: {error}").into()),
        },
        _ => Err("usage: fleet postgres|sqlite RUNS".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn fleet(kind: &str, runs: i64) -> Result<(), BoxError> {
    let directory = Directory::new()?;
    let server = if kind == "postgres" { Postgres::start()? } else { None };
    let database = match (&server, kind) {
        (Some(server), _) => server.url(),
        (None, "sqlite") => directory.path().join("fleet.db").to_string_lossy().into_owned(),
        _ => return Err("PostgreSQL is not installed".into()),
    };
    let jobs = Jobs::open(&database)?;
    jobs.create_tables().await?;

    let quiet = runs / 10;
    jobs.add(1..=quiet).await?;
    let emulator = emulator(1..=quiet, None).await?;
    let mut fleet = Fleet::start(&database, &emulator).await?;
    fleet.wait_until_settled(&jobs, quiet, Phase::Quiet).await?;
    let most = emulator.max_concurrent_runs();
    println!("{quiet} runs without kills: at most {most} at a time (limit {MAX_RUNS})");
    match most.cmp(&MAX_RUNS) {
        Ordering::Greater => return Err("the limit was exceeded".into()),
        Ordering::Less => return Err("the limit was not reached, so it was not tested".into()),
        Ordering::Equal => {}
    }
    drop(fleet);
    check(&jobs, &[&emulator], 0).await?;

    jobs.add(quiet + 1..=runs).await?;
    let capped = self::emulator(quiet + 1..=runs, Some(MAX_RUNS)).await?;
    let (relay, relayed_database) = match &server {
        Some(server) => {
            let relay = SilentRelay::start((Ipv4Addr::LOCALHOST, server.port()).into()).await?;
            let url = relay.database_url();
            (Some(relay), url)
        }
        None => (None, database),
    };
    let mut fleet = Fleet::start(&relayed_database, &capped).await?;
    fleet.wait_until_settled(&jobs, runs - quiet, Phase::WithFailures(server.as_ref().zip(relay.as_ref()))).await?;
    println!(
        "{} runs with kills: {} kills, {} suspensions, {} crashes of the database, {} silences of its relay",
        runs - quiet,
        fleet.replicas.killed.len(),
        fleet.replicas.suspensions,
        fleet.crashes,
        fleet.silences
    );
    let kills = fleet.replicas.killed.len();
    drop(fleet);
    check(&jobs, &[&emulator, &capped], kills).await
}

/// Starts the emulator. Every 50th response is lost, and every 40th callback is 2 s late.
async fn emulator(ids: RangeInclusive<i64>, max_runs: Option<usize>) -> Result<Emulator, BoxError> {
    let deployment = |id| Deployment::workflow(format!("run-{id}")).delay_ms(RUN_MS);
    let builder = Emulator::builder()
        .deployments(ids.map(deployment))
        .delivery(200, Duration::from_millis(200))
        .record_limit(1_000_000)
        .fault(Fault::close().after_run().operation("invokeWorkflow").every(50))
        .fault(Fault::callback_redeliver(1).every(10).offset(1))
        .fault(Fault::callback_early().every(7).offset(2))
        .fault(Fault::callback_reorder().every(13).offset(3))
        .fault(Fault::callback_late(Duration::from_secs(2)).every(40).offset(5));
    let builder = match max_runs {
        Some(runs) => builder.concurrency(runs),
        None => builder,
    };
    Ok(builder.start().await?)
}

/// A part of the test.
#[derive(Clone, Copy)]
enum Phase<'a> {
    Quiet,
    /// With the server to crash and the relay to silence, if there is a server.
    WithFailures(Option<(&'a Postgres, &'a SilentRelay)>),
}

/// The replicas, and counters of the failures around them.
struct Fleet {
    replicas: ReplicaSet,
    crashes: i64,
    silences: i64,
}

impl Fleet {
    async fn start(database: &str, emulator: &Emulator) -> Result<Self, BoxError> {
        let (database, base_url) = (database.to_owned(), emulator.base_url());
        let arguments = |callback_url| vec!["--replica".to_owned(), database, base_url, callback_url];
        Ok(Self { replicas: ReplicaSet::start(REPLICAS, arguments).await?, crashes: 0, silences: 0 })
    }

    /// Waits until all runs are settled. In the phase with failures, kills and suspends replicas
    /// meanwhile, crashes the server twice and silences its relay three times.
    async fn wait_until_settled(&mut self, jobs: &Jobs, runs: i64, phase: Phase<'_>) -> Result<(), BoxError> {
        let began = Instant::now();
        let timeout = Duration::from_secs(120) + TIMEOUT_PER_RUN * u32::try_from(runs)?;
        loop {
            sleep(KILL_INTERVAL).await;
            let counts = jobs.counts().await;
            let open = counts.as_ref().map_or(i64::MAX, open);
            if open == 0 {
                return Ok(());
            }
            if began.elapsed() > timeout {
                return Err(format!("not settled after {timeout:?}: {counts:?}").into());
            }
            let Phase::WithFailures(server) = phase else { continue };
            // No failures near the end, so that the last runs can settle.
            if open < 20 {
                continue;
            }
            self.replicas.kill()?;
            if self.replicas.suspensions < SUSPENSIONS {
                self.replicas.suspend(MAX_SUSPENSION).await?;
            }
            let Some((server, relay)) = server else { continue };
            if self.crashes < 2 && open < runs * (2 - self.crashes) / 3 {
                self.crashes += 1;
                server.stop("immediate")?;
                sleep(Duration::from_secs(1)).await;
                server.restart()?;
            } else if self.silences < 3 && open < runs * (7 - 2 * self.silences) / 8 {
                self.silences += 1;
                relay.silence();
            }
        }
    }
}

fn open(counts: &BTreeMap<State, i64>) -> i64 {
    let count = |state| counts.get(&state).copied().unwrap_or_default();
    count(State::Ready) + count(State::Started)
}

/// Compares the table of the runs with the runs that the service has seen.
async fn check(jobs: &Jobs, emulators: &[&Emulator], kills: usize) -> Result<(), BoxError> {
    let counts = jobs.counts().await?;
    let handled = jobs.handled().await?;
    let mut starts = BTreeMap::<String, usize>::new();
    let mut requests = 0;
    for emulator in emulators {
        for run in emulator.runs() {
            *starts.entry(run.deployment).or_default() += 1;
        }
        requests += emulator.requests().len();
    }
    let count = |state| counts.get(&state).copied().unwrap_or_default();
    // A replica that was killed between its intent and the 202 leaves the run in this state.
    let unknown = count(State::Unknown) + count(State::Starting);
    let twice = starts.values().filter(|starts| **starts > 1).count();
    let handled_twice = handled.values().filter(|times| **times > 1).count();
    let missing = count(State::Done) - i64::try_from(handled.len())?;
    let refused = requests.saturating_sub(starts.len());
    println!(
        "   done {}, unknown {unknown}, handled {}, handled twice {handled_twice}, missing {missing}, started twice \
         {twice}, {refused} refused, {requests} requests for {} runs",
        count(State::Done),
        handled.len(),
        starts.len()
    );
    // A kill explains one unknown run per slot at most, and typically far fewer.
    let lost_responses = starts.len() / 50 + 1;
    let explained = lost_responses + kills * MAX_RUNS;
    let failures = [
        (handled_twice > 0, "an event was handled twice"),
        (missing != 0, "an event was not handled"),
        (twice > 0, "a run was started twice"),
        (usize::try_from(unknown)? > explained, "more runs are unknown than the kills and lost responses explain"),
        (refused * 50 > requests, "2 % or more of the starts were refused"),
    ];
    let failures: Vec<_> = failures.into_iter().filter_map(|(failed, text)| failed.then_some(text)).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
}
