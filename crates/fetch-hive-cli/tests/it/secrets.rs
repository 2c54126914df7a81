//! No key or secret appears in output, in the history or in a recording.

use std::path::Path;

use fetch_hive_emulator::Fault;

use crate::support::{KEY, Sandbox};

const SECRET: &str = "whsec_guide";

/// Returns the files below a folder that contain a text.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else {
            let content = std::fs::read(&path).unwrap();
            if content.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn outputs_and_files_contain_no_key_or_secret() {
    let sandbox = Sandbox::new();
    let hook = "http://127.0.0.1:9/hooks";
    let trigger = ["trigger", "workflow", "e", "v", "--secret-env", "SECRET", "--callback", hook, "-i", "topic=AI"];
    let preview = |option: &'static str| [&trigger[..], &[option]].concat();
    let run = ["workflow", "run", "weekly-report", "-i", "topic=AI"];
    let commands: Vec<Vec<&str>> = vec![
        [&["-v"], &run[..]].concat(),
        [&run[..], &["--curl"]].concat(),
        [&run[..], &["--dry-run"]].concat(),
        [&run[..], &["--callback", hook]].concat(),
        [&run[..], &["--callback", hook, "--json"]].concat(),
        [&run[..], &["--callback", hook, "--jq", ".webhook_secret"]].concat(),
        trigger.to_vec(),
        preview("--curl"),
        preview("--dry-run"),
        vec!["api", "POST", "/workflow/invoke", "-f", "deployment=summary", "--curl"],
        vec!["-v", "api", "POST", "/workflow/invoke", "-f", "deployment=summary"],
        vec!["auth", "status"],
        vec!["doctor"],
        vec!["history", "list", "--json"],
        vec!["workflow", "run", "broken"],
        vec!["-v", "workflow", "run", "slow", "--timeout", "200ms"],
        vec!["-v", "agent", "get", "nothing"],
    ];
    sandbox.emulator.add_fault("status=500 operation=getAgent".parse::<Fault>().unwrap()).unwrap();
    for arguments in &commands {
        let mut command = sandbox.command(arguments);
        let output = command.env("SECRET", SECRET).output().unwrap();
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(!text.contains(KEY) && !text.contains(SECRET), "{arguments:?}: {text}");
        }
    }
    assert_eq!(files_with(sandbox.folder.path(), KEY), Vec::<String>::new());
    // Only the store has the secret of the deployment, with which `callback listen` verifies.
    let files = files_with(sandbox.folder.path(), SECRET);
    assert!(files.iter().all(|file| file.contains("store.db")), "{files:?}");
    let listed = sandbox.run(&["history", "list", "--json"]).stdout;
    assert!(!listed.contains(SECRET) && listed.contains("--secret-env SECRET"), "{listed}");
}

#[test]
fn secrets_are_shown_on_request() {
    let sandbox = Sandbox::new();
    let run = ["workflow", "run", "weekly-report", "-i", "topic=AI"];
    let curl = sandbox.run(&[&run[..], &["--curl", "--show-secrets"]].concat()).stdout;
    assert!(curl.contains(&format!("Bearer {KEY}")), "{curl}");
    let callback = ["--callback", "http://127.0.0.1:9/hooks", "--json", "--show-secrets"];
    let json = sandbox.run(&[&run[..], &callback].concat()).stdout;
    assert!(json.contains(SECRET), "{json}");
}

#[cfg(target_os = "linux")]
#[test]
fn arguments_and_title_of_the_process_contain_no_key() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.command(&["workflow", "run", "slow"]).spawn().unwrap();
    while sandbox.emulator.active_runs() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // This is what `ps` shows.
    let shown = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!String::from_utf8_lossy(&shown).contains("fhk_"));
}
