//! Whether an acknowledged write outlives a kill -9.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::emulator::{self, Emulator};
use crate::http::Connection;

const ROUNDS: usize = 50;
const WRITES: usize = 1_000;
const WRITERS: usize = 4;

/// Kills the command in the middle of many writes, again and again, and looks after each restart for all that it had acknowledged.
pub(crate) fn kill(_: &[String]) -> Result<(), String> {
    println!("\n== kill: kill -9 in the middle of {WRITES} writes, {ROUNDS} times");
    let command = emulator::build(false)?;
    let file = crate::run::target().join("kill.redb");
    let _ = std::fs::remove_file(&file);
    let options = ["--data", &file.display().to_string(), "--no-page"];
    let (mut acknowledged, mut kept, mut unacknowledged) = (BTreeSet::new(), 0, 0);
    let began = Instant::now();
    for round in 0..ROUNDS {
        let mut emulator = Emulator::start(&command, &options)?;
        let before: BTreeSet<String> = acknowledged.clone();
        let found = agents(&emulator.url)?;
        let lost: Vec<_> = before.difference(&found).collect();
        if !lost.is_empty() {
            return Err(format!(
                "round {round}: {} of {} acknowledged writes are gone: {lost:?}",
                lost.len(),
                before.len()
            ));
        }
        kept = found.len();
        unacknowledged = found.difference(&before).count();
        // Another place each time, from the first writes to the last.
        let until = 10 + (round * 37 * 7) % (WRITES - 100);
        let count = AtomicUsize::new(0);
        let ids = Mutex::new(BTreeSet::new());
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| write(&emulator.url, &count, &ids));
            }
            let patience = Instant::now();
            while count.load(Ordering::SeqCst) < until && patience.elapsed() < Duration::from_secs(60) {
                std::thread::yield_now();
            }
            // On Unix this is SIGKILL.
            let _ = emulator.process.kill();
        });
        let ids = ids.into_inner().map_err(|_| "a writer failed")?;
        if ids.len() < until || ids.len() >= WRITES {
            return Err(format!("round {round}: it was not killed in the middle: {} writes acknowledged", ids.len()));
        }
        acknowledged.extend(ids);
    }
    let restarted = Emulator::start(&command, &options)?;
    let there = agents(&restarted.url)?;
    let lost = acknowledged.difference(&there).count();
    println!(
        "   {ROUNDS} kills, {} acknowledged writes, {lost} lost; {kept} records before the last round, {unacknowledged} in it that the \
         kill kept from being acknowledged; {} s",
        acknowledged.len(),
        began.elapsed().as_secs()
    );
    if lost == 0 { Ok(()) } else { Err(format!("{lost} acknowledged writes are gone")) }
}

const AGENTS: &str = "/v1/public/workspaces/11111111-1111-4111-8111-111111111111/agents";

/// Makes agents until the connection breaks, and notes those that were acknowledged.
fn write(url: &str, count: &AtomicUsize, ids: &Mutex<BTreeSet<String>>) {
    let Ok(mut connection) = Connection::open(url) else { return };
    let body = r#"{"agent":{"name":"n","llm_model":"gpt-4o","model_type":"llm"}}"#;
    while count.load(Ordering::SeqCst) < WRITES {
        let Ok((200, reply)) = connection.call("POST", AGENTS, body) else { return };
        let reply: Value = serde_json::from_str(&reply).unwrap_or_default();
        if let (Some(id), Ok(mut ids)) = (reply["agent"]["id"].as_str(), ids.lock()) {
            ids.insert(id.to_owned());
        }
        count.fetch_add(1, Ordering::SeqCst);
    }
}

fn agents(url: &str) -> Result<BTreeSet<String>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let (status, reply) = Connection::open(url).and_then(|mut one| one.call("GET", AGENTS, "")).map_err(failed)?;
    if status != 200 {
        return Err(format!("the list of agents is a {status}: {reply}"));
    }
    let reply: Value = serde_json::from_str(&reply).map_err(|error| error.to_string())?;
    Ok(reply["agents"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|agent| agent["id"].as_str())
        .map(str::to_owned)
        .collect())
}
