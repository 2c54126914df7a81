//! The history of runs.

use fetch_hive_emulator::Fault;
use serde_json::Value;

use crate::support::Sandbox;

fn entries(sandbox: &Sandbox) -> Vec<Value> {
    let listed = sandbox.run(&["history", "list", "--json"]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let list: Value = serde_json::from_str(&listed.stdout).unwrap();
    list["history"].as_array().unwrap().clone()
}

#[test]
fn runs_are_recorded_with_their_verdict() {
    let sandbox = Sandbox::new();
    sandbox.run(&["prompt", "run", "tagline", "-i", "api_key=hush", "-i", "topic=AI"]);
    sandbox.run(&["workflow", "run", "broken"]);
    sandbox.emulator.add_fault("reset after-run".parse::<Fault>().unwrap()).unwrap();
    assert_eq!(sandbox.run(&["workflow", "run", "summary"]).code, Some(6));
    let entries = entries(&sandbox);
    let column = |name: &str| entries.iter().map(|entry| entry[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("verdict"), ["may have run", "run failed", "ok"]);
    assert_eq!(column("exit_code"), [6, 3, 0]);
    assert_eq!(column("operation"), ["invokeWorkflow", "invokeWorkflow", "invokePrompt"]);
    assert_eq!(column("target"), ["summary", "broken", "tagline"]);
    assert!(entries[2]["request_id"].as_str().unwrap().starts_with("req_"));
    assert!(entries[2]["tokens"].as_u64().is_some());
    assert_eq!(entries[2]["arguments"], "prompt run tagline -i api_key=*** -i topic=AI");
    let number = entries[2]["number"].to_string();
    let shown = sandbox.run(&["history", "show", &number, "--output", "text"]);
    assert!(shown.stdout.contains("invokePrompt"), "{shown:?}");
}

#[test]
fn killed_run_leaves_an_entry() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.command(&["workflow", "run", "slow"]).spawn().unwrap();
    while sandbox.emulator.active_runs() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let entries = entries(&sandbox);
    assert_eq!((&entries[0]["verdict"], &entries[0]["target"]), (&"no outcome".into(), &"slow".into()));
}

#[test]
fn history_can_be_turned_off() {
    let sandbox = Sandbox::new();
    sandbox.run(&["--no-history", "workflow", "run", "summary"]);
    assert!(entries(&sandbox).is_empty());
    let folder = sandbox.folder.path().join("home/.config/fetch-hive");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "history = false\n").unwrap();
    sandbox.run(&["workflow", "run", "summary"]);
    assert!(entries(&sandbox).is_empty());
}

#[test]
fn store_can_be_another_file() {
    let sandbox = Sandbox::new();
    let path = sandbox.folder.path().join("other.db").display().to_string();
    sandbox.run(&["--store", &path, "workflow", "run", "summary"]);
    assert!(entries(&sandbox).is_empty());
    let listed = sandbox.run(&["--store", &path, "history", "list", "--jq", ".history | length"]);
    assert_eq!(listed.stdout, "1\n");
    assert!(sandbox.run(&["--store", &path, "history", "clear", "--yes"]).stderr.contains("deleted 1"));
}
