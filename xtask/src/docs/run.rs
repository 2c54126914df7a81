//! Runs the commands of the README and every example in a fresh clone.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::commands::{ListedCommand, listed_commands, matches};
use crate::run::{capture_output, cargo, read_text, target_dir, workspace_root};

/// The commands that are skipped, with the reason.
const SKIPPED: [(&str, &str); 1] = [("cargo test --workspace", "it is part of CI")];

/// The texts whose commands are run.
const TEXTS: [&str; 2] = ["README.md", "examples/README.md"];

/// The standard input of every command, for the example `chat`.
const INPUT: &str = "What is new?\n";

/// The timeout of one command, including its build.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Runs the commands of the README in a fresh clone, and compares their output with the README.
pub(crate) fn run() -> Result<(), String> {
    println!("\n== docs: the commands of the README, in a fresh clone");
    let clone = fresh_clone()?;
    let texts = TEXTS.iter().map(|text| read_text(&clone.join(text))).collect::<Result<Vec<_>, _>>()?;
    let commands = listed_commands(&texts.join("\n"));
    let listed: BTreeSet<&str> = commands.iter().filter_map(|listed| example_name(&listed.command)).collect();
    let missing: Vec<String> = examples(&clone)?.into_iter().filter(|name| !listed.contains(name.as_str())).collect();
    if !missing.is_empty() {
        return Err(format!("examples/README.md does not list these examples: {}", missing.join(", ")));
    }
    if let Some((command, _)) =
        SKIPPED.iter().find(|(skipped, _)| !commands.iter().any(|listed| listed.command == *skipped))
    {
        return Err(format!("the README does not list `{command}`; remove it from SKIPPED"));
    }
    let mut count = 0;
    for listed in &commands {
        if let Some((command, reason)) = SKIPPED.iter().find(|(skipped, _)| listed.command == *skipped) {
            println!("   skipped: {command} ({reason})");
            continue;
        }
        run_listed(listed, &clone)?;
        count += 1;
    }
    println!("   {count} commands ran, including {} examples", listed.len());
    Ok(())
}

/// Returns the name of the example that a command runs.
fn example_name(command: &str) -> Option<&str> {
    command.split_once("--example ")?.1.split_whitespace().next()
}

/// Returns the names of all examples of the workspace.
fn examples(clone: &Path) -> Result<BTreeSet<String>, String> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--locked"];
    let metadata = capture_output(cargo().current_dir(clone).args(arguments))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.filter_map(|package| package["targets"].as_array()).flatten();
    let examples = targets.filter(|target| target["kind"] == serde_json::json!(["example"]));
    Ok(examples.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect())
}

/// Runs a command, and checks that it prints the line that the README shows.
fn run_listed(listed: &ListedCommand, clone: &Path) -> Result<(), String> {
    let command = &listed.command;
    println!("   {command}");
    let failed = |message: &str| format!("the README's `{command}` {message}");
    let path = |name: &str| target_dir().join("docs").join(name);
    fs::write(path("stdin"), INPUT).map_err(|error| error.to_string())?;
    let stdin = File::open(path("stdin")).map_err(|error| error.to_string())?;
    let stdout = File::create(path("stdout")).map_err(|error| error.to_string())?;
    let mut shell = Command::new("sh");
    shell.args(["-ec", command]).current_dir(clone).stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout));
    shell.env("CARGO_TARGET_DIR", target_dir()).env("CARGO_TERM_QUIET", "true");
    // A contributor's API key must not make an example call the service.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FETCH_HIVE_")) {
        shell.env_remove(name);
    }
    let start = Instant::now();
    let mut child = shell.spawn().map_err(|error| failed(&format!("cannot be run: {error}")))?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        if start.elapsed() > TIMEOUT {
            let _ = child.kill();
            return Err(failed(&format!("did not finish within {} s", TIMEOUT.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let printed = fs::read(path("stdout")).map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&printed);
    printed.lines().for_each(|line| println!("      {line}"));
    if !status.success() {
        return Err(failed(&format!("failed with {status}")));
    }
    match &listed.output {
        Some(line) if !printed.lines().any(|printed| matches(line, printed)) => {
            Err(failed(&format!("did not print this line: {line}")))
        }
        _ => Ok(()),
    }
}

/// Returns a clone of the current commit.
///
/// This folder itself is used if it is not a repository, or if it contains only committed files and
/// a target folder.
fn fresh_clone() -> Result<PathBuf, String> {
    let folder = target_dir().join("docs");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    if !workspace_root().join(".git").exists() {
        println!("   this folder is not a repository, so the commands run in it");
        return Ok(workspace_root());
    }
    let git =
        |folder: &Path, arguments: &[&str]| capture_output(Command::new("git").arg("-C").arg(folder).args(arguments));
    let root = workspace_root();
    let head = git(&root, &["rev-parse", "HEAD"])?;
    let status = git(&root, &["status", "--porcelain", "--ignored"])?;
    let changes = status.lines().filter(|line| *line != "!! target/").count();
    if changes == 0 {
        println!("   this folder equals a clone of {}, so the commands run in it", head.trim());
        return Ok(root);
    }
    println!("   {changes} files differ from a clone");
    let clone = folder.join("clone");
    let _ = fs::remove_dir_all(&clone);
    capture_output(Command::new("git").args(["clone", "--quiet", "--no-checkout"]).arg(&root).arg(&clone))?;
    git(&clone, &["checkout", "--quiet", "--detach", head.trim()])?;
    Ok(clone)
}
