use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Emulator;
use super::http::Connection;
use crate::run::target_dir;

const ROUNDS: usize = 50;
const WRITES: usize = 1_000;
const WRITERS: usize = 4;
const AGENTS: &str = "/v1/public/workspaces/11111111-1111-4111-8111-111111111111/agents";

/// Kills the emulator during writes, restarts it, and checks that every acknowledged write is still
/// there.
pub(crate) fn crash(_: &[String]) -> Result<(), String> {
    println!("\n== crash: kill -9 during {WRITES} writes, {ROUNDS} times");
    let program = super::build(false)?;
    let file = target_dir().join("crash.redb");
    let _ = std::fs::remove_file(&file);
    let options = ["--data", &file.display().to_string(), "--no-page"];
    let start = Instant::now();
    let (mut acknowledged, mut unacknowledged) = (BTreeSet::new(), 0);
    for round in 0..ROUNDS {
        let emulator = Emulator::start(&program, &options)?;
        let stored = list_agents(&emulator.url)?;
        check_stored(&acknowledged, &stored).map_err(|error| format!("round {round}: {error}"))?;
        unacknowledged = stored.difference(&acknowledged).count();
        // A different number of writes in each round, from few to nearly all.
        let kill_after = 10 + (round * 37 * 7) % (WRITES - 100);
        let ids = write_and_kill(emulator, kill_after)?;
        if ids.len() < kill_after || ids.len() >= WRITES {
            return Err(format!("round {round}: the emulator was not killed during the writes ({} done)", ids.len()));
        }
        acknowledged.extend(ids);
    }
    let emulator = Emulator::start(&program, &options)?;
    check_stored(&acknowledged, &list_agents(&emulator.url)?)?;
    println!(
        "   {ROUNDS} kills, {} acknowledged writes, 0 lost, {unacknowledged} stored without an acknowledgement; {} s",
        acknowledged.len(),
        start.elapsed().as_secs()
    );
    Ok(())
}

fn check_stored(acknowledged: &BTreeSet<String>, stored: &BTreeSet<String>) -> Result<(), String> {
    let lost: Vec<_> = acknowledged.difference(stored).collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {} acknowledged writes are lost: {lost:?}", lost.len(), acknowledged.len()))
}

/// Writes until the emulator is killed, and returns the ids of the acknowledged writes.
fn write_and_kill(mut emulator: Emulator, kill_after: usize) -> Result<BTreeSet<String>, String> {
    let url = emulator.url.clone();
    let count = AtomicUsize::new(0);
    let ids = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| create_agents(&url, &count, &ids));
        }
        let start = Instant::now();
        while count.load(Ordering::SeqCst) < kill_after && start.elapsed() < Duration::from_secs(60) {
            std::thread::yield_now();
        }
        // On Unix, this sends SIGKILL.
        let _ = emulator.process.kill();
    });
    ids.into_inner().map_err(|_| "a writer panicked".to_owned())
}

/// Creates agents until the connection breaks, and records the acknowledged ones.
fn create_agents(url: &str, count: &AtomicUsize, ids: &Mutex<BTreeSet<String>>) {
    let Ok(mut connection) = Connection::open(url) else { return };
    let body = r#"{"agent":{"name":"n","llm_model":"gpt-4o","model_type":"llm"}}"#;
    while count.load(Ordering::SeqCst) < WRITES {
        let Ok((200, response)) = connection.call("POST", AGENTS, body) else { return };
        let response: Value = serde_json::from_str(&response).unwrap_or_default();
        if let (Some(id), Ok(mut ids)) = (response["agent"]["id"].as_str(), ids.lock()) {
            ids.insert(id.to_owned());
        }
        count.fetch_add(1, Ordering::SeqCst);
    }
}

fn list_agents(url: &str) -> Result<BTreeSet<String>, String> {
    let mut connection = Connection::open(url).map_err(|error| error.to_string())?;
    let (status, response) = connection.call("GET", AGENTS, "").map_err(|error| error.to_string())?;
    if status != 200 {
        return Err(format!("listing the agents failed with {status}: {response}"));
    }
    let response: Value = serde_json::from_str(&response).map_err(|error| error.to_string())?;
    let agents = response["agents"].as_array().into_iter().flatten();
    Ok(agents.filter_map(|agent| agent["id"].as_str()).map(str::to_owned).collect())
}
