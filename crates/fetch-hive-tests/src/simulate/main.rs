//! A simulation of the limiter of `fetch-hive-store` with 1,000 processes and 100 workspaces.
//!
//! `simulate [--quick] [--seed N]` runs a day on a simulated clock. The limiter and its statements
//! are those of the store, over SQLite. Each workspace has 1, 3 or 5 slots and a daily cap. The
//! database fails for 5 minutes, processes are killed, responses are lost, and some services reset
//! the cap late. Equal seeds print equal results.
//!
//! The program fails if a limit is exceeded, if interactive runs hold back a batch for more than
//! 60 s, if more calls are refused by the cap than the limiter may send, or if a workspace does not
//! recover.

mod report;
mod scenario;
mod worker;
mod workspace;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fetch_hive_store::simulation::SimulatedDatabase;
use fetch_hive_tests::process::BoxError;
use replicas::postgres::Directory;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::report::Load;
use crate::scenario::{
    BATCHES, HOLD, INTERACTIVE, KILL_INTERVAL, KILLED_WORKSPACES, LEASE, Random, Scenario, WORKSPACES,
};
use crate::worker::{Clock, Worker, lock};
use crate::workspace::{Class, Workspace};

/// How many commits of the failing database are stored although nobody gets the reply.
const LOST_REPLIES: u64 = 8;

fn main() -> ExitCode {
    match simulate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn simulate() -> Result<(), BoxError> {
    let (mut is_quick, mut seed) = (false, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => is_quick = true,
            "--seed" => seed = arguments.next().ok_or("--seed needs a number")?.parse()?,
            _ => return Err("usage: simulate [--quick] [--seed N]".into()),
        }
    }
    let scenario = if is_quick { Scenario::quick() } else { Scenario::day() };
    // Each process of a real fleet has its own clock, and a paused one needs a single thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let directory = Directory::new()?;
    let began = std::time::Instant::now();
    let failures = runtime.block_on(run(&scenario, seed, &directory))?;
    println!("simulated in {:.0} s", began.elapsed().as_secs_f64());
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
}

async fn run(scenario: &Scenario, seed: u64, directory: &Directory) -> Result<Vec<String>, BoxError> {
    let clock = Clock { began: Instant::now(), start: scenario.start };
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(scenario.start)?);
    let database = SimulatedDatabase::create(&directory.path().join("simulated.db"), start)?;
    let workspaces: Vec<_> =
        (0..WORKSPACES).map(|number| Arc::new(Mutex::new(Workspace::new(number, scenario)))).collect();
    let mut random = Random(seed);
    let mut kills = Vec::new();
    for workspace in &workspaces {
        let interactive = std::iter::repeat_n(Class::Interactive, INTERACTIVE);
        let batches = (0..2).flat_map(|batch| std::iter::repeat_n(Class::Batch(batch), BATCHES[batch]));
        for class in interactive.chain(batches) {
            let kill = Arc::new(Notify::new());
            kills.push(Arc::clone(&kill));
            let (database, workspace) = (database.clone(), Arc::clone(workspace));
            let worker = Worker { database, clock, workspace, class, random: Random(random.next()), kill };
            tokio::spawn(worker.run());
        }
    }
    println!("{} processes, {WORKSPACES} workspaces, seed {seed}", kills.len());

    tokio::spawn(add_rows(clock, scenario.rounds.clone(), workspaces.clone()));
    tokio::spawn(fail(clock, scenario.outage, database.clone(), workspaces.clone(), kills.clone()));
    tokio::spawn(kill(kills, Random(random.next())));
    let mut load = Load::default();
    while clock.now() < scenario.end {
        sleep(Load::INTERVAL).await;
        load.sample(clock.now(), database.transactions(), &workspaces);
    }
    let guards: Vec<_> = workspaces.iter().map(|workspace| lock(workspace)).collect();
    let workspaces: Vec<&Workspace> = guards.iter().map(|guard| &**guard).collect();
    Ok(report::report(&workspaces, &load, scenario))
}

async fn add_rows(clock: Clock, rounds: Vec<(i64, i64)>, workspaces: Vec<Arc<Mutex<Workspace>>>) {
    let mut times = Vec::new();
    for (at, spread) in rounds {
        for (index, workspace) in (0..).zip(&workspaces) {
            times.push((at + spread * (index % 8) / 8, Arc::clone(workspace)));
        }
    }
    times.sort_by_key(|(at, _)| *at);
    for (at, workspace) in times {
        clock.sleep_until(at).await;
        lock(&workspace).add_rows();
    }
}

/// Kills processes, whatever they are doing.
async fn kill(kills: Vec<Arc<Notify>>, mut random: Random) {
    loop {
        sleep(random.time(KILL_INTERVAL, 4.0 * KILL_INTERVAL)).await;
        if let Some(kill) = kills.get(usize::try_from(random.below(kills.len() as u64)).unwrap_or_default()) {
            kill.notify_one();
        }
    }
}

/// Fails the database for a while, together with all processes of some workspaces.
async fn fail(
    clock: Clock,
    (from, to): (i64, i64),
    database: SimulatedDatabase,
    workspaces: Vec<Arc<Mutex<Workspace>>>,
    kills: Vec<Arc<Notify>>,
) {
    clock.sleep_until(from).await;
    database.set_down(true, LOST_REPLIES);
    for workspace in &workspaces {
        // A slot that was granted without a reply stays occupied afterwards.
        lock(workspace).disturb(from, to + LEASE + HOLD);
    }
    let processes = kills.len() / workspaces.len();
    for workspace in KILLED_WORKSPACES {
        kills.iter().skip(workspace * processes).take(processes).for_each(|kill| kill.notify_one());
    }
    clock.sleep_until(to).await;
    database.set_down(false, 0);
}
